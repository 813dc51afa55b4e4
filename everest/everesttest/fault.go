package everesttest

import (
	"strings"
	"sync"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Fault is a rule of a proxy: it drops, duplicates or holds the messages that match, or cuts the connection at packets
// that match.
type Fault struct {
	proxy  *Proxy
	match  func(Packet) bool
	action action

	mu    sync.Mutex
	left  int // how many further messages the fault affects; below 0 there is no bound
	hits  int
	held  []heldMessage
	freed bool
}

type action int

const (
	drop action = iota
	duplicate
	hold
	cutAt
)

type heldMessage struct {
	message *packets.PublishPacket
	to      *proxyEnd
}

// Drop drops the messages that match. The sender receives all acknowledgements, but the message does not reach the
// other side. times is how many messages are dropped. If times is 0, all that match are dropped.
func (p *Proxy) Drop(times int, match func(Packet) bool) *Fault { return p.fault(drop, times, match) }

// Duplicate delivers the messages that match twice. The second copy has QoS 0, so that acknowledgements stay in order.
// times is how many messages are delivered twice. If times is 0, all that match are delivered twice.
func (p *Proxy) Duplicate(times int, match func(Packet) bool) *Fault {
	return p.fault(duplicate, times, match)
}

// Hold holds back the messages that match until Lift. Later messages overtake a held one. The sender of a held message
// gets no acknowledgement before Lift. times is how many messages are held. If times is 0, all that match are held.
func (p *Proxy) Hold(times int, match func(Packet) bool) *Fault { return p.fault(hold, times, match) }

// CutAt closes the connection instead of forwarding a packet that matches: the receiver does not get that packet, and the
// sender no answer. It concerns all types of packets. times is how many connections are cut. If times is 0, each that
// matches is cut.
func (p *Proxy) CutAt(times int, match func(Packet) bool) *Fault { return p.fault(cutAt, times, match) }

func (p *Proxy) fault(action action, times int, match func(Packet) bool) *Fault {
	fault := &Fault{proxy: p, match: match, action: action, left: times}
	if times == 0 {
		fault.left = -1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fault)
	return fault
}

// FromClient returns a function that matches a message from a client if its topic ends in topicSuffix.
func FromClient(topicSuffix string) func(Packet) bool {
	return func(packet Packet) bool { return packet.FromClient && strings.HasSuffix(packet.Topic, topicSuffix) }
}

// ToClient returns a function that matches a message to a client if its topic ends in topicSuffix.
func ToClient(topicSuffix string) func(Packet) bool {
	return func(packet Packet) bool { return !packet.FromClient && strings.HasSuffix(packet.Topic, topicSuffix) }
}

// Hits returns how many messages the fault has affected.
func (f *Fault) Hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

// Lift ends the fault and delivers held messages in their order. A held message is lost if its connection has ended.
func (f *Fault) Lift() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.freed = 0, true
	for _, held := range f.held {
		// The message of an ended connection is lost, as it would be without the fault.
		_ = held.to.send(held.message)
	}
	f.held = nil
}

func (f *Fault) takes(packet Packet) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 || !f.match(packet) {
		return false
	}
	if f.left > 0 {
		f.left--
	}
	f.hits++
	return true
}

func (f *Fault) apply(message *packets.PublishPacket, from, to *proxyEnd) error {
	switch f.action {
	case drop:
		return from.settle(message)
	case duplicate:
		if err := to.send(message); err != nil {
			return err
		}
		return to.send(withoutAcknowledgement(message))
	default:
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.freed {
			return to.send(message)
		}
		f.held = append(f.held, heldMessage{message, to})
		return nil
	}
}

// withoutAcknowledgement returns a copy of message with QoS 0, which needs no acknowledgements.
func withoutAcknowledgement(message *packets.PublishPacket) *packets.PublishPacket {
	late := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	late.TopicName, late.Payload, late.Retain = message.TopicName, message.Payload, message.Retain
	return late
}
