package everest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting of what is read or sent; EVerest's deepest type has a dozen levels.
const maxJSONDepth = 512

var errJSONEnd = errors.New("no JSON: the text ends too early")

func jsonSyntax(text []byte, at int) error {
	return fmt.Errorf("no JSON: unexpected %q at byte %d", text[at], at)
}

// scanValue returns the index behind the JSON value that starts at or, after white space, behind the given index. It
// checks what it passes, the encoding of strings included, so that a slice it delimits can be handed on as it is.
// encoding/json reads a value several times on its way into a json.RawMessage; this reads it once.
func scanValue(text []byte, at int) (int, error) {
	var objects [maxJSONDepth / 64]uint64 // one bit for each open level: an object, or else an array
	depth := 0
	inObject := func() bool { return objects[(depth-1)/64]>>((depth-1)%64)&1 == 1 }
	var err error
	for {
		// A value stands here.
		if at = skipSpace(text, at); at == len(text) {
			return at, errJSONEnd
		}
		switch c := text[at]; {
		case c == '"':
			at, err = scanString(text, at)
		case c == '{' || c == '[':
			if depth == maxJSONDepth {
				return at, fmt.Errorf("no JSON that EVerest uses: nested more than %d levels deep", maxJSONDepth)
			}
			bit := uint64(1) << (depth % 64)
			if c == '{' {
				objects[depth/64] |= bit
			} else {
				objects[depth/64] &^= bit
			}
			depth++
			if at = skipSpace(text, at+1); at == len(text) {
				return at, errJSONEnd
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
			err = jsonSyntax(text, at)
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
				return at, errJSONEnd
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
				return at, jsonSyntax(text, at)
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

// scanKey passes a member's name and the colon behind it.
func scanKey(text []byte, at int) (int, error) {
	if at == len(text) {
		return at, errJSONEnd
	}
	if text[at] != '"' {
		return at, jsonSyntax(text, at)
	}
	at, err := scanString(text, at)
	if err != nil {
		return at, err
	}
	if at = skipSpace(text, at); at == len(text) {
		return at, errJSONEnd
	}
	if text[at] != ':' {
		return at, jsonSyntax(text, at)
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
				return at, fmt.Errorf("no JSON: bad escape in a string at byte %d", at)
			}
			at += length
		case c < ' ':
			return at, fmt.Errorf("no JSON: control character in a string at byte %d", at)
		case c < utf8.RuneSelf:
			at++
		default:
			_, size := utf8.DecodeRune(text[at:])
			if size == 1 {
				return at, fmt.Errorf("no JSON: invalid UTF-8 in a string at byte %d", at)
			}
			at += size
		}
	}
	return at, errJSONEnd
}

// plain reports whether eight bytes of a string are all ASCII without quotes, backslashes and control characters. Most
// are, and a payload is read several times on its way, so this is what the speed of the package hangs on.
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
		return at, errJSONEnd
	}
	if string(text[at:at+len(word)]) != word {
		return at, jsonSyntax(text, at)
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
		return at, fmt.Errorf("no JSON: bad number at byte %d", start)
	}
	if at < len(text) && text[at] == '.' {
		fraction := at + 1
		if at = skipDigits(text, fraction); at == fraction {
			return at, fmt.Errorf("no JSON: bad number at byte %d", start)
		}
	}
	if at < len(text) && (text[at] == 'e' || text[at] == 'E') {
		at++
		if at < len(text) && (text[at] == '+' || text[at] == '-') {
			at++
		}
		exponent := at
		if at = skipDigits(text, exponent); at == exponent {
			return at, fmt.Errorf("no JSON: bad number at byte %d", start)
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

// checkJSON reports whether the text is exactly one JSON value in valid UTF-8.
func checkJSON(text []byte) error {
	at, err := scanValue(text, 0)
	if err != nil {
		return err
	}
	if at = skipSpace(text, at); at != len(text) {
		return jsonSyntax(text, at)
	}
	return nil
}

// objectReader walks over the members of a JSON object without copying them.
type objectReader struct {
	text []byte
	at   int
	err  error
}

// readObject starts behind the opening brace of the object that the text consists of.
func readObject(text []byte) objectReader {
	at := skipSpace(text, 0)
	if at == len(text) || text[at] != '{' {
		return objectReader{err: errors.New("not a JSON object")}
	}
	return objectReader{text: text, at: at + 1}
}

// next returns the next member; the name is unquoted. It returns false at the end, where err tells whether the text was sound.
func (r *objectReader) next() (name []byte, value json.RawMessage, ok bool) {
	if r.err != nil || r.text == nil {
		return nil, nil, false
	}
	at := skipSpace(r.text, r.at)
	if at < len(r.text) && r.text[at] == '}' && r.text[at-1] != ',' {
		if at = skipSpace(r.text, at+1); at != len(r.text) {
			r.err = jsonSyntax(r.text, at)
		}
		r.text = nil
		return nil, nil, false
	}
	start := at
	end, err := scanKey(r.text, at)
	if err != nil {
		r.err = err
		return nil, nil, false
	}
	name = unquoteName(r.text[start:end])
	start = skipSpace(r.text, end)
	if end, err = scanValue(r.text, start); err != nil {
		r.err = err
		return nil, nil, false
	}
	value = json.RawMessage(r.text[start:end:end])
	if r.at, r.err = r.behindMember(end); r.err != nil {
		return nil, nil, false
	}
	return name, value, true
}

// behindMember stops at the closing brace or at the next name.
func (r *objectReader) behindMember(at int) (int, error) {
	at = skipSpace(r.text, at)
	if at == len(r.text) {
		return at, errJSONEnd
	}
	switch r.text[at] {
	case '}':
		return at, nil
	case ',':
		if next := skipSpace(r.text, at+1); next == len(r.text) || r.text[next] != '"' {
			return next, errors.New("no JSON: a comma without a member behind it")
		}
		return at + 1, nil
	}
	return at, jsonSyntax(r.text, at)
}

// unquoteName takes a name with its quotes, and possibly the colon behind them.
func unquoteName(quoted []byte) []byte {
	end := len(quoted) - 1
	for quoted[end] != '"' {
		end--
	}
	inner := quoted[1:end]
	for _, c := range inner {
		if c == '\\' {
			var name string
			if json.Unmarshal(quoted[:end+1], &name) != nil {
				return inner
			}
			return []byte(name)
		}
	}
	return inner
}
