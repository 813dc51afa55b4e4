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

// Proxy stands between clients and a broker. It writes down every packet that passes, and it can make go wrong what goes
// wrong in the field: a connection cut, a broker that is gone, a subscriber that is slow, a message that is lost, late or
// delivered twice. It speaks MQTT 3.1.1. All methods are safe for concurrent use.
type Proxy struct {
	broker   everest.Broker
	listener net.Listener
	running  sync.WaitGroup

	mutex       sync.Mutex
	recorded    []Packet
	recording   chan struct{}
	faults      []*Fault
	connections map[*proxyConnection]bool
	count       int
	refusing    bool
	stalled     chan struct{}
	closed      bool
}

// StartProxy starts a proxy to the broker on a free port of the loopback interface. Close it.
func StartProxy(broker everest.Broker) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("everesttest: proxy: %w", err)
	}
	p := &Proxy{broker: broker, listener: listener, recording: make(chan struct{}), connections: map[*proxyConnection]bool{}}
	p.running.Go(p.accept)
	return p, nil
}

// Address is where clients connect.
func (p *Proxy) Address() everest.Broker {
	tcp := p.listener.Addr().(*net.TCPAddr)
	return everest.Broker{Host: tcp.IP.String(), Port: tcp.Port}
}

// Packets returns everything that has passed so far, in the order in which the proxy read it. What a fault took away or
// held back is among it, for it was sent.
func (p *Proxy) Packets() []Packet {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.Clone(p.recorded)
}

// Wait returns when the recorded packets satisfy the predicate, with these packets.
func (p *Proxy) Wait(ctx context.Context, enough func([]Packet) bool) ([]Packet, error) {
	for {
		p.mutex.Lock()
		recorded, recording := slices.Clone(p.recorded), p.recording
		p.mutex.Unlock()
		if enough(recorded) {
			return recorded, nil
		}
		select {
		case <-recording:
		case <-ctx.Done():
			return recorded, fmt.Errorf("everesttest: the packets waited for are not among the %d that passed: %w", len(recorded), context.Cause(ctx))
		}
	}
}

// Cut ends all connections at once, without a word to either side. New ones are served.
func (p *Proxy) Cut() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for connection := range p.connections {
		connection.cut()
	}
}

// Refuse makes the broker seem gone: all connections end, and new ones end at once until it is called with false.
func (p *Proxy) Refuse(refuse bool) {
	p.mutex.Lock()
	p.refusing = refuse
	p.mutex.Unlock()
	if refuse {
		p.Cut()
	}
}

// Stall holds everything from the broker to the clients back, as a client does that does not read, until it is called with
// false.
func (p *Proxy) Stall(stall bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch {
	case stall && p.stalled == nil:
		p.stalled = make(chan struct{})
	case !stall && p.stalled != nil:
		close(p.stalled)
		p.stalled = nil
	}
}

// Close ends all connections and returns when nothing of the proxy runs any more.
func (p *Proxy) Close() error {
	p.mutex.Lock()
	p.closed = true
	p.mutex.Unlock()
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
		p.mutex.Lock()
		if p.refusing || p.closed {
			p.mutex.Unlock()
			client.Close()
			broker.Close()
			continue
		}
		p.count++
		connection := &proxyConnection{proxy: p, number: p.count, client: &proxyEnd{conn: client}, broker: &proxyEnd{conn: broker}}
		p.connections[connection] = true
		p.running.Go(func() { connection.pump(connection.client, connection.broker, true) })
		p.running.Go(func() { connection.pump(connection.broker, connection.client, false) })
		p.mutex.Unlock()
	}
}

// passing records a packet and returns the fault that it falls under, if any, and what it has to wait for.
func (p *Proxy) passing(packet Packet) (fault *Fault, stalled <-chan struct{}) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.recorded = append(p.recorded, packet)
	close(p.recording)
	p.recording = make(chan struct{})
	if !packet.FromClient && p.stalled != nil {
		stalled = p.stalled
	}
	if packet.Type != "PUBLISH" {
		return nil, stalled
	}
	for _, candidate := range p.faults {
		if candidate.takes(packet) {
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

// proxyEnd is the connection to one side.
type proxyEnd struct {
	conn  net.Conn
	write sync.Mutex

	// settled are the messages of this side which the proxy acknowledges itself, for the other side does not know them.
	mutex   sync.Mutex
	settled map[uint16]bool
}

func (e *proxyEnd) send(packet packets.ControlPacket) error {
	e.write.Lock()
	defer e.write.Unlock()
	return packet.Write(e.conn)
}

func (c *proxyConnection) cut() {
	c.client.conn.Close()
	c.broker.conn.Close()
}

// pump moves packets one way until either side ends.
func (c *proxyConnection) pump(from, to *proxyEnd, fromClient bool) {
	defer func() {
		c.cut()
		c.proxy.mutex.Lock()
		delete(c.proxy.connections, c)
		c.proxy.mutex.Unlock()
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

// settle acknowledges a message to the side that sent it, in place of the other side.
func (e *proxyEnd) settle(message *packets.PublishPacket) error {
	switch message.Qos {
	case 1:
		acknowledge := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		acknowledge.MessageID = message.MessageID
		return e.send(acknowledge)
	case 2:
		e.mutex.Lock()
		if e.settled == nil {
			e.settled = map[uint16]bool{}
		}
		e.settled[message.MessageID] = true
		e.mutex.Unlock()
		received := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
		received.MessageID = message.MessageID
		return e.send(received)
	}
	return nil
}

// settles answers the second half of a delivery whose first half settle has answered.
func (e *proxyEnd) settles(raw packets.ControlPacket) bool {
	release, ok := raw.(*packets.PubrelPacket)
	if !ok {
		return false
	}
	e.mutex.Lock()
	settled := e.settled[release.MessageID]
	delete(e.settled, release.MessageID)
	e.mutex.Unlock()
	if settled {
		complete := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
		complete.MessageID = release.MessageID
		// A side that is gone shows when it is read from.
		_ = e.send(complete)
	}
	return settled
}
