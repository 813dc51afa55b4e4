// Package bindings has typed Go bindings that everestgen has written from EVerest's interface definitions, in the
// release of package everest/schema, and what all generated code needs at run time.
//
//	bindings/evsemanager   Provider, Publisher and Client of the interface evse_manager
//	bindings/types         the types of all interfaces
//	bindings               List, EnumList, Time, Marshal, Unmarshal: used by the two above and by every package that everestgen writes
//
// Only interfaces that this repository uses are here. Run everestgen for others, for your own and for another release:
//
//	go run github.com/remotechargeport/remotechargeport/everest/everestgen -out internal/everest auth
//
// Generated code keeps four promises:
//
//   - A list is never written as null, and a time always in a form that all of EVerest's readers accept.
//   - A list of an enumeration is written as EVerest's C++ code writes it: as indices inside an object
//     and as a result ([EnumList]), else as texts ([List]). An EnumList reads both.
//   - An unknown value of an enumeration and an unknown property survive decoding and encoding, so that a newer release
//     can talk through an older program.
//   - A required property that is missing is an error when a value is decoded. It is none where an EVerest from 2024.3 on
//     does not require the property: a board of that release may have sent the value, and the field is zero. The field's
//     comment says so.
package bindings

//go:generate go run ../everestgen -out . auth_token_provider evse_manager

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// List is a JSON array. A nil List is encoded as [], because EVerest's readers reject null in place of an array. A []T
// can be assigned to a List[T].
type List[T any] []T

// MarshalJSON implements json.Marshaler.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}

// Time is a point in time. It is encoded in UTC with milliseconds, such as "2026-11-22T10:32:38.363Z": all of EVerest's
// readers parse this form correctly. A decoded Time that was not changed is encoded as the text that was decoded.
type Time struct {
	time.Time

	read   string
	parsed time.Time
}

// At returns at as a Time.
func At(at time.Time) Time { return Time{Time: at} }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// String returns the text that MarshalJSON encodes.
func (t Time) String() string {
	if t.read != "" && t.Equal(t.parsed) {
		return t.read
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// UnmarshalJSON implements json.Unmarshaler. It accepts RFC 3339 with any fraction. A time without a zone is UTC.
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

// Unmarshal decodes a JSON object into the struct that known points to. Members that are neither required nor optional
// are stored in extra. A missing required member is an error. Generated UnmarshalJSON methods call it.
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

// Marshal encodes the struct known and appends the members of extra, except those that known has itself. Generated
// MarshalJSON methods call it.
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
