package rawjson

import (
	"bytes"
	"encoding/json"
)

// Decode decodes JSON into maps, slices, strings, bools, nil and json.Number, as schema checks want it. It does with one
// pass and few allocations what a json.Decoder does with a buffer of its own.
func Decode(text []byte) (any, error) {
	if err := Check(text); err != nil {
		return nil, err
	}
	value, _, err := decodeAt(text, skipSpace(text, 0))
	return value, err
}

// decodeAt decodes the value that starts at the index in a text that is known to be JSON, of bounded depth.
func decodeAt(text []byte, at int) (value any, end int, err error) {
	switch text[at] {
	case '{':
		return decodeObject(text, at)
	case '[':
		return decodeArray(text, at)
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

func decodeObject(text []byte, at int) (any, int, error) {
	object := map[string]any{}
	if at = skipSpace(text, at+1); text[at] == '}' {
		return object, at + 1, nil
	}
	for {
		end, err := scanString(text, at)
		if err != nil {
			return nil, end, err
		}
		name, err := unquote(text[at:end])
		if err != nil {
			return nil, end, err
		}
		at = skipSpace(text, skipSpace(text, end)+1) // behind the colon
		if object[name], at, err = decodeAt(text, at); err != nil {
			return nil, at, err
		}
		if at = skipSpace(text, at); text[at] == '}' {
			return object, at + 1, nil
		}
		at = skipSpace(text, at+1) // behind the comma
	}
}

func decodeArray(text []byte, at int) (any, int, error) {
	array := []any{}
	if at = skipSpace(text, at+1); text[at] == ']' {
		return array, at + 1, nil
	}
	for {
		value, end, err := decodeAt(text, at)
		if err != nil {
			return nil, end, err
		}
		array = append(array, value)
		if at = skipSpace(text, end); text[at] == ']' {
			return array, at + 1, nil
		}
		at = skipSpace(text, at+1)
	}
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
