package everesttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/remotechargeport/remotechargeport/everest"
)

// BrokerConfig configures an embedded broker.
type BrokerConfig struct {
	// Addr is the TCP address, default "127.0.0.1:0": a free port of the loopback interface.
	Addr string
	// SocketPath is a UNIX socket to listen on instead of TCP.
	SocketPath string
}

// Broker is an MQTT broker inside the process. While 65 535 messages wait for a subscriber, the broker drops further
// messages to this subscriber without an error. Mosquitto's default is 1000 messages.
//
// Timings measured with this broker do not apply to mosquitto. This broker sends a subscriber up to 65 535 messages
// before the first acknowledgement; mosquitto sends 20. This broker also turns Nagle's algorithm off.
//
// This broker keeps no session: a client that connects again gets nothing of what came meanwhile, and is told so. Tests
// of sessions need mosquitto.
type Broker struct {
	server  *mqtt.Server
	address everest.Broker
	close   sync.Once
	closed  error
}

// StartBroker starts an embedded broker without access control. The caller must close it.
func StartBroker(config BrokerConfig) (*Broker, error) {
	network, address := "tcp", config.Addr
	if address == "" {
		address = "127.0.0.1:0"
	}
	if config.SocketPath != "" {
		network, address = "unix", config.SocketPath
	}
	// Listening on a local address does not block, so it needs no context.
	listener, err := new(net.ListenConfig).Listen(context.Background(), network, address)
	if err != nil {
		return nil, fmt.Errorf("everesttest: broker: %w", err)
	}
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumClientWritesPending = math.MaxUint16
	capabilities.MaximumInflight = math.MaxUint16
	capabilities.ReceiveMaximum = math.MaxUint16
	server := mqtt.New(&mqtt.Options{
		Capabilities:           capabilities,
		Logger:                 slog.New(slog.NewTextHandler(io.Discard, nil)),
		SysTopicResendInterval: 3600,
	})
	broker := &Broker{server: server}
	if network == "unix" {
		broker.address = everest.Broker{SocketPath: config.SocketPath}
	} else {
		tcp := listener.Addr().(*net.TCPAddr)
		broker.address = everest.Broker{Host: tcp.IP.String(), Port: tcp.Port}
	}
	err = errors.Join(server.AddHook(&brokerHook{server: server}, nil), server.AddListener(&brokerListener{listener: listener, conns: map[net.Conn]bool{}}))
	if err == nil {
		err = server.Serve()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("everesttest: broker: %w", err), listener.Close())
	}
	return broker, nil
}

// Address returns the address at which the broker listens.
func (b *Broker) Address() everest.Broker { return b.address }

// Close closes all connections. On return no goroutine of the broker runs any longer. Close may be called more than
// once.
func (b *Broker) Close() error {
	b.close.Do(func() {
		b.closed = b.server.Close()
	})
	return b.closed
}

// brokerHook allows every client and works around a fault of the broker. The broker keeps its own packet ids and those
// of a client in one table, so it rejects a SUBSCRIBE while it delivers a message with the same id. Deleting the
// delivery's entry is harmless: the broker still handles its remaining acknowledgements.
//
// The hook also has the broker forget each session with its connection. The broker would lose a message whose PUBREC
// cannot be written, and sends what a session holds in any order.
type brokerHook struct {
	mqtt.HookBase
	server *mqtt.Server
}

// ID implements mqtt.Hook.
func (*brokerHook) ID() string { return "everesttest" }

// Provides implements mqtt.Hook.
func (*brokerHook) Provides(event byte) bool {
	switch event {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSubscribe, mqtt.OnUnsubscribe:
		return true
	}
	return false
}

// takeoverLimit bounds the wait for the end of an earlier connection.
const takeoverLimit = 5 * time.Second

// OnConnect implements mqtt.Hook. An earlier connection of the same client must have ended: while it ends, the broker
// removes what it has under the client's id, whoever it belongs to by then.
func (h *brokerHook) OnConnect(client *mqtt.Client, _ packets.Packet) error {
	client.Properties.Clean = true
	for deadline := time.Now().Add(takeoverLimit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		earlier, there := h.server.Clients.Get(client.ID)
		if !there {
			return nil
		}
		earlier.Stop(packets.ErrSessionTakenOver)
	}
	return nil
}

// OnConnectAuthenticate implements mqtt.Hook.
func (*brokerHook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck implements mqtt.Hook.
func (*brokerHook) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// OnSubscribe implements mqtt.Hook.
func (*brokerHook) OnSubscribe(client *mqtt.Client, packet packets.Packet) packets.Packet {
	client.State.Inflight.Delete(packet.PacketID)
	return packet
}

// OnUnsubscribe implements mqtt.Hook.
func (*brokerHook) OnUnsubscribe(client *mqtt.Client, packet packets.Packet) packets.Packet {
	client.State.Inflight.Delete(packet.PacketID)
	return packet
}

// brokerListener passes connections to the broker. Unlike the broker's own listeners, Close waits until all connections
// have ended.
type brokerListener struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// conns are the open connections. The broker itself does not know those that have not sent CONNECT.
	conns map[net.Conn]bool
}

// Init implements listeners.Listener.
func (l *brokerListener) Init(*slog.Logger) error { return nil }

// ID implements listeners.Listener.
func (l *brokerListener) ID() string { return "everesttest" }

// Address implements listeners.Listener.
func (l *brokerListener) Address() string { return l.listener.Addr().String() }

// Protocol implements listeners.Listener.
func (l *brokerListener) Protocol() string { return l.listener.Addr().Network() }

// Serve implements listeners.Listener.
func (l *brokerListener) Serve(establish listeners.EstablishFn) {
	if !l.begin(nil) {
		return
	}
	defer l.serving.Done()
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		if !l.begin(conn) {
			conn.Close()
			return
		}
		go func() {
			defer l.end(conn)
			// The broker returns an error for each client that ends, whatever the reason.
			_ = establish(l.ID(), conn)
		}()
	}
}

// begin reports whether a goroutine may start, and counts it then.
func (l *brokerListener) begin(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if conn != nil {
		l.conns[conn] = true
	}
	l.serving.Add(1)
	return true
}

func (l *brokerListener) end(conn net.Conn) {
	conn.Close()
	l.mu.Lock()
	delete(l.conns, conn)
	l.mu.Unlock()
	l.serving.Done()
}

// Close implements listeners.Listener. It waits for all connections, because the broker next waits for its clients and
// must not get another one then. Close closes the connections itself: the broker's function for it takes a read lock
// twice, which deadlocks when a leaving client asks for the write lock in between.
func (l *brokerListener) Close(listeners.CloseFn) {
	l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for conn := range l.conns {
		conn.Close()
	}
	l.mu.Unlock()
	l.serving.Wait()
}
