package everesttest_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// recording is a testing.TB that records failures. It stands for the *testing.T of a test whose failure is wanted, and
// for that of an example.
type recording struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	texts    []string
	cleanups []func()
}

// record runs test as a test of its own, with what it cleans up, and returns its failures.
func record(test func(t testing.TB)) string {
	ctx, cancel := context.WithCancel(context.Background())
	r := &recording{ctx: ctx}
	steps := []func(){func() { test(r) }, cancel}
	for len(steps) > 0 {
		done := make(chan struct{})
		go func() { // Fatal ends the goroutine
			defer close(done)
			steps[0]()
		}()
		<-done
		if steps = steps[1:]; len(steps) == 0 {
			r.mu.Lock()
			slices.Reverse(r.cleanups)
			steps, r.cleanups = r.cleanups, nil
			r.mu.Unlock()
		}
	}
	return strings.Join(r.texts, "\n")
}

func (r *recording) fail(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, text)
}

func (r *recording) Helper()                   {}
func (r *recording) Name() string              { return "recorded" }
func (r *recording) Context() context.Context  { return r.ctx }
func (r *recording) Error(arguments ...any)    { r.fail(fmt.Sprint(arguments...)) }
func (r *recording) Errorf(f string, a ...any) { r.fail(fmt.Sprintf(f, a...)) }
func (r *recording) Fatal(arguments ...any)    { r.fail(fmt.Sprint(arguments...)); runtime.Goexit() }
func (r *recording) Fatalf(f string, a ...any) { r.fail(fmt.Sprintf(f, a...)); runtime.Goexit() }
func (r *recording) Logf(string, ...any)       {}

func (r *recording) Cleanup(clean func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, clean)
}

func (r *recording) TempDir() string {
	folder, err := os.MkdirTemp("", "recording")
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}
