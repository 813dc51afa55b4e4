package handshake

import (
	"testing"
	"time"
)

// working returns two boards at work with each other.
func working(dialects Dialects, onLoss LossPolicy) *player {
	p := &player{world: newWorld(true)}
	p.agentConfig.Dialects, p.controllerConfig.Dialects, p.controllerConfig.LossPolicy = dialects, dialects, onLoss
	p.bothWork()
	return p
}

// back checks that both boards work together again, in which lives they do, and that every event has arrived.
func (p *player) back(t *testing.T, satelliteLife, mainLife int) {
	t.Helper()
	if !p.together() || p.broken != "" {
		t.Errorf("the boards do not work together: agent %v, controller %v %s", p.agent.State(), p.controller.State(), p.broken)
	}
	if p.satellite.life != satelliteLife || p.main.life != mainLife {
		t.Errorf("the satellite lives its life %d and the main board its life %d, want %d and %d",
			p.satellite.life, p.main.life, satelliteLife, mainLife)
	}
	if p.v2.last != p.v2.made {
		t.Errorf("%d of %d events have arrived", p.v2.last, p.v2.made)
	}
}

// The cable is out for a minute, twice the window, and the car is unplugged meanwhile. The main board isolates: no
// process ends, and the end of the session arrives once the cable is back.
func TestAnOutageIsNotARestart(t *testing.T) {
	p := working(AnyDialect, IsolateOnLoss)
	verbs["pull cable"](p)
	p.wait(8 * time.Second)
	for range 3 { // ChargingFinished, TransactionFinished, SessionFinished
		p.publish()
	}
	p.wait(52 * time.Second)
	if state := p.controller.State(); state != OutOfService {
		t.Errorf("after a minute the controller is in the state %v, want %v", state, OutOfService)
	}
	if p.resetting || p.agent.State() != Resuming {
		t.Errorf("after a minute the agent is in the state %v, want %v; it asked for a reset: %v", p.agent.State(), Resuming, p.resetting)
	}
	verbs["plug cable in"](p)
	p.wait(10 * time.Second)
	p.back(t, 1, 1)
}

// A satellite that is reset alone, or that restarts for an update, is joined as soon as it answers, whatever the policy.
func TestASatelliteThatRestartsAloneIsJoined(t *testing.T) {
	for _, test := range []struct {
		name, cause string
		dialects    Dialects
		away        time.Duration
	}{
		{"reset, v2", "forward reset", AnyDialect, 20 * time.Second},
		{"reset, v2, back at once", "forward reset", AnyDialect, 0},
		{"reset, legacy", "forward reset", OnlyLegacy, 20 * time.Second},
		{"update, v2", "firmware update", AnyDialect, 10 * time.Minute},
		{"update, v2, back at once", "firmware update", AnyDialect, 0},
		{"update, legacy", "firmware update", OnlyLegacy, 10 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := working(test.dialects, RestartOnLoss)
			verbs[test.cause](p)
			p.deliver()
			p.endAgent()
			p.wait(test.away)
			p.startAgent()
			p.wait(10 * time.Second)
			p.agentReady()
			p.wait(time.Second)
			p.back(t, 2, 1)
		})
	}
}

// While an update is installed the network may go away. The agent that answers afterwards is still the same process:
// nothing resets its board in the midst of the installation.
func TestAnInstallingSatelliteIsNotReset(t *testing.T) {
	for _, dialects := range []Dialects{AnyDialect, OnlyLegacy} {
		p := working(dialects, RestartOnLoss)
		verbs["firmware update"](p)
		p.deliver()
		verbs["pull cable"](p)
		p.wait(10 * time.Minute)
		verbs["plug cable in"](p)
		p.wait(10 * time.Second)
		if p.resetting || p.satellite.life != 1 || !p.satellite.up || p.agent.State() == Resetting {
			t.Errorf("dialects %v: the satellite is reset while it installs an update", dialects)
		}
		if dialects == AnyDialect {
			p.back(t, 1, 1)
		}
	}
}

// A controller's process that restarts while a legacy satellite installs an update does not call i_am_here, which would
// reset the board, before that agent's process or the update has ended.
func TestANewProcessWaitsForAnInstallation(t *testing.T) {
	for _, end := range []string{"crash agent", "firmware fails on controller"} {
		t.Run(end, func(t *testing.T) {
			p := working(OnlyLegacy, RestartOnLoss)
			verbs["firmware update"](p)
			p.deliver()
			announced := 0
			p.twist = func(_ *world, event Event, actions []Action) []Action {
				if called, ok := event.(Called); ok && called.Function == IAmHere {
					announced++
				}
				return actions
			}
			p.controllerConfig.InstallingBefore = true
			p.endController()
			p.startController()
			p.wait(time.Minute)
			verbs["pull cable"](p) // nobody refuses a connection
			p.wait(time.Minute)
			if end == "crash agent" {
				verbs[end](p)
				p.startAgent()
			}
			verbs["plug cable in"](p)
			if end != "crash agent" {
				p.wait(time.Minute)
				if announced != 0 {
					t.Errorf("i_am_here was called %d times while the board is flashed", announced)
				}
				verbs[end](p)
			}
			before := announced
			p.wait(10 * time.Second)
			if before != 0 || announced == 0 || p.broken != "" {
				t.Errorf("i_am_here was called %d times while the board is flashed, and %d times afterwards: %s", before, announced-before, p.broken)
			}
		})
	}
	// A process that is stopped meanwhile does not call exit.
	c := NewController(ControllerConfig{InstallingBefore: true})
	c.Step(Start{})
	c.Step(Connected{1})
	if actions := c.Step(Stop{}); len(actions) != 2 || actions[1] != Action(ExitProcess{0, Stopped}) {
		t.Errorf("stopped while it waits: %v", actions)
	}
}

// A bounded start ends without the satellite under either policy, and the satellite that comes later is joined.
func TestABoundedStartEndsWithoutTheSatellite(t *testing.T) {
	for _, dialects := range []Dialects{AnyDialect, OnlyLegacy} {
		for _, limit := range []time.Duration{0, time.Minute} {
			p := &player{world: newWorld(true)}
			p.agentConfig.Dialects, p.controllerConfig.Dialects, p.controllerConfig.InitTimeout = dialects, dialects, limit
			p.startController()
			p.wait(10 * time.Minute)
			if p.main.init != (limit > 0) || p.main.init && p.controller.State() != OutOfService {
				t.Errorf("limit %v: the start has ended: %v, the controller's state is %v", limit, p.main.init, p.controller.State())
			}
			if p.main.init {
				p.controllerReady()
			}
			p.startAgent()
			p.wait(10 * time.Second)
			p.agentReady()
			if !p.main.ready {
				p.controllerReady()
			}
			p.wait(time.Minute)
			p.back(t, 1, 1)
		}
	}
}

// The policy auto isolates a v2 satellite, restarts with a legacy one, and waits in its start for nobody but a satellite
// that spoke legacy before.
func TestAutoFollowsTheDialect(t *testing.T) {
	for _, test := range []struct {
		dialects     Dialects
		legacyBefore bool
		waits, dies  bool
	}{
		{AnyDialect, false, false, false},
		{AnyDialect, true, true, false},
		{OnlyLegacy, false, false, true},
		{OnlyLegacy, true, true, true},
	} {
		absent := &player{world: newWorld(true)}
		absent.controllerConfig = ControllerConfig{Dialects: test.dialects, LossPolicy: AutoOnLoss, LegacyBefore: test.legacyBefore}
		absent.startController()
		absent.wait(time.Hour)
		if absent.main.init == test.waits {
			t.Errorf("%+v: after an hour without a satellite the start has ended: %v", test, absent.main.init)
		}
		p := working(test.dialects, AutoOnLoss)
		p.endAgent()
		p.wait(time.Hour)
		if p.main.up == test.dies {
			t.Errorf("%+v: the main board lives after the loss: %v", test, p.main.up)
		}
	}
}
