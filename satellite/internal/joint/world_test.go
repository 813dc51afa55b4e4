package joint

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
)

// rules is what a world is made of, and how many of its things may happen.
type rules struct {
	onLoss handshake.LossPolicy
	// initTimeout bounds the main board's start.
	initTimeout time.Duration
	// store: EvseManager has a PersistentStore. keeps: the main board has a state directory. agentKeeps: so has the agent.
	store, keeps, agentKeeps bool
	// sessions is how many customers come, asks and limits how many commands the main board calls.
	sessions, asks, limits uint8
	// validFor is the validity of limits in seconds.
	validFor int
	// alone: an agent's process may end without its board. resets: the main board may reset the satellite.
	alone, resets bool
	// slow: a message may take longer than a timer. dies: the main board may die. stands: the agent may stand still.
	slow, dies, stands bool
	faults             int
	// twist breaks one part, to show that the checks see it.
	twist twist
}

// twist changes what one part does. Each is nil where nothing is changed.
type twist struct {
	machine func(occupancy.Event, []occupancy.Action) []occupancy.Action
	lease   bool // the agent looks at no lease
	cancel  bool // the agent takes no notice of a cancellation
}

// The times of the world. Those of the handshake and of the deadline are short, so that fewer states differ in nothing
// but what has passed of them; their order is that of the defaults.
const (
	heartbeat    = 1500 * time.Millisecond
	resumeWindow = 5 * time.Second
	outageLimit  = 60 * time.Second
	deadline     = 40 * time.Second
	commandWait  = 2 * time.Second
	commandLimit = 9 * time.Second
	promptly     = 200 * time.Millisecond
	// bootLimit is occupancy's: how long EvseManager has to become ready.
	bootLimit = 30 * time.Second
	// runOut is how long EvseManager applies limits beyond their validity at most, measured.
	runOut = 1130 * time.Millisecond
)

var epoch = time.Date(2026, 11, 26, 18, 40, 0, 0, time.UTC)

type timer struct {
	on  bool
	due time.Duration
}

// board is what both boards have besides their machine.
type board struct {
	up, init, ready bool
	life            uint64
	timers          [16]timer
}

func (b *board) start(now time.Duration, a handshake.StartTimer) {
	b.timers[a.Timer] = timer{true, now + a.After}
}

// connection has an end at each board. What an end sends is carried in order, but not while the cable is out.
type connection struct {
	id, agentID               handshake.ConnID
	controllerOpen, agentOpen bool
	mainLife, satelliteLife   uint64
	toAgent, toController     []message
	// cut: what is sent is lost.
	cut                bool
	subscribed         bool // to events
	after              uint64
	held               []message // commands that wait for the lease
	called             []uint64  // commands under way that were called on it
	hello, here, agree bool      // calls that wait for their reply
}

// world is a station of two boards, and its customers.
type world struct {
	rules
	now    time.Duration
	faults int
	out    bool // the cable is out
	still  bool // the agent's process stands still, as one that is suspended
	conns  []connection
	broken string
	log    func(string, ...any)
	satelliteBoard
	mainBoard
}

func newWorld(r rules) *world {
	w := &world{rules: r}
	return w
}

func (w *world) at(d time.Duration) time.Time { return epoch.Add(d) }

func (w *world) note(format string, args ...any) {
	if w.log != nil {
		w.log("%8.3f  %s", w.now.Seconds(), fmt.Sprintf(format, args...))
	}
}

func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.note("BROKEN: %s", w.broken)
	}
}

func (w *world) clone() *world {
	c := *w
	c.conns = make([]connection, len(w.conns), len(w.conns)+1)
	for i, conn := range w.conns {
		conn.toAgent, conn.toController, conn.held = slices.Clone(conn.toAgent), slices.Clone(conn.toController), slices.Clone(conn.held)
		conn.called = slices.Clone(conn.called)
		c.conns[i] = conn
	}
	c.journal, c.running, c.ends = slices.Clone(w.journal), slices.Clone(w.running), slices.Clone(w.ends)
	c.ledger, c.sequence = deepCopy(w.ledger), deepCopy(w.sequence)
	c.evse, c.box = deepCopy(w.evse), deepCopy(w.box)
	c.commands, c.queue, c.station.queued = slices.Clone(w.commands), slices.Clone(w.queue), slices.Clone(w.station.queued)
	return &c
}

// key names a state. Lives, connections and times count only relative to the present.
func (w *world) key() string {
	n := &namer{bytes: make([]byte, 0, 256), now: w.at(w.now)}
	n.bytes = append(n.bytes, byte(w.faults))
	n.flags(w.out, w.still, w.flowing(), w.broken != "")
	peer := w.agent.Peer()
	n.flags(peer.InstanceID == w.main.life, peer.Epoch == w.controller.Epoch(), w.partner == w.main.life, w.partner == 0)
	n.conn = func(id handshake.ConnID) byte {
		if id == 0 {
			return 0
		}
		return byte(2 + slices.IndexFunc(w.conns, func(c connection) bool { return c.agentID == id }))
	}
	w.nameAgent(n)
	n.conn = func(id handshake.ConnID) byte { return 0 }
	w.nameController(n)
	for i := range w.conns {
		w.nameConnection(n, &w.conns[i])
	}
	for _, b := range []*board{&w.satellite, &w.main} {
		n.flags(b.up, b.init, b.ready)
		for kind, t := range b.timers {
			switch {
			case !t.on:
			case kind == retryTimer, kind == drainTimer, w.flowing() && (kind == replyTimer || kind == heartbeatTimer):
				n.bytes = append(n.bytes, byte(kind), 0)
			default:
				n.bytes = append(n.bytes, byte(kind))
				n.number(uint64(max(0, t.due-w.now)))
			}
		}
	}
	w.nameSatellite(n)
	w.nameMain(n)
	return string(n.bytes)
}

// nameAgent and nameController leave out numbers that only grow.
func (w *world) nameAgent(n *namer) {
	a := w.agent
	v := reflect.ValueOf(&a).Elem()
	for _, i := range named(v.Type()) {
		switch v.Type().Field(i).Name {
		case "peer":
		case "hellos":
			hellos := v.Field(i)
			n.number(uint64(hellos.Len()))
			for j := range hellos.Len() {
				hello := hellos.Index(j)
				n.add(hello.FieldByName("Conn"))
				peer := hello.FieldByName("Peer")
				n.flags(peer.FieldByName("InstanceID").Uint() == w.main.life, peer.FieldByName("Epoch").Uint() == w.controller.Epoch())
			}
		default:
			n.add(v.Field(i))
		}
	}
}

func (w *world) nameController(n *namer) {
	c := w.controller
	v := reflect.ValueOf(&c).Elem()
	for _, i := range named(v.Type()) {
		switch v.Type().Field(i).Name {
		case "agent":
			n.flags(v.Field(i).Uint() == w.satellite.life)
		case "epoch", "conn":
		default:
			n.add(v.Field(i))
		}
	}
}

func (w *world) nameConnection(n *namer, c *connection) {
	n.flags(c.controllerOpen, c.agentOpen, c.id == w.controllerConn, c.mainLife == w.main.life, c.satelliteLife == w.satellite.life, c.subscribed, c.agentID == w.agent.Conn())
	n.flags(c.hello, c.here, c.agree, c.cut)
	n.number(uint64(len(c.called)))
	for _, number := range c.called {
		n.number(number)
	}
	for _, messages := range [][]message{c.toAgent, c.toController, c.held} {
		n.number(uint64(len(messages)))
		for _, m := range messages {
			n.bytes = append(n.bytes, byte(m.kind), byte(m.number), byte(m.floor), m.command, byte(m.verdict), m.event.kind, m.event.session, byte(m.event.number))
			n.flags(m.life == w.main.life, m.epoch == w.controller.Epoch(), m.known, m.event.unnamed)
			n.number(uint64(m.validFor))
		}
	}
}

// times are the kinds of timers.
var (
	callTimer, retryTimer, replyTimer = timerNamed("call"), timerNamed("retry"), timerNamed("reply")
	heartbeatTimer, drainTimer        = timerNamed("heartbeat"), timerNamed("drain")
)

func timerNamed(name string) int {
	for t := handshake.Timer(1); t < 16; t++ {
		if t.String() == name {
			return int(t)
		}
	}
	panic("there is no timer " + name)
}

// text returns an event or an action as a story shows it.
func text(v any) string {
	_, after, _ := strings.Cut(fmt.Sprintf("%T", v), ".")
	if s := fmt.Sprintf("%+v", v); s != "{}" {
		after += s
	}
	return after
}

func texts[T any](all []T) string {
	var parts []string
	for _, v := range all {
		parts = append(parts, text(v))
	}
	return strings.Join(parts, ", ")
}
