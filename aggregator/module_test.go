package aggregator

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// testSink is a backend's file server.
type testSink struct {
	*httptest.Server
	mu      sync.Mutex
	files   map[string][]byte
	answers []int // of the next requests; after them 201
	hold    chan struct{}
	arrived chan struct{}
}

func newSink(t testing.TB) *testSink {
	s := &testSink{files: map[string][]byte{}, arrived: make(chan struct{}, 100)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.arrived <- struct{}{}
		s.mu.Lock()
		hold := s.hold
		status := http.StatusCreated
		if len(s.answers) > 0 {
			status, s.answers = s.answers[0], s.answers[1:]
		}
		s.mu.Unlock()
		if hold != nil {
			<-hold
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		if status == http.StatusCreated {
			s.files[strings.TrimPrefix(r.URL.Path, "/in/")] = body
		}
		s.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *testSink) file(t testing.TB, name string) map[string]string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.files[name]
	if !ok {
		t.Fatalf("%s was not uploaded", name)
	}
	return unpack(t, content)
}

// unpack reads an archive.
func unpack(t testing.TB, content []byte) map[string]string {
	t.Helper()
	compressed, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for packed := tar.NewReader(compressed); ; {
		header, err := packed.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(packed)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(body)
	}
}

func logsArguments(location string, extra map[string]any) map[string]any {
	request := map[string]any{"location": location}
	for key, value := range extra {
		request[key] = value
	}
	return map[string]any{"upload_logs_request": request}
}

func TestOneFileOfAllBoards(t *testing.T) {
	everesttest.ForEachBroker(t, testOneFileOfAllBoards)
}

func testOneFileOfAllBoards(t *testing.T, broker everest.Broker) {
	t.Parallel()
	s := newStationOn(t, broker, 3, nil)
	recorder := everesttest.NewRecorder(t, broker, "#")
	sink := newSink(t)
	// Two boards give their files one name.
	s.boards[0].sendsFile(t, "logs.txt", []byte("main"))
	s.boards[1].sendsFile(t, "logs.txt", []byte("satellite one"))
	s.boards[2].sendsFile(t, "other.txt", bytes.Repeat([]byte("2"), 3_000_000))
	response := call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": 5, "type": "SecurityLog"}))
	if response.Status != "Accepted" || !regexp.MustCompile(`^SecurityLog_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ_[0-9a-f]{8}\.tar\.gz$`).MatchString(response.FileName) {
		t.Errorf("answered %+v", response)
	}
	s.backend.expect(t, "5 Uploading", "5 Uploaded")
	files := sink.file(t, response.FileName)
	if files["0_board0/logs.txt"] != "main" || files["1_board1/logs.txt"] != "satellite one" || len(files["2_board2/other.txt"]) != 3_000_000 {
		t.Errorf("the archive has %d files", len(files))
	}
	var described archiveManifest
	if err := json.Unmarshal([]byte(files["manifest.json"]), &described); err != nil {
		t.Fatal(err)
	}
	if described.Type != "SecurityLog" || described.RequestID == nil || *described.RequestID != 5 || len(described.Boards) != 3 {
		t.Errorf("the manifest says %s", files["manifest.json"])
	}
	sum := sha256.Sum256([]byte("satellite one"))
	if got := described.Boards[1].Files[0]; got.SHA256 != hex.EncodeToString(sum[:]) || got.Size != 13 || got.Received.IsZero() {
		t.Errorf("the manifest says of a file %+v", got)
	}
	noLeftovers(t, s)
	answered, told := -1, -1
	for i, message := range recorder.Messages() {
		switch {
		case strings.HasSuffix(message.Topic, "aggregator/impl/system/cmd/upload_logs/response/backend"):
			answered = i
		case strings.HasSuffix(message.Topic, "aggregator/impl/system/var/log_status") && told < 0:
			told = i
		}
	}
	if answered < 0 || told < answered {
		t.Errorf("the answer was message %d, the first status message %d", answered, told)
	}
	for _, entry := range s.logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "@") {
			t.Errorf("logged credentials: %s", text)
		}
	}
}

// noLeftovers: when a request is over nothing of it is on the disk.
func noLeftovers(t testing.TB, s *testStation) {
	t.Helper()
	testenv.Eventually(t, "the disk is clean", func() bool {
		clean := true
		filepath.Walk(filepath.Join(s.directory, "incoming"), func(_ string, info os.FileInfo, err error) error {
			clean = clean && err == nil && info.IsDir()
			return nil
		})
		return clean
	})
}

// TestWhatBoardsAreAsked: the contract of the request towards the boards.
func TestWhatBoardsAreAsked(t *testing.T) {
	t.Parallel()
	s := newStation(t, 3, map[string]any{patient: true})
	var mu sync.Mutex
	var order []int
	requests := map[int]map[string]any{}
	for _, b := range s.boards {
		b.set(func(b *testBoard) {
			b.logs = func(_ context.Context, request map[string]any) (any, error) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, b.index)
				requests[b.index] = request
				return map[string]any{"upload_logs_status": "Rejected"}, nil
			}
		})
	}
	response := call[logsResponse](t, s.backend, "upload_logs", logsArguments("http://127.0.0.1:1/", map[string]any{
		"oldest_timestamp": "2026-01-01T00:00:00Z", "retries": 3, "retry_interval_s": 7,
	}))
	if response.Status != "Rejected" || response.FileName != "" {
		t.Errorf("answered %+v", response)
	}
	if diff := cmp.Diff([]int{2, 1, 0}, order); diff != "" {
		t.Errorf("order: %s", diff)
	}
	seen := map[string]bool{}
	for i, request := range requests {
		location := request["location"].(string)
		if !regexp.MustCompile(`^ftp://b[0-9a-f]{16}:[0-9a-f]{32}@127\.0\.0\.1:\d+/[0-9a-f]{32}/$`).MatchString(location) || seen[location] {
			t.Errorf("board %d sends to %s", i, location)
		}
		seen[location] = true
		delete(request, "location")
		id, _ := request["request_id"].(float64)
		if id < 1 {
			t.Errorf("board %d has request id %v", i, request["request_id"])
		}
		delete(request, "request_id")
		if diff := cmp.Diff(map[string]any{"oldest_timestamp": "2026-01-01T00:00:00Z", "retries": 1.0}, request); diff != "" {
			t.Errorf("board %d was asked %s", i, diff)
		}
	}
	s.backend.quiet(t)
	noLeftovers(t, s)
}

// TestBoardsThatMisbehave: whatever a board does, the others' files are uploaded, and the manifest names what is missing.
func TestBoardsThatMisbehave(t *testing.T) {
	t.Parallel()
	accept := func(name string) map[string]any {
		return map[string]any{"upload_logs_status": "Accepted", "file_name": name}
	}
	for name, test := range map[string]struct {
		logs    func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error)
		problem string
		config  map[string]any
	}{
		"silent": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(ctx context.Context, _ map[string]any) (any, error) { <-ctx.Done(); return nil, ctx.Err() }
		}, "did not answer", map[string]any{"board_timeout": 60}},
		"rejects": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(context.Context, map[string]any) (any, error) {
				return map[string]any{"upload_logs_status": "Rejected"}, nil
			}
		}, "answered Rejected", nil},
		"answers nonsense": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(context.Context, map[string]any) (any, error) { return "perhaps", nil }
		}, "cannot be read", nil},
		"uploads nothing": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(_ context.Context, request map[string]any) (any, error) {
				go b.report(context.Background(), request["request_id"], "Uploaded")
				return accept("logs.txt"), nil
			}
		}, "no file arrived", nil},
		"fails": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(_ context.Context, request map[string]any) (any, error) {
				go func() {
					sendTo(t.Context(), request["location"].(string), "logs.txt", []byte("bad"))
					b.report(context.Background(), request["request_id"], "UploadFailure")
				}()
				return accept("logs.txt"), nil
			}
		}, "reported UploadFailure", nil},
		"is cut, and reports Uploaded": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(_ context.Context, request map[string]any) (any, error) {
				go func() {
					if err := sendHalf(t.Context(), request["location"].(string), "logs.txt"); err != nil {
						t.Error(err)
					}
					b.report(context.Background(), request["request_id"], "Uploaded")
				}()
				return accept("logs.txt"), nil
			}
		}, "no file arrived", nil},
		"reports for another request": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(_ context.Context, request map[string]any) (any, error) {
				go b.report(context.Background(), request["request_id"].(float64)+1, "Uploaded")
				return accept("logs.txt"), nil
			}
		}, "did not report its end", map[string]any{"incoming_upload_timeout": 100}},
		"sends too much": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(_ context.Context, request map[string]any) (any, error) {
				go func() {
					status := "Uploaded"
					if err := sendTo(t.Context(), request["location"].(string), "logs.txt", make([]byte, 5<<20)); err != nil {
						status = "UploadFailure"
					}
					b.report(context.Background(), request["request_id"], status)
				}()
				return accept("logs.txt"), nil
			}
		}, "reported UploadFailure", map[string]any{"incoming_max_file_size": 1}},
		"announces a path": {func(t *testing.T, b *testBoard) func(context.Context, map[string]any) (any, error) {
			return func(_ context.Context, request map[string]any) (any, error) {
				go b.report(context.Background(), request["request_id"], "UploadFailure")
				return accept(".."), nil
			}
		}, "names no file", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, 2, test.config)
			sink := newSink(t)
			s.boards[0].sendsFile(t, "main.txt", []byte("main"))
			logs := test.logs(t, s.boards[1])
			s.boards[1].set(func(b *testBoard) { b.logs = logs })
			response := call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": 9}))
			if response.Status != "Accepted" {
				t.Fatalf("answered %+v", response)
			}
			s.backend.expect(t, "9 Uploading", "9 Uploaded")
			files := sink.file(t, response.FileName)
			if len(files) != 2 || files["0_board0/main.txt"] != "main" || !strings.Contains(files["manifest.json"], test.problem) {
				t.Errorf("the archive: %v", files)
			}
			noLeftovers(t, s)
		})
	}
}

func TestSecondRequestReplacesTheFirst(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	sink := newSink(t)
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("content"))
	}
	ask := func(id int) logsResponse {
		return call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": id, "type": "DiagnosticsLog", "retries": 1}))
	}
	// While the first is on its way to the backend.
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	sink.mu.Lock()
	sink.hold = hold
	sink.mu.Unlock()
	if response := ask(1); response.Status != "Accepted" {
		t.Errorf("the first is answered %+v", response)
	}
	s.backend.expect(t, "1 Uploading")
	<-sink.arrived
	sink.mu.Lock()
	sink.hold = nil
	sink.mu.Unlock()
	second := ask(2)
	if second.Status != "AcceptedCanceled" {
		t.Errorf("the second is answered %+v", second)
	}
	s.backend.expect(t, "1 AcceptedCanceled", "2 Uploading", "2 Uploaded")
	sink.file(t, second.FileName)
	// While the boards are silent, with the same id.
	for _, b := range s.boards {
		b.set(func(b *testBoard) {
			b.logs = func(context.Context, map[string]any) (any, error) {
				return map[string]any{"upload_logs_status": "Accepted", "file_name": "logs.txt"}, nil
			}
		})
	}
	if response := ask(3); response.Status != "Accepted" {
		t.Errorf("the third is answered %+v", response)
	}
	s.backend.expect(t, "3 Uploading")
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("content"))
	}
	fourth := ask(3)
	if fourth.Status != "AcceptedCanceled" {
		t.Errorf("the fourth is answered %+v", fourth)
	}
	s.backend.expect(t, "3 AcceptedCanceled", "3 Uploading", "3 Uploaded")
	sink.file(t, fourth.FileName)
	noLeftovers(t, s)
}

func TestUploadIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{"default_retries": 2})
	sink := newSink(t)
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("content"))
	}
	ask := func(id int, extra map[string]any) logsResponse {
		extra["request_id"] = id
		return call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", extra))
	}
	attempts := func() int {
		n := 0
		for {
			select {
			case <-sink.arrived:
				n++
			default:
				return n
			}
		}
	}
	for _, test := range []struct {
		answers  []int
		extra    map[string]any
		end      string
		attempts int
	}{
		// retries is the number of attempts: OCPP's modules send the retries of the backend plus one.
		{[]int{500, 503}, map[string]any{"retries": 3, "retry_interval_s": 0}, "Uploaded", 3},
		{[]int{500}, map[string]any{"retries": 1}, "UploadFailure", 1},
		{[]int{500, 403}, map[string]any{}, "PermissionDenied", 2},
		{[]int{500, 500, 500, 500}, map[string]any{"retries": 4, "retry_interval_s": 1}, "UploadFailure", 4},
	} {
		sink.mu.Lock()
		sink.answers = test.answers
		sink.mu.Unlock()
		ask(1, test.extra)
		s.backend.expect(t, "1 Uploading", "1 "+test.end)
		if got := attempts(); got != test.attempts {
			t.Errorf("%v: %d attempts, want %d", test.answers, got, test.attempts)
		}
	}
	for location, end := range map[string]string{
		"gopher://somewhere/": "NotSupportedOperation", "ftp://host\n/": "BadMessage", "nothing": "BadMessage",
		"sftp://user:secret@127.0.0.1:1/": "PermissionDenied",
	} {
		response := call[logsResponse](t, s.backend, "upload_logs", logsArguments(location, map[string]any{"request_id": 2}))
		if response.Status != "Accepted" {
			t.Errorf("%q is answered %+v", location, response)
		}
		s.backend.expect(t, "2 Uploading", "2 "+end)
	}
	noLeftovers(t, s)
}

// TestNoPlaceForTheArchive: what cannot be packed is a failure of this request only.
func TestNoPlaceForTheArchive(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	sink := newSink(t)
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("content"))
	}
	packed := filepath.Join(s.directory, "incoming", ".aggregator", "packed")
	if err := os.RemoveAll(packed); err != nil {
		t.Fatal(err)
	}
	call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": 1}))
	s.backend.expect(t, "1 Uploading", "1 UploadFailure")
	if err := os.Mkdir(packed, 0o700); err != nil {
		t.Fatal(err)
	}
	call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": 2}))
	s.backend.expect(t, "2 Uploading", "2 Uploaded")
}

// TestNoPlaceForLogs: a module that cannot collect logs logs the reason, and works otherwise.
func TestNoPlaceForLogs(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{"incoming_uploads_dir": "/dev/null/incoming"})
	response := call[logsResponse](t, s.backend, "upload_logs", logsArguments("ftp://127.0.0.1/", nil))
	if response.Status != "Rejected" {
		t.Errorf("answered %+v", response)
	}
	if s.logs.FilterMessageSnippet("cannot be collected").Len() != 1 {
		t.Error("nothing is said about it")
	}
	if !call[bool](t, s.backend, "is_reset_allowed", map[string]any{"type": "Soft"}) {
		t.Error("a reset is not allowed")
	}
}

// TestDiagnosticsOfOCPP16: no request id, no type.
func TestDiagnosticsOfOCPP16(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	sink := newSink(t)
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("content"))
	}
	response := call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", nil))
	if !strings.HasPrefix(response.FileName, "diagnostics_") {
		t.Errorf("answered %+v", response)
	}
	s.backend.expect(t, "-1 Uploading", "-1 Uploaded")
	sink.file(t, response.FileName)
}

// TestBoardsWithTemplatesOfTheirOwn: a board that can sends by HTTP.
func TestBoardsWithTemplatesOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{"board_upload_url_templates": fmt.Sprintf("1=http://{my-ip}:%d/up/", testenv.FreePort(t))})
	sink := newSink(t)
	var locations sync.Map
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("content"))
		send := b.logs
		b.set(func(b *testBoard) {
			b.logs = func(ctx context.Context, request map[string]any) (any, error) {
				scheme, _, _ := strings.Cut(request["location"].(string), ":")
				locations.Store(b.index, scheme)
				return send(ctx, request)
			}
		})
	}
	response := call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": 1}))
	s.backend.expect(t, "1 Uploading", "1 Uploaded")
	if files := sink.file(t, response.FileName); len(files) != 3 {
		t.Errorf("the archive: %v", files)
	}
	for board, want := range []string{"ftp", "http"} {
		if got, _ := locations.Load(board); got != want {
			t.Errorf("board %d sends by %v, want %s", board, got, want)
		}
	}
}

// TestEmbeddedReceiverWithoutItsPort: requests are rejected until the port is free.
func TestEmbeddedReceiverWithoutItsPort(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	other, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := newStation(t, 2, map[string]any{"receiver": "embedded", "upload_url_template": fmt.Sprintf("ftp://{my-ip}:%d/", port)})
	sink := newSink(t)
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("content"))
	}
	ask := func(id int) logsResponse {
		return call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": id}))
	}
	if response := ask(1); response.Status != "Rejected" {
		t.Errorf("answered %+v", response)
	}
	other.Close()
	if response := ask(2); response.Status != "Accepted" {
		t.Errorf("answered %+v", response)
	}
	s.backend.expect(t, "2 Uploading", "2 Uploaded")
}

// TestExternalReceiver is the legacy set-up: another server has the port and writes into the directory.
func TestExternalReceiver(t *testing.T) {
	t.Parallel()
	incoming := filepath.Join(t.TempDir(), "shared")
	if err := os.MkdirAll(incoming, 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	s := newStation(t, 3, map[string]any{
		"upload_url_template":  "ftp://{my-ip}:" + strings.Split(other.Addr().String(), ":")[1] + "/",
		"incoming_uploads_dir": incoming,
	})
	if s.logs.FilterMessageSnippet("another server has to receive").Len() != 1 {
		t.Error("nothing is said about the other server")
	}
	// A file of an earlier request must not be taken for this one's.
	if err := os.WriteFile(filepath.Join(incoming, "stale.txt"), []byte("stale"), 0o600); err != nil {
		t.Fatal(err)
	}
	sink := newSink(t)
	var one sync.Mutex
	writes := func(b *testBoard, announced, name, content string) {
		b.set(func(b *testBoard) {
			b.logs = func(_ context.Context, request map[string]any) (any, error) {
				if location := request["location"].(string); strings.Contains(location, "@") || !strings.HasPrefix(location, "ftp://127.0.0.1:") {
					t.Errorf("board %d sends to %s", b.index, location)
				}
				go func() {
					one.Lock() // boards with one file name, one after the other
					defer one.Unlock()
					if name != "" {
						os.WriteFile(filepath.Join(incoming, name), []byte(content), 0o600)
					}
					b.report(context.Background(), request["request_id"], "Uploaded")
					if name == "" {
						return
					}
					for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
						if _, err := os.Stat(filepath.Join(incoming, name)); err != nil {
							return
						}
					}
				}()
				return map[string]any{"upload_logs_status": "Accepted", "file_name": announced}, nil
			}
		})
	}
	writes(s.boards[0], "/var/log/logs.txt", "logs.txt", "main")
	writes(s.boards[1], "logs.txt", "logs.txt", "satellite")
	writes(s.boards[2], "stale.txt", "", "")
	response := call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": 4}))
	s.backend.expect(t, "4 Uploading", "4 Uploaded")
	files := sink.file(t, response.FileName)
	if len(files) != 3 || files["0_board0/logs.txt"] != "main" || files["1_board1/logs.txt"] != "satellite" {
		t.Errorf("the archive: %v", files)
	}
	if !strings.Contains(files["manifest.json"], "no file arrived") {
		t.Error(files["manifest.json"])
	}
}

func TestFirmwareUpdateOverAReboot(t *testing.T) {
	everesttest.ForEachBroker(t, testFirmwareUpdateOverAReboot)
}

func testFirmwareUpdateOverAReboot(t *testing.T, broker everest.Broker) {
	t.Parallel()
	s := newStationOn(t, broker, 3, nil)
	arguments := map[string]any{"firmware_update_request": map[string]any{
		"request_id": 7, "location": "https://example.org/image", "signature": "c2ln", "signing_certificate": "pem",
	}}
	if answer := call[string](t, s.backend, "update_firmware", arguments); answer != "Accepted" {
		t.Fatal(answer)
	}
	every := func(status string) { s.everyBoard(t, 7, status) }
	for _, b := range s.boards {
		b.wasCalled(t, "update_firmware")
	}
	for _, status := range []string{"Downloading", "Downloaded", "SignatureVerified"} {
		every(status)
		s.backend.expect(t, "7 "+status)
	}
	call[any](t, s.backend, "allow_firmware_installation", nil)
	s.boards[1].wasCalled(t, "allow_firmware_installation")
	s.boards[2].wasCalled(t, "allow_firmware_installation")
	for _, b := range s.boards[1:] {
		b.firmware(t, 7, "Installing")
		s.boards[0].wasNotCalled(t)
		b.firmware(t, 7, "InstallRebooting")
	}
	s.boards[0].wasCalled(t, "allow_firmware_installation")
	s.boards[0].firmware(t, 7, "Installing")
	s.backend.expect(t, "7 Installing")
	s.boards[0].firmware(t, 7, "InstallRebooting")
	s.backend.expect(t, "7 InstallRebooting")
	if answer := call[string](t, s.backend, "update_firmware", arguments); answer != "Rejected" {
		t.Errorf("a request in the middle of the installation is answered %s", answer)
	}
	// The main board goes down for its reboot.
	state := filepath.Join(s.directory, "state", "aggregator.firmware.json")
	if _, err := os.Stat(state); err != nil {
		t.Error(err)
	}
	s.restartMainBoard(t)
	every("Installed")
	s.backend.expect(t, "7 Installed")
	testenv.Eventually(t, "the state is removed", func() bool { _, err := os.Stat(state); return errors.Is(err, os.ErrNotExist) })
	s.backend.quiet(t)
}

// TestSixtyFourSatellites: as many as the manifest allows. Its seconds are whole ones: 65 boards and the station share this
// machine, and a board that takes longer than a limit is left out.
func TestSixtyFourSatellites(t *testing.T) {
	t.Parallel()
	s := newStation(t, 65, map[string]any{ownUnit: time.Second, "data_transfer": "read"})
	sink := newSink(t)
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", fmt.Appendf(nil, "of board %d", b.index))
	}
	response := call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": 5}))
	s.backend.expect(t, "5 Uploading", "5 Uploaded")
	if files := sink.file(t, response.FileName); len(files) != 66 || files["64_board64/logs.txt"] != "of board 64" {
		t.Errorf("the archive has %d files: %s", len(files), files["manifest.json"])
	}
	// The controllers have 2 s to answer.
	testenv.Eventually(t, "the backend gets all boards", func() bool {
		boards := s.backend.boards(t)
		return len(boards) == 65 && boards[64].Name == "64_board64" && boards[64].Connected
	})
	if !call[bool](t, s.backend, "is_reset_allowed", map[string]any{"type": "Soft"}) {
		t.Error("a reset is not allowed")
	}
	call[string](t, s.backend, "update_firmware", map[string]any{"firmware_update_request": map[string]any{"request_id": 6, "location": "ftp://x/"}})
	for _, b := range s.boards {
		b.firmware(t, 6, "Downloading")
	}
	s.backend.expect(t, "6 Downloading")
}

func TestFirmwareRefusals(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{"board_timeout": 60, "firmware_download_timeout": 10})
	ask := func(id int) string {
		return call[string](t, s.backend, "update_firmware", map[string]any{"firmware_update_request": map[string]any{"request_id": id, "location": "ftp://x/"}})
	}
	s.boards[1].set(func(b *testBoard) { b.update = "InvalidCertificate" })
	if answer := ask(1); answer != "InvalidCertificate" {
		t.Error(answer)
	}
	s.boards[1].beSilent()
	if answer := ask(2); answer != "Rejected" {
		t.Error(answer)
	}
	if s.logs.FilterMessageSnippet("did not answer").Len() == 0 {
		t.Error("the silent board is not named")
	}
	s.boards[1].speak()
	s.boards[1].set(func(b *testBoard) { b.update = "AcceptedCanceled" })
	if answer := ask(3); answer != "Accepted" {
		t.Error(answer)
	}
	s.boards[0].firmware(t, 3, "Downloading")
	s.boards[1].set(func(b *testBoard) { b.linked = false })
	s.backend.expect(t, "3 DownloadFailed")
	silent := s.logs.FilterMessageSnippet("silent for too long").All()
	if len(silent) != 2 {
		t.Errorf("%d boards were named", len(silent))
	}
	s.boards[1].set(func(b *testBoard) { b.linked = true })
	if answer := ask(4); answer != "Accepted" {
		t.Errorf("the next request is answered %s", answer)
	}
}

// TestScheduledUpdateIsNotSilent: see TestScheduledUpdateHasNoLimitBeforeItsTime for the time that it may take.
func TestScheduledUpdateIsNotSilent(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{"firmware_download_timeout": 10})
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	call[string](t, s.backend, "update_firmware", map[string]any{"firmware_update_request": map[string]any{
		"request_id": 1, "location": "ftp://x/", "retrieve_timestamp": later,
	}})
	for _, b := range s.boards {
		b.firmware(t, 1, "DownloadScheduled")
	}
	s.backend.expect(t, "1 DownloadScheduled")
	s.backend.quiet(t)
	// A board that is lost meanwhile is named, and when it is back.
	for _, linked := range []bool{false, true} {
		s.boards[1].set(func(b *testBoard) { b.linked = linked })
		message := map[bool]string{false: "the link to a board is lost", true: "the link to a board is back"}[linked]
		if entries := s.waitLogged(t, message, 1); entries[0].ContextMap()["board"] != "1_board1" {
			t.Errorf("the line is of another board: %v", entries[0].ContextMap())
		}
	}
}

func TestQuestionsToEveryBoard(t *testing.T) {
	t.Parallel()
	s := newStation(t, 3, map[string]any{"board_timeout": 60})
	allowed := func() bool {
		return call[bool](t, s.backend, "is_reset_allowed", map[string]any{"type": "Soft"})
	}
	set := func() bool {
		return call[bool](t, s.backend, "set_system_time", map[string]any{"timestamp": "2026-01-01T00:00:00Z"})
	}
	if !allowed() || !set() {
		t.Error("all say yes, the station no")
	}
	s.boards[2].set(func(b *testBoard) { b.yes = false })
	if allowed() || set() {
		t.Error("one says no, the station yes")
	}
	s.boards[2].set(func(b *testBoard) { b.yes = true })
	s.boards[2].beSilent()
	if set() {
		t.Error("one says nothing, the station yes")
	}
	if reason := call[string](t, s.backend, "get_boot_reason", nil); reason != "PowerUp" {
		t.Errorf("the boot reason is %s, not the main board's", reason)
	}
	s.boards[0].beSilent()
	if reason := call[string](t, s.backend, "get_boot_reason", nil); reason != "PowerUp" {
		t.Errorf("the boot reason becomes %s", reason)
	}
}

func TestInstallationFitsTheSatelliteModules(t *testing.T) {
	theirs, err := os.ReadFile("../satellite/interfaces/satellite.yaml")
	if err != nil || !bytes.Equal(theirs, satelliteInterface) {
		t.Errorf("the interface satellite is another one than the satellite modules': %v", err)
	}
	parsed, err := install.ParseManifest(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Requires["system"].MaxConnections != 65 || parsed.Requires["satellite"].MaxConnections != 64 {
		t.Errorf("the manifest's requirements are %+v", parsed.Requires)
	}
	prefix := t.TempDir()
	if _, err := Installation().Install(prefix, os.Args[0], nil); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"libexec/everest/modules/SystemAggregator/manifest.yaml", "share/everest/interfaces/satellite.yaml"} {
		if _, err := os.ReadFile(filepath.Join(prefix, file)); err != nil {
			t.Error(err)
		}
	}
}

func TestInstallationAllowsMoreSatellites(t *testing.T) {
	prefix := t.TempDir()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Chosen once, it stays until it is chosen otherwise.
	for _, test := range []struct {
		chosen map[string]string
		want   int
	}{{nil, 64}, {map[string]string{"satellites": "200"}, 200}, {nil, 200}, {map[string]string{"satellites": "64"}, 64}} {
		if _, err := Installation().Install(prefix, program, test.chosen); err != nil {
			t.Fatal(err)
		}
		content, err := install.InstalledManifest(prefix, "SystemAggregator")
		if err != nil {
			t.Fatal(err)
		}
		installed, err := install.ParseManifest(content)
		if err != nil {
			t.Fatal(err)
		}
		system, satellite := installed.Requires["system"], installed.Requires["satellite"]
		if system.MinConnections != 2 || system.MaxConnections != test.want+1 || satellite.MinConnections != 1 || satellite.MaxConnections != test.want {
			t.Errorf("%v: the requirements are %+v", test.chosen, installed.Requires)
		}
	}
	for _, value := range []string{"", "63", "1001", "many"} {
		if _, err := Installation().Install(prefix, program, map[string]string{"satellites": value}); err == nil {
			t.Errorf("%q satellites are taken", value)
		}
	}
}
