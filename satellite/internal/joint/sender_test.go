package joint

import (
	"reflect"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/outbox"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// The kinds of commands that the main board calls.
const (
	ask    byte = iota + 1 // has a result, and an effect nobody may see after the negative answer
	stop                   // stop_transaction
	limits                 // enforce_limits
)

// sender is what package link's sender does around its outbox.
type sender struct {
	box      outbox.Outbox[byte]
	sequence handshake.Sequence
	commands []command
	// closed: each further command is answered negatively at once.
	closed bool
	heard  time.Duration
}

// command is a command that was called.
type command struct {
	kind     byte
	id       outbox.ID
	number   uint64
	received time.Duration
	wait     timer // of its caller
	// answered: its caller has the outcome. refused: a negative one. executed: the satellite has begun it.
	answered, refused, executed, aged bool
	// revoking: its revocation is on its way, and not yet the question for its outcome.
	revoking bool
}

// call calls a command of the EVSE.
func (w *world) call(kind byte) {
	w.commands = append(w.commands, command{kind: kind, received: w.now})
	i := byte(len(w.commands) - 1)
	c := &w.commands[i]
	w.note("main board  calls command %d", i)
	if kind == limits {
		w.stepEVSE(limitsTold(w.validFor, w.at(w.now)))
	}
	if w.closed || w.box.Resumable == false {
		w.answer(i, kind != limits)
		return
	}
	entry := outbox.Command{Interface: "evse_manager", Name: string('a' + kind), Rule: route.Waits, Result: true}
	wait := commandWait
	if kind == limits {
		entry.Rule, entry.Result, wait = route.Newest, false, promptly
		entry.Expires = w.at(w.now + time.Duration(w.validFor-1)*time.Second + 1)
	}
	id, verdict, dropped := w.box.Add(w.at(w.now), entry, i)
	c.id, c.aged = id, verdict == outbox.Keep
	w.dropped(dropped)
	switch {
	case verdict == outbox.Keep && !entry.Result:
		w.answer(i, false)
	default:
		c.wait = timer{true, w.now + wait}
	}
	if verdict == outbox.Send {
		w.transmit(i)
	}
}

// transmit sends a command on the link's connection.
func (w *world) transmit(i byte) {
	c := &w.commands[i]
	if c.refused && c.kind != limits && !c.revoking {
		w.breaks("command %d is sent after its negative answer", i)
	}
	if c.number == 0 {
		c.number = w.sequence.Next()
	}
	m := message{kind: commandCall, command: i, number: c.number, floor: w.sequence.Floor(), life: w.main.life, validFor: w.validFor}
	if c.aged {
		m.validFor = max(0, int((time.Duration(w.validFor)*time.Second-(w.now-c.received))/time.Second))
	}
	if conn := w.ofController(w.controllerConn); conn != nil {
		conn.send(&conn.toAgent, m, true)
	}
}

func (w *world) pump() {
	for {
		step, ok, dropped := w.box.Next(w.at(w.now))
		w.dropped(dropped)
		switch {
		case !ok:
			return
		case step.Revoke:
			c := &w.commands[step.Value]
			c.revoking = true
			if conn := w.ofController(w.controllerConn); conn != nil {
				conn.send(&conn.toAgent, message{kind: cancelCall, command: step.Value, number: c.number, life: w.main.life}, true)
			}
		default:
			if c := &w.commands[step.Value]; c.answered && c.kind == limits {
				c.wait = timer{true, w.now + promptly}
			}
			w.transmit(step.Value)
		}
	}
}

// replied follows the reply to a command. cancelled follows that to its revocation.
func (w *world) replied(m message) {
	i := m.command
	if m.life != w.main.life || int(i) >= len(w.commands) {
		return
	}
	c := &w.commands[i]
	if _, _, known := w.box.Sent(c.id); !known {
		return
	}
	w.box.Answered(c.id)
	w.sequence.Done(c.number)
	c.revoking, c.wait = false, timer{}
	w.answer(i, m.verdict != handshake.Finished)
	w.pump()
}

func (w *world) cancelled(m message) {
	if m.life == w.main.life && int(m.command) < len(w.commands) {
		w.transmit(m.command)
	}
}

// dropped follows commands that the outbox has dropped.
func (w *world) dropped(all []outbox.Dropped[byte]) {
	for _, d := range all {
		c := &w.commands[d.Value]
		if c.number != 0 {
			w.sequence.Done(c.number)
		}
		w.answer(d.Value, c.kind != limits)
	}
}

func (w *world) answer(i byte, refused bool) {
	if c := &w.commands[i]; !c.answered {
		c.answered, c.refused, c.wait = true, refused, timer{}
		w.note("main board  has the answer of command %d, refused %v", i, refused)
	}
}

// overdue is called when a caller has waited long enough, or looks again.
func (w *world) overdue(i byte) {
	c := &w.commands[i]
	c.wait = timer{}
	sent, written, _ := w.box.Sent(c.id)
	from := c.received
	if written {
		from = max(from, w.heard)
	}
	switch limit := c.received + commandLimit; {
	case c.answered:
		w.box.Stall(c.id)
	case c.kind == limits && sent:
		w.box.Stall(c.id)
		w.answer(i, false)
	case c.kind == limits:
		w.giveUp(i)
	case w.now >= limit:
		w.giveUp(i)
	case sent:
		c.wait = timer{true, limit}
	case w.now < from+commandWait:
		c.wait = timer{true, from + commandWait}
	default:
		w.giveUp(i)
	}
}

func (w *world) giveUp(i byte) {
	c := &w.commands[i]
	sent, _, _ := w.box.Sent(c.id)
	certain := w.box.GiveUp(c.id)
	if conn := w.ofController(w.controllerConn); sent && c.number != 0 && conn != nil {
		conn.send(&conn.toAgent, message{kind: cancelCall, number: c.number, life: w.main.life - 1}, true) // nobody asks for its reply
	}
	if certain && c.number != 0 {
		w.sequence.Done(c.number)
	}
	w.answer(i, c.kind != limits)
	w.pump()
}

// suspendCommands follows the end of the link's connection.
func (w *world) suspendCommands() {
	for i := range w.commands {
		c := &w.commands[i]
		if sent, _, _ := w.box.Sent(c.id); !sent {
			continue
		}
		c.aged, c.wait = true, timer{}
		w.dropped(w.box.Lost(w.at(w.now), c.id))
		_, _, known := w.box.Sent(c.id)
		switch {
		case !known || c.answered:
		case c.kind == limits:
			w.answer(byte(i), false)
		default:
			c.wait = timer{true, max(w.now, max(c.received, w.heard)+commandWait)}
		}
	}
	w.dropped(w.box.Down())
}

func (w *world) resumeCommands() {
	w.closed, w.heard = false, w.now
	w.box.Up()
	w.pump()
}

// endCommands gives each command its negative answer.
func (w *world) endCommands() {
	w.closed = true
	w.dropped(w.box.Discard())
}

// began checks a command that the satellite begins, and carries it out there.
func (w *world) began(m message) {
	if m.life == w.main.life && int(m.command) < len(w.commands) {
		c := &w.commands[m.command]
		switch {
		case c.executed:
			w.breaks("command %d is executed twice", m.command)
		case c.refused:
			w.breaks("command %d is executed after its negative answer", m.command)
		}
		c.executed = true
		if c.kind == stop {
			w.stopTransaction()
		}
		if c.kind == limits && w.port.up {
			w.port.limitsUntil = max(w.port.limitsUntil, w.now+time.Duration(m.validFor)*time.Second+runOut)
			if w.station.freed {
				w.breaks("limits are executed after their share was freed")
			}
		}
	}
}

func (w *world) nameSender(n *namer) {
	n.flags(w.closed)
	n.number(uint64(min(w.now-w.heard, commandWait)))
	for _, c := range w.commands {
		n.bytes = append(n.bytes, c.kind, byte(c.number))
		n.flags(c.answered, c.refused, c.executed, c.aged, c.revoking, c.wait.on)
		if !c.answered || c.kind == limits || c.wait.on {
			n.number(uint64(min(w.now-c.received, 2*commandLimit)))
			n.number(uint64(max(0, c.wait.due-w.now)))
		}
	}
	n.bytes = append(n.bytes, '|')
	n.add(reflect.ValueOf(&w.box).Elem())
	n.add(reflect.ValueOf(&w.sequence).Elem())
}
