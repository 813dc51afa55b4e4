package update

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/durable"
)

// savedVersion is the version of the file's format, and maxFile its longest content in bytes.
const (
	savedVersion = 1
	maxFile      = 2*maxReport + 4<<10
)

// saved is the content of the file.
type saved struct {
	Version int    `json:"version"`
	Manager string `json:"manager"`

	Running   bool  `json:"running,omitempty"`
	RequestID int64 `json:"request_id"`
	Attempts  int   `json:"attempts,omitempty"`
	Interval  int64 `json:"retry_interval_s"`
	Signed    bool  `json:"signed,omitempty"`
	Waiting   bool  `json:"waiting,omitempty"`
	Flashing  bool  `json:"flashing,omitempty"`
	FlashID   int64 `json:"flash_id,omitempty"`
	Rebooting bool  `json:"rebooting,omitempty"`
	Installed bool  `json:"installed,omitempty"`
	// Ended: the process has ended in order while the board was being flashed for a signed request. Finished: so it was
	// before the last restart, and nobody has asked for the boot reason since.
	Ended    bool `json:"ended,omitempty"`
	Finished bool `json:"finished,omitempty"`
	// Report is the end that the board has reported last, as it was published.
	Report json.RawMessage `json:"report,omitempty"`
}

// goesOn reports whether the update goes on in a process of a manager.
func (s *saved) goesOn(manager string) bool { return s.Manager != "" && s.Manager == manager }

// machine returns the machine that was saved. Its limits begin anew, and so does the count of its attempts.
func (s *saved) machine(now time.Time) Machine {
	m := Machine{
		running: s.Running, flashing: s.Flashing, flashID: s.FlashID, rebooting: s.Rebooting, installed: s.Installed,
		waiting: s.Waiting,
		request: Request{ID: s.RequestID, Signed: s.Signed, Attempts: s.Attempts, Interval: time.Duration(s.Interval) * time.Second},
	}
	m.setDeadline(now)
	return m
}

// content returns what is to be on disk, nil where that is nothing.
func (k *Keeper) content() []byte {
	m := &k.machine
	next := saved{
		Version: savedVersion, Running: m.running, RequestID: m.request.ID, Attempts: m.request.Attempts,
		Interval: int64(m.request.Interval / time.Second), Signed: m.request.Signed, Flashing: m.flashing, FlashID: m.flashID,
	}
	switch {
	case k.config.peers:
		// A board that has reported InstallRebooting restarts by itself: what must not be interrupted is over.
		if !m.flashing || m.rebooting {
			return nil
		}
	case !m.GoesDown() && k.report == nil && !k.finished.Load():
		return nil
	default:
		next.Manager, next.Waiting, next.Rebooting, next.Installed = k.config.Manager, m.waiting, m.rebooting, m.installed
		next.Ended, next.Finished, next.Report = k.orderly && m.WritesSigned(), k.finished.Load(), k.report
	}
	content, err := json.Marshal(next)
	if err != nil {
		k.config.Logger.Error("a firmware update of the satellite cannot be kept on disk", zap.String("path", k.config.Path), zap.Error(err))
	}
	return content
}

// store brings the file up to date.
func (k *Keeper) store() {
	if k.config.Path == "" {
		return
	}
	content := k.content()
	if bytes.Equal(content, k.stored) {
		return
	}
	if err := replace(k.config.Path, content); err != nil {
		k.config.Logger.Error("a firmware update of the satellite cannot be kept on disk", zap.String("path", k.config.Path), zap.Error(err))
		return
	}
	k.stored = content
}

// replace writes the file anew, and removes it without content.
func replace(path string, content []byte) error {
	if content == nil {
		return durable.Remove(path)
	}
	return durable.Replace(path, content, 0o600)
}

// read returns what is kept, and the content of the file, nil where there is no file.
func read(path string) (kept saved, content []byte, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return saved{}, nil, nil
	}
	if err != nil {
		return saved{}, nil, err
	}
	content, err = io.ReadAll(io.LimitReader(file, maxFile+1))
	err = errors.Join(err, file.Close())
	if err == nil {
		err = json.Unmarshal(content, &kept)
	}
	switch {
	case err != nil:
	case len(content) > maxFile:
		err = fmt.Errorf("update: the file has more than %d bytes", maxFile)
	case kept.Version != savedVersion:
		err = fmt.Errorf("update: the file has version %d, want %d", kept.Version, savedVersion)
	case kept.Report != nil:
		if _, _, ok := ParseReport(kept.Report); !ok {
			err = errors.New("update: the file's report is no firmware_update_status")
		}
	}
	if err != nil {
		return saved{}, nil, err
	}
	return kept, content, nil
}
