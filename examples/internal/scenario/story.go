package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
)

// story is a scenario in steps, on boards that really go down and come back.
type story struct {
	board boards
	// satellites is how many satellites the station has, 0 for those of the configuration.
	satellites int
	// version is the backend's, OCPP 2.0.1 where it is empty.
	version ocppframes.Version
	// pause is the one between two attempts to download, 1 s at least.
	pause time.Duration
	// keys are configuration of the aggregator, beside what all scenarios have.
	keys map[string]any
	// logs: the boards send their logs, and update no firmware. puts are how the backend treats the first uploads.
	logs  bool
	puts  []put
	steps []step
	// satctl: the aggregator has a status socket.
	satctl bool
	// quick: the tests play the story also without -long.
	quick bool
}

// step is what the backend does or waits for.
type step func(context.Context, *telling) error

// telling is a story that is played.
type telling struct {
	*scenario
	story
	server *uploads
	// order judges the statuses of the updates. next is that of a newer accepted request without a status yet.
	order judge
	next  *judge
	// files and logged are the archives' names and the statuses of the logs.
	files  map[int64]string
	logged map[int64][]string

	mu sync.Mutex
	// reported has each board's reports, such as "satellite1 Installing".
	reported map[string]bool
	resets   []string
	// kinds has how each board was reset last.
	kinds map[string]string
	// firstReset is closed by the first reset.
	firstReset chan struct{}
	// flashing has the boards that report Installing. flashed is the reset that must not happen, such as one of the main board
	// while a satellite is being flashed.
	flashing []bool
	flashed  string
}

func newTelling(s *scenario, told story) *telling {
	t := &telling{
		scenario: s, story: told, files: map[int64]string{}, logged: map[int64][]string{}, reported: map[string]bool{},
		kinds: map[string]string{}, firstReset: make(chan struct{}), flashing: make([]bool, s.Satellites+1),
	}
	for i := range s.Satellites + 1 {
		b := told.board(i)
		updater := standin.NewSystem(&b, speed, func(id int64, status string) {
			s.view.Printf("  %s reports %d %s", boardName(i), id, status)
			t.mu.Lock()
			defer t.mu.Unlock()
			t.reported[boardName(i)+" "+status] = true
			t.flashing[i] = status == "Installing"
		})
		updater.OnReset(func(kind string, flashing bool) {
			s.view.Printf("  %s is reset", boardName(i))
			t.mu.Lock()
			defer t.mu.Unlock()
			t.kinds[boardName(i)] = kind
			if len(t.resets) == 0 {
				close(t.firstReset)
			}
			t.resets = append(t.resets, boardName(i))
			if flashing {
				t.flashed = fmt.Sprintf("%s is reset while it is being flashed", boardName(i))
			} else if other := slices.Index(t.flashing, true); i == 0 && other > 0 {
				t.flashed = fmt.Sprintf("%s is reset while %s is being flashed", boardName(i), boardName(other))
			}
		})
		s.updaters = append(s.updaters, updater)
		if told.logs {
			s.systems[i].restart = updater.Crash
		}
	}
	return t
}

// play plays the steps, and judges what is left to hear after them.
func (t *telling) play(ctx context.Context) (err error) {
	if err := t.awaitRegistration(ctx); err != nil {
		return err
	}
	if t.server, err = serveUploads(filepath.Join(t.directory, "uploaded"), t.puts...); err != nil {
		return err
	}
	defer t.server.stop()
	for _, step := range t.steps {
		if err := step(ctx, t); err != nil {
			return err
		}
	}
	for {
		select {
		case status := <-t.heard:
			if err := t.hear(ctx, status); err != nil {
				return err
			}
		default:
			return errors.Join(t.recordUpdate(), t.judgeResets())
		}
	}
}

// judgeResets returns an error for a reset that must not happen.
func (t *telling) judgeResets() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flashed != "" {
		return errors.New(t.flashed)
	}
	return nil
}

// await judges what the backend hears, and gives OCPP's permissions, until missing returns an empty text.
func (t *telling) await(ctx context.Context, missing func() string) error {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		what := missing()
		if what == "" {
			return t.judgeResets()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case status := <-t.heard:
			if err := t.hear(ctx, status); err != nil {
				return err
			}
		case <-look.C:
		}
	}
}

// hear judges a status, and permits the installation for one that says that there is an image.
func (t *telling) hear(ctx context.Context, status heardStatus) error {
	if status.Restarted {
		t.view.Printf("the main board has restarted after %d statuses", len(t.order.Heard))
		t.order.restarted()
		return nil
	}
	if status.Forgotten {
		return fmt.Errorf("%s of request %d comes before the backend has accepted the station, and OCPP forgets it", status.Status, status.RequestID)
	}
	for _, frame := range status.Frames {
		t.view.Printf("to the backend: %s", frame)
	}
	if status.Log {
		return t.hearLog(status)
	}
	if t.next != nil && status.RequestID == t.next.ID {
		if err := t.recordUpdate(); err != nil {
			return err
		}
		t.order, t.next = *t.next, nil
	}
	if err := t.order.hear(status); err != nil {
		return err
	}
	if status.Status == "SignatureVerified" || status.Status == "Downloaded" && !t.isSigned(status.RequestID) {
		return t.permit(ctx)
	}
	return nil
}

// recordUpdate records the statuses of the latest update.
func (t *telling) recordUpdate() error {
	for _, status := range t.order.Heard {
		if err := t.record.status(requestOf{id: t.order.ID}, status); err != nil {
			return err
		}
	}
	return nil
}

// isSigned reports whether the request with an id is signed.
func (t *telling) isSigned(id int64) bool { return id >= 0 }

// judge is the order of an update's statuses as the backend hears them. What the aggregator had published just before the
// main board went down may have ended with OCPP's process, and is taken for heard.
type judge struct {
	ocppframes.UpdateOrder
	signed bool
	// restarts are how many statuses were heard before each restart of the main board.
	restarts []int
}

// restarted takes it that the main board has started again.
func (j *judge) restarted() {
	j.Restarted, j.restarts = true, append(j.restarts, len(j.Heard))
}

// hear judges a status.
func (j *judge) hear(status heardStatus) error {
	wrong := j.Hear(status.RequestID, status.Status)
	if wrong == nil || status.RequestID != j.ID || j.Over {
		return wrong
	}
	heard := append(slices.Clone(j.Heard), status.Status)
	if complete, ok := j.complete(heard, j.restarts); ok {
		j.UpdateOrder = complete
		return nil
	}
	return wrong
}

// complete returns the order with the statuses that restarts have lost, and whether there is one.
func (j *judge) complete(heard []string, restarts []int) (ocppframes.UpdateOrder, bool) {
	var order ocppframes.UpdateOrder
	order.Answer(j.ID, j.signed, "Accepted")
	for i, status := range heard {
		order.Restarted = slices.Contains(restarts, i)
		if order.Hear(j.ID, status) == nil {
			continue
		}
		// A status is missing before this one, at a restart.
		for _, lost := range []string{"Downloading", "Downloaded", "SignatureVerified", "Installing"} {
			for _, at := range restarts {
				if at > i || slices.Contains(heard, lost) {
					continue
				}
				moved := slices.Clone(restarts)
				for n := range moved {
					if moved[n] > at {
						moved[n]++
					}
				}
				if complete, ok := j.complete(slices.Insert(slices.Clone(heard), at, lost), moved); ok {
					return complete, true
				}
			}
		}
		return order, false
	}
	return order, true
}

// hearLog judges a status of a log: Uploading comes first, and one end after it.
func (t *telling) hearLog(status heardStatus) error {
	id := status.RequestID
	if _, accepted := t.files[id]; !accepted {
		return fmt.Errorf("%s of log %d before a request was accepted", status.Status, id)
	}
	t.logged[id] = append(t.logged[id], status.Status)
	if n := len(t.logged[id]); n > 2 || (n == 1) != (status.Status == "Uploading") {
		return fmt.Errorf("log %d has the statuses %s", id, strings.Join(t.logged[id], ", "))
	}
	return t.record.status(requestOf{true, id}, status.Status)
}

// answered takes the answer to an update. Statuses of the request before are in order until the first of the new one.
func (t *telling) answered(id int64, answer string) {
	order := judge{signed: t.isSigned(id)}
	order.Answer(id, order.signed, answer)
	t.record.update(id, answer)
	switch {
	case !order.Accepted:
	case t.order.Accepted:
		t.next = &order
	default:
		t.order = order
	}
}

// connected returns what is missing until every board is there.
func (t *telling) connected(ctx context.Context) string {
	boards, err := t.boardsNow(ctx)
	if err != nil {
		return err.Error()
	}
	if away := slices.IndexFunc(boards, func(b listedBoard) bool { return !b.Connected }); away >= 0 {
		return boards[away].Name + " is away"
	}
	if len(boards) != t.Satellites+1 {
		return fmt.Sprintf("the backend gets %d boards, the station has %d", len(boards), t.Satellites+1)
	}
	return ""
}
