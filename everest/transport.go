package everest

import (
	"context"

	"go.uber.org/zap"
)

// Delivery is how surely a message arrives.
type Delivery int

const (
	// ExactlyOnce is MQTT's QoS 2: all of the framework's messages.
	ExactlyOnce Delivery = iota
	// AtMostOnce is MQTT's QoS 0: external topics.
	AtMostOnce
)

// Message is one received message. Nobody may change Payload.
type Message struct {
	Topic   string
	Payload []byte
	// Retained is set for a message that the broker stored before the subscription was made.
	Retained bool
}

// Transport moves messages between modules. MQTT is the one implementation here; the type is the seam for another one.
// All methods are safe for concurrent use.
type Transport interface {
	// Publish hands a message over for sending. It blocks while too many messages are unacknowledged and returns before
	// the delivery is complete; Done reports a connection that ends meanwhile. Messages handed over one after the
	// other are sent in that order.
	Publish(ctx context.Context, topic string, payload []byte, delivery Delivery) error
	// Subscribe returns when the broker has acknowledged all filters; a refused one is an error.
	Subscribe(ctx context.Context, delivery Delivery, filters ...string) error
	// Flush returns when everything handed over before is acknowledged.
	Flush(ctx context.Context) error
	// Done is closed when the connection has ended, by Close or by itself.
	Done() <-chan struct{}
	// Err is nil before Done is closed, and then the reason.
	Err() error
	// Close ends the connection and returns when nothing of it runs any more.
	Close() error
}

// TransportConfig is what a Transport is opened with.
type TransportConfig struct {
	Broker Broker
	// ClientID is unique among the clients of the broker.
	ClientID string
	// Receive takes each message in the order of arrival. It never blocks.
	Receive func(Message)
	Logger  *zap.Logger
}
