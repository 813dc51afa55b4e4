package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// awaited is a writer that closes a channel once a text was written.
type awaited struct {
	mu      sync.Mutex
	written bytes.Buffer
	text    string
	seen    chan struct{}
}

func (a *awaited) Write(text []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := strings.Contains(a.written.String(), a.text)
	a.written.Write(text)
	if !before && strings.Contains(a.written.String(), a.text) {
		close(a.seen)
	}
	return len(text), nil
}

// Logs that take long say how far they are: the module gives them away only after that was said.
func TestLogsShowTheirProgress(t *testing.T) {
	directory := socketDirectory(t)
	collecting := &awaited{text: "aggregator: collecting, 1 of 3 boards, ", seen: make(chan struct{})}
	fakeModule(t, control.Config{
		Path: filepath.Join(directory, "aggregator.sock"),
		Status: func(context.Context) (*control.Status, error) {
			return &control.Status{Module: "SystemAggregator", ModuleID: "aggregator", Station: &control.Station{
				Logs: []control.LogJob{{Step: "collecting", Boards: 3, Done: 1}},
			}}, nil
		},
		Logs: func(ctx context.Context) (*control.Logs, error) {
			select {
			case <-collecting.seen:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return &control.Logs{Name: "x.tar.gz", ContentType: "application/gzip", Body: io.NopCloser(strings.NewReader("archive"))}, nil
		},
	})
	var out bytes.Buffer
	status := run(t.Context(), []string{"-d", directory, "logs", "-o", "-"}, surroundings{
		out: &out, errors: collecting, getenv: func(string) string { return "" }, progressEvery: time.Millisecond,
	})
	if status != exitWell || out.String() != "archive" {
		t.Errorf("status %d, output %q, errors %s", status, out.String(), collecting.written.String())
	}
}
