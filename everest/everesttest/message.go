package everesttest

import (
	"encoding/json"
	"strings"
	"time"
)

// Message is one MQTT message as it came from the broker.
type Message struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retained bool
	// Time of arrival.
	Time time.Time
}

// Envelope is the outer form of every message of the framework. Data is nil where there is none.
type Envelope struct {
	MessageType string          `json:"msg_type"`
	Data        json.RawMessage `json:"data"`
}

// Envelope decodes the payload; false where it is none of the framework's messages.
func (m Message) Envelope() (Envelope, bool) {
	var envelope Envelope
	if json.Unmarshal(m.Payload, &envelope) != nil || envelope.MessageType == "" {
		return Envelope{}, false
	}
	return envelope, true
}

// Kind says what a message is about.
type Kind string

// The kinds of messages between modules.
const (
	KindVariable Kind = "var"
	KindCommand  Kind = "cmd"
	KindReply    Kind = "reply"
	KindError    Kind = "error"
	KindReady    Kind = "ready"
	KindOther    Kind = "other"
)

// Subject is what a topic below an EVerest prefix is about.
type Subject struct {
	Kind Kind
	// ModuleID and ImplementationID are the provider's; empty for KindOther.
	ModuleID         string
	ImplementationID string
	// Name of the variable or command, or the type of the error ("generic/VendorError").
	Name string
	// Caller is who gets a reply; empty for other kinds.
	Caller string
}

// SubjectOf reads a topic below the EVerest prefix, which ends in a slash.
func SubjectOf(prefix, topic string) Subject {
	rest, below := strings.CutPrefix(topic, prefix+"modules/")
	if !below {
		return Subject{Kind: KindOther}
	}
	parts := strings.Split(rest, "/")
	if len(parts) == 2 && parts[1] == "ready" {
		return Subject{Kind: KindReady, ModuleID: parts[0]}
	}
	if len(parts) < 5 || parts[1] != "impl" {
		return Subject{Kind: KindOther}
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
		return Subject{Kind: KindOther}
	}
	return subject
}
