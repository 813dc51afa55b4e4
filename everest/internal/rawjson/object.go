package rawjson

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Object walks over the members of a JSON object without copying them.
type Object struct {
	text []byte
	at   int // of the next member
	end  int // after the value that Next returned last
	err  error
}

// ReadObject returns an Object before the first member of the object that the text consists of.
func ReadObject(text []byte) Object {
	at := skipSpace(text, 0)
	if at == len(text) || text[at] != '{' {
		return Object{err: errors.New("not a JSON object")}
	}
	return Object{text: text, at: at + 1}
}

// Err returns what is wrong with the text. It is to be called after Next has returned false.
func (o *Object) Err() error { return o.err }

// Next returns the next member, its name without quotes. After the last member, and where the text is not JSON, ok is false.
func (o *Object) Next() (name []byte, value json.RawMessage, ok bool) {
	if o.err != nil || o.text == nil {
		return nil, nil, false
	}
	at := skipSpace(o.text, o.at)
	if at < len(o.text) && o.text[at] == '}' && o.text[at-1] != ',' {
		if at = skipSpace(o.text, at+1); at != len(o.text) {
			o.err = syntaxError(o.text, at)
		}
		o.text = nil
		return nil, nil, false
	}
	start := at
	end, err := scanKey(o.text, at)
	if err != nil {
		o.err = err
		return nil, nil, false
	}
	name = unquoteName(o.text[start:end])
	start = skipSpace(o.text, end)
	if end, err = scanValue(o.text, start); err != nil {
		o.err = err
		return nil, nil, false
	}
	value, o.end = json.RawMessage(o.text[start:end:end]), end
	if o.at, o.err = o.behindMember(end); o.err != nil {
		return nil, nil, false
	}
	return name, value, true
}

// behindMember stops at the closing brace or at the next name.
func (o *Object) behindMember(at int) (int, error) {
	at = skipSpace(o.text, at)
	if at == len(o.text) {
		return at, errEnd
	}
	switch o.text[at] {
	case '}':
		return at, nil
	case ',':
		if next := skipSpace(o.text, at+1); next == len(o.text) || o.text[next] != '"' {
			return next, errors.New("no JSON: a comma without a member behind it")
		}
		return at + 1, nil
	}
	return at, syntaxError(o.text, at)
}

// unquoteName takes a name with its quotes, and possibly the colon after them.
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

// String returns the text of a JSON string, empty for any other value.
func String(raw json.RawMessage) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	return string(unquoteName(raw))
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
	object := ReadObject(raw)
	for {
		name, value, ok := object.Next()
		if !ok {
			return members, object.Err()
		}
		if seen[string(name)] {
			return nil, fmt.Errorf("the name %q is repeated", name)
		}
		seen[string(name)] = true
		members = append(members, Member{string(name), value})
	}
}

// IsNull reports whether a value is absent or null.
func IsNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}
