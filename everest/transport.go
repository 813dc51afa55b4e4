package everest

import (
	"context"

	"go.uber.org/zap"
)

// Delivery is the quality of service with which a message is sent.
type Delivery int

const (
	// ExactlyOnce is MQTT's QoS 2. All messages of the framework use it.
	ExactlyOnce Delivery = iota
	// AtMostOnce is MQTT's QoS 0. External topics use it.
	AtMostOnce
)

// Message is one received message. Receivers share the Payload and must not change it.
type Message struct {
	Topic   string
	Payload []byte
	// Retained is true when the broker stored the message before the subscription was made.
	Retained bool
}

// CarryDecision is what becomes of a message that an ended Transport has accepted, and that the broker has not
// acknowledged.
type CarryDecision int

const (
	// CarryHold keeps the message until the next decision.
	CarryHold CarryDecision = iota
	// CarrySend sends the message.
	CarrySend
	// CarryDrop forgets the message, unless the broker may have a part of it and still knows: then it is sent.
	CarryDrop
)

// Transport sends and receives messages over one connection. The package itself implements it over MQTT only;
// Options.OpenTransport may supply another one. All methods are safe for concurrent use.
type Transport interface {
	// Publish accepts a message for sending. It blocks while too many messages are unacknowledged, and returns before
	// the broker has acknowledged this one. Messages are sent in the order of the calls. If the connection ends before
	// the acknowledgement, the channel of Done is closed, and the next Transport of a durable session has the message:
	// see Carry.
	Publish(ctx context.Context, topic string, payload []byte, delivery Delivery) error
	// Acknowledged calls done once the broker has acknowledged all messages accepted so far: at once, or later in
	// another goroutine. An ExactlyOnce message is acknowledged when its exchange is completed. A Transport that takes
	// the session over calls done in its turn; without one, done may never be called. done must not block.
	Acknowledged(done func())
	// Resumed reports whether the broker has kept the session of TransportConfig.Previous: the subscriptions stand, and
	// what arrived meanwhile is delivered.
	Resumed() bool
	// Carry decides, by topic, on the messages that Previous accepted and the broker has not acknowledged. They are held
	// before. In a resumed session each of them arrives once. In another one it may arrive twice.
	Carry(decide func(topic string) CarryDecision)
	// Subscribe returns when the broker has acknowledged all filters. A rejected filter is an error.
	Subscribe(ctx context.Context, delivery Delivery, filters ...string) error
	// Flush returns when all messages accepted so far are acknowledged.
	Flush(ctx context.Context) error
	// Done returns a channel that is closed when the connection has ended, also after Close.
	Done() <-chan struct{}
	// Err returns nil while the connection is open, and afterwards the reason why it ended.
	Err() error
	// Close ends the connection and waits for the transport's goroutines.
	Close() error
}

// TransportConfig configures a Transport.
type TransportConfig struct {
	Broker Broker
	// ClientID identifies the client at the broker and must be unique there.
	ClientID string
	// Durable has the broker keep the session for a further Transport, until Close is called while the connection is open.
	// It also forgets a session that an earlier process has left under this ClientID.
	Durable bool
	// Previous is the ended Transport whose session a durable one takes over. It is nil for the first one.
	Previous Transport
	// Receive is called with each message, in the order of arrival. It never blocks.
	Receive func(Message)
	Logger  *zap.Logger
}
