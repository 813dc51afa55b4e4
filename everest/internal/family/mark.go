package family

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// The marks are format strings and messages of EVerest's framework. The compiler keeps them whole, because they are
// passed by pointer. Together they tell all families apart. The constants have a tilde that the marks lack, so that
// programs with this package are not taken for EVerest's manager.
const (
	markSetRequest  = "/config/~set_request"
	markResponse    = "{}/~response/{}"
	markRequest     = "{}config/~request"
	markErrorKey    = "__everest__~error_type"
	markGetConfig   = "{}modules/{}/~get_config"
	markCleared     = "{}/error-~cleared/{}"
	markErrorTypes  = "{}error_~types_map"
	markClearAsked  = "{}request-~clear-error"
	markFixYourFile = "please fix ~your config file"
)

var marks = []string{
	markSetRequest, markResponse, markRequest, markErrorKey, markGetConfig, markCleared, markErrorTypes, markClearAsked, markFixYourFile,
}

// familyOfMarks returns "" when the marks are those of no framework.
func familyOfMarks(has map[string]bool) string {
	switch {
	case has[markSetRequest]:
		return "D"
	case has[markResponse]:
		return "C"
	case has[markRequest] && has[markErrorKey]:
		return "B4b"
	case has[markRequest]:
		return "B4a"
	case has[markGetConfig] && has[markCleared]:
		return "B1"
	case has[markGetConfig] && has[markErrorTypes]:
		return "B2"
	case has[markGetConfig]:
		return "B3"
	case has[markClearAsked]:
		return "A1"
	case has[markCleared] && has[markFixYourFile]:
		return "A3"
	case has[markCleared]:
		return "A2"
	}
	return ""
}

// Bounds of reading a library. A library with all its debugging data stays below maxLibrary.
const (
	chunk      = 256 << 10
	maxLibrary = 1 << 30
)

// familyOfFile reads a framework library, or a program that contains one.
func familyOfFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		return "", err
	}
	has, err := search(io.LimitReader(file, maxLibrary))
	if err != nil {
		return "", err
	}
	return familyOfMarks(has), nil
}

// search finds the marks in a file of any size. It ends early when it has found the mark that decides alone.
func search(r io.Reader) (map[string]bool, error) {
	finder := newFinder()
	buffer := make([]byte, finder.longest-1+chunk)
	has := map[string]bool{}
	kept := 0
	for !has[markSetRequest] {
		n, err := io.ReadFull(r, buffer[kept:])
		text := buffer[:kept+n]
		finder.find(text, has)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return has, nil
		case err != nil:
			return nil, err
		}
		kept = copy(buffer, text[len(text)-(finder.longest-1):])
	}
	return has, nil
}

// finder searches for all marks in one pass, by the algorithm of Wu and Manber. The last two bytes of a window say how
// far it may move on.
type finder struct {
	literals          [][]byte
	shortest, longest int
	shift             []uint8
}

func newFinder() finder {
	f := finder{shortest: 255, shift: make([]uint8, 1<<16)}
	for _, mark := range marks {
		literal := literal(mark)
		f.literals = append(f.literals, literal)
		f.shortest, f.longest = min(f.shortest, len(literal)), max(f.longest, len(literal))
	}
	for i := range f.shift {
		f.shift[i] = uint8(f.shortest - 1)
	}
	for _, literal := range f.literals {
		for last := 1; last < f.shortest; last++ {
			pair := int(literal[last-1])<<8 | int(literal[last])
			f.shift[pair] = min(f.shift[pair], uint8(f.shortest-1-last))
		}
	}
	return f
}

func (f *finder) find(text []byte, has map[string]bool) {
	for last := f.shortest - 1; last < len(text); {
		if skip := f.shift[int(text[last-1])<<8|int(text[last])]; skip > 0 {
			last += int(skip)
			continue
		}
		for i, literal := range f.literals {
			if bytes.HasPrefix(text[last-f.shortest+1:], literal) {
				has[marks[i]] = true
			}
		}
		last++
	}
}

func literal(mark string) []byte { return []byte(strings.Replace(mark, "~", "", 1)) }

// identity tells whether a file is still the one that was read.
type identity struct {
	info fs.FileInfo
}

func (i identity) same(other fs.FileInfo) bool {
	return i.info != nil && os.SameFile(i.info, other) && i.info.Size() == other.Size() && i.info.ModTime().Equal(other.ModTime())
}
