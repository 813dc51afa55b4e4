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

// calls holds the commands that wait for their replies, by id.
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

// complete passes the reply to the call that waits for it, and reports whether there is such a call.
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

// takeReply handles a reply. Replies have a queue of their own, so that no handler of the application delays them.
func (m *Module) takeReply(message Message) {
	result, err := m.wire.ReadResult(message.Payload)
	if err == nil && !m.calls.complete(result) && m.wire.Has(wire.OwnTopics) {
		err = fmt.Errorf("nobody waits for the reply %s", result.ID)
	}
	if err != nil {
		m.logDrop(message, err)
	}
}

// Call calls a command and waits for its reply, for Options.CallTimeout at most. The arguments are nil for none, or a
// value that encodes as a JSON object: a map, a struct or a json.RawMessage. The object must hold all arguments that
// the command declares. The returned value is decoded into result. A nil result discards the value, and a
// *json.RawMessage receives its bytes unchanged.
//
// The error wraps a *CommandError when the provider replied with an error. When no reply arrived in time, the type of
// the CommandError is CmdTimeout. When the arguments do not fit the interface, its type is SchemaValidationError, and
// the command was not sent. ErrBrokerLost means that the connection ended before the reply arrived, and with it, perhaps,
// the provider; the call goes on where the broker is back at once and has kept the session. When ctx ends first, the error wraps the cause of its end; the provider may still carry out the command.
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
	message := m.wire.Command(wire.Command{ID: id, Name: command, Origin: m.options.ModuleID, Arguments: encoded})
	if err := m.send(ctx, m.wire.CommandTopic(r.base, command), message, ExactlyOnce); err != nil {
		return nil, m.refused(err)
	}
	m.counters.callsMade.Add(1)
	lost := link.transport.Done()
	var settled, over <-chan struct{}
	for {
		select {
		case result := <-reply:
			if result.Failure != nil {
				return nil, (*CommandError)(result.Failure)
			}
			return result.Value, nil
		case <-timer.C:
			return nil, &CommandError{Type: CmdTimeout, Message: fmt.Sprintf("no reply within %v", m.options.CallTimeout)}
		case <-lost:
			if m.spawned {
				return nil, link.transport.Err()
			}
			lost, settled, over = nil, link.settled, m.ending.over
		case <-settled:
			if !link.goesOn {
				return nil, link.transport.Err()
			}
			link = m.link.Load()
			lost, settled, over = link.transport.Done(), nil, nil
		case <-over:
			return nil, link.transport.Err()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// encodeArguments encodes the arguments and checks them. No arguments become null, as in C++ callers.
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
			return nil, replyError(r.module.refused(err))
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
