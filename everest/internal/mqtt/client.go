// Package mqtt is the client's side of MQTT 3.1.1, as far as EVerest needs it: one connection, and the session that
// outlives it.
//
// A [Session] holds what was accepted for sending and is not completed, by its phase of the QoS 2 exchange, and the ids
// of messages that have arrived and are not released. A [Client] exchanges packets over one connection and never
// connects again. The next client gets the session: where the broker has kept its half, it sends the unfinished packets
// again, PUBLISH with DUP or PUBREL, so that a message arrives once. Where the broker has not, the session begins anew,
// and its owner decides what is sent once more.
//
// paho's package packets writes CONNECT and SUBSCRIBE. Its reader trusts the length that a packet claims. Its client
// cannot serve here: it sends a message again whose PUBREL has left already, gives the id of an unfinished PUBREL to
// another message, completes the tokens of messages that it only sends again, and delivers a repeated message twice.
package mqtt

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	keepAlive    = 20 * time.Second // as EVerest's own client
	pingLimit    = 10 * time.Second // how long the broker may take for the answer to a ping
	connectLimit = 10 * time.Second
	closeLimit   = 250 * time.Millisecond // how long a DISCONNECT may take
	gather       = 16 << 10               // bytes that are gathered for one write
)

// Message is a message of the broker.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// Config configures a client.
type Config struct {
	ClientID string
	// Clean has the broker forget the session before and after the connection.
	Clean bool
	// Receive is called with each message, in the order of arrival. It must not block.
	Receive func(Message)
	// TooLong is called instead with the topic and the size of a message of more than MaxPacket bytes.
	TooLong func(topic string, size int)
}

// Client is one connection to a broker. It is safe for concurrent use.
type Client struct {
	conn    net.Conn
	config  Config
	session *Session
	resumed bool

	control chan []byte   // packets other than PUBLISH, and the PUBREL of a message
	wake    chan struct{} // the session has something to write

	ending  sync.Once
	done    chan struct{}
	err     error // written before done is closed
	closing error // the reason of Close, written before write gets to know of it
	tasks   sync.WaitGroup

	// lastSent and lastReceived are in nanoseconds since began.
	began                  time.Time
	lastSent, lastReceived atomic.Int64

	mu            sync.Mutex
	started       bool
	subscriptions map[uint16]chan []byte // by id; an answer holds the granted QoS of each filter
}

// Connect makes a client of a network connection, which it closes if that fails. The client sends nothing before Start.
// The session may be one that an ended client has used.
func Connect(ctx context.Context, conn net.Conn, config Config, session *Session) (*Client, error) {
	c := &Client{
		conn: conn, config: config, session: session,
		control: make(chan []byte, 1024), wake: make(chan struct{}, 1), done: make(chan struct{}),
		began: time.Now(), subscriptions: map[uint16]chan []byte{},
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := c.greet()
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	session.continueWith(c, c.resumed)
	return c, nil
}

// greet exchanges CONNECT and CONNACK.
func (c *Client) greet() error {
	if err := c.conn.SetDeadline(time.Now().Add(connectLimit)); err != nil {
		return err
	}
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion = "MQTT", 4
	hello.ClientIdentifier, hello.CleanSession = c.config.ClientID, c.config.Clean
	hello.Keepalive = uint16(keepAlive / time.Second)
	if err := hello.Write(c.conn); err != nil {
		return err
	}
	welcome, err := readPacket(c.conn)
	if err != nil {
		return err
	}
	if welcome.kind != packets.Connack {
		return fmt.Errorf("it answers CONNECT with %s", packets.PacketNames[welcome.kind])
	}
	present, code := welcome.codes[0]&1 != 0, welcome.codes[1]
	if code != packets.Accepted {
		return fmt.Errorf("it refuses the client: %s", cmp.Or(packets.ConnackReturnCodes[code], fmt.Sprintf("reason %d", code)))
	}
	c.resumed = present && !c.config.Clean
	return c.conn.SetDeadline(time.Time{})
}

// Resumed reports whether the broker has kept its half of the session.
func (c *Client) Resumed() bool { return c.resumed }

// Start begins the exchange.
func (c *Client) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = true
	now := int64(time.Since(c.began))
	c.lastSent.Store(now)
	c.lastReceived.Store(now)
	c.tasks.Go(c.read)
	c.tasks.Go(c.write)
	c.tasks.Go(c.keepAlive)
	c.signal()
}

// Carry decides on the messages that earlier clients of the session have not completed, by their topics. Until then they
// are held.
func (c *Client) Carry(decide func(topic string) Decision) {
	c.session.carry(decide)
	c.signal()
}

// Done returns a channel that is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended, nil before.
func (c *Client) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

func (c *Client) end(err error) {
	c.ending.Do(func() {
		c.err = err
		close(c.done)
		c.conn.Close()
	})
}

// Publish accepts a message. It waits while Window messages are not completed.
func (c *Client) Publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	if err := c.Err(); err != nil {
		return err
	}
	if !c.session.accept(ctx, c, topic, payload, qos) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		<-c.done
		return c.err
	}
	c.signal()
	return nil
}

// Subscribe returns the granted QoS of each filter, 0x80 for a refused one.
func (c *Client) Subscribe(ctx context.Context, qos byte, filters []string) ([]byte, error) {
	request := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	request.MessageID = c.session.borrowID()
	defer c.session.returnID(request.MessageID)
	request.Topics, request.Qoss = filters, bytes.Repeat([]byte{qos}, len(filters))
	answered := make(chan []byte, 1)
	c.mu.Lock()
	c.subscriptions[request.MessageID] = answered
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.subscriptions, request.MessageID)
		c.mu.Unlock()
	}()
	var out bytes.Buffer
	if err := request.Write(&out); err != nil {
		return nil, err
	}
	select {
	case c.control <- out.Bytes():
	case <-c.done:
		return nil, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case granted := <-answered:
		if len(granted) != len(filters) {
			return nil, fmt.Errorf("the broker grants %d filters of %d", len(granted), len(filters))
		}
		return granted, nil
	case <-c.done:
		return nil, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close ends the connection with a DISCONNECT, and waits for the client's goroutines. reason is the error of Err unless
// the connection has ended before.
func (c *Client) Close(reason error) {
	c.mu.Lock()
	started, again := c.started, c.closing != nil
	if !again {
		c.closing = reason
	}
	c.mu.Unlock()
	if !started {
		// Nothing else writes. The broker takes a connection that ends for a lost one, if it does not get this.
		_, _ = c.conn.Write([]byte{disconnect, 0})
	} else if c.Err() == nil && !again {
		limit := time.NewTimer(closeLimit)
		defer limit.Stop()
		select {
		case c.control <- nil: // which write takes for the end
			select {
			case <-c.done:
			case <-limit.C:
			}
		case <-c.done:
		case <-limit.C:
		}
	}
	c.end(reason)
	c.tasks.Wait()
}

func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
