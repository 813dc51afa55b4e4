package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

var errTest = errors.New("closed by the test")

// peer is a broker's end of one connection, which the test plays.
type peer struct {
	t      *testing.T
	conn   net.Conn
	client *Client
	heard  *heard
}

type heard struct {
	mu       sync.Mutex
	payloads []string
}

func (h *heard) take(message Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.payloads = append(h.payloads, string(message.Payload))
}

func (h *heard) tooLong(topic string, _ int) {
	h.take(Message{Payload: []byte(topic + " is too long")})
}

func (h *heard) get() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.payloads)
}

// connect connects a client with a session. The broker says whether it has kept it.
func connect(t *testing.T, session *Session, kept bool) *peer {
	t.Helper()
	ours, theirs := net.Pipe()
	p := &peer{t: t, conn: theirs, heard: &heard{}}
	greeted := make(chan error, 1)
	go func() {
		_, err := packets.ReadPacket(theirs)
		welcome := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
		welcome.SessionPresent = kept
		greeted <- errors.Join(err, welcome.Write(theirs))
	}()
	var err error
	if p.client, err = Connect(t.Context(), Wrap(ours), Config{ClientID: "test", Receive: p.heard.take, TooLong: p.heard.tooLong}, session); err != nil {
		t.Fatal(err)
	}
	if err := <-greeted; err != nil {
		t.Fatal(err)
	}
	if p.client.Resumed() != kept {
		t.Fatalf("resumed %v", p.client.Resumed())
	}
	p.client.Start()
	t.Cleanup(p.cut)
	return p
}

func (p *peer) cut() {
	p.conn.Close()
	p.client.Close(errTest)
}

// read returns the next packets as texts, such as "PUBLISH 1 dup a".
func (p *peer) read(count int) (all []string) {
	p.t.Helper()
	for range count {
		if err := p.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			p.t.Fatal(err)
		}
		packet, err := packets.ReadPacket(p.conn)
		if err != nil {
			p.t.Fatalf("after %q: %v", all, err)
		}
		name, _, _ := strings.Cut(packet.String(), ":")
		text := fmt.Sprint(name, " ", packet.Details().MessageID)
		if publish, ok := packet.(*packets.PublishPacket); ok {
			if publish.Dup {
				text += " dup"
			}
			text += " " + string(publish.Payload)
		}
		all = append(all, text)
	}
	return all
}

// silent fails the test if the client sends anything.
func (p *peer) silent() {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		p.t.Fatal(err)
	}
	if packet, err := packets.ReadPacket(p.conn); err == nil {
		p.t.Errorf("the client sends %v", packet)
	}
}

func (p *peer) want(packets ...string) {
	p.t.Helper()
	if got := p.read(len(packets)); !slices.Equal(got, packets) {
		p.t.Errorf("got %q, want %q", got, packets)
	}
}

func (p *peer) send(raw ...byte) {
	p.t.Helper()
	if _, err := p.conn.Write(raw); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) publish(payloads ...string) {
	p.t.Helper()
	for _, payload := range payloads {
		if err := p.client.Publish(p.t.Context(), "topic/"+payload, []byte(payload), 2); err != nil {
			p.t.Fatal(err)
		}
	}
}

func sendAll(string) Decision { return Send }

// acknowledged returns a function that reports whether all that was accepted so far is completed.
func acknowledged(session *Session) func() bool {
	done := make(chan struct{})
	session.OnCompleted(func() { close(done) })
	return func() bool {
		select {
		case <-done:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	}
}

func TestKeptSessionGoesOnWhereEachMessageWas(t *testing.T) {
	session := NewSession()
	first := connect(t, session, false)
	first.publish("a", "b", "c")
	first.want("PUBLISH 1 a", "PUBLISH 2 b", "PUBLISH 3 c")
	first.send(pubrec, 2, 0, 1, pubrec, 2, 0, 2)
	first.want("PUBREL 1", "PUBREL 2")
	first.send(pubcomp, 2, 0, 1)
	first.send(pingreq|0x10, 0) // the answer to a ping, so that what came before is read
	done := acknowledged(session)
	first.cut()

	second := connect(t, session, true)
	second.silent()
	second.client.Carry(sendAll)
	// b has left the client's hands with its PUBREC: another PUBLISH could make it a second message.
	second.want("PUBREL 2", "PUBLISH 3 dup c")
	second.publish("d")
	second.want("PUBLISH 4 d")
	second.send(pubcomp, 2, 0, 2)
	if done() {
		t.Error("c is acknowledged before its PUBCOMP")
	}
	second.send(pubrec, 2, 0, 3)
	second.want("PUBREL 3")
	second.send(pubcomp, 2, 0, 3)
	if !done() {
		t.Error("c is not acknowledged after its PUBCOMP")
	}
}

func TestLostSessionBeginsAnew(t *testing.T) {
	session := NewSession()
	first := connect(t, session, false)
	first.publish("a", "b", "c", "d")
	first.want("PUBLISH 1 a", "PUBLISH 2 b", "PUBLISH 3 c", "PUBLISH 4 d")
	first.send(pubrec, 2, 0, 1)
	first.want("PUBREL 1")
	done := acknowledged(session)
	first.cut()

	second := connect(t, session, false)
	second.client.Carry(func(topic string) Decision {
		return map[string]Decision{"topic/a": Hold, "topic/b": Send, "topic/c": Drop, "topic/d": Hold}[topic]
	})
	second.want("PUBLISH 5 b")
	second.publish("new") // what is held does not stand in the way
	second.want("PUBLISH 6 new")
	second.send(pubcomp, 2, 0, 5)
	second.client.Carry(sendAll)
	second.want("PUBLISH 7 a", "PUBLISH 8 d")
	second.send(pubcomp, 2, 0, 7)
	if done() {
		t.Error("d is not acknowledged")
	}
	second.send(pubcomp, 2, 0, 8)
	if !done() {
		t.Error("all but new are acknowledged")
	}
}

// A broker may have the command already: a session that it has kept must bring the exchange to its end.
func TestKeptSessionDropsWhatWasNotSentOnly(t *testing.T) {
	session := NewSession()
	first := connect(t, session, false)
	var payloads []string
	for i := range Window {
		payloads = append(payloads, fmt.Sprint(i))
	}
	first.publish(payloads...)
	first.read(Window)
	first.cut()
	second := connect(t, session, true)
	second.publish("16", "17", "18", "waits") // the broker still counts the messages before
	second.read(reserve)
	second.cut()
	third := connect(t, session, true)
	third.client.Carry(func(string) Decision { return Drop })
	for i, text := range third.read(Window + reserve) {
		if want := fmt.Sprintf("PUBLISH %d dup %d", i+1, i); text != want {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	third.silent()
}

func TestHeldMessagesLeaveRoomForOthers(t *testing.T) {
	session := NewSession()
	first := connect(t, session, false)
	for i := range Window {
		first.publish(fmt.Sprint(i))
	}
	first.read(Window)
	first.cut()
	second := connect(t, session, true)
	second.client.Carry(func(string) Decision { return Hold })
	second.publish("x", "y", "z", "one more")
	second.want("PUBLISH 17 x", "PUBLISH 18 y", "PUBLISH 19 z")
	second.silent() // mosquitto stalls at 21
	second.send(pubcomp, 2, 0, 17)
	second.want("PUBLISH 20 one more")
}

func TestRepeatedMessagesArriveOnce(t *testing.T) {
	session := NewSession()
	first := connect(t, session, false)
	first.send(publish|4, 6, 0, 1, 't', 0, 9, 'a')
	first.want("PUBREC 9")
	first.cut()
	second := connect(t, session, true)
	second.send(publish|4|duplicate, 6, 0, 1, 't', 0, 9, 'a')
	second.want("PUBREC 9")
	second.send(pubrel, 2, 0, 9)
	second.want("PUBCOMP 9")
	second.send(publish|4|duplicate, 6, 0, 1, 't', 0, 9, 'a') // as mosquitto 2.0 does
	second.want("PUBREC 9")
	second.send(pubrel, 2, 0, 9)
	second.want("PUBCOMP 9")
	second.send(publish|4|duplicate, 6, 0, 1, 't', 0, 9, 'b') // another message: the id is free again
	second.want("PUBREC 9")
	if got := slices.Concat(first.heard.get(), second.heard.get()); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("heard %q", got)
	}
	second.cut()
	third := connect(t, session, false) // a broker that knows nothing of b means another message
	third.send(publish|4|duplicate, 6, 0, 1, 't', 0, 9, 'c')
	third.want("PUBREC 9")
	if !slices.Equal(third.heard.get(), []string{"c"}) {
		t.Errorf("heard %q", third.heard.get())
	}
}

// A broker that was killed knows no more than it had saved: it repeats what it had under way then, and numbers new messages
// as it did those since then.
func TestBrokerFallsBackToAnOlderSession(t *testing.T) {
	session := NewSession()
	exchange := func(p *peer, id byte, payload byte) {
		t.Helper()
		p.send(publish|4, 6, 0, 1, 't', 0, id, payload)
		p.want(fmt.Sprint("PUBREC ", id))
		p.send(pubrel, 2, 0, id)
		p.want(fmt.Sprint("PUBCOMP ", id))
	}
	first := connect(t, session, false)
	for id := byte(1); id <= 5; id++ {
		exchange(first, id, 'a'+id)
	}
	first.cut()
	second := connect(t, session, true)
	exchange(second, 2, 'a'+2)
	exchange(second, 3, 'a'+3)
	exchange(second, 4, 'x')   // new
	exchange(second, 5, 'a'+5) // new, though it equals an earlier one
	if got := second.heard.get(); !slices.Equal(got, []string{"x", "f"}) {
		t.Errorf("heard %q", got)
	}
	second.cut()
	third := connect(t, session, false) // another session
	exchange(third, 4, 'x')
	if got := third.heard.get(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("heard %q", got)
	}
}

func TestPublisherOfAnEndedConnectionKeepsItsMessage(t *testing.T) {
	session := NewSession()
	first := connect(t, session, false)
	first.cut()
	connect(t, session, true)
	if err := first.client.Publish(t.Context(), "topic", nil, 2); err == nil {
		t.Error("published on an ended connection")
	}
	if !acknowledged(session)() {
		t.Error("the session has taken a message whose publisher got an error")
	}
}

func TestPublishAtMostOnceIsNotKept(t *testing.T) {
	session := NewSession()
	first := connect(t, session, false)
	if err := first.client.Publish(t.Context(), "topic", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	first.want("PUBLISH 0 x")
	if !acknowledged(session)() {
		t.Error("what has left is not acknowledged")
	}
	full, cancel := context.WithCancel(t.Context())
	cancel()
	for range Window {
		first.publish("y")
	}
	if err := first.client.Publish(full, "topic", nil, 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
