package page

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// stream opens /events and returns a function for the next event.
func stream(t *testing.T, address string) (next func() (kind, data string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("/events: %s %s", response.Status, response.Header.Get("Content-Type"))
	}
	lines := bufio.NewReader(response.Body)
	return func() (kind, data string) {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("the stream ended: %v", err)
			}
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch {
			case name == "event":
				kind = value
			case name == "data":
				data = value
			case line == "\n" && data != "":
				return kind, data
			}
		}
	}
}

func TestEventsArriveLive(t *testing.T) {
	t.Parallel()
	source := newFakeStation()
	source.answer("a.sock", controllerStatus("connector_1", noon))
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 1)
	next := stream(t, address)
	if kind, data := next(); kind != eventStation || !strings.Contains(data, `"module_id":"connector_1"`) {
		t.Fatalf("first event: %s %s", kind, data)
	}
	source.set("a.sock", func(context.Context) (*control.Status, error) { return nil, syscall.ECONNREFUSED })
	for {
		_, data := next()
		if strings.Contains(data, `"to":"down"`) {
			break
		}
	}
}

func TestOpenPagesAreBounded(t *testing.T) {
	t.Parallel()
	station, address := serve(t, newFakeStation(), ServerConfig{})
	awaitBoards(t, station, 0)
	subscription := station.subscribe()
	<-subscription // the first tick
	station.unsubscribe(subscription)
	var nexts []func() (string, string)
	for range maxStreams {
		nexts = append(nexts, stream(t, address))
	}
	response, body := get(t, address, "/events")
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || !strings.Contains(body, "close one") {
		t.Errorf("one page too many: %s %s", response.Status, body)
	}
	for i, next := range nexts {
		if kind, _ := next(); kind != eventStation {
			t.Errorf("page %d got %s", i, kind)
		}
	}
	if _, body := get(t, address, "/metrics"); !strings.Contains(body, fmt.Sprintf("remotechargeport_page_streams %d\n", maxStreams)) {
		t.Errorf("metrics do not count the pages:\n%s", body)
	}
}

// A page that does not read loses its connection, and delays nothing.
func TestPageThatDoesNotRead(t *testing.T) {
	t.Parallel()
	source := newFakeStation()
	for i := range 40 {
		status := controllerStatus(fmt.Sprintf("connector_%d", i), noon)
		status.Problem, status.Health = strings.Repeat("long ", 5000), control.Degraded
		source.answer(fmt.Sprintf("%d.sock", i), status)
	}
	station := NewStation(Config{Source: source})
	done := make(chan struct{})
	defer close(done)
	slow := newStreams(station, done)
	slow.writeLimit = 100 * time.Millisecond
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		defer close(ended)
		slow.ServeHTTP(w, request)
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- station.Run(ctx) }()
	defer func() {
		cancel()
		<-stopped
	}()
	awaitBoards(t, station, 40)
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	// With a small window the kernel buffers less than one event of this station.
	if err := connection.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(connection, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(generous):
		t.Fatalf("a page that does not read is still served after %s", generous)
	}
	if slow.open() != 0 {
		t.Errorf("%d pages are counted as open", slow.open())
	}
}
