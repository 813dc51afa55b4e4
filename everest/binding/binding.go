// Package binding is what generated bindings of EVerest's types stand on: lists that are never null, times as EVerest writes
// them, and structs that keep what they do not know. Programs meet it in the fields of generated types; see everestgen.
package binding

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// List is a JSON array. A nil List is written as [], because EVerest's readers do not take null for an array. Any []T can be
// assigned to a List[T].
type List[T any] []T

// MarshalJSON implements json.Marshaler.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}

// Time is a point in time. It is written in UTC with milliseconds, "2026-11-22T10:32:38.363Z", which is the one form that all
// of EVerest's readers take for what it is. One that was read and has not been changed is written as it was read.
type Time struct {
	time.Time

	read   string
	parsed time.Time
}

// At returns the Time of a time.
func At(at time.Time) Time { return Time{Time: at} }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// String is the time as it is written.
func (t Time) String() string {
	if t.read != "" && t.Equal(t.parsed) {
		return t.read
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// UnmarshalJSON implements json.Unmarshaler. It reads RFC 3339 with any fraction; without a zone the time is UTC.
func (t *Time) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		var withoutZone error
		if parsed, withoutZone = time.Parse("2006-01-02T15:04:05", text); withoutZone != nil {
			return err
		}
	}
	*t = Time{parsed, text, parsed}
	return nil
}

// Unmarshal decodes an object into known, which points to a struct, and puts the members that are neither required nor
// optional into extra. A required member that is missing is an error. Generated UnmarshalJSON methods call it.
func Unmarshal(data []byte, known any, extra *map[string]json.RawMessage, required, optional []string) error {
	if err := json.Unmarshal(data, known); err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return err
	}
	for _, name := range required {
		if _, present := members[name]; !present {
			return fmt.Errorf("property %q is missing", name)
		}
		delete(members, name)
	}
	for _, name := range optional {
		delete(members, name)
	}
	*extra = nil
	if len(members) > 0 {
		*extra = members
	}
	return nil
}

// Marshal encodes known, a struct, and adds the members of extra that it does not have itself. Generated MarshalJSON methods
// call it.
func Marshal(known any, extra map[string]json.RawMessage) ([]byte, error) {
	encoded, err := json.Marshal(known)
	if err != nil || len(extra) == 0 {
		return encoded, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &members); err != nil {
		return nil, err
	}
	encoded = encoded[:len(encoded)-1]
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if _, present := members[name]; present {
			continue
		}
		member, err := json.Marshal(map[string]json.RawMessage{name: extra[name]})
		if err != nil {
			return nil, fmt.Errorf("extra property %q: %w", name, err)
		}
		if len(encoded) > 1 {
			encoded = append(encoded, ',')
		}
		encoded = append(encoded, member[1:len(member)-1]...)
	}
	return append(encoded, '}'), nil
}
