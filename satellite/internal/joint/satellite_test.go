package joint

import (
	"reflect"
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// The kinds of events that the satellite publishes.
const (
	sessionStarted byte = iota + 1
	transactionStarted
	transactionFinished
	sessionFinished
	sessionResumed
	waitingFalse
	readyTrue
	request // energy_flow_request
)

// event is a variable of the satellite in its journal.
type event struct {
	number        uint64
	kind, session byte
	// unnamed: its uuid is empty.
	unnamed bool
}

// satelliteBoard is the satellite: its agent with what the agent holds, and its EvseManager.
type satelliteBoard struct {
	agent              handshake.Agent
	satellite          board
	serving, resetting bool
	// partner is the life of the main board that the agent agreed with.
	partner  uint64
	accepted handshake.ConnID
	made     uint64
	journal  []event
	ledger   handshake.Ledger[byte]
	running  []message
	lease    handshake.Lease
	port     port
	// ends are the ends of transactions that the agent keeps on disk.
	ends []event
}

// port is EvseManager with its customers. It lives as long as its board.
type port struct {
	up bool
	// session is the customer's, 0 without a car. stored is the session in the PersistentStore.
	session, stored, customers byte
	// charged: its transaction is over.
	charging, charged bool
	// limitsUntil is when the limits in force have certainly run out.
	limitsUntil time.Duration
}

func (w *world) startSatellite() {
	w.satellite = board{up: true, life: w.satellite.life + 1}
	w.agent = *handshake.NewAgent(handshake.AgentConfig{Dialects: handshake.AnyDialect, HasSystem: true})
	for _, end := range w.ends {
		w.publish(event{kind: sessionResumed, session: end.session})
		w.publish(event{kind: transactionFinished, session: end.session, unnamed: end.unnamed})
	}
	w.stepAgent(handshake.Start{})
}

// unheard are the ends in the journal.
func (w *world) unheard() (ends []event) {
	for _, e := range w.journal {
		if w.agentKeeps && e.kind == transactionFinished {
			ends = append(ends, e)
		}
	}
	return ends
}

// endAgent ends the agent's process alone, endSatellite the board.
func (w *world) endAgent() {
	if w.satellite.up {
		w.ends = w.unheard()
	}
	w.satellite = board{life: w.satellite.life}
	w.agent = handshake.Agent{}
	w.still = false
	w.resetting, w.partner, w.made, w.journal, w.running = false, 0, 0, nil, nil
	w.ledger, w.lease = handshake.Ledger[byte]{}, handshake.Lease{}
	w.closeServer()
}

func (w *world) endSatellite() {
	stored := w.port.stored
	if !w.store {
		stored = 0
	}
	w.port = port{stored: stored, customers: w.port.customers}
	w.endAgent()
}

func (w *world) closeServer() {
	w.serving = false
	for i := range w.conns {
		w.closeAgentEnd(&w.conns[i])
	}
}

func (w *world) closeAgentEnd(c *connection) {
	if c.agentOpen {
		c.agentOpen, c.subscribed, c.held, c.called, c.toAgent = false, false, nil, nil, nil
		c.hello, c.here, c.agree = false, false, false
		c.send(&c.toController, message{kind: eof}, c.controllerOpen)
	}
}

func (w *world) ofAgent(id handshake.ConnID) *connection {
	for i := range w.conns {
		if c := &w.conns[i]; c.agentID == id && c.agentOpen {
			return c
		}
	}
	return nil
}

func (w *world) stepAgent(event handshake.Event) {
	if !w.satellite.up {
		return
	}
	before := w.agent.Conn()
	actions := w.agent.Step(event)
	w.note("agent       %s => %v: %s", text(event), w.agent.State(), texts(actions))
	if after := w.agent.Conn(); after != before {
		w.lease = handshake.Lease{}
		if after != 0 {
			w.lease.Begin(w.now)
		}
	}
	for _, action := range actions {
		w.agentAction(action)
	}
}

func (w *world) agentAction(action handshake.Action) {
	switch a := action.(type) {
	case handshake.StartTimer:
		w.satellite.start(w.now, a)
	case handshake.StopTimer:
		w.satellite.timers[a.Timer] = timer{}
	case handshake.OpenServer:
		w.serving = true
	case handshake.RegisterWork:
	case handshake.Reply:
		if c := w.ofAgent(a.Conn); c != nil {
			w.reply(c, a)
		}
	case handshake.InitDone:
		w.satellite.init = true
	case handshake.CloseNow:
		if c := w.ofAgent(a.Conn); c != nil {
			w.closeAgentEnd(c)
		}
	case handshake.CloseAfterReply:
		if c := w.ofAgent(a.Conn); c != nil {
			w.closeAgentEnd(c)
		}
	case handshake.StopServer:
		w.closeServer()
	case handshake.ResetSystem:
		w.resetting = true
	case handshake.ExitProcess:
		w.endSatellite()
	}
}

func (w *world) reply(c *connection, a handshake.Reply) {
	kind := map[handshake.Function]kind{handshake.IAmHere: hereReply, handshake.IAmReady: readyReply, handshake.Hello: helloReply}[a.Function]
	switch a.Function {
	case handshake.IAmHere:
		c.here = false
	case handshake.IAmReady:
		c.agree = false
		if w.partner == 0 {
			w.partner = c.mainLife
		}
	case handshake.Hello:
		c.hello = false
	}
	c.send(&c.toController, message{kind: kind, known: a.Known}, c.controllerOpen)
}

// publish puts an event into the journal, and on the wire.
func (w *world) publish(e event) {
	if !w.satellite.up {
		return
	}
	w.made++
	e.number = w.made
	w.journal = append(w.journal, e)
	w.note("satellite   publishes %v", e)
	w.push()
}

// push sends what the controller does not have on the link's connection.
func (w *world) push() {
	c := w.ofAgent(w.agent.Conn())
	if c == nil || w.agent.Conn() == 0 || !c.subscribed {
		return
	}
	for _, e := range w.journal {
		if e.number > c.after {
			c.after = e.number
			c.send(&c.toController, message{kind: eventMessage, event: e}, c.controllerOpen)
		}
	}
}

// boot is what EvseManager publishes at its boot.
func (w *world) boot() {
	w.port.up = true
	if stored := w.port.stored; stored != 0 {
		w.port.stored = 0
		w.publish(event{kind: sessionResumed, session: stored})
		w.publish(event{kind: transactionFinished, session: stored, unnamed: true})
	}
	w.publish(event{kind: waitingFalse})
	w.publish(event{kind: readyTrue})
}

// The customers.
func (w *world) plugIn() {
	w.port.customers++
	w.port.session = w.port.customers
	w.publish(event{kind: sessionStarted, session: w.port.session})
}

func (w *world) authorise() {
	w.port.charging, w.port.stored = true, w.port.session
	w.publish(event{kind: transactionStarted, session: w.port.session})
}

func (w *world) stopTransaction() {
	if w.port.charging {
		w.port.charging, w.port.charged, w.port.stored = false, true, 0
		w.publish(event{kind: transactionFinished, session: w.port.session})
	}
}

func (w *world) unplug() {
	w.stopTransaction()
	session := w.port.session
	w.port.session, w.port.charged = 0, false
	w.publish(event{kind: sessionFinished, session: session})
}

// begin executes a command, where its lease holds and its number is new.
func (w *world) begin(c *connection, m message) {
	if !w.lease.Holds(w.now, heartbeat) && !w.twist.lease {
		c.held = append(c.held, m)
		return
	}
	w.ledger.Acknowledge(m.floor)
	switch _, verdict := w.ledger.Begin(m.number); verdict {
	case handshake.Execute:
		w.note("satellite   begins command %d", m.command)
		w.began(m)
		w.running = append(w.running, m)
		c.called = append(c.called, m.number)
	case handshake.Running:
		c.called = append(c.called, m.number)
	default:
		c.send(&c.toController, message{kind: commandReply, command: m.command, verdict: verdict, life: m.life}, c.controllerOpen)
	}
}

// carryOut ends the oldest command under way.
func (w *world) carryOut() {
	m := w.running[0]
	w.running = w.running[1:]
	w.ledger.Finish(m.number, 0, 1)
	for i := range w.conns {
		c := &w.conns[i]
		if at := slices.Index(c.called, m.number); at >= 0 {
			c.called = slices.Delete(c.called, at, at+1)
			c.send(&c.toController, message{kind: commandReply, command: m.command, verdict: handshake.Finished, life: m.life}, c.controllerOpen)
		}
	}
}

func (w *world) nameSatellite(n *namer) {
	n.flags(w.serving, w.resetting, w.port.up, w.port.charging, w.port.charged)
	n.bytes = append(n.bytes, w.port.session, w.port.stored, w.port.customers)
	n.number(uint64(max(0, w.port.limitsUntil-w.now)))
	received, _ := w.inbox.Position()
	for _, e := range w.journal {
		// What the controller has is not sent again, as long as both processes live.
		if w.partner != w.main.life || e.number > received {
			n.bytes = append(n.bytes, e.kind, e.session)
			n.flags(e.unnamed)
		}
	}
	for _, ends := range [][]event{w.ends, w.unheard()} {
		n.number(uint64(len(ends)))
		for _, e := range ends {
			n.bytes = append(n.bytes, e.session)
			n.flags(e.unnamed)
		}
	}
	n.number(w.made)
	n.number(received)
	n.number(uint64(len(w.running)))
	for _, m := range w.running {
		n.bytes = append(n.bytes, m.command)
	}
	n.add(reflect.ValueOf(&w.ledger).Elem())
	if !w.flowing() {
		lease := reflect.ValueOf(&w.lease).Elem()
		n.flags(lease.FieldByName("begun").Bool())
		for _, name := range []string{"replied", "proven"} {
			n.number(uint64(min(w.now-time.Duration(lease.FieldByName(name).Int()), 2*heartbeat)))
		}
	}
}
