package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// legacyClient is a link in the dialect of the C++ modules. It ends with its connection.
type legacyClient struct {
	reporter
	keeper *keeper
	// alive is called with each answer.
	alive func()
	// publish queues events, and waits for a while until they are published if this board is ready. hasRoom reports
	// whether more of them may be polled; it may wait for that. unreadable is called with the error of an answer.
	publish     func(eventBatch)
	hasRoom     func(context.Context) bool
	unreadable  func(error)
	conversions route.Conversions
	trips       control.RoundTrips
	// onlyVars is set when the agent is known to lack retrieve_vars_and_errors.
	onlyVars atomic.Bool
}

func (c *Client) reporter() reporter {
	return reporter{post: c.loop.post, ended: c.loop.ended, log: c.log}
}

// legacy returns a link in the legacy dialect.
func (c *Client) legacy(alive func()) *legacyClient {
	return &legacyClient{
		reporter: c.reporter(), keeper: &c.keeper, alive: alive, publish: c.publishUnique, hasRoom: c.hasRoom, unreadable: c.config.Unreadable,
		conversions: route.ConversionsOf(c.config.Routes),
	}
}

// pollBefore polls before the agreement, which waits until a legacy agent's board is not being flashed any more. An agent
// that no controller has met lacks the function.
func (c *Client) pollBefore(ctx context.Context, id handshake.ConnID, conn *rpc.Client) {
	if !c.hasRoom(ctx) {
		c.loop.post(handshake.Replied{Conn: id, Function: handshake.Retrieve})
		return
	}
	var answer []byte
	err := conn.Call(ctx, FunctionRetrieve, &answer)
	if errors.Is(err, rpc.ErrMethodNotFound) {
		err = conn.Call(ctx, FunctionRetrieveVars, &answer)
	}
	if errors.Is(err, rpc.ErrMethodNotFound) {
		c.loop.post(handshake.CallFailed{Conn: id, Function: handshake.Retrieve, Unknown: true})
		return
	}
	if !c.reporter().succeeded(ctx, id, handshake.Retrieve, FunctionRetrieve, err) {
		return
	}
	batch, err := readRetrieved(answer, route.ConversionsOf(c.config.Routes))
	if err != nil {
		c.config.Unreadable(err)
	}
	if batch.all != nil {
		for event := range batch.all {
			c.config.Polled(event)
		}
	}
	c.publishUnique(batch)
	c.loop.post(handshake.Replied{Conn: id, Function: handshake.Retrieve})
}

func (l *legacyClient) name() handshake.Dialect { return handshake.Legacy }

func (l *legacyClient) resumable() bool { return false }

func (l *legacyClient) write(p *pending, _ time.Duration) (rpcCall, error) {
	arguments, err := p.currentArguments()
	if err != nil {
		return rpcCall{}, err
	}
	values, err := p.command.WriteArguments(arguments)
	if err != nil {
		return rpcCall{}, err
	}
	var target any
	target, p.result = p.command.ReadResult()
	return rpcCall{p.command.Function, target, values}, nil
}

func (l *legacyClient) read(p *pending) (json.RawMessage, error) {
	value, err := p.result()
	if err != nil {
		return nil, fmt.Errorf("result of %s: %w", p.command.Function, err)
	}
	return value, nil
}

func (l *legacyClient) settled(*pending) {}

func (l *legacyClient) push(ctx context.Context, push route.Push, value json.RawMessage) error {
	text, err := encodePushed(push.ID, push.Variable, value)
	if err != nil {
		return err
	}
	return l.invoke(ctx, FunctionPushVar, nil, text)
}

// invoke calls a function on the connection of the link.
func (l *legacyClient) invoke(ctx context.Context, function string, reply any, arguments ...any) error {
	w := l.keeper.way()
	if w.dialect != dialect(l) {
		return errNoLink
	}
	if err := w.client.Call(ctx, function, reply, arguments...); err != nil {
		return fmt.Errorf("%s: %w", function, err)
	}
	return nil
}

// events polls once, and returns when the events of the answer are published, or the board's broker takes too long. The
// agent has forgotten those events, so a second answer should not wait behind the first. Where too many wait, events does
// not poll.
func (l *legacyClient) events(ctx context.Context, id handshake.ConnID, conn *rpc.Client) {
	if !l.hasRoom(ctx) {
		l.post(handshake.Replied{Conn: id, Function: handshake.Retrieve})
		return
	}
	var answer []byte
	began := time.Now()
	err := conn.Call(ctx, l.pingFunction(0), &answer)
	if errors.Is(err, rpc.ErrMethodNotFound) && !l.onlyVars.Swap(true) {
		l.log.Info("the agent tells no errors: its C++ module is of a release before 2025.01.0")
		err = conn.Call(ctx, FunctionRetrieveVars, &answer)
	}
	if !l.succeeded(ctx, id, handshake.Retrieve, l.pingFunction(0), err) {
		return
	}
	l.trips.Add(time.Since(began))
	l.alive()
	batch, err := readRetrieved(answer, l.conversions)
	if err != nil {
		l.unreadable(err)
	}
	l.publish(batch)
	l.post(handshake.Replied{Conn: id, Function: handshake.Retrieve})
}

// ping waits for the next poll: a C++ agent has no function for a round trip.
func (l *legacyClient) ping(ctx context.Context, _ *rpc.Client, size int) (time.Duration, error) {
	if size > 0 {
		return 0, ErrNoPayload
	}
	return l.trips.Next(ctx)
}

// pingFunction returns the function of the poll.
func (l *legacyClient) pingFunction(int) string {
	if l.onlyVars.Load() {
		return FunctionRetrieveVars
	}
	return FunctionRetrieve
}

func (l *legacyClient) roundTrips() *control.RoundTrips { return &l.trips }
