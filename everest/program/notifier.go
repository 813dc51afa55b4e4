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

// notifier sends the status of a service to systemd. Its methods are safe for concurrent use and wait a tenth of a
// second at most for a systemd that is busy, Ready five seconds. A message that does not get out is logged.
type notifier struct {
	log      *zap.Logger
	socket   string
	watchdog time.Duration
	ready    atomic.Bool
}

// newNotifier returns nil when the process was not started by a systemd that asks for notifications. The watchdog
// counts only when WATCHDOG_PID, if there is one, is this process.
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

// Status is a line for `systemctl status`.
func (n *notifier) Status(text string) {
	n.notify("STATUS="+strings.ReplaceAll(text, "\n", " "), maxSend)
}

// Alive feeds the watchdog. systemd does not watch a service that has not said Ready; until then Alive puts off the end
// of the time that the start may take, so that one that hangs is noticed there too.
func (n *notifier) Alive() {
	state := daemon.SdNotifyWatchdog
	if !n.ready.Load() && n.watchdog > 0 {
		state += fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", n.watchdog.Microseconds())
	}
	n.notify(state, maxSend)
}

// Stopping reports that the service begins to end.
func (n *notifier) Stopping() { n.notify(daemon.SdNotifyStopping, maxSend) }

// Interval is half of the watchdog's time, as sd_watchdog_enabled(3) recommends; 0 without a watchdog.
func (n *notifier) Interval() time.Duration { return n.watchdog / 2 }

// Only a socket whose queue is full takes any time; daemon.SdNotify would wait for room in it without end, in the loop
// that the watchdog watches. maxSend is less than a link may be silent; maxReady is more, since Ready is said once.
const (
	maxSend  = 100 * time.Millisecond
	maxReady = 5 * time.Second
)

func (n *notifier) notify(state string, longest time.Duration) {
	if err := n.send(state, longest); err != nil {
		n.log.Warn("systemd was not told", zap.String("state", state), zap.Error(err))
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

// errListeners is a passed socket that is not the one listening stream socket that a program can take.
var errListeners = errors.New("systemd: the socket unit must pass one socket, ListenStream=")

// Listener returns the socket that systemd has opened for this process, or nil when there is none. The first call takes
// it: later ones return nil.
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
