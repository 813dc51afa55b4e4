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

// errBrokerLost ends what lives on a connection that the broker closed.
var errBrokerLost = fmt.Errorf("everesttest: the connection to the broker is lost: %w", net.ErrClosed)

// wire is one MQTT connection, below everything that package everest makes of one: the manager and the recorder must see
// and say what is on the wire, right or wrong.
type wire struct {
	client mqtt.Client
	inbox  *inbox
	lost   chan struct{}
	worker sync.WaitGroup
	close  sync.Once
}

// dialWire connects. receive is called for one message after the other, on one goroutine.
func dialWire(ctx context.Context, broker everest.Broker, name string, receive func(Message)) (*wire, error) {
	w := &wire{inbox: newInbox(), lost: make(chan struct{})}
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
			w.inbox.put(Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained(), Time: time.Now()})
		}).
		SetConnectionLostHandler(func(mqtt.Client, error) { close(w.lost) })
	w.client = mqtt.NewClient(options)
	if err := await(ctx, w.client.Connect(), w.lost); err != nil {
		w.client.Disconnect(0)
		return nil, fmt.Errorf("everesttest: broker %s: %w", broker, err)
	}
	w.worker.Go(func() {
		for {
			message, ok := w.inbox.take()
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
func (w *wire) subscribe(ctx context.Context, qos byte, filters ...string) error {
	for _, filter := range filters {
		token := w.client.Subscribe(filter, qos, nil)
		if err := await(ctx, token, w.lost); err != nil {
			return fmt.Errorf("everesttest: subscribe %s: %w", filter, err)
		}
		if granted, ok := token.(*mqtt.SubscribeToken); ok && granted.Result()[filter] > 2 {
			return fmt.Errorf("everesttest: subscribe %s: the broker refuses", filter)
		}
	}
	return nil
}

// publish returns when the message is delivered as far as its quality of service says.
func (w *wire) publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	if err := await(ctx, w.client.Publish(topic, qos, retain, payload), w.lost); err != nil {
		return fmt.Errorf("everesttest: publish %s: %w", topic, err)
	}
	return nil
}

// stop ends the connection. Messages that came in before are still given to receive; it must not be called from there.
func (w *wire) stop() {
	w.close.Do(func() {
		w.client.Disconnect(250)
		w.inbox.end()
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

// inbox is a queue without a bound: what is recorded must not hold the connection up.
type inbox struct {
	mutex    sync.Mutex
	arrived  *sync.Cond
	messages []Message
	ended    bool
}

func newInbox() *inbox {
	i := new(inbox)
	i.arrived = sync.NewCond(&i.mutex)
	return i
}

func (i *inbox) put(message Message) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if !i.ended {
		i.messages = append(i.messages, message)
		i.arrived.Signal()
	}
}

// take waits for the next message; false when the inbox has ended and is empty.
func (i *inbox) take() (Message, bool) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
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

func (i *inbox) end() {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.ended = true
	i.arrived.Broadcast()
}
