package everesttest

import (
	"encoding/json"
	"strings"
	"time"
)

// Message is an MQTT message as the broker delivered it.
type Message struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retained bool
	// Time is when the message arrived.
	Time time.Time
}

// Envelope is the outer JSON object of a message of the framework. Data is nil where it is missing.
type Envelope struct {
	MessageType string          `json:"msg_type"`
	Data        json.RawMessage `json:"data"`
}

// Envelope decodes the payload. It returns false for a message that is not the framework's.
func (m Message) Envelope() (Envelope, bool) {
	var envelope Envelope
	if json.Unmarshal(m.Payload, &envelope) != nil || envelope.MessageType == "" {
		return Envelope{}, false
	}
	return envelope, true
}

// Kind is the kind of a message.
type Kind string

// The kinds of messages between modules.
const (
	KindVariable Kind = "var"
	KindCommand  Kind = "cmd"
	KindReply    Kind = "reply"
	KindError    Kind = "error"
	KindReady    Kind = "ready"
	kindOther    Kind = "other"
)

// Subject is the meaning of a topic.
type Subject struct {
	Kind Kind
	// ModuleID and ImplementationID are the ids of the provider of the variable, command or error. For KindReady
	// ModuleID is the module that is ready. Both are empty for an unknown kind.
	ModuleID         string
	ImplementationID string
	// Name is the name of the variable or command, or the type of the error ("generic/VendorError").
	Name string
	// Caller is the receiver of a reply. It is empty for other kinds.
	Caller string
}

// SubjectOf returns the subject of a topic. prefix is the EVerest prefix and ends in a slash.
func SubjectOf(prefix, topic string) Subject {
	rest, below := strings.CutPrefix(topic, prefix+"modules/")
	if !below {
		return Subject{Kind: kindOther}
	}
	parts := strings.Split(rest, "/")
	if len(parts) == 2 && parts[1] == "ready" {
		return Subject{Kind: KindReady, ModuleID: parts[0]}
	}
	if len(parts) < 5 || parts[1] != "impl" {
		return Subject{Kind: kindOther}
	}
	subject := Subject{ModuleID: parts[0], ImplementationID: parts[2], Name: parts[4]}
	switch {
	case parts[3] == "var" && len(parts) == 5:
		subject.Kind = KindVariable
	case parts[3] == "cmd" && len(parts) == 5:
		subject.Kind = KindCommand
	case parts[3] == "cmd" && len(parts) == 7 && parts[5] == "response":
		subject.Kind, subject.Caller = KindReply, parts[6]
	case parts[3] == "error" && len(parts) == 6:
		subject.Kind, subject.Name = KindError, parts[4]+"/"+parts[5]
	default:
		return Subject{Kind: kindOther}
	}
	return subject
}
