package control

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what an Event reports.
type Kind string

const (
	// KindVariable reports that a variable was published. It sets Interface, Variable and Value.
	KindVariable Kind = "variable"
	// KindRaised and KindCleared report that an error was raised or cleared. They set Error.
	KindRaised  Kind = "raised"
	KindCleared Kind = "cleared"
	// KindState reports a new state of the module. It sets State and Health. The first event of a watch has the present
	// state.
	KindState Kind = "state"
	// KindLost replaces events that were dropped because the watcher was too slow. Lost is their number.
	KindLost Kind = "lost"
)

// Event is one server-sent event of GET /watch. In the stream, the field "event" is Kind, and the field "data" is the
// JSON of the whole Event.
type Event struct {
	Kind Kind      `json:"kind"`
	Time time.Time `json:"time"`
	// ModuleID is the id of the module that serves the socket.
	ModuleID string `json:"module_id"`
	// Interface is the source of the variable. For a satellite module it is an implementation id of the satellite, such
	// as "evse_manager". For an aggregator it is a board, such as "1_system_2", or "system" for the station as a whole.
	Interface string          `json:"interface,omitempty"`
	Variable  string          `json:"variable,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
	// Error is EVerest's error object.
	Error  json.RawMessage `json:"error,omitempty"`
	State  string          `json:"state,omitempty"`
	Health Health          `json:"health,omitempty"`
	Lost   uint64          `json:"lost,omitempty"`
}

// size returns an estimate of the memory that e occupies.
func (e *Event) size() int {
	return 256 + len(e.Interface) + len(e.Variable) + len(e.Value) + len(e.Error)
}

// Bounds of the queue of one watcher. Further events are dropped and counted.
const (
	maxQueueEvents = 1024
	maxQueueBytes  = 1 << 20
)

// Hub distributes events to watchers. Its methods may be called from several goroutines and never wait for a watcher.
// The zero value is ready for use.
type Hub struct {
	// ModuleID is the module id in every event. It must be set before the hub is used.
	ModuleID string

	count    atomic.Int32 // of watchers
	mu       sync.Mutex
	watchers map[*watcher]struct{}
	// state is the last event of KindState.
	state Event
}

// Watched reports whether there is a watcher. It costs one atomic load, so call it before composing an event.
func (h *Hub) Watched() bool { return h.count.Load() > 0 }

// Publish sets Time and ModuleID of an event and queues it for every watcher. The caller must not modify the event's
// values afterwards.
func (h *Hub) Publish(event Event) {
	if !h.Watched() {
		return
	}
	event.Time, event.ModuleID = time.Now(), h.ModuleID
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.add(event)
	}
}

// SetState sets the state of the module and queues it as an event, unless the state is the present one.
func (h *Hub) SetState(state string, health Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
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
	h.mu.Lock()
	defer h.mu.Unlock()
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
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
	h.count.Add(-1)
}

// watcher is the queue of one watcher.
type watcher struct {
	moduleID string
	// filled has an element when take returns something.
	filled chan struct{}

	mu     sync.Mutex
	events []Event
	bytes  int
	// lost is how many events were dropped since the last that was queued.
	lost uint64
}

func (w *watcher) add(event Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) >= maxQueueEvents || w.bytes+event.size() > maxQueueBytes {
		w.lost++
	} else {
		w.queueLostLocked()
		w.events = append(w.events, event)
		w.bytes += event.size()
	}
	// A dropped event signals too: it may be too large for an empty queue.
	select {
	case w.filled <- struct{}{}:
	default:
	}
}

// queueLostLocked queues the number of dropped events where they would have been.
func (w *watcher) queueLostLocked() {
	if w.lost > 0 {
		w.events = append(w.events, Event{Kind: KindLost, Time: time.Now(), ModuleID: w.moduleID, Lost: w.lost})
		w.lost = 0
	}
}

// take returns and removes all queued events.
func (w *watcher) take() []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queueLostLocked()
	taken := w.events
	w.events, w.bytes = nil, 0
	return taken
}
