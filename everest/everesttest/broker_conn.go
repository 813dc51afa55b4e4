package everesttest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/internal/quickack"
)

// errBrokerLost is the error of everything that needs a connection which the broker has closed.
var errBrokerLost = fmt.Errorf("everesttest: the connection to the broker is lost: %w", net.ErrClosed)

// brokerConn is one MQTT connection. It does not use package everest, because the manager and the recorder must see and
// send messages exactly as they are on the wire, right or wrong.
type brokerConn struct {
	client mqtt.Client
	queue  *messageQueue
	lost   chan struct{}
	worker sync.WaitGroup
	close  sync.Once
}

// dialBroker connects to a broker. One goroutine calls receive for each message in turn.
func dialBroker(ctx context.Context, broker everest.Broker, name string, receive func(Message)) (*brokerConn, error) {
	w := &brokerConn{queue: newMessageQueue(), lost: make(chan struct{})}
	options := mqtt.NewClientOptions().
		AddBroker(broker.String()).
		SetClientID(name + "-" + rand.Text()[:12]).
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetKeepAlive(20 * time.Second).
		SetConnectTimeout(10 * time.Second).
		SetOrderMatters(true).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
			network, address := brokerEndpoint(broker)
			return quickack.Dial(ctx, network, address)
		}).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			w.queue.put(Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained(), Time: time.Now()})
		}).
		SetConnectionLostHandler(func(mqtt.Client, error) { close(w.lost) })
	w.client = mqtt.NewClient(options)
	if err := await(ctx, w.client.Connect(), w.lost); err != nil {
		w.client.Disconnect(0)
		return nil, fmt.Errorf("everesttest: broker %s: %w", broker, err)
	}
	w.worker.Go(func() {
		for {
			message, ok := w.queue.take()
			if !ok {
				return
			}
			receive(message)
		}
	})
	return w, nil
}

func brokerEndpoint(broker everest.Broker) (network, address string) {
	if broker.SocketPath != "" {
		return "unix", broker.SocketPath
	}
	host, port := broker.Host, broker.Port
	if host == "" {
		host = "localhost"
	}
	if port == 0 {
		port = 1883
	}
	return "tcp", net.JoinHostPort(host, strconv.Itoa(port))
}

// subscribe returns when the broker has acknowledged.
func (w *brokerConn) subscribe(ctx context.Context, qos byte, filters ...string) error {
	for _, filter := range filters {
		token := w.client.Subscribe(filter, qos, nil)
		if err := await(ctx, token, w.lost); err != nil {
			return fmt.Errorf("everesttest: subscribe %s: %w", filter, err)
		}
		if granted, ok := token.(*mqtt.SubscribeToken); ok && granted.Result()[filter] > 2 {
			return fmt.Errorf("everesttest: subscribe %s: the broker rejects it", filter)
		}
	}
	return nil
}

// publish returns when the message is delivered according to its QoS.
func (w *brokerConn) publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	if err := await(ctx, w.client.Publish(topic, qos, retain, payload), w.lost); err != nil {
		return fmt.Errorf("everesttest: publish %s: %w", topic, err)
	}
	return nil
}

// stop closes the connection and passes the messages received before to receive. receive must not call stop.
func (w *brokerConn) stop() {
	w.close.Do(func() {
		w.client.Disconnect(250)
		w.queue.end()
		w.worker.Wait()
	})
}

func await(ctx context.Context, token mqtt.Token, lost <-chan struct{}) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-lost:
		return errBrokerLost
	}
}

// messageQueue is a queue without a bound, so that a recorder never delays its connection.
type messageQueue struct {
	mu       sync.Mutex
	arrived  *sync.Cond
	messages []Message
	ended    bool
}

func newMessageQueue() *messageQueue {
	i := new(messageQueue)
	i.arrived = sync.NewCond(&i.mu)
	return i
}

func (i *messageQueue) put(message Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ended {
		i.messages = append(i.messages, message)
		i.arrived.Signal()
	}
}

// take waits for the next message. It returns false when the queue has ended and is empty.
func (i *messageQueue) take() (Message, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.messages) == 0 && !i.ended {
		i.arrived.Wait()
	}
	if len(i.messages) == 0 {
		return Message{}, false
	}
	message := i.messages[0]
	i.messages = i.messages[1:]
	return message, true
}

func (i *messageQueue) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
	i.arrived.Broadcast()
}
