package link

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// legacyClient is a link in the dialect of the C++ modules. It ends with its connection.
type legacyClient struct {
	reporter
	keeper *keeper
	// publish queues events, and waits until they are published if this board is ready. unreadable is called with the
	// error of an answer.
	publish    func(eventBatch)
	unreadable func(error)
	trips      control.RoundTrips
}

func (l *legacyClient) name() handshake.Dialect { return handshake.Legacy }

func (l *legacyClient) resumable() bool { return false }

func (l *legacyClient) call(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	values, err := command.WriteArguments(arguments)
	if err != nil {
		return nil, err
	}
	target, result := command.ReadResult()
	if err := l.invoke(ctx, command.Function, target, values...); err != nil {
		return nil, err
	}
	value, err := result()
	if err != nil {
		return nil, fmt.Errorf("result of %s: %w", command.Function, err)
	}
	return value, nil
}

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

// events polls once, and returns when the events of the answer are published. The agent has forgotten those events, so
// a second answer must not wait behind the first.
func (l *legacyClient) events(ctx context.Context, id handshake.ConnID, conn *rpc.Client) {
	var answer []byte
	began := time.Now()
	err := conn.Call(ctx, FunctionRetrieve, &answer)
	if !l.succeeded(ctx, id, handshake.Retrieve, FunctionRetrieve, err) {
		return
	}
	l.trips.Add(time.Since(began))
	batch, err := readRetrieved(answer)
	if err != nil {
		l.unreadable(err)
	}
	l.publish(batch)
	l.post(handshake.Replied{Conn: id, Function: handshake.Retrieve})
}

// ping waits for the next poll: a C++ agent has no function for a round trip.
func (l *legacyClient) ping(ctx context.Context, _ *rpc.Client) (time.Duration, error) {
	return l.trips.Next(ctx)
}

func (l *legacyClient) pingFunction() string { return FunctionRetrieve }

func (l *legacyClient) roundTrips() *control.RoundTrips { return &l.trips }
