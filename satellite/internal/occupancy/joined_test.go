package occupancy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// joined is a satellite and a main board with the machines of the handshake between them. Messages take no time. A cable
// that is out carries nothing, and no end notices.
type joined struct {
	*satellite
	controller *handshake.Controller
	agent      *handshake.Agent
	alarms     [2]map[handshake.Timer]time.Time // of controller and agent
	// conn is the controller's connection, 0 for none, and agentConn its number at the agent, 0 before it arrived there.
	conn, agentConn, accepted handshake.ConnID
	// silent: the connection carries nothing any more. out: the cable is out. serving: the agent's port is open.
	silent, out, serving bool
	// carries: the link carries events.
	carries bool
	// life and mainLife are the instance ids of the processes.
	life, mainLife uint64
	// down is when the satellite's board comes back, zero while it is up.
	down     time.Time
	messages []func()
	config   handshake.ControllerConfig
}

const (
	ofController = iota
	ofAgent
)

func (j *joined) send(message func()) { j.messages = append(j.messages, message) }

// settle delivers all messages.
func (j *joined) settle() {
	for len(j.messages) > 0 {
		message := j.messages[0]
		j.messages = j.messages[1:]
		message()
	}
}

func (j *joined) startController() {
	j.controller, j.alarms[ofController] = handshake.NewController(j.config), map[handshake.Timer]time.Time{}
	j.mainLife++
	j.stepController(handshake.Start{})
}

func (j *joined) startAgent() {
	j.agent = handshake.NewAgent(handshake.AgentConfig{Dialects: handshake.AnyDialect, HasSystem: true})
	j.alarms[ofAgent] = map[handshake.Timer]time.Time{}
	j.life++
	j.down = time.Time{}
	j.killed = true // EvseManager does nothing before the agents have agreed
	j.stepAgent(handshake.Start{})
}

// crash ends the satellite's processes. They are back after a while.
func (j *joined) crash(back time.Duration) {
	if !j.down.IsZero() {
		return
	}
	if j.plugged != "" {
		j.old = append(j.old, j.plugged)
	}
	j.killed, j.plugged, j.journal, j.charging, j.carries = true, "", nil, false, false
	j.follow()
	j.agent, j.serving, j.agentConn = nil, false, 0
	j.down = j.now.Add(back)
	j.linked = false
	if conn := j.conn; conn != 0 && !j.out && !j.silent {
		j.send(func() { j.stepController(handshake.Disconnected{Conn: conn}) })
	}
	j.silent = true
}

func (j *joined) stepController(event handshake.Event) {
	for _, action := range j.controller.Step(event) {
		j.ofController(action)
	}
}

func (j *joined) stepAgent(event handshake.Event) {
	if j.agent == nil {
		return
	}
	for _, action := range j.agent.Step(event) {
		if j.agent == nil {
			return
		}
		j.ofAgent(action)
	}
}

// reaches reports whether a message on the controller's connection arrives.
func (j *joined) reaches(conn handshake.ConnID) bool {
	return conn == j.conn && !j.silent && !j.out && j.agent != nil
}

func (j *joined) ofController(action handshake.Action) {
	switch a := action.(type) {
	case handshake.StartTimer:
		j.alarms[ofController][a.Timer] = j.now.Add(a.After)
	case handshake.StopTimer:
		delete(j.alarms[ofController], a.Timer)
	case handshake.Connect:
		j.conn, j.silent, j.agentConn = a.Conn, j.out, 0
		j.send(func() {
			switch {
			case a.Conn != j.conn || j.out:
			case !j.serving:
				j.stepController(handshake.ConnectFailed{Conn: a.Conn, Refused: true})
			default:
				j.accepted++
				j.agentConn = j.accepted
				j.stepController(handshake.Connected(a))
			}
		})
	case handshake.Disconnect:
		if a.Conn == j.conn {
			j.hangUp()
		}
	case handshake.Call:
		j.send(func() { j.call(a) })
	case handshake.Establish:
		j.carries, j.linked = true, true
		j.step(Linked{At: j.now})
		j.flush()
	case handshake.Resume:
		j.carries, j.linked = true, true
		j.step(Linked{Resumed: true, At: j.now})
		j.flush()
	case handshake.Isolate:
		j.carries, j.linked, j.lostAt = false, false, j.now
		j.step(Lost{"isolated", j.now})
	case handshake.InitDone:
		j.send(func() { j.stepController(handshake.BoardReady{}) })
	case handshake.ExitProcess:
		j.fail("the main board restarts: %v", a.Reason)
	}
}

// hangUp closes the controller's end.
func (j *joined) hangUp() {
	agentConn := j.agentConn
	if agentConn != 0 && !j.out && !j.silent {
		j.send(func() { j.stepAgent(handshake.Disconnected{Conn: agentConn}) })
	}
	j.conn, j.agentConn, j.carries, j.linked = 0, 0, false, false
}

func (j *joined) call(a handshake.Call) {
	if !j.reaches(a.Conn) {
		return
	}
	if a.Function != handshake.Hello {
		j.stepAgent(handshake.Called{Conn: j.agentConn, Function: a.Function})
		return
	}
	j.stepAgent(handshake.HelloCalled{Conn: j.agentConn, Peer: handshake.Peer{
		InstanceID: j.mainLife, Epoch: j.controller.Epoch(), HeartbeatTimeout: j.config.HeartbeatTimeout, KeepLink: j.config.KeepLink(),
	}})
}

func (j *joined) ofAgent(action handshake.Action) {
	switch a := action.(type) {
	case handshake.StartTimer:
		j.alarms[ofAgent][a.Timer] = j.now.Add(a.After)
	case handshake.StopTimer:
		delete(j.alarms[ofAgent], a.Timer)
	case handshake.OpenServer:
		j.serving = true
	case handshake.Reply:
		conn, life := j.conn, j.life
		j.send(func() {
			switch {
			case a.Conn != j.agentConn || !j.reaches(conn):
			case a.Function == handshake.Hello:
				j.stepController(handshake.HelloReplied{Conn: conn, InstanceID: life, Known: a.Known})
			default:
				j.stepController(handshake.Replied{Conn: conn, Function: a.Function, Known: a.Known})
			}
		})
	case handshake.InitDone:
		j.send(func() {
			if j.agent != nil {
				j.stepAgent(handshake.BoardReady{})
				j.killed = false
				stored := j.stored
				j.stored = ""
				if !j.store {
					stored = ""
				}
				j.bootOf(stored)
			}
		})
	case handshake.CloseNow:
		j.closed(a.Conn)
	case handshake.CloseAfterReply:
		j.send(func() { j.closed(a.Conn) })
	case handshake.StopServer:
		j.serving = false
		j.closed(j.agentConn)
	case handshake.ResetSystem, handshake.ExitProcess:
		j.send(func() { j.crash(5 * time.Second) })
	}
}

// bootOf is boot, whose events are journalled where the link is away.
func (j *joined) bootOf(stored string) {
	if stored != "" {
		j.tell("SessionResumed", stored)
		j.tell("TransactionFinished at boot", stored)
	}
	for _, value := range []string{"waiting_for_external_ready false", "Enabled", "ready true"} {
		name, text, variable := strings.Cut(value, " ")
		if !variable {
			j.tell(name, "")
			continue
		}
		j.deliver(func() { j.variable(name, []byte(text)) })
	}
}

// closed is the end of a connection that the agent closed.
func (j *joined) closed(conn handshake.ConnID) {
	if conn == 0 || conn != j.agentConn {
		return
	}
	closed := j.conn
	if j.reaches(closed) {
		j.send(func() { j.stepController(handshake.Disconnected{Conn: closed}) })
	}
	j.agentConn, j.silent = 0, true
	j.carries, j.linked = false, false
}

// pass lets time pass: timers fire, and heartbeats go over a link that is there.
func (j *joined) pass(d time.Duration) {
	const beat = 500 * time.Millisecond
	for end := j.now.Add(d); j.now.Before(end) && j.broken == ""; {
		j.wait(min(beat, end.Sub(j.now)))
		if !j.down.IsZero() && !j.now.Before(j.down) {
			j.startAgent()
			j.settle()
		}
		for side, alarms := range j.alarms {
			for timer, at := range alarms {
				if at.After(j.now) || j.broken != "" {
					continue
				}
				delete(alarms, timer)
				if side == ofController {
					j.stepController(handshake.TimerFired{Timer: timer})
				} else {
					j.stepAgent(handshake.TimerFired{Timer: timer})
				}
				j.settle()
			}
		}
		if j.carries && j.reaches(j.conn) {
			conn := j.conn
			j.stepAgent(handshake.Called{Conn: j.agentConn, Function: handshake.Events})
			j.stepController(handshake.Replied{Conn: conn, Function: handshake.Events})
			j.settle()
		}
	}
}

// TestSessionsEndOnceWhateverTheLinkDoes joins the machine with those of the handshake: their actions are its events.
func TestSessionsEndOnceWhateverTheLinkDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var story []string
		w := newWorld(t, func(format string, args ...any) { story = append(story, fmt.Sprintf(format, args...)) })
		s := &satellite{world: w, store: rapid.Bool().Draw(rt, "store")}
		j := &joined{satellite: s, config: handshake.ControllerConfig{
			Dialects: handshake.AnyDialect, LossPolicy: handshake.IsolateOnLoss,
			HeartbeatTimeout: 1500 * time.Millisecond, ResumeWindow: 30 * time.Second, OutageLimit: 5 * time.Minute,
		}}
		s.judge()
		j.startAgent()
		j.startController()
		j.settle()
		check := func() {
			if w.broken != "" {
				rt.Fatalf("%s\n%s", w.broken, strings.Join(story, "\n"))
			}
		}
		do := func(name string, action func(*rapid.T)) func(*rapid.T) {
			return func(rt *rapid.T) {
				w.now = w.now.Add(time.Millisecond)
				action(rt)
				j.settle()
				story = append(story, w.now.Format("15:04:05.000")+" "+name)
			}
		}
		seconds := func(rt *rapid.T, most int) time.Duration {
			return time.Duration(rapid.IntRange(1, most).Draw(rt, "seconds")) * time.Second
		}
		rt.Repeat(map[string]func(*rapid.T){
			"plug in": do("plug in", s.plugIn), "authorise": do("authorise", s.authorise), "unplug": do("unplug", s.unplug),
			"charge": do("charge", s.charge), "limits": do("limits", s.limit),
			"cable out": do("cable out", func(*rapid.T) { j.out, j.silent, j.carries, j.linked = true, true, false, false }),
			"cable in":  do("cable in", func(*rapid.T) { j.out = false }),
			"cut": do("cut", func(rt *rapid.T) {
				if !j.reaches(j.conn) {
					rt.Skip("no")
				}
				conn, agentConn := j.conn, j.agentConn
				j.silent, j.carries, j.linked = true, false, false
				j.send(func() { j.stepController(handshake.Disconnected{Conn: conn}) })
				j.send(func() { j.stepAgent(handshake.Disconnected{Conn: agentConn}) })
			}),
			"crash": do("crash", func(rt *rapid.T) { j.crash(seconds(rt, 90)) }),
			"wait":  do("wait", func(rt *rapid.T) { j.pass(seconds(rt, 120)) }),
			"":      func(*rapid.T) { check() },
		})
		j.out = false
		j.pass(10 * time.Minute)
		switch {
		case !j.carries:
			w.fail("the boards do not find each other again: %v", j.controller.State())
		case w.faulted || w.disabled:
			w.fail("the EVSE stays out of service")
		}
		s.check()
		check()
	})
}
