package everesttest

import (
	"strings"
	"sync"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Fault is something that goes wrong with messages on their way through a proxy.
type Fault struct {
	proxy  *Proxy
	match  func(Packet) bool
	action action

	mutex sync.Mutex
	left  int // how many messages the fault still takes; below 0 is without end
	hits  int
	held  []heldMessage
	freed bool
}

type action int

const (
	drop action = iota
	duplicate
	hold
)

type heldMessage struct {
	message *packets.PublishPacket
	to      *proxyEnd
}

// Drop loses messages for which match says true: their sender has every acknowledgement, nobody receives them. times bounds
// how many, 0 is without bound.
func (p *Proxy) Drop(times int, match func(Packet) bool) *Fault { return p.fault(drop, times, match) }

// Duplicate delivers messages twice. The second copy comes with QoS 0, so that acknowledgements stay in order.
func (p *Proxy) Duplicate(times int, match func(Packet) bool) *Fault {
	return p.fault(duplicate, times, match)
}

// Hold keeps messages until the fault is lifted; others overtake them. Their sender waits for the acknowledgement meanwhile.
func (p *Proxy) Hold(times int, match func(Packet) bool) *Fault { return p.fault(hold, times, match) }

func (p *Proxy) fault(action action, times int, match func(Packet) bool) *Fault {
	fault := &Fault{proxy: p, match: match, action: action, left: times}
	if times == 0 {
		fault.left = -1
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.faults = append(p.faults, fault)
	return fault
}

// FromClient matches messages to the broker whose topic ends so.
func FromClient(topicSuffix string) func(Packet) bool {
	return func(packet Packet) bool { return packet.FromClient && strings.HasSuffix(packet.Topic, topicSuffix) }
}

// ToClient matches messages from the broker whose topic ends so.
func ToClient(topicSuffix string) func(Packet) bool {
	return func(packet Packet) bool { return !packet.FromClient && strings.HasSuffix(packet.Topic, topicSuffix) }
}

// Hits returns how many messages the fault has taken.
func (f *Fault) Hits() int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.hits
}

// Lift ends the fault. Messages held back go on their way, in their order; those of connections that have ended are lost.
func (f *Fault) Lift() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.left, f.freed = 0, true
	for _, held := range f.held {
		// A connection that has ended meanwhile takes its message along, as it would have without the fault.
		_ = held.to.send(held.message)
	}
	f.held = nil
}

func (f *Fault) takes(packet Packet) bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
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
		f.mutex.Lock()
		defer f.mutex.Unlock()
		if f.freed {
			return to.send(message)
		}
		f.held = append(f.held, heldMessage{message, to})
		return nil
	}
}

// withoutAcknowledgement is a copy of the message with QoS 0: the original's acknowledgements are given elsewhere.
func withoutAcknowledgement(message *packets.PublishPacket) *packets.PublishPacket {
	late := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	late.TopicName, late.Payload, late.Retain = message.TopicName, message.Payload, message.Retain
	return late
}
