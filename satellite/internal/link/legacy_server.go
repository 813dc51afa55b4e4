package link

import (
	"context"
	"fmt"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// maxRetrieved bounds one answer of retrieve_vars_and_errors in bytes, well below the frame size that a peer may
// accept. Further events go with the next poll.
const maxRetrieved = 4 << 20

// legacyServer serves a controller in the dialect of the C++ modules.
type legacyServer struct{ *work }

// functions returns the functions that exist once a controller has announced itself.
func (l legacyServer) functions() map[string]rpc.Handler {
	functions := map[string]rpc.Handler{
		FunctionPushVar:       l.push,
		FunctionRetrieve:      l.retrieve,
		route.FunctionSummary: l.compare,
	}
	for _, r := range l.config.Routes {
		for _, command := range r.Commands {
			functions[command.Function] = l.command(r, command)
		}
	}
	return functions
}

// command returns the handler of one command.
func (l legacyServer) command(r route.Route, command route.Command) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		arguments, err := command.ReadArguments(request.Decode)
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

// retrieve serves retrieve_vars_and_errors. The journal forgets the events, because a legacy controller does not
// acknowledge them.
func (l legacyServer) retrieve(ctx context.Context, request *rpc.Request) (any, error) {
	if err := request.Decode(); err != nil {
		return nil, err
	}
	session := rpc.SessionFrom(ctx)
	id, _ := l.conns.find(session)
	l.config.Admission.Heard(session)
	l.loop.post(handshake.Called{Conn: id, Function: handshake.Retrieve})
	return encodeRetrieved(l.journal.take(maxRetrieved, l.config.LegacyFilter()))
}
