package everesttest

import (
	"encoding/json"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// content is what a message between modules says, in whatever family.
type content struct {
	Subject
	// value is the value of a variable, the arguments of a call, the result of a reply, or an error object. Caller is set
	// for a call too.
	value json.RawMessage
	// raised is false for an error that is cleared.
	raised bool
	// failed is true for a reply with an error.
	failed bool
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
		ok = said.readCall(envelope.Data)
	case KindReply:
		inner, _ := memberOf(envelope.Data, "data")
		ok = said.readReply(inner)
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
		ok = said.readCall(named.Data)
	case parts[4] == "cmd" && named.Type == "result":
		said.Kind = KindReply
		ok = said.readReply(named.Data)
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

func (c *content) readCall(data json.RawMessage) bool {
	members, err := membersOf(data, "args", "origin")
	c.value = members["args"]
	return err == nil && json.Unmarshal(members["origin"], &c.Caller) == nil
}

func (c *content) readReply(data json.RawMessage) bool {
	members, err := membersOf(data)
	c.value = members["retval"]
	_, c.failed = members["error"]
	return err == nil && (c.failed || c.value != nil)
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
