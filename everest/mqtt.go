package everest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	// mqttWindow bounds the unacknowledged messages. mosquitto stalls for good when a client has more than 20.
	mqttWindow = 16
	// mqttKeepAlive is the keep-alive interval of EVerest's own client.
	mqttKeepAlive    = 20 * time.Second
	mqttPingTimeout  = 10 * time.Second
	mqttConnectLimit = 10 * time.Second
	mqttSubscribeMax = 100 // filters of one SUBSCRIBE packet
	mqttQuiesce      = 250 // milliseconds that a DISCONNECT may take
)

// mqttTransport is the Transport over MQTT 3.1.1. Its client never connects again; each connection has its own
// transport.
type mqttTransport struct {
	client mqtt.Client
	broker Broker

	window chan struct{}   // one element for each unacknowledged message
	outbox chan mqttOutput // as long as the window, so that Publish never blocks on it
	acks   chan mqtt.Token
	flush  chan struct{} // full during a Flush

	ending sync.Once
	done   chan struct{}
	err    error // written before done is closed

	mu     sync.Mutex
	closed bool // no further task may start
	tasks  sync.WaitGroup
}

type mqttOutput struct {
	topic    string
	payload  []byte
	delivery Delivery
}

// openMQTT opens the default Transport.
func openMQTT(ctx context.Context, config TransportConfig) (Transport, error) {
	return openMQTTOver(ctx, config, dialBroker)
}

type dialFunc func(context.Context, Broker) (net.Conn, error)

// openMQTTOver connects with a clean session and without a will.
func openMQTTOver(ctx context.Context, config TransportConfig, connect dialFunc) (Transport, error) {
	t := &mqttTransport{
		broker: config.Broker,
		window: make(chan struct{}, mqttWindow),
		outbox: make(chan mqttOutput, mqttWindow),
		acks:   make(chan mqtt.Token, mqttWindow),
		flush:  make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	dial := &mqttDial{}
	options := mqtt.NewClientOptions().
		AddBroker("tcp://everest"). // a name only, dial knows the address
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
			return dial.open(ctx, config.Broker, connect)
		}).
		SetClientID(config.ClientID).
		SetProtocolVersion(4).
		SetCleanSession(true).
		SetKeepAlive(mqttKeepAlive).
		SetPingTimeout(mqttPingTimeout).
		SetConnectTimeout(mqttConnectLimit).
		SetWriteTimeout(writeLimit).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(true).
		SetDefaultPublishHandler(func(_ mqtt.Client, message mqtt.Message) {
			config.Receive(Message{Topic: message.Topic(), Payload: message.Payload(), Retained: message.Retained()})
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			t.end(fmt.Errorf("%w: %s: %w", ErrBrokerLost, config.Broker, err))
		})
	t.client = mqtt.NewClient(options)

	token := t.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		dial.abort()
		<-token.Done()
	}
	if err := token.Error(); err != nil {
		err = dial.reason(ctx, err)
		return nil, fmt.Errorf("everest: cannot connect to the MQTT broker %s: %w", config.Broker, err)
	}
	t.tasks.Go(t.write)
	t.tasks.Go(t.acknowledge)
	return t, nil
}

func (t *mqttTransport) end(err error) {
	t.ending.Do(func() {
		t.err = err
		close(t.done)
	})
}

func (t *mqttTransport) Done() <-chan struct{} { return t.done }

func (t *mqttTransport) Err() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}

func (t *mqttTransport) Publish(ctx context.Context, topic string, payload []byte, delivery Delivery) error {
	select {
	case <-t.done:
		return t.err
	default:
	}
	select {
	case t.window <- struct{}{}:
	default:
		select {
		case t.window <- struct{}{}:
		case <-t.done:
			return t.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	t.outbox <- mqttOutput{topic, payload, delivery}
	return nil
}

// write is the only goroutine that publishes, because the client may block while its socket does.
func (t *mqttTransport) write() {
	for {
		select {
		case output := <-t.outbox:
			t.acks <- t.client.Publish(output.topic, qos(output.delivery), false, output.payload)
		case <-t.done:
			return
		}
	}
}

// acknowledge frees the window in the order of sending, in which brokers acknowledge as well.
func (t *mqttTransport) acknowledge() {
	for {
		select {
		case token := <-t.acks:
			select {
			case <-token.Done():
			case <-t.done:
				return
			}
			if err := t.outcome(token); err != nil {
				t.end(fmt.Errorf("%w: %s: a message could not be sent: %w", ErrBrokerLost, t.broker, err))
				return
			}
			<-t.window
		case <-t.done:
			return
		}
	}
}

// outcome returns the token's error, or the reason why the connection ended, which the client reports later.
func (t *mqttTransport) outcome(token mqtt.Token) error {
	err := token.Error()
	if err != nil && !t.client.IsConnectionOpen() {
		<-t.done
		return t.err
	}
	return err
}

func (t *mqttTransport) Subscribe(ctx context.Context, delivery Delivery, filters ...string) error {
	for len(filters) > 0 {
		some := filters[:min(len(filters), mqttSubscribeMax)]
		filters = filters[len(some):]
		wanted := make(map[string]byte, len(some))
		for _, filter := range some {
			wanted[filter] = qos(delivery)
		}
		token, err := t.ask(ctx, func() mqtt.Token { return t.client.SubscribeMultiple(wanted, nil) })
		if err != nil {
			return fmt.Errorf("everest: subscribe %s: %w", some[0], err)
		}
		if acknowledged, ok := token.(*mqtt.SubscribeToken); ok {
			for filter, granted := range acknowledged.Result() {
				if granted > 2 {
					return fmt.Errorf("everest: the MQTT broker refused the subscription of %s", filter)
				}
			}
		}
	}
	return nil
}

// ask waits for the response to a request. The client may block while the socket does.
func (t *mqttTransport) ask(ctx context.Context, request func() mqtt.Token) (mqtt.Token, error) {
	answered := make(chan mqtt.Token, 1)
	t.start(func() {
		token := request()
		select {
		case <-token.Done():
			answered <- token
		case <-t.done:
		}
	})
	select {
	case token := <-answered:
		return token, t.outcome(token)
	case <-t.done:
		return nil, t.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// start does nothing when Close already waits for the tasks.
func (t *mqttTransport) start(task func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.tasks.Go(task)
	}
}

// Flush fills the whole window, which is possible only when no message is unacknowledged, and frees it again.
func (t *mqttTransport) Flush(ctx context.Context) error {
	select {
	case t.flush <- struct{}{}:
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.flush }()
	taken := 0
	defer func() {
		for range taken {
			<-t.window
		}
	}()
	for ; taken < mqttWindow; taken++ {
		select {
		case t.window <- struct{}{}:
		case <-t.done:
			return t.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (t *mqttTransport) Close() error {
	t.client.Disconnect(mqttQuiesce)
	t.end(closedError("everest: connection to the MQTT broker closed"))
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.tasks.Wait()
	return nil
}

func qos(delivery Delivery) byte {
	if delivery == AtMostOnce {
		return 0
	}
	return 2
}

// mqttDial opens the connection for the client, because the client's interface has no contexts.
type mqttDial struct {
	mu      sync.Mutex
	conn    net.Conn
	aborted bool
	err     error
}

func (d *mqttDial) open(ctx context.Context, broker Broker, connect dialFunc) (net.Conn, error) {
	conn, err := connect(ctx, broker)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.err = err
		return nil, err
	}
	if d.aborted {
		conn.Close()
		return nil, context.Cause(ctx)
	}
	d.conn = conn
	return conn, nil
}

func (d *mqttDial) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.aborted = true
	if d.conn != nil {
		d.conn.Close()
	}
}

// reason returns the cause of a failed connection, which is more exact than the client's error.
func (d *mqttDial) reason(ctx context.Context, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case d.err != nil:
		return d.err
	case d.conn != nil && errors.Is(err, net.ErrClosed):
		return err
	}
	return fmt.Errorf("it does not accept the connection: %w", err)
}

// packetSize is the size in bytes of the MQTT packet that carries the message.
func packetSize(topic string, payload []byte, delivery Delivery) int {
	length := 2 + len(topic) + len(payload)
	if delivery == ExactlyOnce {
		length += 2 // the packet identifier
	}
	header := 2
	for rest := length >> 7; rest > 0; rest >>= 7 {
		header++
	}
	return header + length
}
