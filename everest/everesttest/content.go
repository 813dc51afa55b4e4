package everesttest

import (
	"encoding/json"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// content is what a message between modules says, in whatever family.
type content struct {
	Subject
	// value is the value of a variable, the arguments of a call, or an error object.
	value json.RawMessage
	// raised is false for an error that is cleared.
	raised bool
}

// contentOf reads a message of the family. It returns false for a message of another kind, or one that cannot be read.
func (d dialect) contentOf(prefix string, message Message) (content, bool) {
	if d.bare() {
		return d.contentOfBare(prefix, message)
	}
	said := content{Subject: SubjectOf(prefix, message.Topic)}
	envelope, ok := message.Envelope()
	if !ok {
		return said, false
	}
	switch said.Kind {
	case KindVariable:
		said.value, ok = memberOf(envelope.Data, "data")
	case KindCommand:
		said.value, ok = memberOf(envelope.Data, "args")
	case KindError:
		said.value = envelope.Data
		said.raised, ok = isActive(envelope.Data)
	default:
		return said, false
	}
	return said, ok
}

// contentOfBare reads a message without an envelope. A name in it tells the variable or the command.
func (d dialect) contentOfBare(prefix string, message Message) (said content, ok bool) {
	said.Kind = kindOther
	topic := strings.TrimPrefix(message.Topic, prefix)
	if d.configFiles {
		id, rest, _ := strings.Cut(topic, "/")
		topic = "modules/" + id + "/impl/" + rest
	}
	parts := strings.SplitN(topic, "/", 6)
	if len(parts) < 5 || parts[0] != "modules" || parts[2] != "impl" {
		return said, false
	}
	said.ModuleID, said.ImplementationID = parts[1], parts[3]
	if strings.HasPrefix(parts[4], "error") {
		return d.errorOfBare(said, parts, message.Payload)
	}
	var named struct {
		Name string          `json:"name"`
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(message.Payload, &named) != nil || named.Name == "" {
		return said, false
	}
	said.Name, ok = named.Name, true
	switch {
	case parts[4] == "var":
		said.Kind, said.value = KindVariable, named.Data
	case parts[4] == "cmd" && named.Type == "call":
		said.Kind = KindCommand
		said.value, ok = memberOf(named.Data, "args")
	case parts[4] == "cmd" && named.Type == "result":
		said.Kind = KindReply
	default:
		ok = false
	}
	return said, ok
}

func (d dialect) errorOfBare(said content, parts []string, payload []byte) (content, bool) {
	active, ok := isActive(payload)
	said.Kind, said.value, said.raised = KindError, payload, active
	if d.errorByTopic {
		said.raised = parts[4] == "error"
	}
	text, _ := memberOf(payload, "type")
	return said, ok && json.Unmarshal(text, &said.Name) == nil
}

func memberOf(object json.RawMessage, name string) (json.RawMessage, bool) {
	members, err := membersOf(object, name)
	return members[name], err == nil
}

func isActive(object json.RawMessage) (active, ok bool) {
	var fields struct {
		State everest.State `json:"state"`
	}
	ok = json.Unmarshal(object, &fields) == nil
	return fields.State == everest.StateActive, ok
}
