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

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/remotechargeport/remotechargeport/everest"
)

// BrokerConfig says where an embedded broker listens.
type BrokerConfig struct {
	// Addr is the TCP address, default "127.0.0.1:0": a free port of the loopback interface.
	Addr string
	// SocketPath is a UNIX socket to listen on instead of TCP.
	SocketPath string
}

// Broker is an MQTT broker inside the process. What waits for a slow subscriber it drops beyond 65 535 messages (mosquitto by
// default beyond 1000), without a word to anybody, and it keeps nothing when it is closed. It is not a mosquitto: its window
// is not 20 and Nagle is off, so timing seen on it is no timing of a station.
type Broker struct {
	server  *mqtt.Server
	address everest.Broker
	close   sync.Once
	closed  error
}

// StartBroker starts an embedded broker that serves anybody who connects. Close it.
func StartBroker(config BrokerConfig) (*Broker, error) {
	network, address := "tcp", config.Addr
	if address == "" {
		address = "127.0.0.1:0"
	}
	if config.SocketPath != "" {
		network, address = "unix", config.SocketPath
	}
	// The address is either given by a flag or ends before anything else starts, so there is no context to end it.
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
	err = errors.Join(server.AddHook(new(brokerHook), nil), server.AddListener(&brokerListener{listener: listener, conns: map[net.Conn]bool{}}))
	if err == nil {
		err = server.Serve()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("everesttest: broker: %w", err), listener.Close())
	}
	return broker, nil
}

// Address is where the broker listens.
func (b *Broker) Address() everest.Broker { return b.address }

// URL is the address as text: tcp://127.0.0.1:port or unix:///path.
func (b *Broker) URL() string { return b.address.String() }

// Close ends all connections and returns when nothing of the broker runs any more. It may be called more than once.
func (b *Broker) Close() error {
	b.close.Do(func() {
		b.closed = b.server.Close()
	})
	return b.closed
}

// brokerHook lets everybody in and repairs a weakness of the broker: it keeps the packet ids that it gave out and those that
// a client gave out in one table, so a SUBSCRIBE is refused when the broker just delivers a message under the same number.
// Forgetting the delivery's entry is harmless, its remaining acknowledgements are answered all the same.
type brokerHook struct{ mqtt.HookBase }

// ID implements mqtt.Hook.
func (*brokerHook) ID() string { return "everesttest" }

// Provides implements mqtt.Hook.
func (*brokerHook) Provides(event byte) bool {
	switch event {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSubscribe, mqtt.OnUnsubscribe:
		return true
	}
	return false
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
