package aggregator

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// ErrFileName: a file name that names no file: empty, "." or "..".
var ErrFileName = errors.New("aggregator: not the name of a file")

// maxNameLength keeps names below what every file system and tar reader takes.
const maxNameLength = 120

// baseName is the last element of a name that a board gave. Only that counts: a board says what its file is called, never
// where it lies.
func baseName(name string) (string, error) {
	name = strings.ReplaceAll(name, "\\", "/")
	base := path.Base(strings.TrimRight(name, "/"))
	if name == "" || base == "." || base == ".." || base == "/" || strings.ContainsRune(base, 0) {
		return "", fmt.Errorf("%w: %.40q", ErrFileName, name)
	}
	return base, nil
}

// safeName is the name under which a board's file is stored and packed: its base name, of letters, digits, dots, dashes
// and underscores, not hidden, of at most maxNameLength bytes.
func safeName(name string) (string, error) {
	base, err := baseName(name)
	if err != nil {
		return "", err
	}
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, base)
	if len(safe) > maxNameLength {
		// The end of a name says what kind of file it is.
		safe = safe[:maxNameLength/2] + safe[len(safe)-maxNameLength/2:]
	}
	if safe[0] == '.' {
		safe = "_" + safe[1:]
	}
	return safe, nil
}
