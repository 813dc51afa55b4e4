package everest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// calls are the commands that wait for their replies, by id.
type calls struct {
	mu      sync.Mutex
	pending map[string]chan wire.Result
}

func (c *calls) add(id string) chan wire.Result {
	reply := make(chan wire.Result, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[id] = reply
	return reply
}

func (c *calls) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// complete reports whether a call waits for the reply.
func (c *calls) complete(result wire.Result) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	reply, waiting := c.pending[result.ID]
	if waiting {
		delete(c.pending, result.ID)
		reply <- result
	}
	return waiting
}

func (c *calls) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

// takeReply runs in a queue that no handler of the module's author shares.
func (m *Module) takeReply(message Message) {
	result, err := m.wire.ReadResult(message.Payload)
	if err == nil && !m.calls.complete(result) {
		err = fmt.Errorf("nobody waits for the reply %s", result.ID)
	}
	if err != nil {
		m.logDrop(message, err)
	}
}

// Call calls a command and waits for its reply, for Options.CallTimeout at most. The arguments are a map or struct that
// encodes as a JSON object with all arguments that the command declares, a json.RawMessage with such an object, or nil
// for none. result points to where the returned value is decoded; nil discards it, a *json.RawMessage takes it as it is.
//
// Errors: a *CommandError is the provider's reply, or CmdTimeout, or SchemaValidationError when the arguments do not fit
// the interface definition, in which case nothing was sent. ErrBrokerLost means that the reply can no longer arrive. A ctx
// that ends first gives its own error. The call may still be carried out then.
func (r *Required) Call(ctx context.Context, command string, arguments, result any) error {
	value, err := r.call(ctx, command, arguments)
	if err == nil && result != nil {
		if raw, ok := result.(*json.RawMessage); ok {
			*raw = value
		} else if err = json.Unmarshal(value, result); err != nil {
			err = fmt.Errorf("the result does not decode: %w", err)
		}
	}
	if err != nil {
		return fmt.Errorf("everest: call %s of %s: %w", command, r, err)
	}
	return nil
}

func (r *Required) call(ctx context.Context, command string, arguments any) (json.RawMessage, error) {
	m := r.module
	if !wire.ValidLevel(command) {
		return nil, fmt.Errorf("the command's name must not be empty nor hold a slash, + or #")
	}
	encoded, err := r.encodeArguments(command, arguments)
	if err != nil {
		return nil, err
	}
	link := m.link.Load()
	if link == nil || !link.ready.Load() {
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, errNoReplyTopic)
	}
	id := newUUID()
	reply := m.calls.add(id)
	defer m.calls.remove(id)
	timer := time.NewTimer(m.options.CallTimeout)
	defer timer.Stop()
	message := m.wire.Command(wire.Command{ID: id, Origin: m.options.ModuleID, Arguments: encoded})
	if err := m.send(ctx, m.wire.CommandTopic(r.base, command), message, ExactlyOnce); err != nil {
		return nil, err
	}
	m.counters.callsMade.Add(1)
	select {
	case result := <-reply:
		if result.Failure != nil {
			return nil, (*CommandError)(result.Failure)
		}
		return result.Value, nil
	case <-timer.C:
		return nil, &CommandError{Type: CmdTimeout, Message: fmt.Sprintf("no reply within %v", m.options.CallTimeout)}
	case <-link.transport.Done():
		return nil, link.transport.Err()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// encodeArguments makes a JSON object, or null for no arguments as C++ callers do, and checks it.
func (r *Required) encodeArguments(command string, arguments any) (json.RawMessage, error) {
	encoded, err := marshal(arguments)
	if err != nil {
		return nil, fmt.Errorf("the arguments cannot be encoded: %w", err)
	}
	read, err := readArguments(encoded)
	if err != nil {
		return nil, err
	}
	options := r.module.options
	if !options.UncheckedCalls || r.module.start.validate() {
		if err := options.Definitions.CheckArguments(r.interfaceName, command, read); err != nil {
			return nil, replyError(err)
		}
	}
	return encoded, nil
}

// newUUID returns a random UUID (version 4) in lower case.
func newUUID() string {
	var random [16]byte
	rand.Read(random[:]) // crypto/rand.Read never returns an error
	random[6] = random[6]&0x0f | 0x40
	random[8] = random[8]&0x3f | 0x80
	var text [36]byte
	for i, part := 0, 0; i < 16; i++ {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[part] = '-'
			part++
		}
		hex.Encode(text[part:], random[i:i+1])
		part += 2
	}
	return string(text[:])
}
