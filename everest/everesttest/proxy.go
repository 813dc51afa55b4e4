package everesttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Proxy forwards MQTT 3.1.1 between clients and a broker, and records every packet. It simulates a lost connection
// (Cut), a missing broker (Refuse), a slow subscriber (Stall), and messages that are lost, late or delivered twice
// (Drop, Hold, Duplicate). Its methods may be called from several goroutines.
type Proxy struct {
	broker   everest.Broker
	listener net.Listener
	running  sync.WaitGroup

	mu          sync.Mutex
	recorded    []Packet
	recording   chan struct{}
	faults      []*Fault
	connections map[*proxyConnection]bool
	count       int
	refusing    bool
	stalled     chan struct{}
	closed      bool
}

// StartProxy starts a proxy to broker on a free port of the loopback interface. The caller must close it.
func StartProxy(broker everest.Broker) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("everesttest: proxy: %w", err)
	}
	p := &Proxy{broker: broker, listener: listener, recording: make(chan struct{}), connections: map[*proxyConnection]bool{}}
	p.running.Go(p.accept)
	return p, nil
}

// Address returns the address to which clients connect.
func (p *Proxy) Address() everest.Broker {
	tcp := p.listener.Addr().(*net.TCPAddr)
	return everest.Broker{Host: tcp.IP.String(), Port: tcp.Port}
}

// Packets returns all packets so far, in the order in which the proxy received them. It includes packets that a fault
// has affected.
func (p *Proxy) Packets() []Packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.recorded)
}

// Wait waits until enough returns true for the packets received so far, and returns these packets. It calls enough at
// once, and again after each further packet.
func (p *Proxy) Wait(ctx context.Context, enough func([]Packet) bool) ([]Packet, error) {
	for {
		p.mu.Lock()
		recorded, recording := slices.Clone(p.recorded), p.recording
		p.mu.Unlock()
		if enough(recorded) {
			return recorded, nil
		}
		select {
		case <-recording:
		case <-ctx.Done():
			return recorded, fmt.Errorf("everesttest: waiting for packets, after %d: %w", len(recorded), context.Cause(ctx))
		}
	}
}

// Cut closes all connections. Clients may connect again.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for connection := range p.connections {
		connection.cut()
	}
}

// Refuse(true) simulates a broker that is gone: the proxy closes all connections, and each new connection at once.
// Refuse(false) lets clients connect again.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	p.refusing = refuse
	p.mu.Unlock()
	if refuse {
		p.Cut()
	}
}

// Stall(true) stops forwarding packets to the clients, as if they did not read. Stall(false) resumes.
func (p *Proxy) Stall(stall bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case stall && p.stalled == nil:
		p.stalled = make(chan struct{})
	case !stall && p.stalled != nil:
		close(p.stalled)
		p.stalled = nil
	}
}

// Close closes all connections. On return no goroutine of the proxy runs any longer.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Stall(false)
	p.Cut()
	err := p.listener.Close()
	p.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		network, address := brokerEndpoint(p.broker)
		broker, err := net.Dial(network, address)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		if p.refusing || p.closed {
			p.mu.Unlock()
			client.Close()
			broker.Close()
			continue
		}
		p.count++
		connection := &proxyConnection{proxy: p, number: p.count, client: &proxyEnd{conn: client}, broker: &proxyEnd{conn: broker}}
		p.connections[connection] = true
		p.running.Go(func() { connection.pump(connection.client, connection.broker, true) })
		p.running.Go(func() { connection.pump(connection.broker, connection.client, false) })
		p.mu.Unlock()
	}
}

func (p *Proxy) remove(connection *proxyConnection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.connections, connection)
}

// passing records a packet. It returns the fault that affects the packet, if any, and a channel to wait for while
// stalled.
func (p *Proxy) passing(packet Packet) (fault *Fault, stalled <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recorded = append(p.recorded, packet)
	close(p.recording)
	p.recording = make(chan struct{})
	if !packet.FromClient && p.stalled != nil {
		stalled = p.stalled
	}
	for _, candidate := range p.faults {
		if (packet.Type == "PUBLISH" || candidate.action == cutAt) && candidate.takes(packet) {
			return candidate, stalled
		}
	}
	return nil, stalled
}

// proxyConnection is one client's connection through the proxy.
type proxyConnection struct {
	proxy          *Proxy
	number         int
	client, broker *proxyEnd
}

// proxyEnd is one of the two connections of a proxyConnection.
type proxyEnd struct {
	conn    net.Conn
	writing sync.Mutex // held for each write

	// settled are the ids of messages of this side that the proxy acknowledges itself, because the other side never got
	// them.
	mu      sync.Mutex
	settled map[uint16]bool
}

func (e *proxyEnd) send(packet packets.ControlPacket) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	return packet.Write(e.conn)
}

func (c *proxyConnection) cut() {
	c.client.conn.Close()
	c.broker.conn.Close()
}

// pump forwards packets in one direction until either side ends.
func (c *proxyConnection) pump(from, to *proxyEnd, fromClient bool) {
	defer func() {
		c.cut()
		c.proxy.remove(c)
	}()
	for {
		raw, err := packets.ReadPacket(from.conn)
		if err != nil {
			return
		}
		fault, stalled := c.proxy.passing(packetOf(raw, c.number, fromClient))
		if stalled != nil {
			<-stalled
		}
		if fault != nil && fault.action == cutAt {
			return
		}
		if from.settles(raw) {
			continue
		}
		if fault == nil {
			err = to.send(raw)
		} else {
			err = fault.apply(raw.(*packets.PublishPacket), from, to)
		}
		if err != nil {
			return
		}
	}
}

// settle acknowledges a message to its sender, in place of the receiver.
func (e *proxyEnd) settle(message *packets.PublishPacket) error {
	switch message.Qos {
	case 1:
		acknowledge := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		acknowledge.MessageID = message.MessageID
		return e.send(acknowledge)
	case 2:
		e.mu.Lock()
		if e.settled == nil {
			e.settled = map[uint16]bool{}
		}
		e.settled[message.MessageID] = true
		e.mu.Unlock()
		received := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
		received.MessageID = message.MessageID
		return e.send(received)
	}
	return nil
}

// settles reports whether raw completes a delivery that settle has acknowledged, and acknowledges it then.
func (e *proxyEnd) settles(raw packets.ControlPacket) bool {
	release, ok := raw.(*packets.PubrelPacket)
	if !ok {
		return false
	}
	e.mu.Lock()
	settled := e.settled[release.MessageID]
	delete(e.settled, release.MessageID)
	e.mu.Unlock()
	if settled {
		complete := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
		complete.MessageID = release.MessageID
		// pump notices a closed connection when it reads.
		_ = e.send(complete)
	}
	return settled
}
