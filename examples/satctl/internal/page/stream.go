package page

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// mostStreams is how many pages can be open at once.
	mostStreams = 32
	// streamWrite is how long a page may leave an event unread. The next one
	// waits in nobody's memory: a page that was slow gets the newest state.
	streamWrite = 10 * time.Second
)

// streams hands the station's state to the pages that are open.
type streams struct {
	station *Station
	slots   chan struct{}
	done    <-chan struct{}
	// writeLimit is streamWrite, but in tests.
	writeLimit time.Duration
}

func newStreams(station *Station, done <-chan struct{}) *streams {
	return &streams{station: station, slots: make(chan struct{}, mostStreams), done: done, writeLimit: streamWrite}
}

// open is the number of pages that are open.
func (s *streams) open() int { return len(s.slots) }

func (s *streams) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages are open already, and no more are served: close one", mostStreams), http.StatusServiceUnavailable)
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
