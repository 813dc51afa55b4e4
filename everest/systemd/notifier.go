package systemd

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// Notifier tells systemd how a service fares. Its methods are safe for concurrent use; systemd's socket takes a message
// at once or not at all, so they do not wait. A message that does not get out is logged.
type Notifier struct {
	log      *zap.Logger
	watchdog time.Duration
	ready    atomic.Bool
}

// NewNotifier returns nil when the process was not started by a systemd that wants to be told. The watchdog counts only
// when WATCHDOG_PID, if there is one, is this process.
func NewNotifier(log *zap.Logger) (*Notifier, error) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil, nil
	}
	if log == nil {
		log = zap.NewNop()
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("systemd: WATCHDOG_USEC or WATCHDOG_PID: %w", err)
	}
	return &Notifier{log: log.Named("systemd"), watchdog: watchdog}, nil
}

// Ready says that the service has started.
func (n *Notifier) Ready() {
	n.ready.Store(true)
	n.notify(daemon.SdNotifyReady)
}

// Status is a line for `systemctl status`.
func (n *Notifier) Status(text string) {
	n.notify("STATUS=" + strings.ReplaceAll(text, "\n", " "))
}

// Alive feeds the watchdog. systemd does not watch a service that has not said Ready; until then Alive puts off the end
// of the time that the start may take, so that one that hangs is noticed there too.
func (n *Notifier) Alive() {
	state := daemon.SdNotifyWatchdog
	if !n.ready.Load() && n.watchdog > 0 {
		state += fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", n.watchdog.Microseconds())
	}
	n.notify(state)
}

// Stopping says that the service begins to end.
func (n *Notifier) Stopping() { n.notify(daemon.SdNotifyStopping) }

// Interval is half of the watchdog's time, as sd_watchdog_enabled(3) recommends; 0 without a watchdog.
func (n *Notifier) Interval() time.Duration { return n.watchdog / 2 }

func (n *Notifier) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("systemd was not told", zap.String("state", state), zap.Error(err))
	}
}
