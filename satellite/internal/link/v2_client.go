package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// maxAnswer bounds the events of one answer of link_events in bytes. One answer can so be published while the next is
// on its way.
const maxAnswer = 256 << 10

// v2Client is one epoch of a v2 link, which outlives its connections. Each event is published once, and each command is
// executed once.
type v2Client struct {
	reporter
	keeper *keeper
	queue  *queue
	// timeout is how long the agent may not answer before it counts as lost.
	timeout time.Duration
	// evict is called with the agent's count of evicted events.
	evict func(total uint64)
	trips control.RoundTrips

	mu       sync.Mutex
	inbox    handshake.Inbox
	sequence handshake.Sequence
}

func (e *v2Client) name() handshake.Dialect { return handshake.V2 }

func (e *v2Client) resumable() bool { return true }

func (e *v2Client) call(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	text, err := route.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	var result string
	// A reset takes the link along, and a caller that repeats itself must not wait.
	repeat := command.Effect != route.Resets && !command.Repeated
	if err := e.invoke(ctx, repeat, commandFunction(r.ID, command.Name), &result, string(text)); err != nil {
		return nil, fmt.Errorf("%s.%s: %w", r.ID, command.Name, err)
	}
	value, err := command.ParseResult(result)
	if err != nil {
		return nil, fmt.Errorf("result of %s.%s: %w", r.Interface, command.Name, err)
	}
	return value, nil
}

func (e *v2Client) push(ctx context.Context, push route.Push, value json.RawMessage) error {
	return e.invoke(ctx, true, FunctionPush, nil, push.ID, push.Variable, string(value))
}

// invoke calls a numbered function. With repeat it calls again on the link's next connection when one ends. Without
// repeat the error of a connection that ends is net.ErrClosed. The context must have a deadline.
func (e *v2Client) invoke(ctx context.Context, repeat bool, function string, reply any, arguments ...any) error {
	number := e.begin()
	defer e.done(number)
	deadline, _ := ctx.Deadline()
	for {
		w := e.keeper.way()
		switch {
		case w.isolated || w.dialect != nil && w.dialect != dialect(e):
			return ErrIsolated
		case w.client == nil && (w.changed == nil || !repeat):
			return errNoLink
		case w.client == nil:
			if err := waitFor(ctx, w.changed); err != nil {
				return err
			}
			continue
		}
		call := numbered{number: number, floor: e.floor(), limit: time.Until(deadline)}
		err := w.client.Call(ctx, function, reply, call.arguments(arguments...)...)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			e.cancel(w.client, number)
			return err
		case !closed(w.conn.abandoned) && !errors.Is(err, net.ErrClosed) && refusalOf(err) != notTheLink:
			return err
		case !repeat:
			return fmt.Errorf("%s: %w", function, net.ErrClosed)
		}
		// The connection is gone, or about to be: wait until the keeper has abandoned it.
		select {
		case <-w.conn.abandoned:
		case <-ctx.Done():
			return ctx.Err()
		case <-e.ended:
			return errNoLink
		}
	}
}

// cancel cancels a command on the agent, because nobody waits for its result any more.
func (e *v2Client) cancel(conn *rpc.Client, number uint64) {
	ctx, end := context.WithTimeout(context.Background(), time.Second)
	defer end()
	if err := conn.Notify(ctx, FunctionCancel, number); err != nil {
		e.log.Debug("the satellite does not know that a command is cancelled", zap.Error(err))
	}
}

// events keeps one call of link_events open on a connection until it ends.
func (e *v2Client) events(ctx context.Context, id handshake.ConnID, conn *rpc.Client) {
	beat := e.timeout / 3
	var reported time.Time
	for ctx.Err() == nil {
		query := e.query(min(e.queue.waitForRoom(ctx, beat), maxAnswer), beat)
		var answer rpc.Raw
		began := time.Now()
		err := conn.Call(ctx, FunctionEvents, &answer, query.arguments()...)
		if err == nil {
			err = e.receive(query, answer, time.Since(began))
		}
		switch {
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			return // the connection's goroutine reports that
		case refusalOf(err) == notTheLink:
			// The agent has given the connection up, as one that ends does.
			e.post(handshake.Disconnected{Conn: id})
			return
		case err != nil:
			e.log.Warn("the agent's events cannot be had", zap.Error(err))
			e.post(handshake.CallFailed{Conn: id, Function: handshake.Events})
			return
		}
		if now := time.Now(); now.Sub(reported) > e.timeout/8 {
			reported = now
			e.post(handshake.Replied{Conn: id, Function: handshake.Events})
		}
	}
}

func (e *v2Client) query(maxBytes int, wait time.Duration) eventsQuery {
	e.mu.Lock()
	defer e.mu.Unlock()
	query := eventsQuery{floor: e.sequence.Floor(), maxBytes: uint64(maxBytes), wait: wait}
	query.after, query.published = e.inbox.Position()
	if maxBytes == 0 {
		query.wait = 0
	}
	return query
}

// receive queues the events of an answer that are new.
func (e *v2Client) receive(query eventsQuery, answer rpc.Raw, took time.Duration) error {
	read, err := readEvents(answer, query)
	if err != nil {
		return err
	}
	if read.held >= 0 {
		e.trips.Add(took - read.held)
	}
	e.evict(read.evicted)
	e.mu.Lock()
	defer e.mu.Unlock()
	// After a resume a call on the other connection may have brought the same events.
	if received, _ := e.inbox.Position(); received == query.after && e.inbox.Accept(read.events.last) {
		e.queue.add(read.events, e.published)
	}
	return nil
}

func (e *v2Client) published(number uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inbox.Published(number)
}

func (e *v2Client) begin() (number uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sequence.Next()
}

func (e *v2Client) done(number uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sequence.Done(number)
}

func (e *v2Client) floor() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sequence.Floor()
}

func (e *v2Client) ping(ctx context.Context, conn *rpc.Client) (time.Duration, error) {
	began := time.Now()
	if err := conn.Call(ctx, FunctionPing, nil); err != nil {
		return 0, err
	}
	took := time.Since(began)
	e.trips.Add(took)
	return took, nil
}

func (e *v2Client) pingFunction() string { return FunctionPing }

func (e *v2Client) roundTrips() *control.RoundTrips { return &e.trips }

// waitFor waits for a channel to be closed.
func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
