package joint

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
)

// queued is an event of the satellite or of the link that waits to be published.
type queued struct {
	event event
	link  linkEvent
}

type linkEvent byte

const (
	linkedAnew linkEvent = iota + 1
	linkedAgain
	lost
)

// mainBoard is the main board: the controller with what it holds, the EVSE's machine, and the board's modules.
type mainBoard struct {
	controller     handshake.Controller
	main           board
	controllerConn handshake.ConnID
	established    bool
	inbox          handshake.Inbox
	queue          []queued
	evse           occupancy.Machine
	// tick is the machine's deadline.
	tick timer
	// disk is the transaction in the state directory. It outlives the process.
	disk occupancy.Kept
	// linkedAt and lostAt are when the machine was told so last.
	linkedAt, lostAt time.Duration
	outOfService     bool
	station          station
	sender
}

func (w *world) startMain() {
	w.main = board{up: true, life: w.main.life + 1}
	w.controller = *handshake.NewController(handshake.ControllerConfig{
		Dialects: handshake.AnyDialect, LossPolicy: w.onLoss, InitTimeout: w.initTimeout, HeartbeatTimeout: heartbeat,
		ResumeWindow: resumeWindow, OutageLimit: outageLimit,
	})
	config := occupancy.Config{Deadline: deadline, Delivery: heartbeat, EVSE: 2}
	if kept := w.disk; w.keeps && kept.Session != "" {
		config.Kept = &kept
	}
	w.evse = *occupancy.New(config)
	w.stepController(handshake.Start{})
}

func (w *world) endMain() {
	w.main = board{life: w.main.life}
	w.controller, w.controllerConn, w.established, w.inbox, w.queue = handshake.Controller{}, 0, false, handshake.Inbox{}, nil
	w.evse, w.tick, w.outOfService = occupancy.Machine{}, timer{}, false
	w.sender = sender{}
	w.station.restart()
	for i := range w.conns {
		w.closeControllerEnd(&w.conns[i])
	}
}

func (w *world) closeControllerEnd(c *connection) {
	if c.controllerOpen {
		c.controllerOpen, c.toController = false, nil
		if len(c.toAgent) > 0 && c.toAgent[0].kind == dial {
			c.toAgent = nil
			return
		}
		c.send(&c.toAgent, message{kind: eof}, c.agentOpen)
	}
}

func (w *world) ofController(id handshake.ConnID) *connection {
	for i := range w.conns {
		if c := &w.conns[i]; c.id == id && c.mainLife == w.main.life && c.controllerOpen {
			return c
		}
	}
	return nil
}

func (w *world) stepController(event handshake.Event) {
	if !w.main.up {
		return
	}
	actions := w.controller.Step(event)
	w.note("controller  %s => %v: %s", text(event), w.controller.State(), texts(actions))
	for _, action := range actions {
		w.controllerAction(action)
	}
	switch w.controller.State() {
	case handshake.OutOfService, handshake.Parted:
		w.endCommands()
	}
}

func (w *world) controllerAction(action handshake.Action) {
	switch a := action.(type) {
	case handshake.StartTimer:
		w.main.start(w.now, a)
	case handshake.StopTimer:
		w.main.timers[a.Timer] = timer{}
	case handshake.Connect:
		w.controllerConn = a.Conn
		w.conns = append(w.conns, connection{id: a.Conn, mainLife: w.main.life, controllerOpen: true, toAgent: []message{{kind: dial}}})
	case handshake.Disconnect:
		w.suspendCommands()
		if c := w.ofController(a.Conn); c != nil {
			w.closeControllerEnd(c)
		}
	case handshake.Call:
		if c := w.ofController(a.Conn); c != nil {
			kind := map[handshake.Function]kind{handshake.Hello: hello, handshake.IAmHere: here, handshake.IAmReady: ready}[a.Function]
			c.send(&c.toAgent, message{kind: kind, epoch: w.controller.Epoch()}, true)
		}
	case handshake.Establish:
		w.established, w.inbox = true, handshake.Inbox{}
		w.endCommands()
		w.sender = sender{}
		w.box.Resumable = true
		w.open(a.Conn, linkedAnew)
	case handshake.Resume:
		w.open(a.Conn, linkedAgain)
	case handshake.Isolate:
		w.outOfService = true
		w.endCommands()
		w.enqueue(queued{link: lost})
	case handshake.InitDone:
		w.main.init = true
	case handshake.ExitProcess:
		w.endMain()
	}
}

// open opens a link for commands and asks for its events.
func (w *world) open(id handshake.ConnID, how linkEvent) {
	w.outOfService = false
	w.resumeCommands()
	w.enqueue(queued{link: how})
	if c := w.ofController(id); c != nil {
		received, published := w.inbox.Position()
		c.send(&c.toAgent, message{kind: events, number: received, floor: published}, true)
	}
}

// enqueue publishes an event, or keeps it until the main board is ready.
func (w *world) enqueue(q queued) {
	w.queue = append(w.queue, q)
	w.publishQueue()
}

func (w *world) publishQueue() {
	for w.main.up && w.main.ready && len(w.queue) > 0 {
		q := w.queue[0]
		w.queue = w.queue[1:]
		at := w.at(w.now)
		switch q.link {
		case linkedAnew, linkedAgain:
			w.linkedAt = w.now
			w.stepEVSE(occupancy.Linked{Resumed: q.link == linkedAgain, At: at})
		case lost:
			w.lostAt = w.now
			w.stepEVSE(occupancy.Lost{Reason: "no link", At: at})
		default:
			w.stepEVSE(occupancy.Published{Variable: q.event.variable(), Value: q.event.value(), At: at})
			w.inbox.Published(q.event.number)
		}
	}
}

var variables = map[byte]string{waitingFalse: "waiting_for_external_ready", readyTrue: "ready", request: occupancy.FlowRequest}

func (e event) variable() string {
	if name, other := variables[e.kind]; other {
		return name
	}
	return "session_event"
}

var kinds = map[byte]string{
	sessionStarted: "SessionStarted", transactionStarted: "TransactionStarted", transactionFinished: "TransactionFinished",
	sessionFinished: "SessionFinished", sessionResumed: "SessionResumed",
}

func (e event) value() json.RawMessage {
	switch e.kind {
	case waitingFalse:
		return json.RawMessage("false")
	case readyTrue:
		return json.RawMessage("true")
	case request:
		return json.RawMessage(`{"node_type":"Evse","uuid":"connector"}`)
	}
	uuid := name(e.session)
	if e.unnamed {
		uuid = ""
	}
	return json.RawMessage(fmt.Sprintf(`{"event":"%s","timestamp":"2026-11-26T18:40:00.000Z","uuid":"%s"}`, kinds[e.kind], uuid))
}

func name(session byte) string { return string(rune('@' + session)) }

func (w *world) stepEVSE(event occupancy.Event) {
	actions := w.evse.Step(event)
	if w.twist.machine != nil {
		actions = w.twist.machine(event, actions)
	}
	w.note("occupancy   %s: %s", shown(event), strings.Join(allShown(actions), ", "))
	for _, action := range actions {
		w.carryOutEVSE(event, action)
	}
}

func shown(v any) string {
	switch v := v.(type) {
	case occupancy.Published:
		return v.Variable + " " + string(v.Value)
	case occupancy.Publish:
		return "publishes " + v.Variable + " " + string(v.Value)
	}
	return text(v)
}

func allShown(actions []occupancy.Action) (texts []string) {
	for _, action := range actions {
		texts = append(texts, shown(action))
	}
	return texts
}

func (w *world) carryOutEVSE(event occupancy.Event, action occupancy.Action) {
	switch a := action.(type) {
	case occupancy.Publish:
		_, own := event.(occupancy.Published)
		if a.Variable == occupancy.FlowRequest {
			w.station.requested = w.station.requested || own
			if w.station.freed = !own; !own && w.now < w.port.limitsUntil {
				w.breaks("the share is freed while the satellite may draw it for %v", w.port.limitsUntil-w.now)
			}
			break
		}
		w.published(a)
	case occupancy.Estimated:
		if w.hasWord(a.Session[0] - '@') {
			w.breaks("the end of session %s is estimated, and the satellite tells it", a.Session)
		}
	case occupancy.Raise:
		w.station.faulted = true
	case occupancy.Clear:
		w.station.faulted = false
	case occupancy.Call:
		w.call(stop)
	case occupancy.SetDeadline:
		w.tick = timer{!a.At.IsZero(), a.At.Sub(epoch)}
	case occupancy.Keep:
		w.disk = a.Kept
	}
}

// hasWord reports whether a satellite that is linked in time has an end of the session that it will tell.
func (w *world) hasWord(session byte) bool {
	if w.outOfService || !w.satellite.up || w.partner != w.main.life || !w.established || w.now >= w.linkedAt+bootLimit {
		return false
	}
	received, _ := w.inbox.Position()
	for _, e := range w.journal {
		if e.number > received && e.kind == transactionFinished && e.session == session {
			return true
		}
	}
	for _, q := range w.queue {
		if q.event.kind == transactionFinished && q.event.session == session {
			return true
		}
	}
	return !w.port.up && w.port.stored == session
}

func (w *world) nameMain(n *namer) {
	n.flags(w.established, w.outOfService, w.tick.on, w.disk.Session != "")
	if w.tick.on {
		n.number(uint64(max(0, w.tick.due-w.now)))
	}
	n.bytes = append(n.bytes, w.disk.Session...)
	n.number(uint64(min(w.now-w.linkedAt, bootLimit)))
	for _, q := range w.queue {
		n.bytes = append(n.bytes, q.event.kind, q.event.session, byte(q.link))
		n.flags(q.event.unnamed)
	}
	n.bytes = append(n.bytes, '|')
	n.add(reflect.ValueOf(&w.evse).Elem())
	w.nameStation(n)
	w.nameSender(n)
}
