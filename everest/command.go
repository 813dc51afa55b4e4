package everest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest/internal/rawjson"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// The error types that a command's reply may carry. They are the framework's exact strings.
const (
	// SchemaValidationError means that an argument or the result does not fit the interface definition.
	SchemaValidationError = "SchemaValidationError"
	// HandlerException means that the provider's handler failed. Every error of a handler that is not a CommandError becomes one.
	HandlerException = "HandlerException"
	// MessageParsingError means that the handler could not read its arguments.
	MessageParsingError = "MessageParsingError"
	// CmdTimeout means that no reply arrived in time. Only the caller's own runtime, or a forwarding handler, produces it.
	CmdTimeout = "CmdTimeout"
	// Shutdown means that the provider is ending.
	Shutdown = "Shutdown"
	// NotReady means that the provider cannot reply yet.
	NotReady = "NotReady"
)

// CommandError is the error of a command: what the provider replied, or CmdTimeout when it did not reply in time.
// A handler returns one to choose the type that its caller sees. errors.Is(err, context.DeadlineExceeded) is true for
// the type CmdTimeout.
type CommandError struct {
	// Type is one of the constants above; a provider of another release may send a string that is not among them.
	Type string
	// Message is the provider's text.
	Message string
}

// Error implements error.
func (e *CommandError) Error() string { return e.Type + ": " + e.Message }

// Is makes a time-out match context.DeadlineExceeded.
func (e *CommandError) Is(target error) bool {
	return e.Type == CmdTimeout && target == context.DeadlineExceeded
}

// CommandHandler handles one command. Calls of the same command run one after the other, those of different commands at
// the same time. The context ends with the module, and when the caller does not wait any longer. What it returns is
// encoded as JSON (a json.RawMessage passes unchanged, nil is null); an error becomes an error reply, of type
// HandlerException unless it is or wraps a *CommandError, or a *schema.Error. A panic becomes an error reply, too.
type CommandHandler func(ctx context.Context, arguments Args) (any, error)

// Args are the arguments of a command by name, as they stood in the message.
type Args map[string]json.RawMessage

// Decode decodes the argument into what v points to. A missing or unreadable argument is a *CommandError of type
// HandlerException, so that a handler can return it as it is.
func (a Args) Decode(name string, v any) error {
	raw, ok := a[name]
	if !ok {
		return &CommandError{Type: HandlerException, Message: fmt.Sprintf("argument %q is missing", name)}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return &CommandError{Type: HandlerException, Message: fmt.Sprintf("argument %q: %v", name, err)}
	}
	return nil
}

// decodeAll decodes all arguments into one struct or map.
func (a Args) decodeAll(v any) error {
	object := bytes.NewBufferString("{")
	first := true
	for name, value := range a {
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		if !first {
			object.WriteByte(',')
		}
		first = false
		object.Write(key)
		object.WriteByte(':')
		object.Write(value)
	}
	object.WriteByte('}')
	if err := json.Unmarshal(object.Bytes(), v); err != nil {
		return &CommandError{Type: HandlerException, Message: "arguments: " + err.Error()}
	}
	return nil
}

// replyError is the error object for a handler's error: its type is always one that EVerest knows, for an unknown one
// makes a C++ caller wait for its time-out, or ends it.
func replyError(err error) *CommandError {
	if mismatch, ok := errors.AsType[*schema.Error](err); ok {
		return &CommandError{Type: SchemaValidationError, Message: mismatch.Message}
	}
	command, ok := errors.AsType[*CommandError](err)
	if !ok {
		return &CommandError{Type: HandlerException, Message: err.Error()}
	}
	if !knownErrorType(command.Type) {
		return &CommandError{Type: HandlerException, Message: command.Error()}
	}
	return command
}

func knownErrorType(name string) bool {
	switch name {
	case SchemaValidationError, HandlerException, MessageParsingError, CmdTimeout, Shutdown, NotReady:
		return true
	}
	return false
}

// readArguments takes null for no arguments, as C++ callers send it.
func readArguments(raw json.RawMessage) (Args, error) {
	r := rawjson.NewReader(raw)
	value, members := r.Members()
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	return argumentsOf(value, members)
}

func argumentsOf(raw json.RawMessage, members map[string]json.RawMessage) (Args, error) {
	switch {
	case members != nil:
		return members, nil
	case rawjson.IsNull(raw):
		return Args{}, nil
	}
	return nil, fmt.Errorf("the arguments are not a JSON object but %.40s", raw)
}

// encodeValue turns a value into JSON. It checks a json.RawMessage and returns it as it is: EVerest's modules end, or drop
// the message, where that is not JSON.
func encodeValue(value any) (json.RawMessage, error) {
	encoded, err := marshal(value)
	if _, raw := value.(json.RawMessage); raw && err == nil {
		err = rawjson.Check(encoded)
	}
	return encoded, err
}

// marshal is encodeValue without the check.
func marshal(value any) (json.RawMessage, error) {
	switch value := value.(type) {
	case nil:
		return json.RawMessage("null"), nil
	case json.RawMessage:
		if len(value) == 0 {
			return json.RawMessage("null"), nil
		}
		return value, nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
