package mqtt

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
)

const (
	// Window bounds the messages that are accepted and not completed. mosquitto stalls for good when a client has more
	// than 20.
	Window = 16
	// recent is how many messages are remembered after their release, each in 16 bytes. mosquitto has at most 20 under way.
	// One that was killed repeats what it had under way when it last saved its sessions, some time ago.
	recent = 1024
	// reserve is how many messages pass held ones. They and Window are below the bound of mosquitto.
	reserve = 3
)

// Decision is what becomes of a message that an earlier connection has not completed.
type Decision int

const (
	// Hold keeps the message until the next decision.
	Hold Decision = iota
	// Send sends the message, or what its exchange still needs.
	Send
	// Drop forgets the message if the broker cannot have it. Otherwise its exchange has to be completed, as with Send.
	Drop
)

// Session is one side of an MQTT session. It is safe for concurrent use, and serves one client at a time.
type Session struct {
	slots chan struct{} // one element for each message that accept let in, until it is completed

	mu       sync.Mutex
	client   *Client    // the newest
	queue    []*message // accepted and not completed, in the order of acceptance
	ids      map[uint16]*message
	received map[uint16]uint64 // messages that were delivered here and are not released: their contents, by id
	released []arrival         // the last ones that were released, a ring once it is full
	oldest   int               // in the ring
	// replaying is set from the beginning of a resumed connection until a message that has not arrived before.
	replaying bool
	lastID    uint16
	accepted  uint64
	barriers  []barrier
	underway  int // messages with an id
	unsent    int // messages to write, or to write again
	held      int
}

// message is one message to the broker.
type message struct {
	sequence uint64
	topic    string
	payload  []byte
	qos      byte
	slot     bool // it is counted in Session.slots
	id       uint16
	phase    phase
	held     bool
	again    bool // the last packet of its exchange has to be written once more
}

// phase is how far the exchange of a message has got.
type phase int

const (
	waiting  phase = iota // not sent
	sent                  // PUBLISH was written
	released              // PUBREC has come, and PUBREL was written or is about to be
)

// arrival is a message of the broker.
type arrival struct {
	id       uint16
	contents uint64
}

type barrier struct {
	sequence uint64
	done     func()
}

// NewSession returns an empty session.
func NewSession() *Session {
	return &Session{slots: make(chan struct{}, Window), ids: map[uint16]*message{}, received: map[uint16]uint64{}}
}

// accept appends a message to those that the client sends. It waits while Window messages are not completed. It reports
// false when ctx or the client has ended.
func (s *Session) accept(ctx context.Context, client *Client, topic string, payload []byte, qos byte) bool {
	select {
	case s.slots <- struct{}{}:
	default:
		select {
		case s.slots <- struct{}{}:
		case <-client.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != client {
		<-s.slots
		return false
	}
	s.accepted++
	s.queue = append(s.queue, &message{sequence: s.accepted, topic: topic, payload: payload, qos: qos, slot: true})
	s.unsent++
	return true
}

// OnCompleted calls done once every message accepted so far is completed: at once, or later in another goroutine. done
// must not block.
func (s *Session) OnCompleted(done func()) {
	s.mu.Lock()
	if len(s.queue) > 0 {
		s.barriers = append(s.barriers, barrier{s.accepted, done})
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	done()
}

// next appends the next packet to write, and reports whether there is one. It returns a message of QoS 0, which is
// completed once its bytes have left.
func (s *Session) next(out []byte) (_ []byte, fleeting *message, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsent == 0 {
		return out, nil, false
	}
	limit := Window
	if s.held > 0 {
		limit += reserve
	}
	for _, m := range s.queue {
		switch {
		case m.held || m.phase != waiting && !m.again:
			continue
		case m.phase == released:
			out = appendID(out, pubrel, m.id)
		case m.phase == sent:
			out = m.appendTo(out, true)
		case m.qos == 0:
			out, fleeting = m.appendTo(out, false), m
		case s.underway >= limit:
			return out, nil, false
		default:
			m.id = s.newID()
			s.ids[m.id] = m
			s.underway++
			out = m.appendTo(out, false)
		}
		m.again = false
		m.phase = max(m.phase, sent)
		s.unsent--
		return out, fleeting, true
	}
	return out, nil, false
}

// appendTo appends the PUBLISH packet.
func (m *message) appendTo(out []byte, again bool) []byte {
	length := 2 + len(m.topic) + len(m.payload)
	flags := byte(publish) | m.qos<<1
	if m.qos > 0 {
		length += 2
	}
	if again {
		flags |= duplicate
	}
	out = append(out, flags)
	out = binary.AppendUvarint(out, uint64(length)) // MQTT's form of a length, too
	out = binary.BigEndian.AppendUint16(out, uint16(len(m.topic)))
	out = append(out, m.topic...)
	if m.qos > 0 {
		out = binary.BigEndian.AppendUint16(out, m.id)
	}
	return append(out, m.payload...)
}

// newID returns an id that nothing uses.
func (s *Session) newID() uint16 {
	for {
		s.lastID++
		if _, used := s.ids[s.lastID]; !used && s.lastID != 0 {
			return s.lastID
		}
	}
}

// borrowID returns an id for a SUBSCRIBE, until returnID.
func (s *Session) borrowID() uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.newID()
	s.ids[id] = nil
	return id
}

func (s *Session) returnID(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, used := s.ids[id]; used && m == nil {
		delete(s.ids, id)
	}
}

// taken follows a PUBREC: the broker has the message, which must not be sent again from here on.
func (s *Session) taken(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.ids[id]; m != nil {
		m.phase = released
	}
}

// completed follows a PUBCOMP.
func (s *Session) completed(id uint16) {
	s.mu.Lock()
	m := s.ids[id]
	if m == nil {
		s.mu.Unlock()
		return
	}
	s.finish(m)
}

// left follows a QoS 0 message that was written.
func (s *Session) left(m *message) {
	s.mu.Lock()
	s.finish(m)
}

// finish forgets a message and calls the barriers that it held up. It unlocks the session.
func (s *Session) finish(m *message) {
	s.forget(m)
	done := s.passed()
	s.mu.Unlock()
	for _, call := range done {
		call()
	}
}

func (s *Session) forget(m *message) {
	if i := slices.Index(s.queue, m); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
	if m.id != 0 {
		delete(s.ids, m.id)
		s.underway--
	}
	if m.held {
		s.held--
	} else if m.phase == waiting || m.again {
		s.unsent--
	}
	if m.slot {
		<-s.slots
	}
}

// passed removes and returns the barriers that no message holds up any more.
func (s *Session) passed() (done []func()) {
	completed := s.accepted
	if len(s.queue) > 0 {
		completed = s.queue[0].sequence - 1
	}
	count := 0
	for ; count < len(s.barriers) && s.barriers[count].sequence <= completed; count++ {
		done = append(done, s.barriers[count].done)
	}
	s.barriers = slices.Delete(s.barriers, 0, count)
	return done
}

// continueWith gives the session to its next client: what is not completed is held, and counts no more among the
// messages that accept lets in. A broker that has not kept its half gets every message under a new id.
func (s *Session) continueWith(client *Client, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = client
	s.replaying = kept
	for id, m := range s.ids {
		if m == nil || !kept {
			delete(s.ids, id)
		}
	}
	if !kept {
		clear(s.received)
		s.released, s.oldest = nil, 0
		s.underway = 0
	}
	s.queue = slices.DeleteFunc(s.queue, func(m *message) bool {
		if m.slot {
			m.slot = false
			<-s.slots
		}
		return m.qos == 0
	})
	s.unsent, s.held = 0, len(s.queue)
	for _, m := range s.queue {
		m.held = true
		if !kept {
			m.phase, m.id = waiting, 0
		}
		m.again = m.phase != waiting
	}
}

// carry decides on each held message.
func (s *Session) carry(decide func(topic string) Decision) {
	s.mu.Lock()
	for _, m := range slices.Clone(s.queue) {
		if !m.held {
			continue
		}
		switch decision := decide(m.topic); {
		case decision == Drop && m.phase == waiting:
			s.forget(m)
		case decision != Hold:
			m.held = false
			s.held--
			s.unsent++
		}
	}
	done := s.passed()
	s.mu.Unlock()
	for _, call := range done {
		call()
	}
}

// isNew records a QoS 2 message of the broker, and reports whether it was not delivered before. mosquitto 2.0 repeats a
// PUBLISH after its PUBREL when two connections end one after the other, so that is known by its contents. So is what a
// broker repeats that has fallen back to an older state of the session. It numbers new messages as it did those since then,
// and does not mark as repeated what it believes it had not sent.
func (s *Session) isNew(id uint16, repeated bool, contents uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, unreleased := s.received[id]
	same := unreleased && before == contents || slices.Contains(s.released, arrival{id, contents})
	s.received[id] = contents
	if repeated && (unreleased || same) || s.replaying && same {
		return false
	}
	s.replaying = false
	return true
}

// release follows a PUBREL of the broker.
func (s *Session) release(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	contents, known := s.received[id]
	if !known {
		return
	}
	delete(s.received, id)
	if len(s.released) < recent {
		s.released = append(s.released, arrival{id, contents})
		return
	}
	s.released[s.oldest] = arrival{id, contents}
	s.oldest = (s.oldest + 1) % recent
}
