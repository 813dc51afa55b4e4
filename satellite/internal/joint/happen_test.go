package joint

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
)

type kind byte

// The kinds of messages.
const (
	dial kind = iota + 1
	accepted
	refused
	hello
	helloReply
	here
	hereReply
	ready
	readyReply
	events
	eventMessage
	commandCall
	commandReply
	cancelCall
	cancelReply
	resetCall
	eof
)

// message is a message on a connection.
type message struct {
	kind          kind
	known         bool
	command       byte
	verdict       handshake.Verdict
	number, floor uint64
	epoch         uint64
	// life is the main board's that called a command.
	life     uint64
	validFor int
	event    event
}

func (c *connection) send(queue *[]message, m message, open bool) {
	if open && !c.cut {
		*queue = append(*queue, m)
	}
}

func limitsTold(seconds int, at time.Time) occupancy.Told {
	value := json.RawMessage(fmt.Sprintf(`{"uuid":"connector","valid_for":%d}`, seconds))
	return occupancy.Told{Command: "enforce_limits", Arguments: map[string]json.RawMessage{"value": value}, At: at}
}

// deliverToAgent hands the oldest message of a connection to the satellite.
func (w *world) deliverToAgent(i int) {
	c := &w.conns[i]
	m := c.toAgent[0]
	c.toAgent = c.toAgent[1:]
	switch m.kind {
	case dial:
		if !w.serving {
			c.send(&c.toController, message{kind: refused}, true)
			break
		}
		w.accepted++
		c.agentID, c.agentOpen, c.satelliteLife = w.accepted, true, w.satellite.life
		c.send(&c.toController, message{kind: accepted}, true)
	case hello:
		c.hello = true
		w.stepAgent(handshake.HelloCalled{Conn: c.agentID, Peer: handshake.Peer{
			InstanceID: c.mainLife, Epoch: m.epoch, HeartbeatTimeout: heartbeat, KeepLink: w.keepLink(),
		}})
	case here:
		c.here = true
		w.stepAgent(handshake.Called{Conn: c.agentID, Function: handshake.IAmHere})
	case ready:
		c.agree = true
		w.stepAgent(handshake.Called{Conn: c.agentID, Function: handshake.IAmReady})
	case eof:
		c.agentOpen, c.subscribed, c.held, c.called = false, false, nil, nil
		w.stepAgent(handshake.Disconnected{Conn: c.agentID})
	default:
		if w.agent.Conn() == c.agentID {
			w.work(c, m)
		}
	}
	w.sweep()
}

// work hands a call to an agent that takes the connection for its link's.
func (w *world) work(c *connection, m message) {
	switch m.kind {
	case events:
		c.subscribed, c.after = true, m.number
		w.acknowledge(m.floor)
		w.beatAgent(c)
		w.push()
		w.publish(event{kind: request}) // EvseManager publishes one each second
	case commandCall:
		w.begin(c, m)
	case cancelCall:
		if !w.twist.cancel {
			w.ledger.Cancel(m.number)
		}
		c.send(&c.toController, message{kind: cancelReply, command: m.command, life: m.life}, c.controllerOpen)
	case resetCall:
		w.resetting = true
		w.stepAgent(handshake.ResetForwarded{Conn: c.agentID})
	}
}

func (w *world) acknowledge(published uint64) {
	for len(w.journal) > 0 && w.journal[0].number <= published {
		w.journal = w.journal[1:]
	}
}

// beatAgent is a call of link_events by a controller that has the answer of the one before.
func (w *world) beatAgent(c *connection) {
	w.lease.Called()
	w.lease.Replied(w.now)
	w.stepAgent(handshake.Called{Conn: c.agentID, Function: handshake.Events})
	held := c.held
	c.held = nil
	for _, m := range held {
		w.begin(c, m)
	}
}

func (w *world) keepLink() time.Duration {
	return handshake.ControllerConfig{
		LossPolicy: w.onLoss, ResumeWindow: resumeWindow, OutageLimit: outageLimit,
	}.KeepLink()
}

// deliverToController hands the oldest message of a connection to the main board.
func (w *world) deliverToController(i int) {
	c := &w.conns[i]
	m, id := c.toController[0], c.id
	c.toController = c.toController[1:]
	switch m.kind {
	case accepted:
		w.stepController(handshake.Connected{Conn: id})
	case refused:
		c.controllerOpen = false
		w.stepController(handshake.ConnectFailed{Conn: id, Refused: true})
	case helloReply:
		w.stepController(handshake.HelloReplied{Conn: id, InstanceID: c.satelliteLife, Known: m.known})
	case hereReply:
		w.stepController(handshake.Replied{Conn: id, Function: handshake.IAmHere, Known: m.known})
	case readyReply:
		w.stepController(handshake.Replied{Conn: id, Function: handshake.IAmReady})
	case eventMessage:
		if w.inbox.Accept(m.event.number) {
			w.enqueue(queued{event: m.event})
		}
		w.hear(id)
	case commandReply:
		w.replied(m)
	case cancelReply:
		w.cancelled(m)
	case eof:
		c.controllerOpen = false
		w.stepController(handshake.Disconnected{Conn: id})
	}
	w.sweep()
}

// hear is a sign of life of the satellite.
func (w *world) hear(id handshake.ConnID) {
	if !w.established {
		return
	}
	w.heard = w.now
	w.stepController(handshake.Replied{Conn: id, Function: handshake.Events})
	if w.main.up && w.box.Heard() {
		w.pump()
	}
}

// flowing reports whether heartbeats cross the link. They restart the timers that watch them, and overtake nothing.
func (w *world) flowing() bool {
	c := w.ofController(w.controllerConn)
	return w.healthy() && !w.still && len(c.toAgent) == 0 && len(c.toController) == 0
}

// healthy reports whether the link works.
func (w *world) healthy() bool {
	c := w.ofController(w.controllerConn)
	state := w.controller.State()
	return !w.out && c != nil && c.agentOpen && c.subscribed && c.agentID == w.agent.Conn() && w.established &&
		(state == handshake.Agreed || state == handshake.Working) && !closing(c.toAgent) && !closing(c.toController)
}

func closing(messages []message) bool {
	return len(messages) > 0 && messages[len(messages)-1].kind == eof
}

// sweep removes connections on which nothing can happen any more.
func (w *world) sweep() {
	kept := w.conns[:0]
	for _, c := range w.conns {
		if c.controllerOpen || c.agentOpen || len(c.toAgent) > 0 {
			kept = append(kept, c)
		}
	}
	w.conns = kept
}

// pass lets time pass until the next timer, and fires it.
func (w *world) pass() {
	at, fire := w.next()
	w.now = max(w.now, at)
	if w.flowing() {
		// Calls and replies have crossed all the time.
		w.lease.Replied(w.now)
		_, published := w.inbox.Position()
		w.acknowledge(published)
		w.beatAgent(w.ofController(w.controllerConn))
		w.hear(w.controllerConn)
	}
	fire()
	w.sweep()
}

// next returns the next timer and what it does, nil without one.
func (w *world) next() (at time.Duration, fire func()) {
	offer := func(t timer, do func()) {
		if t.on && (fire == nil || t.due < at) {
			at, fire = t.due, do
		}
	}
	flowing := w.flowing()
	for kind, t := range w.satellite.timers {
		if kind != drainTimer && !w.still && !(flowing && kind == heartbeatTimer) {
			offer(t, func() {
				w.note("timer       of the agent: %v", handshake.Timer(kind))
				w.satellite.timers[kind] = timer{}
				w.stepAgent(handshake.TimerFired{Timer: handshake.Timer(kind)})
			})
		}
	}
	for kind, t := range w.main.timers {
		if kind == retryTimer || flowing && kind == replyTimer || kind == callTimer && w.dialling() {
			continue
		}
		offer(t, func() { w.fireController(kind) })
	}
	offer(w.tick, func() {
		w.tick = timer{}
		w.enqueueTick()
	})
	for i, c := range w.commands {
		offer(c.wait, func() { w.overdue(byte(i)) })
	}
	return at, fire
}

func (w *world) enqueueTick() { w.stepEVSE(occupancy.Tick{At: w.at(w.now)}) }

func (w *world) fireController(kind int) {
	w.note("timer       of the controller: %v", handshake.Timer(kind))
	w.main.timers[kind] = timer{}
	w.stepController(handshake.TimerFired{Timer: handshake.Timer(kind)})
}

// dialling reports whether the newest connection waits for a cable that is out. TCP tries again until it is in, and a
// timeout only begins the same anew.
func (w *world) dialling() bool {
	c := w.ofController(w.controllerConn)
	return w.out && c != nil && len(c.toAgent) == 1 && c.toAgent[0].kind == dial
}
