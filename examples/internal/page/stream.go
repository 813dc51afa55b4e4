package page

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// maxStreams is how many pages may be open at a time. A further one gets a 503.
	maxStreams = 32
	// streamWrite is how long a page may take to read an event before its connection is closed. No events are queued: a
	// slow page gets the newest state.
	streamWrite = 10 * time.Second
)

// streams sends the station's state to open pages.
type streams struct {
	station *Station
	slots   chan struct{}
	done    <-chan struct{}
	// writeLimit is streamWrite, and shorter in tests.
	writeLimit time.Duration
}

func newStreams(station *Station, done <-chan struct{}) *streams {
	return &streams{station: station, slots: make(chan struct{}, maxStreams), done: done, writeLimit: streamWrite}
}

// open returns how many pages are open.
func (s *streams) open() int { return len(s.slots) }

func (s *streams) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages are open, which is the limit: close one", maxStreams), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if request.Method == http.MethodHead {
		return
	}
	subscription := s.station.subscribe()
	defer s.station.unsubscribe(subscription)
	control := http.NewResponseController(w)
	write := func(kind string, tick uint64, data []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(s.writeLimit))
		if _, err := fmt.Fprintf(w, "event: %s\nid: %d\ndata: %s\n\n", kind, tick, data); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	_ = control.SetWriteDeadline(time.Now().Add(s.writeLimit))
	if _, err := fmt.Fprint(w, "retry: 2000\n\n"); err != nil || control.Flush() != nil {
		return
	}
	var sent uint64
	for {
		kind, tick, data := s.station.since(sent)
		if data != nil && !write(kind, tick, data) {
			return
		}
		sent = tick
		select {
		case <-subscription:
		case <-request.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}
