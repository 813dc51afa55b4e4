package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// An event that is larger than a queue is reported as lost at once, not with the next event.
func TestTooLargeEventIsLost(t *testing.T) {
	hub := &Hub{}
	w := hub.watch()
	defer hub.leave(w)
	hub.Publish(Event{Kind: KindVariable, Value: make([]byte, maxQueueBytes)})
	select {
	case <-w.filled:
	default:
		t.Fatal("the watcher is not signalled")
	}
	if events := w.take(); len(events) != 1 || events[0].Kind != KindLost || events[0].Lost != 1 {
		t.Errorf("events %+v", events)
	}
}

func TestHubWithoutWatcher(t *testing.T) {
	var hub Hub
	if hub.Watched() {
		t.Error("Watched without a watcher")
	}
	hub.Publish(Event{Kind: KindVariable}) // is dropped
	if allocations := testing.AllocsPerRun(100, func() { hub.Publish(Event{Kind: KindVariable}) }); allocations != 0 {
		t.Errorf("%v allocations without a watcher", allocations)
	}
}

// A watcher that takes nothing delays nobody. It receives the number of lost events in their place.
func TestSlowWatcherLosesEvents(t *testing.T) {
	hub := Hub{ModuleID: "connector_2"}
	slow, quick := hub.watch(), hub.watch()
	const first, second = maxQueueEvents + 100, 10
	count := 0
	publish := func(events int) {
		for range events {
			hub.Publish(Event{Kind: KindVariable, Variable: fmt.Sprint(count)})
			count++
			for _, event := range quick.take() {
				if event.Kind == KindLost {
					t.Error("the quick watcher has lost events")
				}
			}
		}
	}
	publish(first)
	got := slow.take()
	publish(second)
	got = append(got, slow.take()...)
	if len(got) != maxQueueEvents+1+second {
		t.Fatalf("%d events", len(got))
	}
	lost := got[maxQueueEvents]
	if lost.Kind != KindLost || lost.Lost != 100 || lost.ModuleID != "connector_2" || lost.Time.IsZero() {
		t.Errorf("in the place of the lost events: %+v", lost)
	}
	if got[maxQueueEvents-1].Variable != fmt.Sprint(maxQueueEvents-1) || got[maxQueueEvents+1].Variable != fmt.Sprint(first) {
		t.Errorf("around it: %q and %q", got[maxQueueEvents-1].Variable, got[maxQueueEvents+1].Variable)
	}
}

func TestWatcherQueueIsBoundedInBytes(t *testing.T) {
	var hub Hub
	slow := hub.watch()
	value := json.RawMessage(`"` + strings.Repeat("x", maxQueueBytes/4) + `"`)
	for range 10 {
		hub.Publish(Event{Kind: KindVariable, Value: value})
	}
	if got := slow.take(); len(got) != 4 || got[3].Lost != 7 {
		t.Errorf("%d events, the last %+v", len(got), got[len(got)-1].Lost)
	}
}

func TestWatchBeginsWithState(t *testing.T) {
	var hub Hub
	hub.SetState("Waiting", Starting)
	hub.SetState("Working", Healthy)
	w := hub.watch()
	hub.SetState("Working", Healthy) // the present state
	hub.SetState("Resuming", Degraded)
	got := w.take()
	if len(got) != 2 || got[0].State != "Working" || got[1].State != "Resuming" || got[1].Health != Degraded {
		t.Errorf("events %+v", got)
	}
	hub.leave(w)
	if hub.Watched() {
		t.Error("still watched")
	}
}

// watch starts a watch. stop ends the watch and returns its error.
func watch(t *testing.T, client *Client) (events <-chan Event, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan Event, 100)
	ended := make(chan error, 1)
	go func() { ended <- client.Watch(ctx, func(event Event) { seen <- event }) }()
	return seen, sync.OnceValue(func() error { cancel(); return <-ended })
}

func TestWatchOverTheSocket(t *testing.T) {
	hub := &Hub{ModuleID: "connector_2"}
	hub.SetState("Working", Healthy)
	client, _ := serve(t, Config{Events: hub, Heartbeat: time.Millisecond})
	events, stop := watch(t, client)
	<-events
	hub.Publish(Event{Kind: KindVariable, Interface: "evse_manager", Variable: "limits", Value: json.RawMessage(`{"a":1.0}`)})
	if got := <-events; string(got.Value) != `{"a":1.0}` || got.Interface != "evse_manager" || got.ModuleID != "connector_2" || got.Time.IsZero() {
		t.Errorf("event %+v", got)
	}
	hub.Publish(Event{Kind: KindVariable, Variable: "broken", Value: json.RawMessage(`{`)})
	if got := <-events; got.Variable != "broken" || got.Value != nil {
		t.Errorf("event %+v", got)
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("watch ends with %v", err)
	}
}

func TestWatchEndsWithModule(t *testing.T) {
	hub := &Hub{}
	hub.SetState("Working", Healthy)
	client, stopServer := serve(t, Config{Events: hub})
	started := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() { ended <- client.Watch(context.Background(), func(Event) { started <- struct{}{} }) }()
	<-started
	stopServer()
	if err := <-ended; !errors.Is(err, ErrUnreachable) {
		t.Errorf("watch ends with %v", err)
	}
}

// A watcher that does not read loses its connection.
func TestWatcherThatDoesNotRead(t *testing.T) {
	hub := &Hub{}
	client, _ := serve(t, Config{Events: hub, WriteTimeout: 10 * time.Millisecond})
	connection, err := net.Dial("unix", client.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, "GET /watch HTTP/1.1\r\nHost: m\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	value := json.RawMessage(`"` + strings.Repeat("x", 100_000) + `"`)
	for begin, seen := time.Now(), false; ; time.Sleep(time.Millisecond) {
		hub.Publish(Event{Kind: KindVariable, Value: value})
		if hub.Watched() {
			seen = true
		} else if seen {
			return
		}
		if time.Since(begin) > patience {
			t.Fatal("the server still waits for the watcher")
		}
	}
}

func TestUnsupportedRequests(t *testing.T) {
	client, _ := serve(t, Config{})
	if err := client.Watch(t.Context(), func(Event) {}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("error %v", err)
	}
	if err := client.Logs(t.Context(), func(string) (io.Writer, error) { return io.Discard, nil }); !errors.Is(err, ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

// The client must not take a part of the logs for the whole.
func TestIncompleteLogs(t *testing.T) {
	client, _ := serve(t, Config{Logs: func(context.Context) (*Logs, error) {
		body := io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), brokenReader{})
		return &Logs{Name: "../../etc/a.log", ContentType: "text/plain", Body: io.NopCloser(body)}, nil
	}})
	var text strings.Builder
	name := ""
	err := client.Logs(t.Context(), func(proposed string) (io.Writer, error) { name = proposed; return &text, nil })
	if err == nil || name != "a.log" {
		t.Errorf("name %q, %v after %d bytes", name, err, text.Len())
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk failure") }

// The end of the server ends a running request, and Serve waits for the request.
func TestServeWaitsForItsRequests(t *testing.T) {
	asked, released := make(chan struct{}), make(chan struct{})
	client, stop := serve(t, Config{Status: func(ctx context.Context) (*Status, error) {
		close(asked)
		<-ctx.Done()
		close(released)
		return nil, ctx.Err()
	}})
	go client.Status(context.Background())
	<-asked
	stop()
	select {
	case <-released:
	default:
		t.Error("Serve has returned before the request has ended")
	}
}

func TestStatusJSON(t *testing.T) {
	latency := &Latency{Last: 0.5, Median: 0.25, P99: 1, Samples: 3}
	client, _ := serve(t, Config{Status: func(context.Context) (*Status, error) {
		return &Status{Module: "SatelliteController", Link: &Link{Role: "controller", Latency: latency}}, nil
	}})
	response, err := client.do(t.Context(), http.MethodGet, "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	for _, want := range []string{`"module":"SatelliteController"`, `"latency":{"last_s":0.5,"p50_s":0.25,"p99_s":1,"samples":3}`, `"uptime_s":`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
}
