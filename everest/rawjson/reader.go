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
// An array is read in the same way, with r.Array(), r.More() and r.Value(). After an error the methods return nothing
// more, and Close returns the error.
type Reader struct {
	text []byte
	at   int
	// depth is the number of objects and arrays that were entered and not left.
	depth int
	// first is true in an object or array until its first member or element is read.
	first bool
	err   error
}

// NewReader returns a Reader at the start of a text.
func NewReader(text []byte) Reader { return Reader{text: text} }

// Kind returns the first byte of the next value: '{', '[', '"', 't', 'f', 'n', '-' or a digit. It returns 0 after an
// error and at the end of the text.
func (r *Reader) Kind() byte {
	r.at = skipSpace(r.text, r.at)
	if r.err != nil || r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// Object enters the next value, which must be an object.
func (r *Reader) Object() { r.enter('{', "not a JSON object") }

// Array enters the next value, which must be an array.
func (r *Reader) Array() { r.enter('[', "not a JSON array") }

func (r *Reader) enter(opening byte, mistake string) {
	switch {
	case r.Kind() == opening && r.depth == maxDepth:
		r.err = errDepth
	case r.Kind() == opening:
		r.at++
		r.depth++
		r.first = true
	case r.err == nil:
		r.err = errors.New(mistake)
	}
}

// Next returns the name, without quotes, of the next member of the innermost object. The member's value must be read or
// entered before the next call. After the last member Next leaves the object and returns false.
func (r *Reader) Next() (name []byte, ok bool) {
	if !r.another('}') {
		return nil, false
	}
	at := r.at
	end, err := scanKey(r.text, at)
	if err != nil {
		r.err = err
		return nil, false
	}
	r.at = end
	return unquoteName(r.text[at:end]), true
}

// More reports whether the innermost array has another element. The element must be read or entered before the next
// call. After the last element More leaves the array and returns false.
func (r *Reader) More() bool { return r.another(']') }

// another moves to the next member or element. Without one it leaves the object or array and returns false.
func (r *Reader) another(closing byte) bool {
	if r.err != nil {
		return false
	}
	first := r.first
	r.first = false
	r.at = skipSpace(r.text, r.at)
	switch {
	case r.at == len(r.text):
		r.err = errEnd
	case r.text[r.at] == closing:
		r.at++
		r.depth--
		return false
	case first:
		return true
	case r.text[r.at] == ',':
		r.at = skipSpace(r.text, r.at+1)
		return true
	default:
		r.err = syntaxError(r.text, r.at)
	}
	return false
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

// Offset returns the index after what was read last. After Value it is the index after that value.
func (r *Reader) Offset() int { return r.at }

// Members returns the next value. When the value is an object, Members also returns its members by name. When a name is
// repeated, its last member is returned.
func (r *Reader) Members() (value json.RawMessage, members map[string]json.RawMessage) {
	if r.Kind() != '{' {
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
