// Package rawjson reads and changes JSON without decoding it. One scan checks a text, or finds the parts of a value as
// slices of the text, or decodes the text for a schema check.
//
//	r := rawjson.NewReader(text)      // r.Object, r.Next, r.Array, r.More, r.Value
//	err := rawjson.Check(text)        // whether a text is one JSON value
//	text, err = rawjson.Complete(...) // a member added or replaced, all other bytes as they were
//
// What it promises:
//   - Number forms, the order of keys and unknown keys survive a relay, because values are slices of the text.
//   - Every byte is checked once. A [Reader] never reads beyond its text, whatever the text is.
//   - Two checks are stricter than those of encoding/json, because EVerest's modules end otherwise. Strings must be
//     UTF-8, and values may be nested 512 levels deep at most.
//
// All functions may be called from any goroutine. A Reader has one user at a time.
package rawjson

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values that are read or sent. EVerest's deepest type has a dozen levels.
const maxDepth = 512

var (
	errEnd   = errors.New("not JSON: the text ends too early")
	errDepth = fmt.Errorf("JSON nested more than %d levels deep", maxDepth)
)

func syntaxError(text []byte, at int) error {
	return fmt.Errorf("not JSON: unexpected %q at byte %d", text[at], at)
}

// scanValue returns the index after the next JSON value. The value starts at the given index, or after white space
// there. scanValue checks every byte, including the encoding of strings, so that the slice of the value can be sent
// unchanged. It reads a value once; encoding/json reads it several times to make a json.RawMessage.
func scanValue(text []byte, at int) (int, error) {
	var objects [maxDepth / 64]uint64 // one bit for each open level: an object, or else an array
	depth := 0
	inObject := func() bool { return objects[(depth-1)/64]>>((depth-1)%64)&1 == 1 }
	var err error
	for {
		// A value starts here.
		if at = skipSpace(text, at); at == len(text) {
			return at, errEnd
		}
		switch c := text[at]; {
		case c == '"':
			at, err = scanString(text, at)
		case c == '{' || c == '[':
			if depth == maxDepth {
				return at, errDepth
			}
			bit := uint64(1) << (depth % 64)
			if c == '{' {
				objects[depth/64] |= bit
			} else {
				objects[depth/64] &^= bit
			}
			depth++
			if at = skipSpace(text, at+1); at == len(text) {
				return at, errEnd
			}
			if text[at] != c+2 { // '}' and ']' follow two behind their openings
				if c == '{' {
					if at, err = scanKey(text, at); err != nil {
						return at, err
					}
				}
				continue
			}
			depth--
			at++
		case c == '-' || c >= '0' && c <= '9':
			at, err = scanNumber(text, at)
		case c == 't':
			at, err = scanWord(text, at, "true")
		case c == 'f':
			at, err = scanWord(text, at, "false")
		case c == 'n':
			at, err = scanWord(text, at, "null")
		default:
			err = syntaxError(text, at)
		}
		if err != nil {
			return at, err
		}
		// A value ended here.
		for {
			if depth == 0 {
				return at, nil
			}
			if at = skipSpace(text, at); at == len(text) {
				return at, errEnd
			}
			c, object := text[at], inObject()
			if c == ',' {
				at++
				if object {
					if at, err = scanKey(text, skipSpace(text, at)); err != nil {
						return at, err
					}
				}
				break
			}
			if object && c != '}' || !object && c != ']' {
				return at, syntaxError(text, at)
			}
			depth--
			at++
		}
	}
}

func skipSpace(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r') {
		at++
	}
	return at
}

// scanKey scans a member's name and the colon after it.
func scanKey(text []byte, at int) (int, error) {
	if at == len(text) {
		return at, errEnd
	}
	if text[at] != '"' {
		return at, syntaxError(text, at)
	}
	at, err := scanString(text, at)
	if err != nil {
		return at, err
	}
	if at = skipSpace(text, at); at == len(text) {
		return at, errEnd
	}
	if text[at] != ':' {
		return at, syntaxError(text, at)
	}
	return at + 1, nil
}

func scanString(text []byte, at int) (int, error) {
	at++
	for at < len(text) {
		for len(text)-at >= 8 && plain(binary.LittleEndian.Uint64(text[at:])) {
			at += 8
		}
		if at == len(text) {
			break
		}
		c := text[at]
		switch {
		case c == '"':
			return at + 1, nil
		case c == '\\':
			length, ok := escapeLength(text[at:])
			if !ok {
				return at, fmt.Errorf("not JSON: bad escape in a string at byte %d", at)
			}
			at += length
		case c < ' ':
			return at, fmt.Errorf("not JSON: control character in a string at byte %d", at)
		case c < utf8.RuneSelf:
			at++
		default:
			_, size := utf8.DecodeRune(text[at:])
			if size == 1 {
				return at, fmt.Errorf("not JSON: invalid UTF-8 in a string at byte %d", at)
			}
			at += size
		}
	}
	return at, errEnd
}

// plain reports whether eight bytes of a string are all ASCII without quotes, backslashes and control characters. Most
// bytes are. A payload is scanned several times, so the speed of the package depends on plain.
func plain(bytes uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quotes, backslashes := bytes^ones*'"', bytes^ones*'\\'
	// The top bit of a byte appears where the subtraction borrows: below a space, or zero. A borrow into the next byte can
	// only make it look special too, never hide it.
	return (bytes|(bytes-ones*' ')|(quotes-ones)|(backslashes-ones))&tops == 0
}

func escapeLength(text []byte) (int, bool) {
	if len(text) < 2 {
		return 0, false
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, true
	case 'u':
		if len(text) < 6 {
			return 0, false
		}
		for _, c := range text[2:6] {
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return 0, false
			}
		}
		return 6, true
	}
	return 0, false
}

func scanWord(text []byte, at int, word string) (int, error) {
	if len(text)-at < len(word) {
		return at, errEnd
	}
	if string(text[at:at+len(word)]) != word {
		return at, syntaxError(text, at)
	}
	return at + len(word), nil
}

func scanNumber(text []byte, at int) (int, error) {
	if text[at] == '-' {
		at++
	}
	start := at
	at = skipDigits(text, at)
	if at == start || text[start] == '0' && at > start+1 {
		return at, fmt.Errorf("not JSON: bad number at byte %d", start)
	}
	if at < len(text) && text[at] == '.' {
		fraction := at + 1
		if at = skipDigits(text, fraction); at == fraction {
			return at, fmt.Errorf("not JSON: bad number at byte %d", start)
		}
	}
	if at < len(text) && (text[at] == 'e' || text[at] == 'E') {
		at++
		if at < len(text) && (text[at] == '+' || text[at] == '-') {
			at++
		}
		exponent := at
		if at = skipDigits(text, exponent); at == exponent {
			return at, fmt.Errorf("not JSON: bad number at byte %d", start)
		}
	}
	return at, nil
}

func skipDigits(text []byte, at int) int {
	for at < len(text) && text[at] >= '0' && text[at] <= '9' {
		at++
	}
	return at
}

// Check reports whether the text is exactly one JSON value in valid UTF-8.
func Check(text []byte) error {
	at, err := scanValue(text, 0)
	if err != nil {
		return err
	}
	if at = skipSpace(text, at); at != len(text) {
		return syntaxError(text, at)
	}
	return nil
}
