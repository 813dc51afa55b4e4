package mqtt

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// read handles the broker's packets until the connection ends.
func (c *Client) read() {
	for {
		packet, err := readPacket(c.conn)
		if err != nil {
			c.end(err)
			return
		}
		c.lastReceived.Store(int64(time.Since(c.began)))
		switch packet.kind {
		case packets.Publish:
			c.deliver(packet)
		case packets.Pubrec:
			c.session.taken(packet.id)
			c.reply(pubrel, packet.id)
		case packets.Pubcomp:
			c.session.completed(packet.id)
			c.signal()
		case packets.Pubrel:
			c.session.release(packet.id)
			c.reply(pubcomp, packet.id)
		case packets.Suback:
			c.mu.Lock()
			answered := c.subscriptions[packet.id]
			delete(c.subscriptions, packet.id)
			c.mu.Unlock()
			if answered != nil {
				answered <- packet.codes
			}
		}
	}
}

var contentsSeed = maphash.MakeSeed()

func (c *Client) deliver(packet packet) {
	switch packet.qos {
	case 2:
		contents := maphash.Bytes(contentsSeed, packet.payload) ^ maphash.String(contentsSeed, packet.topic)
		if c.session.isNew(packet.id, packet.repeats, contents) {
			c.receive(packet)
		}
		c.reply(pubrec, packet.id)
	case 1:
		c.receive(packet)
		c.reply(puback, packet.id)
	default:
		c.receive(packet)
	}
}

func (c *Client) receive(packet packet) {
	if packet.size > MaxPacket {
		c.config.TooLong(packet.topic, packet.size)
		return
	}
	c.config.Receive(Message{Topic: packet.topic, Payload: packet.payload, Retained: packet.retains})
}

// reply queues a packet that consists of an id. It waits for a writer that lags, which the limit of a write bounds.
func (c *Client) reply(kind byte, id uint16) {
	select {
	case c.control <- appendID(nil, kind, id):
	case <-c.done:
	}
}

// write writes what there is, many packets at once.
func (c *Client) write() {
	out := make([]byte, 0, gather)
	for {
		var fleeting []*message
		ended := false
		add := func(packet []byte) {
			out = append(out, packet...)
			ended = ended || packet == nil
		}
		select {
		case packet := <-c.control:
			add(packet)
		case <-c.wake:
		case <-c.done:
			return
		}
		for more := true; more && len(out) < gather; {
			select {
			case packet := <-c.control:
				add(packet)
				continue
			default:
			}
			var m *message
			if out, m, more = c.session.next(out); m != nil {
				fleeting = append(fleeting, m)
			}
		}
		if len(out) >= gather {
			c.signal() // there may be more
		}
		if ended {
			out = append(out, disconnect, 0)
		}
		if len(out) > 0 {
			if _, err := c.conn.Write(out); err != nil {
				c.end(err)
				return
			}
			c.lastSent.Store(int64(time.Since(c.began)))
		}
		if ended {
			c.end(c.closing)
			return
		}
		for _, m := range fleeting {
			c.session.left(m)
		}
		if out = out[:0]; cap(out) > 4*gather {
			out = make([]byte, 0, gather)
		}
	}
}

var errSilent = errors.New("it does not answer pings")

// keepAlive sends a ping when nothing was sent or received for a while, and ends the connection when nothing comes then.
func (c *Client) keepAlive() {
	timer := time.NewTimer(keepAlive)
	defer timer.Stop()
	for asked := int64(-1); ; {
		select {
		case <-timer.C:
		case <-c.done:
			return
		}
		now, received := int64(time.Since(c.began)), c.lastReceived.Load()
		idle := time.Duration(now - min(c.lastSent.Load(), received))
		switch {
		case asked >= 0 && received < asked:
			c.end(errSilent)
			return
		case asked >= 0 || idle < keepAlive:
			asked = -1
			timer.Reset(max(keepAlive-idle, time.Millisecond))
		default:
			asked = now
			select {
			case c.control <- []byte{pingreq, 0}:
			default: // the writer is stuck, which ends the connection soon
			}
			timer.Reset(pingLimit)
		}
	}
}

// First bytes of packets, and flags in them.
const (
	publish    = 0x30
	pubrec     = 0x50
	pubrel     = 0x62
	pubcomp    = 0x70
	puback     = 0x40
	pingreq    = 0xc0
	disconnect = 0xe0
	duplicate  = 0x08
)

// appendID appends a packet that consists of an id.
func appendID(out []byte, kind byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(append(out, kind, 2), id)
}

// PacketSize is the size in bytes of the PUBLISH packet of a message.
func PacketSize(topic string, payload []byte, qos byte) int {
	length := 2 + len(topic) + len(payload)
	if qos > 0 {
		length += 2 // the packet identifier
	}
	return 1 + len(binary.AppendUvarint(nil, uint64(length))) + length
}
