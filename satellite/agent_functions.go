package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// mostPerAnswer bounds one answer of retrieve_vars_and_errors well below the
// frame size that a peer may accept; what is left goes with the next poll.
const mostPerAnswer = 4 << 20

// bindSynchronisation registers the functions that exist as soon as the port is
// open. Their answers are the handshake's.
func (a *Agent) bindSynchronisation() error {
	functions := map[string]rpc.Handler{
		FunctionIAmHere: func(ctx context.Context, request *rpc.Request) (any, error) {
			if err := request.Decode(); err != nil {
				return nil, err
			}
			session := rpc.SessionFrom(ctx)
			if a.dialects == handshake.OnlyV2 && !a.sessions.hasGreeted(session) {
				return nil, errLegacyClosed
			}
			if a.admission.RefusesTakeover(session, FunctionIAmHere, a.agreed(), time.Duration(a.v2.silence.Load())) {
				return nil, rpc.NoReply
			}
			if !a.admission.Claim(session, a.agreed()) {
				return nil, rpc.NoReply
			}
			a.status.controller.Store(ptr(session.RemoteAddr().String()))
			return a.sessions.hold(ctx, handshake.IAmHere, a.loop, calledFunction(handshake.IAmHere))
		},
		FunctionIAmReady: a.synchronisation(handshake.IAmReady),
		FunctionExit:     a.goodBye,
	}
	if a.dialects != handshake.OnlyLegacy {
		functions[FunctionLinkHello] = a.hello
	}
	for name, handler := range functions {
		if err := a.server.Handle(name, handler); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) synchronisation(function handshake.Function) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		if err := request.Decode(); err != nil {
			return nil, err
		}
		_, err := a.sessions.hold(ctx, function, a.loop, calledFunction(function))
		return nil, err
	}
}

// goodBye answers exit. Where that is refused the controller's leaving is a
// connection that ends, no more.
func (a *Agent) goodBye(ctx context.Context, request *rpc.Request) (any, error) {
	if a.admission.RefusesPrivileged(rpc.SessionFrom(ctx), FunctionExit) {
		rpc.SessionFrom(ctx).CloseAfterReply()
		return nil, nil
	}
	return a.synchronisation(handshake.Exit)(ctx, request)
}

func calledFunction(function handshake.Function) func(handshake.ConnID) handshake.Event {
	return func(number handshake.ConnID) handshake.Event {
		return handshake.Called{Conn: number, Function: function}
	}
}

// bindWork registers the functions that exist once a controller has announced
// itself: the route table's commands, push_var and retrieve_vars_and_errors.
func (a *Agent) bindWork() error {
	for _, r := range a.table.Routes() {
		for _, command := range r.Commands {
			if err := a.server.Handle(command.Function, a.commandFunction(r, command)); err != nil {
				return err
			}
		}
	}
	if err := a.server.Handle(FunctionPushVar, a.pushVar); err != nil {
		return err
	}
	if err := a.server.Handle(route.FunctionSummary, a.compareTables); err != nil {
		return err
	}
	return a.server.Handle(FunctionRetrieve, a.retrieve)
}

// commandFunction serves one row of the route table. A call waits until this
// board's modules are ready, for before that a command may reach nobody.
func (a *Agent) commandFunction(r route.Route, command route.Command) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		arguments, err := command.ReadArguments(request.Decode)
		if err != nil {
			return nil, err
		}
		a.status.commands.Add(1)
		if command.Privileged && a.admission.RefusesPrivileged(rpc.SessionFrom(ctx), command.Function) {
			return command.WriteResult(command.UnavailableResult())
		}
		required := a.required(r.ID)
		if len(required) == 0 || command.Missing {
			answer, err := a.notHere(r, command)
			if err != nil {
				return nil, toWireError(err)
			}
			return command.WriteResult(answer)
		}
		ctx, cancel := context.WithTimeout(ctx, a.config.CommandTimeout)
		defer cancel()
		if err := waitFor(ctx, a.ready); err != nil {
			return nil, toWireError(&everest.CommandError{Type: everest.NotReady, Message: "the satellite's modules are not ready"})
		}
		var result json.RawMessage
		err = required[0].Call(ctx, command.Name, arguments, &result)
		if command.Effect == route.Resets && errors.Is(err, net.ErrClosed) {
			// The board goes down with the reset, and takes the answer along.
			a.log.Info("this board goes down with the reset", zap.Error(err))
			return nil, nil
		}
		if err != nil {
			a.status.commandErrors.Add(1)
			a.log.Warn("command failed", zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(err))
			return nil, toWireError(err)
		}
		answer, err := command.WriteResult(result)
		if err != nil {
			a.status.commandErrors.Add(1)
			return nil, toWireError(fmt.Errorf("result of %s.%s: %w", r.Interface, command.Name, err))
		}
		a.afterCommand(ctx, command, result)
		return answer, nil
	}
}

// afterCommand tells the handshake of commands after which this board is about
// to go down.
func (a *Agent) afterCommand(ctx context.Context, command route.Command, result json.RawMessage) {
	switch {
	case command.AcceptsUpdate(result):
		a.loop.postAndWait(handshake.FirmwareAccepted{})
	case command.Effect == route.Resets:
		session := rpc.SessionFrom(ctx)
		session.CloseAfterReply()
		a.loop.postAndWait(handshake.ResetForwarded{Conn: a.sessions.number(session)})
	}
}

// pushVar publishes a variable of the main board on this one. What comes before
// this board is ready waits, for nobody would hear it.
func (a *Agent) pushVar(ctx context.Context, request *rpc.Request) (any, error) {
	var text string
	if err := request.Decode(&text); err != nil {
		return nil, err
	}
	pushed, err := decodeVariable([]byte(text))
	if err != nil {
		return nil, err
	}
	return nil, a.publishPushed(ctx, pushed)
}

// publishPushed ignores what is not in the table of pushes.
func (a *Agent) publishPushed(ctx context.Context, pushed variableEvent) error {
	for _, push := range route.Pushes() {
		if push.ID != pushed.Interface || push.Variable != pushed.Variable {
			continue
		}
		if err := waitFor(ctx, a.ready); err != nil {
			return err
		}
		return a.module.Provides(push.ID).Publish(ctx, push.Variable, pushed.Value)
	}
	a.log.Debug("pushed variable is not one of ours", zap.String("interface", pushed.Interface), zap.String("variable", pushed.Variable))
	return nil
}

// retrieve hands the oldest events over. The journal forgets them: on this wire
// nobody acknowledges an answer.
func (a *Agent) retrieve(ctx context.Context, request *rpc.Request) (any, error) {
	if err := request.Decode(); err != nil {
		return nil, err
	}
	a.admission.Heard(rpc.SessionFrom(ctx))
	session := a.sessions.number(rpc.SessionFrom(ctx))
	a.loop.post(handshake.Called{Conn: session, Function: handshake.Retrieve})
	a.journalLock.Lock()
	events := a.journal.Take(mostPerAnswer)
	a.journalLock.Unlock()
	events = a.withoutExtras(events)
	a.status.delivered.Add(uint64(len(events)))
	return encodeRetrieved(events)
}

// waitFor waits for a channel to be closed.
func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
