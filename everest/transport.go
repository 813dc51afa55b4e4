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

// Transport sends and receives messages. The package itself implements it over MQTT only; Options.OpenTransport may
// supply another one. All methods are safe for concurrent use.
type Transport interface {
	// Publish accepts a message for sending. It blocks while too many messages are unacknowledged, and returns before
	// the broker has acknowledged this one. If the connection ends before this acknowledgement, the message may be
	// lost, and the channel of Done is closed. Messages are sent in the order of the calls.
	Publish(ctx context.Context, topic string, payload []byte, delivery Delivery) error
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
	// Receive is called with each message, in the order of arrival. It never blocks.
	Receive func(Message)
	Logger  *zap.Logger
}
