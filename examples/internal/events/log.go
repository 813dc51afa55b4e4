package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/durable"
)

// Log has the last day's events, and follows the modules. What it returns is on disk. It is used by one goroutine.
type Log struct {
	path string
	log  *zap.Logger
	kept file
	// failed: the last write failed, which is logged once.
	failed bool
}

// file is the content of a Log on disk.
type file struct {
	Version int              `json:"version"`
	Events  []Event          `json:"events"`
	Modules map[string]known `json:"modules"`
	// Last is the number of the last event.
	Last uint64 `json:"last"`
}

const (
	version = 1
	// maxFile is how large a file is read. One beyond is not ours.
	maxFile = 8 << 20
	// unreadable is added to the name of a file that cannot be read.
	unreadable = ".unreadable"
	// forget is how long a module is known that is not there.
	forget = 7 * 24 * time.Hour
	// maxModules is how many modules are known. It is more than a page shows.
	maxModules = 512
)

// InMemory returns a log that ends with the process.
func InMemory() *Log {
	return &Log{log: zap.NewNop(), kept: file{Version: version, Modules: map[string]known{}}}
}

// Open returns the log of a file, which need not exist. A file that
// cannot be read is put aside under another name, with a line in the log: what has happened before is lost then.
func Open(path string, log *zap.Logger) (*Log, error) {
	l := InMemory()
	l.path, l.log = path, log
	if err := durable.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("events: no directory for the last day's events: %w; name another file with --events", err)
	}
	if err := durable.Sweep(path); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	kept, err := read(path)
	switch {
	case err == nil:
		l.kept = *kept
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, errForeign):
		log.Warn("the file of the last day's events cannot be read and is put aside: a new one begins", zap.String("path", path), zap.String("aside", path+unreadable), zap.Error(err))
		if err := durable.Rename(path, path+unreadable); err != nil {
			return nil, fmt.Errorf("events: %w; remove %s", err, path)
		}
	default:
		return nil, fmt.Errorf("events: the last day's events cannot be read: %w; name another file with --events", err)
	}
	return l, nil
}

// errForeign is the error of a file that this program has not written, or not whole.
var errForeign = errors.New("not a whole file of events")

func read(path string) (*file, error) {
	opened, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	if info, err := opened.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	content, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%w: it has more than %d bytes", errForeign, maxFile)
	}
	var kept file
	if err := json.Unmarshal(content, &kept); err != nil {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	if kept.Version != version || len(kept.Modules) > maxModules {
		return nil, fmt.Errorf("%w: its version is %d, this program's %d", errForeign, kept.Version, version)
	}
	for _, event := range kept.Events {
		if event.Number > kept.Last {
			return nil, fmt.Errorf("%w: event %d is after the last", errForeign, event.Number)
		}
	}
	if kept.Modules == nil {
		kept.Modules = map[string]known{}
	}
	return &kept, nil
}

// Read returns the events of the last day from a file, the oldest first.
func Read(path string, now time.Time) ([]Event, error) {
	kept, err := read(path)
	if err != nil {
		return nil, err
	}
	return byTime(prune(kept.Events, now)), nil
}

// byTime sorts events by their time, the oldest first.
func byTime(events []Event) []Event {
	slices.SortStableFunc(events, func(one, other Event) int { return one.Time.Compare(other.Time) })
	return events
}

// Follow compares all modules with what was known of them, and returns the new events. The new events are on disk on return; where the disk does not take them, that is logged.
func (l *Log) Follow(seen []Seen, now time.Time) []Event {
	var fresh []Event
	for _, one := range seen {
		if one.Status == nil || one.Status.Module == "" {
			continue // it has never answered
		}
		var before *known
		if of, there := l.kept.Modules[one.ID]; there {
			before = &of
		} else if len(l.kept.Modules) == maxModules {
			continue
		}
		after, events := compare(before, one, now)
		after.Seen = now
		l.kept.Modules[one.ID] = after
		fresh = append(fresh, events...)
	}
	if len(fresh) == 0 {
		return nil
	}
	byTime(fresh)
	for i := range fresh {
		l.kept.Last++
		fresh[i].Number = l.kept.Last
	}
	l.kept.Events = prune(append(l.kept.Events, fresh...), now)
	l.write(now)
	return fresh
}

// Events returns the events of the last day, the oldest first.
func (l *Log) Events(now time.Time) []Event {
	l.kept.Events = prune(l.kept.Events, now)
	return byTime(slices.Clone(l.kept.Events))
}

// write replaces the file.
func (l *Log) write(now time.Time) {
	if l.path == "" {
		return
	}
	maps.DeleteFunc(l.kept.Modules, func(_ string, of known) bool { return now.Sub(of.Seen) > forget })
	content, err := json.Marshal(l.kept)
	if err == nil {
		err = durable.Replace(l.path, content, 0o640)
	}
	if err != nil && !l.failed {
		l.log.Warn("the last day's events are not kept over a restart of this program", zap.String("path", l.path), zap.Error(err))
	}
	l.failed = err != nil
}
