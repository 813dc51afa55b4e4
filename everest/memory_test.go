package everest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// memoryHub is a broker without sockets, for tests whose time is not real. It delivers in the publisher's goroutine.
type memoryHub struct {
	mu         sync.Mutex
	transports []*memoryTransport
	messages   []Message
	answer     func(Message) []Message // what a manager or peer says to it; may be nil
	refuse     string                  // a filter that is not granted
}

type memoryTransport struct {
	hub     *memoryHub
	receive func(Message)
	filters []string
	done    chan struct{}
	ending  sync.Once
	err     error
}

func (h *memoryHub) open(_ context.Context, config TransportConfig) (Transport, error) {
	t := &memoryTransport{hub: h, receive: config.Receive, done: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.transports = append(h.transports, t)
	return t, nil
}

func (h *memoryHub) deliver(message Message) {
	h.mu.Lock()
	h.messages = append(h.messages, message)
	transports := slices.Clone(h.transports)
	answer := h.answer
	h.mu.Unlock()
	for _, t := range transports {
		h.mu.Lock()
		wanted := slices.ContainsFunc(t.filters, func(filter string) bool { return wire.Matches(filter, message.Topic) })
		h.mu.Unlock()
		if wanted && t.Err() == nil {
			t.receive(message)
		}
	}
	if answer != nil {
		for _, reply := range answer(message) {
			h.deliver(reply)
		}
	}
}

// on returns the payloads of one topic so far.
func (h *memoryHub) on(topic string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var payloads []string
	for _, m := range h.messages {
		if m.Topic == topic {
			payloads = append(payloads, string(m.Payload))
		}
	}
	return payloads
}

// lose ends all connections.
func (h *memoryHub) lose() {
	h.mu.Lock()
	transports := h.transports
	h.transports = nil
	h.mu.Unlock()
	for _, t := range transports {
		t.end(fmt.Errorf("%w: test", ErrBrokerLost))
	}
}

func (t *memoryTransport) end(err error) {
	t.ending.Do(func() {
		t.err = err
		close(t.done)
	})
}

func (t *memoryTransport) Publish(ctx context.Context, topic string, payload []byte, _ Delivery) error {
	if err := t.Err(); err != nil {
		return err
	}
	t.hub.deliver(Message{Topic: topic, Payload: slices.Clone(payload)})
	return nil
}

func (t *memoryTransport) Subscribe(_ context.Context, _ Delivery, filters ...string) error {
	if err := t.Err(); err != nil {
		return err
	}
	t.hub.mu.Lock()
	defer t.hub.mu.Unlock()
	if slices.Contains(filters, t.hub.refuse) {
		return fmt.Errorf("everest: the MQTT broker refused the subscription of %s", t.hub.refuse)
	}
	t.filters = append(t.filters, filters...)
	return nil
}

func (t *memoryTransport) Acknowledged(done func())         { done() }
func (t *memoryTransport) Resumed() bool                    { return false }
func (t *memoryTransport) Carry(func(string) CarryDecision) {}
func (t *memoryTransport) Flush(context.Context) error      { return t.Err() }
func (t *memoryTransport) Done() <-chan struct{}            { return t.done }

func (t *memoryTransport) Err() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}

func (t *memoryTransport) Close() error {
	t.end(ErrClosed)
	return nil
}

// memoryManager answers the config request of a module with the given module_config, and its ready with the global ready.
func memoryManager(id, moduleConfig string) func(Message) []Message {
	return func(message Message) []Message {
		switch message.Topic {
		case "everest/config/request":
			return []Message{{Topic: "everest/modules/" + id + "/response", Payload: fmt.Appendf(nil,
				`{"data":{"status":"Ok","status_info":"","type":"Get","response":{"type":"Module","data":{"mappings":{},"module_config":%s}}},"msg_type":"GetConfigResponse"}`, moduleConfig)}}
		case "everest/modules/" + id + "/ready":
			return []Message{{Topic: "everest/ready", Payload: []byte(`{"data":true,"msg_type":"GlobalReady"}`)}}
		}
		return nil
	}
}

const memoryConfig = `{"module_id":"one","module_name":"One","configuration_parameters":{"!module":[],"main":[]},
	"connections":{"peer":[{"module_id":"two","implementation_id":"main"}]}}`

// connectMemory makes a module named one on a hub, connected to the implementation main of a module two that is not there.
func connectMemory(t *testing.T, hub *memoryHub, change func(*Options)) *Module {
	t.Helper()
	if hub.answer == nil {
		hub.answer = memoryManager("one", memoryConfig)
	}
	spawned := true
	options := Options{ModuleID: "one", Wire: "C", OpenTransport: hub.open, Spawned: &spawned}
	if change != nil {
		change(&options)
	}
	m, err := Connect(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// requestID is the id in a Cmd message.
func requestID(t *testing.T, payload string) string {
	t.Helper()
	var request struct{ Data struct{ ID string } }
	if err := json.Unmarshal([]byte(payload), &request); err != nil {
		t.Fatal(err)
	}
	return request.Data.ID
}

// running starts a module and returns its end.
func running(t *testing.T, m *Module) <-chan error {
	t.Helper()
	ready := make(chan struct{})
	m.OnReady(func(context.Context) error { close(ready); return nil })
	ended := make(chan error, 1)
	go func() { ended <- m.Run(t.Context()) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("the module ended: %v", err)
	}
	return ended
}

func variableTopicOf(variable string) string {
	return strings.Join([]string{"everest/modules/two/impl/main/var", variable}, "/")
}

var testWire = wire.FamilyC{Prefix: wire.DefaultPrefix}
