package everest

import (
	"encoding/json"
	"fmt"
)

// The error types that travel in a command's reply. EVerest knows no others.
const (
	// SchemaValidationError: an argument or the result does not fit the interface definition.
	SchemaValidationError = "SchemaValidationError"
	// HandlerException: the command handler failed.
	HandlerException = "HandlerException"
	// MessageParsingError: the arguments do not decode.
	MessageParsingError = "MessageParsingError"
	// CmdTimeout: no reply in time.
	CmdTimeout = "CmdTimeout"
	// Shutdown: the provider is ending.
	Shutdown = "Shutdown"
	// NotReady: the provider cannot answer yet.
	NotReady = "NotReady"
)

// CommandError is a command's error reply. A command handler returns one to choose the type, a caller gets one for an
// error that the provider sent.
type CommandError struct {
	// Type is one of the constants above; from a provider of another release it may be anything.
	Type    string
	Message string
}

// Error implements error.
func (e *CommandError) Error() string { return "everest: " + e.Type + ": " + e.Message }

// Args are the arguments of a command by name, as they stand in the message.
type Args map[string]json.RawMessage

// Decode decodes one argument into v, which is a pointer. A missing argument is a *CommandError that names it.
func (a Args) Decode(name string, v any) error {
	value, present := a[name]
	if !present {
		return &CommandError{Type: SchemaValidationError, Message: "argument " + name + " is missing"}
	}
	if err := json.Unmarshal(value, v); err != nil {
		return &CommandError{Type: MessageParsingError, Message: fmt.Sprintf("argument %s: %v", name, err)}
	}
	return nil
}
