package satellite

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// stateLog writes one line for each change of a module's state that matters to a person, and nothing for the steps
// between: doc/logs.md.
type stateLog struct {
	last handshake.State
}

// moved returns where the module was before, and whether it has moved.
func (l *stateLog) moved(state handshake.State) (before handshake.State, moved bool) {
	before, l.last = l.last, state
	return before, before != state
}

// suspicion returns what the status says of a path that seems to swallow long packets.
func suspicion(segment int) string {
	own := "Here routers may fragment the link's packets"
	if segment > 0 {
		own = fmt.Sprintf("The link now sends at most %d bytes at once", segment)
	}
	return "Small messages arrive, large ones do not: the network between the boards swallows long packets (MTU). " + own +
		", but logs and firmware may get stuck, and each start of the link takes longer. Set one MTU on both boards and all between them " +
		"(ping -M do -s 1472 ADDRESS gets no reply where less than 1500 bytes pass), then restart this module."
}

// suspected follows a path that seems to swallow long packets.
func (a *Agent) suspected(segment int) {
	text := suspicion(segment)
	if before := a.path.Swap(&text); before != nil && *before == text {
		return // on another connection
	}
	a.log.Warn("small messages arrive, large ones do not: MTU?", zap.String("controller", a.link.Load().Stats().Controller), zap.Int("segment_bytes", segment))
}

// logState logs what has become of the link. Only the loop calls it.
func (a *Agent) logState(now link.ServerState, stats link.ServerStats) {
	state := now.State
	before, moved := a.states.moved(state)
	if !moved {
		return
	}
	controller := zap.String("controller", stats.Controller)
	dialect := zap.Stringer("dialect", now.Dialect)
	reason := zap.Stringer("reason", now.Reason)
	switch {
	case state == handshake.Waiting:
		a.log.Info("waiting for the controller", zap.String("address", stats.ListenAddress))
	case state == handshake.Met:
		a.log.Info("a controller has come", controller, dialect)
	case before == handshake.Resuming && (state == handshake.Agreed || state == handshake.Working):
		a.log.Info("link resumed", controller, zap.Uint64("resumes", stats.Resumes))
	case state == handshake.Agreed, state == handshake.Working && before != handshake.Agreed:
		a.log.Info("controller and agent agree", controller, dialect)
	case state == handshake.Working:
		a.log.Info("working: this board is ready", controller, dialect)
	case state == handshake.Resuming:
		a.log.Warn("link lost: waiting for the controller to resume it", controller, reason,
			zap.Duration("window", now.KeepLink))
	case state == handshake.Resetting:
		a.log.Warn("this board has to restart", controller, reason)
	case state == handshake.Ended && now.Reason == handshake.Stopped:
		a.log.Info("stopped")
	case state == handshake.Ended:
		a.log.Error("this process ends, and this board restarts with it", controller, reason)
	}
}

// logState logs what has become of the link. Only the loop calls it.
func (c *Controller) logState(now link.ClientState, resumes uint64, window time.Duration) {
	state := now.State
	before, moved := c.states.moved(state)
	if !moved {
		return
	}
	satellite := zap.String("satellite", c.target.String())
	dialect := zap.Stringer("dialect", now.Dialect)
	reason := zap.Stringer("reason", now.Reason)
	inService := state == handshake.Agreed || state == handshake.Working
	switch {
	case before == handshake.Idle && state == handshake.Connecting:
		c.log.Info("waiting for the satellite", satellite)
	case before == handshake.Resuming && inService:
		c.log.Info("link resumed", satellite, zap.Uint64("resumes", resumes))
	case (before == handshake.OutOfService || before == handshake.Parted) && inService:
		c.log.Info("the satellite is back: its port is in service", satellite, dialect, zap.Uint64("resumes", resumes))
	case state == handshake.Agreed, state == handshake.Working && before != handshake.Agreed:
		c.log.Info("controller and agent agree", satellite, dialect)
	case state == handshake.Working:
		c.log.Info("working: this board is ready", satellite, dialect)
	case state == handshake.Resuming:
		c.log.Warn("link lost: trying to resume it", satellite, reason, zap.Duration("window", window), zap.Error(now.LastEnd))
	case state == handshake.OutOfService:
		c.log.Error("the satellite is lost: its port is out of service", satellite, reason)
	case state == handshake.Parted:
		c.log.Warn("the satellite has left as expected: waiting until it is back", satellite, reason)
	case state == handshake.Leaving:
		c.log.Info("saying good-bye", satellite)
	case state == handshake.Ended && now.Reason == handshake.Stopped:
		c.log.Info("stopped")
	case state == handshake.Ended:
		c.log.Error("this process ends, and this board restarts with it", satellite, reason, zap.Error(now.LastEnd))
	}
}

// refused logs why there is no connection. It does so at the level Info only where the reason is a new one: an agent
// may be away for long.
func (c *Controller) refused(err error) {
	err = c.dialer.Explain(err)
	reason := refusal{err.Error(), c.advice(err)}
	if last := c.refusal.Swap(&reason); last != nil && *last == reason {
		c.log.Debug("no agent yet, for the same reason", zap.String("satellite", c.target.String()), zap.Error(err))
		return
	}
	c.log.Info("no agent yet", zap.String("satellite", c.target.String()), zap.Error(err))
}
