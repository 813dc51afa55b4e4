package wire

import (
	"encoding/json"
	"strings"
)

// Command is one call of a command of an implementation.
type Command struct {
	// ID identifies the call. The Result has the same ID.
	ID string
	// Origin is the id of the calling module.
	Origin string
	// Arguments is a JSON object, or null for no arguments. It is nil when a received message has no "args".
	Arguments json.RawMessage
	// Named holds the members of Arguments by name, in a command that was read from a message. It is nil when Arguments
	// is not an object.
	Named map[string]json.RawMessage
}

// Result is the reply to a Command. It has a Failure or a Value.
type Result struct {
	ID string
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
