package rawjson

import (
	"bytes"
	"encoding/json"
)

// IsNull reports whether a value is absent or null.
func IsNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}

// String returns the text of a JSON string. It returns an empty text for any other value.
func String(raw json.RawMessage) string { return string(Text(raw)) }

// Text returns the text of a JSON string, nil for any other value. The text is a slice of raw where it has no escapes.
func Text(raw json.RawMessage) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	return unquoteName(raw)
}

// AppendString appends a text as a JSON string.
func AppendString(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil { // a string always encodes
				return append(out, `""`...)
			}
			return append(out, quoted...)
		}
	}
	out = append(out, '"')
	out = append(out, text...)
	return append(out, '"')
}

// Decode decodes JSON into maps, slices, strings, bools, nil and json.Number, as schema checks need it. A json.Decoder
// does the same, but allocates more and has a buffer.
func Decode(text []byte) (any, error) {
	value, end, err := decodeAt(text, skipSpace(text, 0), 0)
	if err != nil {
		return nil, err
	}
	if end = skipSpace(text, end); end != len(text) {
		return nil, syntaxError(text, end)
	}
	return value, nil
}

// decodeAt decodes the value that starts at an index, within depth open levels. It returns the index after the value.
func decodeAt(text []byte, at, depth int) (value any, end int, err error) {
	if at < len(text) && (text[at] == '{' || text[at] == '[') {
		if depth == maxDepth {
			return nil, at, errDepth
		}
		if text[at] == '{' {
			return decodeObject(text, at, depth+1)
		}
		return decodeArray(text, at, depth+1)
	}
	if end, err = scanValue(text, at); err != nil {
		return nil, end, err
	}
	switch literal := text[at:end]; literal[0] {
	case '"':
		value, err = unquote(literal)
		return value, end, err
	case 't':
		return true, end, nil
	case 'f':
		return false, end, nil
	case 'n':
		return nil, end, nil
	default:
		return json.Number(literal), end, nil
	}
}

func decodeObject(text []byte, at, depth int) (any, int, error) {
	object := map[string]any{}
	if at = skipSpace(text, at+1); at < len(text) && text[at] == '}' {
		return object, at + 1, nil
	}
	for {
		end, err := scanKey(text, at)
		if err != nil {
			return nil, end, err
		}
		name := string(unquoteName(text[at:end]))
		if object[name], at, err = decodeAt(text, skipSpace(text, end), depth); err != nil {
			return nil, at, err
		}
		var more bool
		if at, more, err = afterElement(text, at, '}'); !more {
			return object, at, err
		}
	}
}

func decodeArray(text []byte, at, depth int) (any, int, error) {
	array := []any{}
	if at = skipSpace(text, at+1); at < len(text) && text[at] == ']' {
		return array, at + 1, nil
	}
	for {
		value, end, err := decodeAt(text, at, depth)
		if err != nil {
			return nil, end, err
		}
		array = append(array, value)
		var more bool
		if at, more, err = afterElement(text, end, ']'); !more {
			return array, at, err
		}
	}
}

// afterElement scans a comma or the closing bracket. It returns the index of the next element, or the index after the
// bracket.
func afterElement(text []byte, at int, closing byte) (next int, more bool, err error) {
	if at = skipSpace(text, at); at == len(text) {
		return at, false, errEnd
	}
	switch text[at] {
	case ',':
		return skipSpace(text, at+1), true, nil
	case closing:
		return at + 1, false, nil
	}
	return at, false, syntaxError(text, at)
}

// unquote decodes a string with its quotes.
func unquote(quoted []byte) (string, error) {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		var decoded string
		err := json.Unmarshal(quoted, &decoded)
		return decoded, err
	}
	return string(inner), nil
}
