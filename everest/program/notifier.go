package program

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// notifier sends the status of a service to systemd. Its methods are safe for concurrent use. A busy systemd blocks
// them for maxSend at most, and Ready for maxReady. A message that cannot be sent is logged.
type notifier struct {
	log      *zap.Logger
	socket   string
	watchdog time.Duration
	ready    atomic.Bool
}

// newNotifier returns nil unless systemd started the process and asks for notifications. The watchdog is used only when
// WATCHDOG_PID is absent or names this process.
func newNotifier(log *zap.Logger) (*notifier, error) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil, nil
	}
	if log == nil {
		log = zap.NewNop()
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("systemd: WATCHDOG_USEC or WATCHDOG_PID: %w", err)
	}
	return &notifier{log: log.Named("systemd"), socket: socket, watchdog: watchdog}, nil
}

// Ready reports that the service has started.
func (n *notifier) Ready() {
	n.ready.Store(true)
	n.notify(daemon.SdNotifyReady, maxReady)
}

// Status sends a line for `systemctl status`.
func (n *notifier) Status(text string) {
	n.notify("STATUS="+strings.ReplaceAll(text, "\n", " "), maxSend)
}

// Alive feeds the watchdog. Before Ready systemd does not run the watchdog. Until then Alive extends the time that
// systemd allows for the start, so that systemd also notices a start that hangs.
func (n *notifier) Alive() {
	state := daemon.SdNotifyWatchdog
	if !n.ready.Load() && n.watchdog > 0 {
		state += fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", n.watchdog.Microseconds())
	}
	n.notify(state, maxSend)
}

// Stopping reports that the service begins to end.
func (n *notifier) Stopping() { n.notify(daemon.SdNotifyStopping, maxSend) }

// Interval returns half of the watchdog's time, as sd_watchdog_enabled(3) recommends, or 0 without a watchdog.
func (n *notifier) Interval() time.Duration { return n.watchdog / 2 }

// Sending blocks only while the socket's queue is full. daemon.SdNotify would then block without a bound, in the loop
// that the watchdog watches. maxSend is shorter than the silence that a link tolerates. maxReady is longer, because
// Ready is sent only once.
const (
	maxSend  = 100 * time.Millisecond
	maxReady = 5 * time.Second
)

func (n *notifier) notify(state string, longest time.Duration) {
	if err := n.send(state, longest); err != nil {
		n.log.Warn("cannot notify systemd", zap.String("state", state), zap.Error(err))
	}
}

func (n *notifier) send(state string, longest time.Duration) error {
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetWriteDeadline(time.Now().Add(longest)); err != nil {
		return err
	}
	_, err = connection.Write([]byte(state))
	return err
}

// errListeners means that systemd passed something other than one listening stream socket.
var errListeners = errors.New("systemd: the socket unit must pass one socket, ListenStream=")

// Listener returns the socket that systemd opened for this process, or nil when there is none. Only the first call
// returns the socket.
func Listener() (net.Listener, error) {
	files := activation.Files(true)
	if len(files) == 0 {
		return nil, nil
	}
	defer func() {
		for _, file := range files {
			file.Close()
		}
	}()
	if len(files) > 1 {
		return nil, fmt.Errorf("%w, not %d", errListeners, len(files))
	}
	listener, err := net.FileListener(files[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errListeners, files[0].Name(), err)
	}
	return listener, nil
}
