package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

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

	// ErrNoPayload is the error of a ping of a size in the legacy dialect.
	ErrNoPayload = errors.New("satellite: the legacy dialect has no function that carries a payload")

	// ErrAway is the error of a command with a result whose caller has waited for the link long enough. The command is
	// not executed later, where the error says nothing else.
	ErrAway = errors.New("satellite: the link to the satellite is away")

	errMayHaveRun = fmt.Errorf("%w, and the command may have been executed before", ErrAway)
	errMayRun     = fmt.Errorf("%w, and the command may be executed when it is back", ErrAway)
	// errNoLink is the error where the link is lost, and the call does not wait for its resumption.
	errNoLink = fmt.Errorf("%w: %w", ErrNotConnected, net.ErrClosed)
)

// MaxEcho is how many bytes a ping carries at most. A ping of more is an error.
const MaxEcho = 1 << 20

// dialect is the controller's end of one link, in one dialect. Each agreement makes a new value.
type dialect interface {
	name() handshake.Dialect
	// resumable reports whether the link outlives its connection.
	resumable() bool
	// write returns the RPC call of a command, which may take as long as limit. read returns the command's result once
	// the reply was decoded. settled is called when the command will not be sent again.
	write(p *pending, limit time.Duration) (rpcCall, error)
	read(p *pending) (json.RawMessage, error)
	settled(p *pending)
	// push publishes a variable of the main board on the satellite.
	push(ctx context.Context, push route.Push, value json.RawMessage) error
	// events queues the satellite's events: in v2 until the connection ends, in legacy those of one poll.
	events(ctx context.Context, id handshake.ConnID, conn *rpc.Client)
	// ping makes a round trip with size bytes in both directions, or waits for the next one.
	ping(ctx context.Context, conn *rpc.Client, size int) (time.Duration, error)
	// pingFunction returns the function whose round trip ping measures.
	pingFunction(size int) string
	// roundTrips returns the round trips of this link.
	roundTrips() *control.RoundTrips
}

// rpcCall is a call of a function of the agent. reply is where the reply is decoded to.
type rpcCall struct {
	function  string
	reply     any
	arguments []any
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
		r.post(handshake.CallFailed{Conn: id, Function: function, Unknown: errors.Is(err, rpc.ErrMethodNotFound)})
	}
	return false
}
