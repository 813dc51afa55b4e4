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

// maxEvents bounds the events of one answer in bytes, whatever the controller asks for.
const maxEvents = 4 << 20

// v2Server serves a controller in v2.
type v2Server struct {
	*work
	// conn is the id of the link's connection, 0 without one.
	conn  atomic.Uint64
	lease lease
	// timeout is how long the controller may not call before it counts as lost.
	timeout atomic.Int64
	// heard is when a call of link_events was last reported to the handshake, as the time since started.
	started time.Time
	heard   atomic.Int64
}

// settle runs after each step of the handshake.
func (v *v2Server) settle(conn handshake.ConnID, timeout time.Duration) {
	v.conn.Store(uint64(conn))
	v.lease.settle(conn, timeout)
	v.timeout.Store(int64(timeout))
}

// functions returns the functions that exist once a controller has announced itself.
func (v *v2Server) functions() map[string]rpc.Handler {
	functions := map[string]rpc.Handler{
		FunctionEvents:        v.events,
		FunctionPush:          v.push,
		FunctionCancel:        v.cancel,
		FunctionStatus:        v.status,
		FunctionEcho:          v.echo,
		route.FunctionSummary: v.compare,
	}
	for _, r := range v.config.Routes {
		for _, command := range r.Commands {
			functions[commandFunction(r.ID, command.Name)] = v.command(r, command)
		}
	}
	return functions
}

// check returns the id of a call's connection, or a refusal where that connection is not the link's. The version
// decides how a refusal is encoded.
func (v *v2Server) check(ctx context.Context) (id handshake.ConnID, version uint64, err error) {
	id, version = v.conns.find(rpc.SessionFrom(ctx))
	if id == 0 || uint64(id) != v.conn.Load() {
		return 0, version, notTheLink.forVersion(version)
	}
	return id, version, nil
}

// command returns the handler of one command.
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
		outcome, err := v.once(ctx, call, func(ctx context.Context) commandOutcome {
			return v.execute(ctx, session, r, command, arguments)
		})
		if err != nil {
			return nil, err
		}
		v.follow(session, outcome)
		return string(outcome.value), nil
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
	_, err = v.once(ctx, call, func(ctx context.Context) commandOutcome { return v.publish(ctx, id, name, value) })
	return nil, err
}

// once executes a numbered call unless it was executed before. The error is the one that crosses the wire.
func (v *v2Server) once(ctx context.Context, call numbered, do func(context.Context) commandOutcome) (commandOutcome, error) {
	id, version, err := v.check(ctx)
	if err != nil {
		return commandOutcome{}, err
	}
	var outcome commandOutcome
	if err = v.lease.await(ctx, id); err == nil {
		outcome, err = v.executor.runOnce(ctx, call, v.limit(call.limit), do)
	}
	if refusal, ok := err.(refusal); ok {
		return commandOutcome{}, refusal.forVersion(version)
	}
	switch {
	case err != nil:
		return commandOutcome{}, rpc.NoReply
	case outcome.err != nil:
		return commandOutcome{}, toWireError(outcome.err)
	}
	return outcome, nil
}

// cancel serves link_cancel.
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

// events serves link_events. It replies at once where there is an event that the controller does not have, else at the
// next event or when the controller's time is over.
func (v *v2Server) events(ctx context.Context, request *rpc.Request) (any, error) {
	query, err := readEventsQuery(request)
	if err != nil {
		return nil, err
	}
	id, _, err := v.check(ctx)
	if err != nil {
		return nil, err
	}
	v.lease.called(id)
	v.reportHeartbeat(ctx, id)
	began := time.Now()
	v.executor.acknowledge(query.floor)
	v.journal.acknowledge(query.published)
	var answer rpc.Raw
	err = v.journal.poll(ctx, query.after, int(min(query.maxBytes, maxEvents)), query.wait, func(evicted uint64, events []Event) {
		size := 64
		for _, event := range events {
			size += event.size() + 32
		}
		answer = appendEvents(make([]byte, 0, size), evicted, events)
	})
	if err != nil {
		return nil, rpc.NoReply
	}
	v.lease.replied(id)
	return appendHeld(answer, time.Since(began)), nil
}

// reportHeartbeat reports the controller's heartbeat to the handshake, at most eight times per timeout.
func (v *v2Server) reportHeartbeat(ctx context.Context, id handshake.ConnID) {
	v.config.Admission.Heard(rpc.SessionFrom(ctx))
	v.watch.alive()
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

// echo serves link_echo: it returns its argument.
func (v *v2Server) echo(ctx context.Context, request *rpc.Request) (any, error) {
	var payload []byte
	if err := request.Decode(&payload); err != nil {
		return nil, err
	}
	if len(payload) > MaxEcho {
		return nil, fmt.Errorf("%s takes %d bytes at most, got %d", FunctionEcho, MaxEcho, len(payload))
	}
	if _, _, err := v.check(ctx); err != nil {
		return nil, err
	}
	return payload, nil
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
