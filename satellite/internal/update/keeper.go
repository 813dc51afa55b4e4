package update

import (
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/durable"
)

// Config configures a [Keeper].
type Config struct {
	// Path is the file that keeps the update for the next process. Nothing is kept where Path is empty.
	Path string
	// Manager identifies the process that started this one, as ManagerID of everest.Module. An update does not go on under
	// another one, because the board's System has restarted with it.
	Manager string
	Logger  *zap.Logger
	// Changed is called when an update begins, with true, and when it has ended. It must not wait for the Keeper.
	Changed func(running bool)

	// peers is set for the board of the peer: what counts is then whether its loss is expected.
	peers bool
}

// Keeper follows the updates of the own board, and keeps on disk what the next process must know. Its methods may be
// called from any goroutine. They wait until Run has taken them over.
type Keeper struct {
	config   Config
	machine  Machine
	report   json.RawMessage // the end that the board has reported, until a controller has it
	work     chan step
	ended    chan struct{}
	running  atomic.Bool
	flashing atomic.Bool
	// finished: the board has gone down in order at the end of its installation, and its boot reason was not asked for
	// since. orderly: this process ends in order.
	finished atomic.Bool
	orderly  bool
	// asked: this process has had the board reset, which then is no end of an update.
	asked atomic.Bool
	// heard is up to where the controller must have the journal for it to have the report, 0 where there is none.
	heard atomic.Uint64
	acked chan struct{}
	// restarted gets a value when the board has restarted.
	restarted chan struct{}
	// stored is what is on disk.
	stored []byte
}

// step is a change of the machine. done is closed when it is on disk.
type step struct {
	change func()
	done   chan struct{}
}

// NewKeeper returns the keeper of a board, and takes up what an earlier process has kept. It returns the report of an
// end that no controller has, nil for none.
func NewKeeper(config Config) (k *Keeper, report json.RawMessage) {
	k = newKeeper(config)
	if config.Path == "" {
		config.Logger.Debug("no state directory: this board may be reset in the middle of an update if this process restarts")
		return k, nil
	}
	kept := k.recall()
	k.report = kept.Report
	k.finished.Store(kept.Finished || kept.Ended && !kept.goesOn(config.Manager))
	if kept.goesOn(config.Manager) {
		k.machine = kept.machine(time.Now())
		k.running.Store(k.machine.Running())
		k.flashing.Store(k.machine.Flashing())
		if k.machine.Running() {
			config.Logger.Info("a firmware update of this board runs since an earlier process")
		}
	}
	return k, k.report
}

// NewFollower returns a Keeper that follows the board of the peer. Changed is called when the loss of that board begins to
// be expected, with true, and when it is a fault again. The file at path has one thing for the next process: that the board
// is being flashed, and will not restart before the end of that. Nothing is kept where path is empty.
func NewFollower(path string, log *zap.Logger, changed func(expected bool)) *Keeper {
	k := newKeeper(Config{Path: path, Logger: log, Changed: changed, peers: true})
	if path == "" {
		return k
	}
	if kept := k.recall(); kept.Flashing {
		k.machine = kept.machine(time.Now())
		k.running.Store(true)
		k.flashing.Store(true)
	}
	return k
}

// recall returns what an earlier process has kept.
func (k *Keeper) recall() saved {
	kept, content, err := read(k.config.Path)
	if err != nil {
		aside := k.config.Path + ".unreadable"
		k.config.Logger.Warn("it is not known whether a firmware update of the satellite runs: its file is set aside",
			zap.String("path", aside), zap.Error(errors.Join(err, durable.Rename(k.config.Path, aside))))
	}
	if err := durable.Sweep(k.config.Path); err != nil {
		k.config.Logger.Debug("a file that was not written to its end stays", zap.Error(err))
	}
	k.stored = content
	return kept
}

func newKeeper(config Config) *Keeper {
	return &Keeper{
		config: config, work: make(chan step), ended: make(chan struct{}), acked: make(chan struct{}, 1), restarted: make(chan struct{}, 1),
	}
}

// Running reports whether an update of the board runs.
func (k *Keeper) Running() bool { return k.running.Load() }

// Flashing reports whether the board is being flashed.
func (k *Keeper) Flashing() bool { return k.flashing.Load() }

// Accepted takes it that the board has accepted a request. On return that is on disk.
func (k *Keeper) Accepted(request json.RawMessage) {
	k.do(func() {
		k.report = nil
		k.finished.Store(false)
		k.heard.Store(0)
		k.machine.Accepted(time.Now(), ParseRequest(request))
	})
}

// maxReport bounds a report that is kept, in bytes. EVerest's have some 60.
const maxReport = 4 << 10

// Reported takes a firmware_update_status of the board.
func (k *Keeper) Reported(value json.RawMessage) {
	id, status, ok := ParseReport(value)
	if !ok {
		return
	}
	k.do(func() {
		// What the board itself tells after its start counts.
		k.finished.Store(false)
		k.machine.Reported(time.Now(), id, status)
		switch status {
		case "Installed", "DownloadFailed", "InvalidSignature", "InstallVerificationFailed", "InstallationFailed":
			if len(value) <= maxReport {
				k.report = value
			}
		default:
			k.report = nil
		}
		k.heard.Store(0)
	})
}

// BootReason returns what the boot reason of the board's System means. EVerest's System without a store knows no reason
// after it has reset its board at the end of an update. Like System's own, the reason is forgotten when it was asked for.
func (k *Keeper) BootReason(reason string) string {
	if !k.finished.Load() {
		return reason
	}
	k.do(func() { k.finished.Store(false) })
	if reason == "PowerUp" || reason == "Unknown" {
		return "FirmwareUpdate"
	}
	return reason
}

// ResetAsked takes it that the board is about to be reset by somebody else than its System.
func (k *Keeper) ResetAsked() { k.asked.Store(true) }

// EndInOrder keeps, after Run, that the process ends in order.
func (k *Keeper) EndInOrder() {
	<-k.ended
	k.orderly = !k.asked.Load()
	k.store()
}

// Recorded takes it that the journal has the report, which has at most that number.
func (k *Keeper) Recorded(number uint64) { k.heard.Store(number) }

// Heard takes it that the controller has the journal up to a number. It does not wait.
func (k *Keeper) Heard(number uint64) {
	if wanted := k.heard.Load(); wanted == 0 || number < wanted || !k.heard.CompareAndSwap(wanted, 0) {
		return
	}
	select {
	case k.acked <- struct{}{}:
	default:
	}
}

// Restarted takes it that the peer's board has restarted, which ends its update. It does not wait.
func (k *Keeper) Restarted() {
	select {
	case k.restarted <- struct{}{}:
	default:
	}
}

// do changes the machine. On return the change is on disk, and Changed was called.
func (k *Keeper) do(change func()) {
	work := step{change, make(chan struct{})}
	select {
	case k.work <- work:
	case <-k.ended:
		return
	}
	select {
	case <-work.done:
	case <-k.ended:
	}
}

// Run follows the updates until stop is closed.
func (k *Keeper) Run(stop <-chan struct{}) {
	defer close(k.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	k.store()
	for {
		if deadline := k.machine.Deadline(); !deadline.IsZero() {
			timer.Reset(time.Until(deadline))
		} else {
			timer.Stop()
		}
		var next step
		select {
		case <-stop:
			return
		case <-k.restarted:
			k.machine = Machine{}
		case next = <-k.work:
			select {
			case <-k.restarted: // before what was called after it
				k.machine = Machine{}
			default:
			}
			next.change()
		case <-timer.C:
			k.passed()
		case <-k.acked:
			k.report = nil
		}
		k.flashing.Store(k.machine.Flashing())
		k.store()
		now := k.machine.Running() || k.config.peers && k.machine.GoesDown()
		if k.running.Swap(now) != now {
			k.config.Changed(now)
		}
		if next.done != nil {
			close(next.done)
		}
	}
}

// passed ends an update of which nothing is heard any more. One that waits is no news.
func (k *Keeper) passed() {
	silent := k.machine.Running() && !k.machine.waiting
	if k.machine.Passed(time.Now()); silent && !k.machine.Running() {
		k.config.Logger.Warn("nothing is heard of the satellite's firmware update any more: it counts as ended")
	}
}
