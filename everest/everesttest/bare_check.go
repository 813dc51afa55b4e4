package everesttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var errNotJSON = errors.New("not JSON")

// checkBare returns an error for a message that would end or confuse a process of EVerest 2024.11 to 2025.10.
func (d dialect) checkBare(topic string, message Message) error {
	if !json.Valid(message.Payload) {
		return errNotJSON
	}
	if id, rest, below := strings.Cut(topic, "/"); below && d.configFiles {
		if strings.Contains(rest, "/") {
			rest = "impl/" + rest
		}
		topic = "modules/" + id + "/" + rest
	}
	module, rest, below := strings.Cut(strings.TrimPrefix(topic, "modules/"), "/")
	if !strings.HasPrefix(topic, "modules/") || !below {
		return nil // of the manager
	}
	if message.Retained {
		return errors.New("the message is retained")
	}
	switch rest {
	case "ready":
		return json.Unmarshal(message.Payload, new(bool))
	case "metadata", "config", "get_config", "response":
		_, err := membersOf(message.Payload)
		return err
	}
	parts := strings.SplitN(rest, "/", 4)
	if len(parts) < 3 || parts[0] != "impl" {
		return errors.New("a topic of nobody")
	}
	tail := ""
	if len(parts) == 4 {
		tail = parts[3]
	}
	switch kind := parts[2]; {
	case kind == "var" && tail == "":
		members, err := membersOf(message.Payload, "name", "data")
		if err != nil {
			return err
		}
		return json.Unmarshal(members["name"], new(string))
	case kind == "cmd" && tail == "":
		return d.checkBareCommand(module, message.Payload)
	case kind == "error" && tail == "" && !d.errorByTopic:
		var object struct{ Type string }
		if err := json.Unmarshal(message.Payload, &object); err != nil {
			return err
		}
		return checkError(Subject{Kind: KindError, Name: object.Type}, message.Payload)
	case (kind == "error" || kind == "error-cleared") && tail != "" && d.errorByTopic:
		return checkError(Subject{Kind: KindError, Name: tail}, message.Payload)
	}
	return errors.New("a topic of nobody")
}

func (d dialect) checkBareCommand(module string, payload []byte) error {
	members, err := membersOf(payload, "name", "type", "data")
	if err != nil {
		return err
	}
	var name, direction string
	if err := errors.Join(json.Unmarshal(members["name"], &name), json.Unmarshal(members["type"], &direction)); err != nil {
		return err
	}
	if direction == "call" {
		return checkCommand(Subject{}, members["data"])
	}
	if direction != "result" || name == "" {
		return fmt.Errorf("type %q, name %q", direction, name)
	}
	inner, err := membersOf(members["data"], "id", "origin")
	if err != nil {
		return err
	}
	var id, origin string
	if err := errors.Join(json.Unmarshal(inner["id"], &id), json.Unmarshal(inner["origin"], &origin)); err != nil {
		return err
	}
	if id == "" || origin != module {
		return fmt.Errorf("id %q, origin %q", id, origin)
	}
	failure, failed := inner["error"]
	if !failed {
		_, err := membersOf(members["data"], "retval")
		return err
	}
	if len(d.failures) == 0 {
		return errors.New("a result of this EVerest has no error")
	}
	keys, err := membersOf(failure, d.failureType, d.failureText)
	if err != nil {
		return err
	}
	var kind, text string
	if err := errors.Join(json.Unmarshal(keys[d.failureType], &kind), json.Unmarshal(keys[d.failureText], &text)); err != nil {
		return err
	}
	if len(keys) != 2 || !slices.Contains(d.failures, kind) {
		return fmt.Errorf("error %s", failure)
	}
	return nil
}
