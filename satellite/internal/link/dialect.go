package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// Errors of a call that did not reach the satellite, or whose reply did not come.
var (
	// ErrNotConnected is the error where there is no link to the satellite.
	ErrNotConnected = errors.New("satellite: no link to the satellite")
	// ErrIsolated is the error where the port is out of service.
	ErrIsolated = errors.New("satellite: the port is out of service")
	// ErrNotTunnelled is the error where the satellite's module does not have the command.
	ErrNotTunnelled = errors.New("satellite: not tunnelled")

	// errNoLink is the error where the link is lost, and the call does not wait for its resumption.
	errNoLink = fmt.Errorf("%w: %w", ErrNotConnected, net.ErrClosed)
)

// dialect is the controller's end of one link, in one dialect. Each agreement makes a new value.
type dialect interface {
	name() handshake.Dialect
	// resumable reports whether the link outlives its connection.
	resumable() bool
	// call executes a command on the satellite. The error of a lost link is net.ErrClosed.
	call(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error)
	// push publishes a variable of the main board on the satellite.
	push(ctx context.Context, push route.Push, value json.RawMessage) error
	// events queues the satellite's events: in v2 until the connection ends, in legacy those of one poll.
	events(ctx context.Context, id handshake.ConnID, conn *rpc.Client)
	// ping makes a round trip, or waits for the next one.
	ping(ctx context.Context, conn *rpc.Client) (time.Duration, error)
	// pingFunction returns the function whose round trip ping measures.
	pingFunction() string
	// roundTrips returns the round trips of this link.
	roundTrips() *control.RoundTrips
}

// reporter reports the outcome of calls to the handshake.
type reporter struct {
	post func(handshake.Event)
	// ended is closed at the end of the protocol.
	ended <-chan struct{}
	log   *zap.Logger
}

// succeeded reports whether a call of the handshake succeeded. It logs a failure and posts CallFailed. The end of a
// connection is posted by the goroutine that waits for it.
func (r reporter) succeeded(ctx context.Context, id handshake.ConnID, function handshake.Function, name string, err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
	default:
		r.log.Warn("the agent answered an error", zap.String("function", name), zap.Error(err))
		r.post(handshake.CallFailed{Conn: id, Function: function})
	}
	return false
}
