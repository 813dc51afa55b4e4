package everest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/internal/mqtt"
)

// mqttSubscribeMax is how many filters one SUBSCRIBE packet holds.
const mqttSubscribeMax = 100

// mqttForgetLimit bounds how long the end of a session may take at the broker.
const mqttForgetLimit = 500 * time.Millisecond

// mqttTransport is the Transport over MQTT 3.1.1: one connection. A durable one takes over the session of the one before.
type mqttTransport struct {
	config  TransportConfig
	connect dialFunc
	client  *mqtt.Client
	session *mqtt.Session
}

type dialFunc func(context.Context, Broker) (net.Conn, error)

// openMQTT opens the default Transport.
func openMQTT(ctx context.Context, config TransportConfig) (Transport, error) {
	return openMQTTOver(ctx, config, dialBroker)
}

func dialBroker(ctx context.Context, broker Broker) (net.Conn, error) {
	network, address := broker.endpoint()
	return mqtt.Dial(ctx, network, address)
}

func (b Broker) endpoint() (network, address string) {
	if b.SocketPath != "" {
		return "unix", b.SocketPath
	}
	host, port := b.hostPort()
	return "tcp", net.JoinHostPort(host, strconv.Itoa(port))
}

// openMQTTOver connects without a will.
func openMQTTOver(ctx context.Context, config TransportConfig, connect dialFunc) (Transport, error) {
	t := &mqttTransport{config: config, connect: connect, session: mqtt.NewSession()}
	previous, again := config.Previous.(*mqttTransport)
	if again {
		t.session = previous.session
	}
	err := t.open(ctx)
	if err == nil && !again && t.client.Resumed() {
		// An earlier process of the same module has left a session, with messages that are old by now.
		t.client.Close(ErrClosed)
		if err = t.forget(ctx); err == nil {
			t.session = mqtt.NewSession()
			err = t.open(ctx)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("everest: cannot connect to the MQTT broker %s: %w", config.Broker, err)
	}
	t.client.Start()
	return t, nil
}

func (t *mqttTransport) open(ctx context.Context) (err error) {
	t.client, err = t.dial(ctx, !t.config.Durable, t.session)
	return err
}

func (t *mqttTransport) dial(ctx context.Context, clean bool, session *mqtt.Session) (*mqtt.Client, error) {
	conn, err := t.connect(ctx, t.config.Broker)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	client, err := mqtt.Connect(ctx, conn, mqtt.Config{
		ClientID: t.config.ClientID, Clean: clean,
		Receive: func(message mqtt.Message) {
			t.config.Receive(Message{Topic: message.Topic, Payload: message.Payload, Retained: message.Retained})
		},
		TooLong: func(topic string, size int) {
			t.config.Logger.Warn("a message is longer than any module takes, and dropped", zap.String("topic", topic), zap.Int("bytes", size))
		},
	}, session)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("it does not accept the connection: %w", err)
	}
	return client, err
}

// forget has the broker forget the session.
func (t *mqttTransport) forget(ctx context.Context) error {
	client, err := t.dial(ctx, true, mqtt.NewSession())
	if err == nil {
		client.Close(ErrClosed)
	}
	return err
}

func (t *mqttTransport) Done() <-chan struct{} { return t.client.Done() }

func (t *mqttTransport) Err() error { return t.reason(t.client.Err()) }

var errConnectionClosed error = closedError("everest: connection to the MQTT broker closed")

// reason returns an error of the client as one of this package.
func (t *mqttTransport) reason(err error) error {
	ended := t.client.Err()
	switch {
	case ended == nil || err == nil:
		return err
	case ended == errConnectionClosed:
		return ended
	}
	return fmt.Errorf("%w: %s: %w", ErrBrokerLost, t.config.Broker, ended)
}

func (t *mqttTransport) Publish(ctx context.Context, topic string, payload []byte, delivery Delivery) error {
	if err := t.client.Publish(ctx, topic, payload, qos(delivery)); err != nil {
		if ctx.Err() != nil && t.client.Err() == nil {
			return err
		}
		return t.reason(err)
	}
	return nil
}

func (t *mqttTransport) Subscribe(ctx context.Context, delivery Delivery, filters ...string) error {
	for len(filters) > 0 {
		some := filters[:min(len(filters), mqttSubscribeMax)]
		filters = filters[len(some):]
		granted, err := t.client.Subscribe(ctx, qos(delivery), some)
		if err != nil {
			return fmt.Errorf("everest: subscribe %s: %w", some[0], t.reason(err))
		}
		for i, level := range granted {
			if level > 2 {
				return fmt.Errorf("everest: the MQTT broker refused the subscription of %s", some[i])
			}
		}
	}
	return nil
}

func (t *mqttTransport) Acknowledged(done func()) { t.session.OnCompleted(done) }

func (t *mqttTransport) Flush(ctx context.Context) error {
	completed := make(chan struct{})
	t.Acknowledged(func() { close(completed) })
	select {
	case <-completed:
		return nil
	case <-t.client.Done():
		return t.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *mqttTransport) Resumed() bool { return t.client.Resumed() }

func (t *mqttTransport) Carry(decide func(topic string) CarryDecision) {
	t.client.Carry(func(topic string) mqtt.Decision {
		switch decide(topic) {
		case CarrySend:
			return mqtt.Send
		case CarryDrop:
			return mqtt.Drop
		default:
			return mqtt.Hold
		}
	})
}

func (t *mqttTransport) Close() error {
	open := t.client.Err() == nil
	t.client.Close(errConnectionClosed)
	if open && t.config.Durable {
		ctx, cancel := context.WithTimeout(context.Background(), mqttForgetLimit)
		defer cancel()
		// A broker that cannot be reached now keeps the session until the module starts again.
		_ = t.forget(ctx)
	}
	return nil
}

func qos(delivery Delivery) byte {
	if delivery == AtMostOnce {
		return 0
	}
	return 2
}

// packetSize is the size in bytes of the MQTT packet that carries the message.
func packetSize(topic string, payload []byte, delivery Delivery) int {
	return mqtt.PacketSize(topic, payload, qos(delivery))
}
