package link

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// work executes the controller's calls, the same way in both dialects. legacyServer and v2Server decode the calls and
// encode the replies.
type work struct {
	config   *ServerConfig
	log      *zap.Logger
	loop     *loop
	conns    *serverConns
	journal  *journal
	executor executor
	watch    watch

	commands, commandErrors atomic.Uint64
}

// execute executes one command. It asks the policy, calls the board, and posts the consequences to the handshake.
func (w *work) execute(ctx context.Context, session *rpc.Session, r route.Route, command route.Command, arguments everest.Args) commandOutcome {
	w.commands.Add(1)
	if command.Privileged && w.config.Admission.RefusesPrivileged(session, command.Function) {
		return commandOutcome{value: command.UnavailableResult()}
	}
	if command.Effect == route.Resets && w.config.Flashing() {
		w.log.Warn("the board is being flashed: it is not reset")
		return commandOutcome{value: command.UnavailableResult()}
	}
	if command.Effect == route.Resets && w.config.DecideReset != nil {
		switch w.config.DecideReset(ctx, arguments) {
		case ResetKept:
			return commandOutcome{value: command.UnavailableResult()}
		case ResetTaken:
			return commandOutcome{value: command.UnavailableResult(), resets: w.config.Connected(r.ID)}
		}
	}
	value, err := w.config.Execute(ctx, r, command, arguments)
	resets := command.Effect == route.Resets && !command.Missing && w.config.Connected(r.ID)
	switch {
	case err != nil && resets && (errors.Is(err, net.ErrClosed) || w.executor.isClosed()):
		// EVerest's System ends itself instead of replying, and the manager then ends this module: the controller gets
		// a reply all the same.
		w.log.Info("this board goes down with the reset", zap.Error(err))
		value = json.RawMessage("null")
	case err != nil:
		return w.failed(r, command, err)
	}
	return commandOutcome{value: value, resets: resets}
}

func (w *work) failed(r route.Route, command route.Command, err error) commandOutcome {
	w.commandErrors.Add(1)
	if !errors.Is(err, ErrNotTunnelled) { // logged once, by the board
		w.log.Warn("command failed", zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(err))
	}
	return commandOutcome{err: asCommandError(err)}
}

// follow ends the connection after the reply to a command that resets the board.
func (w *work) follow(session *rpc.Session, outcome commandOutcome) {
	if !outcome.resets {
		return
	}
	session.CloseAfterReply()
	id, _ := w.conns.find(session)
	w.loop.postAndWait(handshake.ResetForwarded{Conn: id})
}

// publish publishes a variable of the main board on this board.
func (w *work) publish(ctx context.Context, id, name string, value json.RawMessage) commandOutcome {
	if err := w.config.Publish(ctx, id, name, value); err != nil {
		return commandOutcome{err: asCommandError(err)}
	}
	return commandOutcome{}
}

// compare serves the exchange of both boards' summaries.
func (w *work) compare(_ context.Context, request *rpc.Request) (any, error) {
	var text string
	if err := request.Decode(&text); err != nil {
		return nil, err
	}
	return w.config.Compare(text)
}

// limit returns how long a command may take whose caller waits for wanted.
func (w *work) limit(wanted time.Duration) time.Duration {
	return min(max(0, wanted), w.config.CommandTimeout)
}
