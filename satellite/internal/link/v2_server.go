package link

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// maxEvents bounds the events of one answer whatever the controller asks for.
const maxEvents = 4 << 20

// v2Server speaks v2 with a controller.
type v2Server struct {
	*work
	// conn is the connection that is the link, 0 for none.
	conn atomic.Uint64
	// timeout is after how long without a call the controller counts as gone.
	timeout atomic.Int64
	// heard is when a call of link_events was last reported to the handshake, as the time since started.
	started time.Time
	heard   atomic.Int64
}

// settle follows each step of the handshake.
func (v *v2Server) settle(conn handshake.ConnID, timeout time.Duration) {
	v.conn.Store(uint64(conn))
	v.timeout.Store(int64(timeout))
}

// functions are those that exist once a controller has announced itself.
func (v *v2Server) functions() map[string]rpc.Handler {
	functions := map[string]rpc.Handler{
		FunctionEvents:        v.events,
		FunctionPush:          v.push,
		FunctionCancel:        v.cancel,
		FunctionStatus:        v.status,
		route.FunctionSummary: v.compare,
	}
	for _, r := range v.config.Routes {
		for _, command := range r.Commands {
			functions[CommandFunction(r.ID, command.Name)] = v.command(r, command)
		}
	}
	return functions
}

// check returns the number of a call's connection, or a refusal where that is not the link. The version decides how a
// refusal crosses.
func (v *v2Server) check(ctx context.Context) (id handshake.ConnID, version uint64, err error) {
	id, version = v.conns.find(rpc.SessionFrom(ctx))
	if id == 0 || uint64(id) != v.conn.Load() {
		return 0, version, NotTheLink.forVersion(version)
	}
	return id, version, nil
}

// command serves one row of the route table.
func (v *v2Server) command(r route.Route, command route.Command) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		var text string
		call, err := readNumbered(request, &text)
		if err != nil {
			return nil, err
		}
		arguments, err := route.ParseArguments(text)
		if err != nil {
			return nil, err
		}
		session := rpc.SessionFrom(ctx)
		outcome, err := v.once(ctx, call, func(ctx context.Context) Outcome {
			return v.execute(ctx, session, r, command, arguments)
		})
		if err != nil {
			return nil, err
		}
		v.follow(session, outcome)
		return string(outcome.Value), nil
	}
}

// push serves link_push.
func (v *v2Server) push(ctx context.Context, request *rpc.Request) (any, error) {
	var id, name, text string
	call, err := readNumbered(request, &id, &name, &text)
	if err != nil {
		return nil, err
	}
	value := json.RawMessage(text)
	if !json.Valid(value) {
		return nil, fmt.Errorf("value of %s.%s is not JSON: %s", id, name, route.Clip(value))
	}
	_, err = v.once(ctx, call, func(ctx context.Context) Outcome { return v.publish(ctx, id, name, value) })
	return nil, err
}

// once has a numbered call done if it comes for the first time. The error is what crosses the wire.
func (v *v2Server) once(ctx context.Context, call numbered, do func(context.Context) Outcome) (Outcome, error) {
	_, version, err := v.check(ctx)
	if err != nil {
		return Outcome{}, err
	}
	outcome, err := v.executor.runOnce(ctx, call, v.limit(call.limit), do)
	if refusal, ok := err.(Refusal); ok {
		return Outcome{}, refusal.forVersion(version)
	}
	switch {
	case err != nil:
		return Outcome{}, rpc.NoReply
	case outcome.Err != nil:
		return Outcome{}, toWireError(outcome.Err)
	}
	return outcome, nil
}

// cancel serves link_cancel: nobody waits for a command any more.
func (v *v2Server) cancel(ctx context.Context, request *rpc.Request) (any, error) {
	var number uint64
	if err := request.Decode(&number); err != nil {
		return nil, err
	}
	if _, _, err := v.check(ctx); err != nil {
		return nil, err
	}
	v.executor.cancel(number)
	return nil, nil
}

// events serves link_events: at once where there is an event that the controller does not have, else when there is one
// or when its time is over.
func (v *v2Server) events(ctx context.Context, request *rpc.Request) (any, error) {
	query, err := readEventsQuery(request)
	if err != nil {
		return nil, err
	}
	id, _, err := v.check(ctx)
	if err != nil {
		return nil, err
	}
	v.reportHeartbeat(ctx, id)
	began := time.Now()
	v.executor.acknowledge(query.floor)
	v.journal.Acknowledge(query.published)
	var answer rpc.Raw
	err = v.journal.Poll(ctx, query.after, int(min(query.maxBytes, maxEvents)), query.wait, func(evicted uint64, events []Event) {
		size := 64
		for _, event := range events {
			size += event.Size() + 32
		}
		answer = appendEvents(make([]byte, 0, size), evicted, events)
	})
	if err != nil {
		return nil, rpc.NoReply
	}
	return appendHeld(answer, time.Since(began)), nil
}

// reportHeartbeat reports to the handshake, often enough, that the controller lives.
func (v *v2Server) reportHeartbeat(ctx context.Context, id handshake.ConnID) {
	v.config.Admission.Heard(rpc.SessionFrom(ctx))
	now, heard := int64(time.Since(v.started)), v.heard.Load()
	if now-heard > v.timeout.Load()/8 && v.heard.CompareAndSwap(heard, now) {
		v.loop.post(handshake.Called{Conn: id, Function: handshake.Events})
	}
}

// ping serves link_ping.
func (v *v2Server) ping(ctx context.Context, request *rpc.Request) (any, error) {
	if err := request.Decode(); err != nil {
		return nil, err
	}
	_, _, err := v.check(ctx)
	return nil, err
}

// status serves link_status.
func (v *v2Server) status(ctx context.Context, request *rpc.Request) (any, error) {
	if err := request.Decode(); err != nil {
		return nil, err
	}
	if _, _, err := v.check(ctx); err != nil {
		return nil, err
	}
	return v.config.Status(ctx)
}
