package page

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// generous ends a test that would hang. It is much longer than anything takes on a busy machine.
const generous = time.Minute

// serve runs a station and its server until the test ends. It returns the server's address.
func serve(t *testing.T, source Source, config ServerConfig) (station *Station, address string) {
	t.Helper()
	station = NewStation(Config{Source: source, Name: "CS-041"})
	server, err := NewServer(station, config)
	if err != nil {
		t.Fatal(err)
	}
	address = serveOn(t, station, server, "127.0.0.1:0")
	return station, address
}

func serveOn(t *testing.T, station *Station, server *Server, listen string) string {
	t.Helper()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- station.Run(ctx) }()
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return listener.Addr().String()
}

// get requests a path and returns the response with its body.
func get(t *testing.T, address, path string, change ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range change {
		change(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// awaitBoards waits until the station shows a number of boards.
func awaitBoards(t *testing.T, station *Station, boards int) {
	t.Helper()
	subscription := station.subscribe()
	defer station.unsubscribe(subscription)
	limit := time.After(generous)
	for len(station.Boards()) != boards {
		select {
		case <-subscription:
		case <-limit:
			t.Fatalf("%d boards after %s, want %d", len(station.Boards()), generous, boards)
		}
	}
}

func TestFiles(t *testing.T) {
	_, address := serve(t, newFakeStation(), ServerConfig{})
	for path, want := range map[string]string{
		"/": "text/html; charset=utf-8", "/page.css": "text/css; charset=utf-8", "/page.js": "text/javascript; charset=utf-8", "/icon.svg": "image/svg+xml",
	} {
		response, _ := get(t, address, path)
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != want {
			t.Errorf("%s: %s %s", path, response.Status, response.Header.Get("Content-Type"))
		}
		policy := response.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		if response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be taken for another type", path)
		}
	}
	if response, _ := get(t, address, "/absent"); response.StatusCode != http.StatusNotFound {
		t.Errorf("a path that is not there: %s", response.Status)
	}
}

func TestFilesLoadNothingForeign(t *testing.T) {
	entries, err := web.ReadDir("web")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := web.ReadFile("web/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, foreign := range []string{"http://", "https://", "url(", "@import", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=", "onclick="} {
			rest := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "")
			if strings.Contains(rest, foreign) {
				t.Errorf("%s contains %s", entry.Name(), foreign)
			}
		}
	}
}

func TestHostIsChecked(t *testing.T) {
	_, address := serve(t, newFakeStation(), ServerConfig{Hosts: []string{"Station.example."}})
	_, port, _ := net.SplitHostPort(address)
	for host, want := range map[string]int{
		address: 200, "localhost:" + port: 200, "LOCALHOST": 200, "[::1]:80": 200, "192.0.2.7": 200, "station.example:" + port: 200,
		"evil.example": 421, "evil.example:" + port: 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "station.example.evil": 421,
	} {
		for _, path := range []string{"/", "/status.json", "/metrics", "/healthz"} {
			response, body := get(t, address, path, func(request *http.Request) { request.Host = host })
			if got := response.StatusCode; (got == 421) != (want == 421) {
				t.Errorf("%s as %s: %d", path, host, got)
			}
			if want == 421 && strings.Contains(body, "CS-041") {
				t.Errorf("%s as %s tells the station's name", path, host)
			}
		}
	}
}

func TestOnlyGetIsAllowed(t *testing.T) {
	_, address := serve(t, newFakeStation(), ServerConfig{})
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		for _, path := range []string{"/", "/events", "/status.json", "/metrics", "/healthz"} {
			response, _ := get(t, address, path, func(request *http.Request) { request.Method = method })
			if response.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %s", method, path, response.Status)
			}
		}
	}
}

func TestCheckListen(t *testing.T) {
	for address, loopback := range map[string]bool{
		"127.0.0.1:9477": true, "127.8.0.1:0": true, "[::1]:9477": true, "localhost:9477": true,
		":9477": false, "0.0.0.0:9477": false, "[::]:9477": false, "10.0.0.1:9477": false, "station.example:9477": false,
	} {
		if err := CheckListen(address, false); (err == nil) != loopback {
			t.Errorf("%s: %v", address, err)
		}
		if err := CheckListen(address, true); err != nil {
			t.Errorf("%s, exposed: %v", address, err)
		}
	}
	if CheckListen("9477", true) == nil {
		t.Error("a port alone is no address")
	}
}

func TestStatusJSON(t *testing.T) {
	t.Parallel()
	source := newFakeStation()
	source.answer("/run/connector_2.sock", controllerStatus("connector_2", noon))
	source.set("/run/connector_3.sock", func(context.Context) (*control.Status, error) { return nil, syscall.ECONNREFUSED })
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 2)
	response, body := get(t, address, "/status.json")
	if response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("type %s", response.Header.Get("Content-Type"))
	}
	var snapshot struct {
		Name, Level string
		Boards      []struct {
			ModuleID string `json:"module_id"`
			Level    string
			Now      map[string]*float64
			Status   *control.Status
		}
	}
	if err := json.Unmarshal([]byte(body), &snapshot); err != nil {
		t.Fatal(err)
	}
	if snapshot.Name != "CS-041" || snapshot.Level != "down" || len(snapshot.Boards) != 2 {
		t.Fatalf("snapshot: %s", body)
	}
	working, down := snapshot.Boards[0], snapshot.Boards[1]
	if working.Status == nil || working.Status.Link.PeerSerial != "EV-000123" || *working.Now["latency_s"] != 0.0021 {
		t.Errorf("the one that works: %+v", working)
	}
	if down.ModuleID != "connector_3" || down.Status != nil || down.Now["latency_s"] != nil {
		t.Errorf("the one that is down: %+v", down)
	}
	if response, body := get(t, address, "/healthz"); response.StatusCode != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz: %s %s", response.Status, body)
	}
}

func TestHealthWithoutRun(t *testing.T) {
	server, err := NewServer(NewStation(Config{Source: newFakeStation()}), ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.ending()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/healthz", nil)
	server.Handler().ServeHTTP(recorder, request)
	if recorder.Code != http.StatusServiceUnavailable {
		t.Errorf("/healthz: %d", recorder.Code)
	}
}

func TestTextOfModuleIsNotMarkup(t *testing.T) {
	t.Parallel()
	const attack = `</script><script>alert(1)</script>` + "\n\nevent: station\ndata: {}\u2028"
	source := newFakeStation()
	status := controllerStatus(attack, noon)
	status.Module, status.Version, status.State, status.Problem, status.Health = attack, attack, attack, attack, control.Degraded
	status.Link.PeerAddress, status.Link.Dialect = attack, attack
	source.answer("a.sock", status)
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 1)
	kind, data := stream(t, address)()
	if kind != eventStation || strings.ContainsAny(data, "<>\u2028") || !json.Valid([]byte(data)) {
		t.Errorf("event %s: %s", kind, data)
	}
	for _, path := range []string{"/status.json", "/metrics"} {
		response, body := get(t, address, path)
		if response.StatusCode != http.StatusOK || strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s %s", path, response.Status, body)
		}
		if strings.Contains(body, "\nevent: station") {
			t.Errorf("%s has a line that a module made: %s", path, body)
		}
	}
}

func TestServeEndsOpenPages(t *testing.T) {
	station := NewStation(Config{Source: newFakeStation()})
	server, err := NewServer(station, ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, listener) }()
	response, err := http.Get("http://" + listener.Addr().String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(generous):
		t.Fatal("the server waits for an open page")
	}
}
