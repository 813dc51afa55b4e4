package control

import (
	"sync"
	"sync/atomic"
	"time"
)

// What waits for one watcher at most.
const (
	watchEvents = 1024
	watchBytes  = 1 << 20
)

// Hub passes events on to those who watch. Its methods may be called from any goroutine; none of them waits for a watcher.
// The zero value is ready for use.
type Hub struct {
	// ModuleID is written into every event. It must be set before the first.
	ModuleID string

	count    atomic.Int32
	lock     sync.Mutex
	watchers map[*watcher]struct{}
	// state is the last event of KindState.
	state Event
}

// Watched says whether anybody watches. Who has to put an event together asks first.
func (h *Hub) Watched() bool { return h.count.Load() > 0 }

// Publish hands an event to every watcher that has room for it. Its values must not be changed afterwards. Time and
// ModuleID are filled in.
func (h *Hub) Publish(event Event) {
	if !h.Watched() {
		return
	}
	event.Time, event.ModuleID = time.Now(), h.ModuleID
	h.lock.Lock()
	defer h.lock.Unlock()
	for w := range h.watchers {
		w.add(event)
	}
}

// Moved tells those who watch, and whoever begins to, in which state the module is. A state that it is in already is no
// event.
func (h *Hub) Moved(state string, health Health) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.state.State == state && h.state.Health == health {
		return
	}
	h.state = Event{Kind: KindState, Time: time.Now(), ModuleID: h.ModuleID, State: state, Health: health}
	for w := range h.watchers {
		w.add(h.state)
	}
}

func (h *Hub) watch() *watcher {
	w := &watcher{filled: make(chan struct{}, 1), moduleID: h.ModuleID}
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.watchers == nil {
		h.watchers = make(map[*watcher]struct{})
	}
	h.watchers[w] = struct{}{}
	if h.state.Kind != "" {
		w.add(h.state)
	}
	h.count.Add(1)
	return w
}

func (h *Hub) leave(w *watcher) {
	h.lock.Lock()
	defer h.lock.Unlock()
	delete(h.watchers, w)
	h.count.Add(-1)
}

// watcher is the bounded line in front of one who watches.
type watcher struct {
	moduleID string
	// filled is signalled when there is something to take.
	filled chan struct{}

	lock   sync.Mutex
	events []Event
	bytes  int
	// lost counts the events that had no room since the last that had.
	lost uint64
}

func (w *watcher) add(event Event) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if len(w.events) >= watchEvents || w.bytes+event.size() > watchBytes {
		w.lost++
	} else {
		w.tellLost()
		w.events = append(w.events, event)
		w.bytes += event.size()
	}
	// Also of a loss: an event may be too large for a line that is empty.
	select {
	case w.filled <- struct{}{}:
	default:
	}
}

// tellLost puts what was lost in its place. The caller holds the lock.
func (w *watcher) tellLost() {
	if w.lost > 0 {
		w.events = append(w.events, Event{Kind: KindLost, Time: time.Now(), ModuleID: w.moduleID, Lost: w.lost})
		w.lost = 0
	}
}

// take hands everything over that waits.
func (w *watcher) take() []Event {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.tellLost()
	taken := w.events
	w.events, w.bytes = nil, 0
	return taken
}
