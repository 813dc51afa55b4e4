package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// maxRetrieved bounds one answer of retrieve_vars_and_errors in bytes, well below the frame size that a peer may
// accept. Further events go with the next poll.
const maxRetrieved = 4 << 20

// legacyTimeout is for how long a legacy controller that polls may be silent before its connection is looked at: a
// little less.
const legacyTimeout = 1500 * time.Millisecond

// legacyServer serves a controller in the dialect of the C++ modules.
type legacyServer struct {
	*work
	conversions route.Conversions
}

// functions returns the functions that exist once a controller has announced itself.
func (l legacyServer) functions() map[string]rpc.Handler {
	functions := map[string]rpc.Handler{
		FunctionPushVar:       l.push,
		FunctionRetrieve:      l.retrieve(FunctionRetrieve),
		FunctionRetrieveVars:  l.retrieve(FunctionRetrieveVars),
		route.FunctionSummary: l.compare,
	}
	for _, r := range l.config.Routes {
		for _, command := range r.Commands {
			if command.HasLegacy() {
				functions[command.Function] = l.command(r, command)
			}
		}
	}
	return functions
}

// command returns the handler of one command.
func (l legacyServer) command(r route.Route, command route.Command) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		arguments, err := command.ReadArguments(request.Decode)
		if failed, ok := errors.AsType[*everest.CommandError](err); ok {
			return nil, toWireError(l.failed(r, command, failed).err)
		}
		if err != nil {
			return nil, err
		}
		session := rpc.SessionFrom(ctx)
		outcome := l.executor.run(ctx, l.config.CommandTimeout, func(ctx context.Context) commandOutcome {
			return l.execute(ctx, session, r, command, arguments)
		})
		if outcome.err != nil {
			return nil, toWireError(outcome.err)
		}
		answer, err := command.WriteResult(outcome.value)
		if err != nil {
			return nil, toWireError(l.failed(r, command, fmt.Errorf("result of %s.%s: %w", r.Interface, command.Name, err)).err)
		}
		l.follow(session, outcome)
		return answer, nil
	}
}

// push serves push_var.
func (l legacyServer) push(ctx context.Context, request *rpc.Request) (any, error) {
	var text string
	if err := request.Decode(&text); err != nil {
		return nil, err
	}
	pushed, err := readPushed([]byte(text))
	if err != nil {
		return nil, err
	}
	return nil, l.config.Publish(ctx, pushed.Interface, pushed.Name, pushed.Value)
}

// retrieve serves a poll. The journal forgets the events, because a legacy controller does not acknowledge them. A
// controller that calls retrieve_vars has no use for errors: it gets none.
func (l legacyServer) retrieve(function string) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		if err := request.Decode(); err != nil {
			return nil, err
		}
		session := rpc.SessionFrom(ctx)
		id, _ := l.conns.find(session)
		l.config.Admission.Heard(session)
		l.watch.begin(session, legacyTimeout)
		l.watch.alive()
		l.loop.post(handshake.Called{Conn: id, Function: handshake.Retrieve})
		publishable := l.config.LegacyFilter()
		events := l.journal.take(maxRetrieved, func(event *Event) bool { return publishable(*event) && l.convert(event) })
		return encodeRetrieved(events, function)
	}
}

// convert gives an event the value that the legacy dialect carries. It reports whether there is one: a C++ controller
// stops to poll at a value that it cannot read.
func (l legacyServer) convert(event *Event) bool {
	if event.Kind != Variable {
		return true
	}
	value, err := l.conversions.ToWire(event.Interface, event.Name, event.Value)
	if err != nil {
		l.log.Warn("a variable is dropped: a legacy controller could not read it", zap.Error(err))
		return false
	}
	event.Value = value
	return true
}
