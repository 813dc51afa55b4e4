package rawjson

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Reader reads a JSON text from its start to its end, without copying and checking each byte once:
//
//	r := rawjson.NewReader(text)
//	for r.Object(); ; {
//		name, ok := r.Next()
//		if !ok {
//			break
//		}
//		value := r.Value() // or enter a nested object with r.Object()
//	}
//	err := r.Close()
//
// After an error its methods return nothing more, and Close returns the error.
type Reader struct {
	text []byte
	at   int
	// first is true in an object until its first member is read.
	first bool
	err   error
}

// NewReader returns a Reader at the start of a text.
func NewReader(text []byte) Reader { return Reader{text: text} }

// IsObject reports whether the next value is an object.
func (r *Reader) IsObject() bool {
	r.at = skipSpace(r.text, r.at)
	return r.err == nil && r.at < len(r.text) && r.text[r.at] == '{'
}

// Object enters the next value, which must be an object.
func (r *Reader) Object() {
	if r.IsObject() {
		r.at++
		r.first = true
	} else if r.err == nil {
		r.err = errors.New("not a JSON object")
	}
}

// Next returns the name, without quotes, of the next member of the innermost object. The member's value must be read or
// entered before the next call. After the last member Next leaves the object and returns false.
func (r *Reader) Next() (name []byte, ok bool) {
	if r.err != nil {
		return nil, false
	}
	first := r.first
	r.first = false
	at := skipSpace(r.text, r.at)
	switch {
	case at == len(r.text):
		r.err = errEnd
		return nil, false
	case r.text[at] == '}':
		r.at = at + 1
		return nil, false
	case first:
	case r.text[at] == ',':
		at = skipSpace(r.text, at+1)
	default:
		r.err = syntaxError(r.text, at)
		return nil, false
	}
	end, err := scanKey(r.text, at)
	if err != nil {
		r.err = err
		return nil, false
	}
	r.at = end
	return unquoteName(r.text[at:end]), true
}

// Value returns the next value.
func (r *Reader) Value() json.RawMessage {
	if r.err != nil {
		return nil
	}
	start := skipSpace(r.text, r.at)
	r.at, r.err = scanValue(r.text, start)
	if r.err != nil {
		return nil
	}
	return json.RawMessage(r.text[start:r.at:r.at])
}

// Members returns the next value. When the value is an object, Members also returns its members by name. When a name is
// repeated, its last member is returned.
func (r *Reader) Members() (value json.RawMessage, members map[string]json.RawMessage) {
	if !r.IsObject() {
		return r.Value(), nil
	}
	start := r.at
	members = map[string]json.RawMessage{}
	for r.Object(); ; {
		name, ok := r.Next()
		if !ok {
			break
		}
		members[string(name)] = r.Value()
	}
	if r.err != nil {
		return nil, nil
	}
	return json.RawMessage(r.text[start:r.at:r.at]), members
}

// Close returns the first error. Without one, it returns an error if the text has not ended.
func (r *Reader) Close() error {
	if r.err != nil {
		return r.err
	}
	if at := skipSpace(r.text, r.at); at != len(r.text) {
		return syntaxError(r.text, at)
	}
	return nil
}

// unquoteName removes the quotes of a name, and a colon after them.
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

// Member is one member of a JSON object.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Members returns the members of a JSON object in their order, none for an absent value or null. A repeated name is an
// error.
func Members(raw json.RawMessage) ([]Member, error) {
	if IsNull(raw) {
		return nil, nil
	}
	var members []Member
	seen := map[string]bool{}
	r := NewReader(raw)
	for r.Object(); ; {
		name, ok := r.Next()
		if !ok {
			return members, r.Close()
		}
		if seen[string(name)] {
			return nil, fmt.Errorf("the name %q is repeated", name)
		}
		seen[string(name)] = true
		members = append(members, Member{string(name), r.Value()})
	}
}
