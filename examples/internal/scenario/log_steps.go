package scenario

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// diagnostics is the id of GetDiagnostics of OCPP 1.6, which has neither an id nor a type.
const diagnostics = -1

// getLog requests a log, which is accepted. attempts is retries of the interface system, 0 for none.
func getLog(id int64, kind string, attempts int) step {
	return func(ctx context.Context, t *telling) error {
		request := map[string]any{"location": t.server.location}
		if id != diagnostics {
			request["request_id"], request["type"] = id, kind
		}
		if attempts > 0 {
			request["retries"], request["retry_interval_s"] = attempts, 1
		}
		file, err := t.getLog(ctx, id, request)
		t.files[id], t.logged[id] = file, nil
		return err
	}
}

// held waits until the backend holds an upload.
func held(ctx context.Context, t *telling) error {
	return t.await(ctx, func() string {
		select {
		case <-t.server.held:
			return ""
		default:
			return "nothing is uploaded"
		}
	})
}

// logEnd waits for the end of a log. The backend has a complete archive then, or none.
func logEnd(id int64, want string) step {
	return func(ctx context.Context, t *telling) error {
		if err := t.await(ctx, func() string {
			if len(t.logged[id]) < 2 {
				return fmt.Sprintf("log %d has no end", id)
			}
			return ""
		}); err != nil {
			return err
		}
		t.view.Settle()
		t.view.Printf("status sequence of log %d: %s", id, strings.Join(t.logged[id], ", "))
		if got := t.logged[id][1]; got != want {
			return fmt.Errorf("log %d ends with %s, want %s", id, got, want)
		}
		archive := filepath.Join(t.directory, "uploaded", t.files[id])
		if want == "Uploaded" {
			return t.list(archive)
		}
		if _, err := os.Stat(archive); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("log %d ends with %s, and the backend has %s: %w", id, want, t.files[id], err)
		}
		return nil
	}
}

// uploadAttempts wants a number of uploads at the backend.
func uploadAttempts(want int64) step {
	return func(_ context.Context, t *telling) error {
		got := t.server.attempts.Load()
		t.view.Printf("the backend has seen %d uploads", got)
		if got != want {
			return fmt.Errorf("the backend has seen %d uploads, want %d", got, want)
		}
		return nil
	}
}
