package link

import (
	"context"
	"fmt"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// maxRetrieved bounds one answer of retrieve_vars_and_errors well below the frame size that a peer may accept. What is
// left goes with the next poll.
const maxRetrieved = 4 << 20

// legacyServer speaks the dialect of the C++ modules with a controller.
type legacyServer struct{ *work }

// functions are those that exist once a controller has announced itself.
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

// command serves one row of the route table.
func (l legacyServer) command(r route.Route, command route.Command) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		arguments, err := command.ReadArguments(request.Decode)
		if err != nil {
			return nil, err
		}
		session := rpc.SessionFrom(ctx)
		outcome := l.executor.run(ctx, l.config.CommandTimeout, func(ctx context.Context) Outcome {
			return l.execute(ctx, session, r, command, arguments)
		})
		if outcome.Err != nil {
			return nil, toWireError(outcome.Err)
		}
		answer, err := command.WriteResult(outcome.Value)
		if err != nil {
			return nil, toWireError(l.failed(r, command, fmt.Errorf("result of %s.%s: %w", r.Interface, command.Name, err)).Err)
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

// retrieve hands the oldest events over. The journal forgets them: on this wire nobody acknowledges an answer.
func (l legacyServer) retrieve(ctx context.Context, request *rpc.Request) (any, error) {
	if err := request.Decode(); err != nil {
		return nil, err
	}
	session := rpc.SessionFrom(ctx)
	id, _ := l.conns.find(session)
	l.config.Admission.Heard(session)
	l.loop.post(handshake.Called{Conn: id, Function: handshake.Retrieve})
	return encodeRetrieved(l.journal.Take(maxRetrieved, l.config.LegacyFilter()))
}
