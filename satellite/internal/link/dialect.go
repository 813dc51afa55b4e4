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
	// ErrNotConnected: there is no link to the satellite.
	ErrNotConnected = errors.New("satellite: no link to the satellite")
	// ErrIsolated: the port is out of service.
	ErrIsolated = errors.New("satellite: the port is out of service")
	// ErrNotTunnelled: the satellite's module does not have the command.
	ErrNotTunnelled = errors.New("satellite: not tunnelled")

	// errNoLink: the call does not wait for a link, or there will be none.
	errNoLink = fmt.Errorf("%w: %w", ErrNotConnected, net.ErrClosed)
)

// dialect is how the controller's end speaks on a link. A value of it is one link: it begins with an agreement and ends
// with it.
type dialect interface {
	name() handshake.Dialect
	// resumable reports whether the link outlives its connection.
	resumable() bool
	// call has a command carried out on the satellite. A link that is lost is net.ErrClosed.
	call(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error)
	// push publishes a variable of the main board on the satellite.
	push(ctx context.Context, push route.Push, value json.RawMessage) error
	// events queues what the satellite hands over on a connection: in v2 until the connection ends, in legacy the
	// events of one poll.
	events(ctx context.Context, id handshake.ConnID, conn *rpc.Client)
	// ping makes a round trip, or waits for the next one.
	ping(ctx context.Context, conn *rpc.Client) (time.Duration, error)
	// pingFunction is the function whose round trip ping measures.
	pingFunction() string
	// roundTrips are those of this link.
	roundTrips() *control.RoundTrips
}

// reporter reports the outcome of calls to the handshake.
type reporter struct {
	post func(handshake.Event)
	// ended is closed at the end of the protocol.
	ended <-chan struct{}
	log   *zap.Logger
}

// succeeded reports whether a call of the handshake was answered. It logs and posts an error in the place of the
// answer. The end of a connection is posted by the goroutine that waits for it.
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
