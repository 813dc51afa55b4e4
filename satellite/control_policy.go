package satellite

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// refusesOf reads the configuration key unauthenticated_control; empty is its
// default.
func refusesOf(key string) (bool, error) {
	switch key {
	case "", "allow":
		return false, nil
	case "refuse":
		return true, nil
	}
	return false, fmt.Errorf("satellite: the configuration key unauthenticated_control is %q: it must be allow or refuse", key)
}

// refuses decides about a function that resets or updates this board, or makes
// it send its logs away: whether it is refused because nobody knows who calls it.
// Either way it is logged.
func (a *Agent) refuses(ctx context.Context, function string) bool {
	if a.security.mutual() {
		return false
	}
	remote := "unknown"
	if session := rpc.SessionFrom(ctx); session != nil {
		remote = session.RemoteAddr().String()
	}
	if a.refuseControl {
		a.security.log.logger.Warn("function refused: the link is not authenticated, and unauthenticated_control is refuse; set security to mutual-tls to allow it",
			zap.String("event", EventControlRefused), zap.String("function", function), zap.String("address", remote))
		return true
	}
	a.security.log.logger.Warn("function that controls this board, called on a link that is not authenticated",
		zap.String("event", EventControlUnauthenticated), zap.String("function", function), zap.String("address", remote))
	return false
}

// aliveWithin is how long after its last call a controller is taken to be there,
// unless it has asked for a longer silence. In the legacy dialect it polls every
// 25 ms.
const aliveWithin = 5 * time.Second

// pulse is when the controller was heard last, in the module's uptime, and on which
// connection.
type pulse struct {
	session atomic.Uint64
	at      atomic.Int64
}

func (p *pulse) beat(session handshake.ConnID, uptime time.Duration) {
	p.at.Store(int64(uptime))
	p.session.Store(uint64(session))
}

// elsewhere tells whether the controller is alive on another connection.
func (p *pulse) elsewhere(session handshake.ConnID, uptime, within time.Duration) bool {
	heard := p.session.Load()
	return heard != 0 && heard != uint64(session) && uptime-time.Duration(p.at.Load()) < within
}

// intrudes decides about i_am_here, which restarts this board when a controller
// is known: on a link that is not authenticated it is refused, where the policy
// says so, as long as the controller is there. One that was restarted is not there
// any more.
func (a *Agent) intrudes(ctx context.Context) bool {
	session := rpc.SessionFrom(ctx)
	within := max(aliveWithin, time.Duration(a.v2.silence.Load()))
	if a.security.mutual() || !a.refuseControl || !a.agreed() || !a.pulse.elsewhere(a.sessions.number(session), a.control.uptime(), within) {
		return false
	}
	a.refuses(ctx, FunctionIAmHere)
	session.Close()
	return true
}
