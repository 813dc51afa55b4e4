package wire

import (
	"encoding/json"
	"strings"
)

// Command is a call of a command.
type Command struct {
	// ID is repeated by the Result.
	ID string
	// Origin is the id of the calling module.
	Origin string
	// Arguments is an object, or null for no arguments. It is nil where a message has none.
	Arguments json.RawMessage
	// Named are the members of Arguments. Reading a message sets them, nil where Arguments is not an object.
	Named map[string]json.RawMessage
}

// Result is the reply to a Command: a failure, or else a value.
type Result struct {
	ID string
	// Origin is the id of the module that replies.
	Origin  string
	Value   json.RawMessage
	Failure *Failure
}

// Failure is the error of a command.
type Failure struct {
	// Type is a word of the framework, such as "HandlerException".
	Type string
	// Message is a text for people.
	Message string
}

// DefaultPrefix is the prefix of EVerest's topics where nothing else is configured.
const DefaultPrefix = "everest/"

// NormalPrefix returns the prefix of EVerest's topics with a slash at its end, DefaultPrefix for an empty one.
func NormalPrefix(prefix string) string {
	if prefix == "" {
		return DefaultPrefix
	}
	if !strings.HasSuffix(prefix, "/") {
		return prefix + "/"
	}
	return prefix
}
