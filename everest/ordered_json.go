package everest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// member is one member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// orderedMembers splits a JSON object into its members in the order in which they stand there: arguments have an order
// that a map would lose. nil and null are an object without members.
func orderedMembers(raw json.RawMessage) ([]member, error) {
	if isNull(raw) {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	opening, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if opening != json.Delim('{') {
		return nil, fmt.Errorf("an object is needed, not %.20q", raw)
	}
	var members []member
	seen := map[string]bool{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if seen[name] {
			return nil, fmt.Errorf("%q stands there twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	return members, nil
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}
