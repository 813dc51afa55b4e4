package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Command is one call of a command of an implementation.
type Command struct {
	// ID identifies the call. The Result has the same ID.
	ID string
	// Name is the command's name. It is not in the messages of a family in which each command has its own topic.
	Name string
	// Origin is the id of the calling module.
	Origin string
	// Arguments is a JSON object, or null for no arguments. It is nil when a received message has no "args".
	Arguments json.RawMessage
	// Named holds the members of Arguments by name, in a command that was read from a message. It is nil when Arguments
	// is not an object.
	Named map[string]json.RawMessage
}

// check returns an error for a call to which no reply is possible.
func (c Command) check() error {
	if c.ID == "" {
		return errors.New("no id")
	}
	if !ValidLevel(c.Origin) {
		return fmt.Errorf("origin %.40q is not a module id", c.Origin)
	}
	return nil
}

// Result is the reply to a Command. It has a Failure or a Value.
type Result struct {
	ID string
	// Name is the command's name, as in Command.
	Name string
	// Origin is the id of the module that replies.
	Origin  string
	Value   json.RawMessage
	Failure *Failure
}

// Failure is the error of a command.
type Failure struct {
	// Type is an error type of the framework, such as "HandlerException".
	Type string
	// Message explains the error to people.
	Message string
}

// DefaultPrefix is the default prefix of EVerest's topics.
const DefaultPrefix = "everest/"

// NormalPrefix returns the prefix with a slash at its end. It returns DefaultPrefix for an empty prefix.
func NormalPrefix(prefix string) string {
	if prefix == "" {
		return DefaultPrefix
	}
	if !strings.HasSuffix(prefix, "/") {
		return prefix + "/"
	}
	return prefix
}

// readFailure returns nil for null. Any other value becomes a failure, because an error must not be taken for success.
func readFailure(raw json.RawMessage) *Failure {
	if rawjson.IsNull(raw) {
		return nil
	}
	var fields struct {
		Type    string `json:"__everest__error_type"`
		Message string `json:"__everest__error_msg"`
		Event   string `json:"event"` // until 2025.7
		Text    string `json:"msg"`
	}
	err := json.Unmarshal(raw, &fields)
	switch {
	case err == nil && fields.Type != "":
		return &Failure{Type: fields.Type, Message: fields.Message}
	case err == nil && fields.Event != "":
		for later, older := range failuresB4a {
			if older == fields.Event {
				return &Failure{Type: later, Message: fields.Text}
			}
		}
		return &Failure{Type: fields.Event, Message: fields.Text}
	}
	return &Failure{Type: "HandlerException", Message: "unreadable error: " + string(raw)}
}
