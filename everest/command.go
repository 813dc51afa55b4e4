package everest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// The error types that a command's reply may carry. They are the framework's exact strings.
const (
	// SchemaValidationError means that an argument or the result does not fit the interface definition.
	SchemaValidationError = "SchemaValidationError"
	// HandlerException means that the provider's handler failed. A handler's error becomes a HandlerException unless it
	// wraps a CommandError or a schema.Error.
	HandlerException = "HandlerException"
	// MessageParsingError means that the handler could not read its arguments.
	MessageParsingError = "MessageParsingError"
	// CmdTimeout means that no reply arrived in time. Only the caller's own runtime, or a handler that forwards
	// commands, produces it.
	CmdTimeout = "CmdTimeout"
	// Shutdown means that the provider is ending.
	Shutdown = "Shutdown"
	// NotReady means that the provider cannot reply yet.
	NotReady = "NotReady"
)

// CommandError is the error of a command: the provider's error reply, or CmdTimeout when no reply arrived in time. A
// handler returns a CommandError to choose the error type that its caller receives. A CommandError of type CmdTimeout
// matches context.DeadlineExceeded.
type CommandError struct {
	// Type is usually one of the constants above. A provider of another release may send a different string.
	Type string
	// Message is the provider's text.
	Message string
}

// Error implements error.
func (e *CommandError) Error() string { return e.Type + ": " + e.Message }

// Is reports whether the error is a time-out and target is context.DeadlineExceeded.
func (e *CommandError) Is(target error) bool {
	return e.Type == CmdTimeout && target == context.DeadlineExceeded
}

// CommandHandler handles one command. Calls of one command run one after the other; calls of different commands run in
// parallel. The context ends when the module ends, and when Options.CallTimeout has passed since the call arrived.
//
// EVerest before 2025.6 has no error replies. A failed command is then answered with a refusal such as false or
// "Rejected", if its result's type has one; see schema.Definitions.Refusal.
//
// The result is encoded as JSON: nil becomes null, and the bytes of a json.RawMessage are sent unchanged. An error or a
// panic becomes an error reply. If the error wraps a CommandError, the reply has the type of that CommandError. For a
// schema.Error the type is SchemaValidationError, and for any other error HandlerException.
type CommandHandler func(ctx context.Context, arguments Args) (any, error)

// Args holds the arguments of a command by name. The values are the bytes that were received.
type Args map[string]json.RawMessage

// Decode decodes the named argument into the variable that v points to. Its error is a *CommandError of type
// HandlerException, so a handler can return the error unchanged.
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

// replyError returns the error object for a handler's error. Its type is always one that EVerest knows: an unknown type
// makes a C++ caller end, or wait for its time-out.
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

// readArguments returns no arguments for null, because C++ callers send null for none.
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

// encodeValue encodes a value as JSON. It checks a json.RawMessage and returns it unchanged, because EVerest's modules
// end, or drop the message, on invalid JSON.
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

// handle runs in the queue of the command's topic.
func (p *Provided) handle(ctx context.Context, command string, message Message, arrived time.Time) {
	m := p.module
	request, err := m.wire.ReadCommand(message.Payload)
	if err == nil && message.Retained {
		err = errors.New("a retained command is an old one")
	}
	if err != nil {
		m.logDrop(message, err)
		return
	}
	m.counters.commands.Add(1)
	// A caller gives up after CallTimeout, and a C++ caller then frees its memory for the reply.
	deadline := arrived.Add(m.options.CallTimeout)
	if !time.Now().Before(deadline) {
		m.logDrop(message, errors.New("the command waited until its caller gave up"))
		return
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	value, failure := p.perform(ctx, command, request)
	if !time.Now().Before(deadline) {
		m.log.Warn("no reply to a command, its caller has given up", zap.String("topic", message.Topic))
		return
	}
	if failure != nil && !m.wire.Has(wire.Failures) {
		refusal, ok := m.options.Definitions.Refusal(p.interfaceName, command)
		m.log.Warn("a command fails, and this EVerest's replies cannot say so", zap.String("topic", message.Topic), zap.String("command", command),
			zap.Error(failure), zap.ByteString("answer", refusal))
		if !ok {
			return
		}
		value, failure = refusal, nil
	}
	topic := m.wire.ResultTopic(message.Topic, request.Origin)
	result := wire.Result{ID: request.ID, Name: command, Origin: m.options.ModuleID, Value: value, Failure: (*wire.Failure)(failure)}
	// A module still sends a reply while it ends. The wait ends when the connection is closed, or with the module.
	err = m.refused(m.sendLasting(context.Background(), topic, m.wire.Result(result), false))
	if errors.Is(err, ErrTooLarge) && m.wire.Has(wire.Failures) {
		result.Failure = &wire.Failure{Type: HandlerException, Message: "the result is too large for EVerest: " + err.Error()}
		err = m.sendLasting(context.Background(), topic, m.wire.Result(result), false)
	}
	if err != nil {
		m.log.Warn("no reply to a command", zap.String("topic", topic), zap.Error(err))
	}
}

// perform returns the encoded result or the error for the reply.
func (p *Provided) perform(ctx context.Context, command string, request wire.Command) (value []byte, failure *CommandError) {
	m := p.module
	handler := p.handler(command)
	if handler == nil {
		return nil, &CommandError{Type: HandlerException, Message: "module " + m.options.ModuleID + " does not implement " + p.id + "." + command}
	}
	if request.Arguments == nil {
		return nil, &CommandError{Type: HandlerException, Message: "the command has no args"}
	}
	arguments, err := argumentsOf(request.Arguments, request.Named)
	if err != nil {
		return nil, &CommandError{Type: HandlerException, Message: err.Error()}
	}
	validate := m.start.validate()
	if validate {
		if err := m.options.Definitions.CheckReceivedArguments(p.interfaceName, command, arguments); err != nil {
			return nil, replyError(err)
		}
	}
	result, err := p.protect(ctx, command, handler, arguments)
	if err != nil {
		return nil, replyError(err)
	}
	encoded, err := encodeValue(result)
	if err != nil {
		return nil, &CommandError{Type: HandlerException, Message: "the result cannot be encoded: " + err.Error()}
	}
	if validate {
		if err := m.options.Definitions.CheckResult(p.interfaceName, command, encoded); err != nil {
			return nil, replyError(m.refused(err))
		}
	}
	return encoded, nil
}

// protect turns a panic of the handler into an error.
func (p *Provided) protect(ctx context.Context, command string, handler CommandHandler, arguments Args) (result any, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			p.module.log.Error("command handler panicked", zap.String("command", p.id+"."+command), zap.Any("panic", reason),
				zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	return handler(ctx, arguments)
}
