package control

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// watch sends events until the watcher goes, is too slow for one piece, or the module ends.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	if s.config.Events == nil {
		s.failWith(w, &Reason{Never: true, Text: "this module has nothing to watch"})
		return
	}
	watcher := s.config.Events.watch()
	defer s.config.Events.leave(watcher)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out, flush := s.patient(w), http.NewResponseController(w).Flush
	// The first bytes say that from here on nothing is missed.
	if _, err := io.WriteString(out, ": watching\n\n"); err != nil || flush() != nil {
		return
	}
	heartbeat := time.NewTicker(s.config.Heartbeat)
	defer heartbeat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-s.ending:
			return
		case <-heartbeat.C:
			_, err = io.WriteString(out, ": still here\n\n")
		case <-watcher.filled:
			for _, event := range watcher.take() {
				if err = writeEvent(out, event); err != nil {
					break
				}
			}
		}
		if err == nil {
			err = flush()
		}
		if err != nil {
			s.config.Logger.Debug("a watcher is gone", zap.Error(err))
			return
		}
	}
}

func writeEvent(out io.Writer, event Event) error {
	text, err := json.Marshal(event)
	if err != nil {
		// A value that is no JSON cannot be shown; that there was one can.
		event.Value, event.Error = nil, nil
		if text, err = json.Marshal(event); err != nil {
			return err
		}
	}
	piece := make([]byte, 0, len(text)+len(event.Kind)+16)
	piece = append(append(append(piece, "event: "...), event.Kind...), "\ndata: "...)
	_, err = out.Write(append(append(piece, text...), "\n\n"...))
	return err
}
