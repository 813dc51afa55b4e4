package aggregator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// controlledStation starts a station whose aggregator has a status socket.
func controlledStation(t *testing.T, boards int) (*testStation, *control.Client) {
	t.Helper()
	return controlledStationWith(t, boards, map[string]any{})
}

func controlledStationWith(t *testing.T, boards int, config map[string]any) (*testStation, *control.Client) {
	t.Helper()
	directory, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	path := filepath.Join(directory, "station.sock")
	config["control_socket"] = path
	s := newStation(t, boards, config)
	client := control.Dial(path)
	t.Cleanup(client.Close)
	waitStatus(t, client, func(status *control.Status) bool { return status.Health == control.Healthy })
	return s, client
}

func waitStatus(t *testing.T, client *control.Client, wanted func(*control.Status) bool) *control.Status {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		status, err := client.Status(t.Context())
		if err == nil && wanted(status) {
			return status
		}
		if time.Since(begin) > everesttest.Patience {
			t.Fatalf("the status stays %+v, %v", status, err)
		}
	}
}

func TestControlStatusOfTheStation(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 3)
	status := waitStatus(t, client, func(status *control.Status) bool { return status.Health == control.Healthy })
	if status.Module != "SystemAggregator" || status.ModuleID != "aggregator" || status.State != "Ready" || status.Link != nil || status.Everest == nil {
		t.Errorf("status %+v", status)
	}
	if len(status.Station.Boards) != 3 || status.Station.Firmware != nil || status.Station.Logs == nil || len(status.Station.Logs) != 0 {
		t.Fatalf("station %+v", status.Station)
	}
	if got := status.Station.Boards[2]; got != (control.Board{Index: 2, Name: "2_board2", SystemID: "board2", SatelliteID: "board2", EVSE: 3, Connected: true}) {
		t.Errorf("board %+v", got)
	}

	s.boards[1].set(func(b *testBoard) { b.linked = false })
	status = waitStatus(t, client, func(status *control.Status) bool { return status.Health == control.Degraded })
	if !strings.Contains(status.Problem, "1_board1") || strings.Contains(status.Problem, "2_board2") {
		t.Errorf("problem %q", status.Problem)
	}

	s.boards[1].set(func(b *testBoard) { b.linked = true })

	events := make(chan control.Event, 100)
	watching, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = client.Watch(watching, func(event control.Event) { events <- event }) })
	defer running.Wait()
	defer stop()
	if event := <-events; event.State != "Ready" {
		t.Errorf("event %+v", event)
	}
	request := map[string]any{"location": "https://example.org/fw", "request_id": 7, "retrieve_timestamp": "2026-01-01T00:00:00Z"}
	if got := call[string](t, s.backend, "update_firmware", map[string]any{"firmware_update_request": request}); got != "Accepted" {
		t.Fatal(got)
	}
	for _, board := range s.boards {
		board.firmware(t, 7, "Downloading")
	}
	for seen := map[string]bool{}; !seen["0_board0"] || !seen["1_board1"] || !seen["2_board2"] || !seen["system"]; {
		event := <-events
		if event.Variable != "firmware_update_status" || !bytes.Contains(event.Value, []byte(`"Downloading"`)) {
			t.Errorf("event %+v", event)
		}
		seen[event.Interface] = true
	}
	status = waitStatus(t, client, func(status *control.Status) bool { return status.Station.Firmware != nil })
	if *status.Station.Firmware != (control.FirmwareJob{RequestID: 7, Status: "Downloading"}) || status.Station.Boards[1].FirmwareStatus != "Downloading" {
		t.Errorf("station %+v", status.Station)
	}
	if _, err := client.Ping(t.Context()); !errors.Is(err, control.ErrUnsupported) {
		t.Errorf("ping: %v", err)
	}
}

func TestLogsOfAllBoardsAreFetched(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 2)
	s.boards[0].sendsFile(t, "main.txt", []byte("main"))
	s.boards[1].sendsFile(t, "satellite.txt", []byte("satellite"))
	for range 2 { // a second time works as well
		var archive bytes.Buffer
		name := ""
		err := client.Logs(t.Context(), func(proposed string) (io.Writer, error) { name = proposed; return &archive, nil })
		if err != nil || !strings.HasPrefix(name, "station_") || !strings.HasSuffix(name, ".tar.gz") {
			t.Fatalf("%q, %v", name, err)
		}
		files := unpack(t, archive.Bytes())
		if len(files) != 3 || files["0_board0/main.txt"] != "main" || files["1_board1/satellite.txt"] != "satellite" || files["manifest.json"] == "" {
			t.Errorf("files %v", files)
		}
	}
	s.backend.quiet(t)
	status := waitStatus(t, client, func(status *control.Status) bool { return len(status.Station.Logs) == 0 })
	if status.Station.Boards[1].LogStatus != "Uploaded" {
		t.Errorf("boards %+v", status.Station.Boards)
	}
}

func TestLogsThatNoBoardHas(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 2)
	for _, board := range s.boards {
		board.set(func(b *testBoard) {
			b.logs = func(context.Context, map[string]any) (any, error) {
				return map[string]any{"upload_logs_status": "Rejected"}, nil
			}
		})
	}
	var answer *control.AnswerError
	if err := client.Logs(t.Context(), func(string) (io.Writer, error) { return io.Discard, nil }); !errors.As(err, &answer) || answer.StatusCode != 503 ||
		!strings.Contains(answer.Text, "1_board1: the board answered Rejected") {
		t.Errorf("error %v", err)
	}
}

func TestLogsThatDoNotArrive(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 2)
	for _, board := range s.boards {
		board.set(func(b *testBoard) {
			b.logs = func(ctx context.Context, request map[string]any) (any, error) {
				err := b.report(ctx, request["request_id"], "UploadFailure")
				return map[string]any{"upload_logs_status": "Accepted", "file_name": "log.txt"}, err
			}
		})
	}
	var answer *control.AnswerError
	if err := client.Logs(t.Context(), func(string) (io.Writer, error) { return io.Discard, nil }); !errors.As(err, &answer) || answer.StatusCode != 503 ||
		!strings.Contains(answer.Text, "1_board1: the board reported UploadFailure") {
		t.Errorf("error %v", err)
	}
	s.backend.quiet(t)
}

func TestLogsGiveWayToABackend(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 2)
	for _, board := range s.boards {
		board.set(func(b *testBoard) {
			b.logs = func(context.Context, map[string]any) (any, error) { // it never sends a file
				return map[string]any{"upload_logs_status": "Accepted", "file_name": "log.txt"}, nil
			}
		})
	}
	ended := make(chan error, 1)
	go func() {
		err := client.Logs(context.Background(), func(string) (io.Writer, error) { return io.Discard, nil })
		ended <- err
	}()
	waitStatus(t, client, func(status *control.Status) bool {
		return len(status.Station.Logs) == 1 && status.Station.Logs[0].Step == "collecting" && status.Station.Logs[0].Boards == 2
	})
	var answer *control.AnswerError
	if err := client.Logs(t.Context(), func(string) (io.Writer, error) { return io.Discard, nil }); !errors.As(err, &answer) || !strings.Contains(answer.Text, "collected already") {
		t.Errorf("a second request: %v", err)
	}
	s.boards[0].sendsFile(t, "main.txt", []byte("main"))
	s.boards[1].sendsFile(t, "satellite.txt", []byte("satellite"))
	request := map[string]any{"location": "ftp://127.0.0.1:1/none", "request_id": 9}
	if got := call[everest.Args](t, s.backend, "upload_logs", map[string]any{"upload_logs_request": request}); string(got["upload_logs_status"]) != `"Accepted"` {
		t.Errorf("the backend's request is answered %v", got)
	}
	if err := <-ended; !errors.As(err, &answer) || !strings.Contains(answer.Text, "goes first") {
		t.Errorf("the local request: %v", err)
	}
	s.backend.expect(t, "9 Uploading", "9 UploadFailure")
}

func TestLogsThatNobodyWaitsForEnd(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 2)
	for _, board := range s.boards {
		board.set(func(b *testBoard) {
			b.logs = func(context.Context, map[string]any) (any, error) {
				return map[string]any{"upload_logs_status": "Accepted", "file_name": "log.txt"}, nil
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := client.Logs(ctx, func(string) (io.Writer, error) { return io.Discard, nil })
		ended <- err
	}()
	waitStatus(t, client, func(status *control.Status) bool { return len(status.Station.Logs) == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	waitStatus(t, client, func(status *control.Status) bool { return len(status.Station.Logs) == 0 })
	s.backend.quiet(t)
}

// TestMixedFirmwareIsNamed: a board installs what another one refused, because System cannot be stopped. A board that is
// away keeps the others from beginning at all.
func TestMixedFirmwareIsNamed(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 3)
	s.boards[1].set(func(b *testBoard) { b.linked = false })
	if answer := call[string](t, s.backend, "update_firmware", unsigned(-1)); answer != "Rejected" {
		t.Error(answer)
	}
	s.backend.expect(t, "-1 DownloadFailed")
	for _, b := range s.boards {
		b.wasNotCalled(t)
	}
	if lines := s.waitLogged(t, "refused because this board is away", 1); lines[0].ContextMap()["board"] != "1_board1" {
		t.Errorf("the line is of another board: %v", lines[0].ContextMap())
	}

	s.boards[1].set(func(b *testBoard) { b.linked, b.update = true, "Rejected" })
	if answer := call[string](t, s.backend, "update_firmware", unsigned(7)); answer != "Rejected" {
		t.Error(answer)
	}
	s.boards[2].firmware(t, 7, "Installing")
	waitStatus(t, client, func(status *control.Status) bool { return status.Station.Boards[2].Flashing })
	s.boards[2].firmware(t, 7, "Installed")
	status := waitStatus(t, client, func(status *control.Status) bool { return status.Station.Boards[2].Mixed })
	if board := status.Station.Boards[2]; board.MixedRequest != 7 || board.Flashing || status.Health != control.Degraded ||
		!strings.Contains(status.Problem, "2_board2") {
		t.Errorf("status %+v", status)
	}
	s.waitLogged(t, "has installed firmware that the station does not have", 1)

	s.boards[1].set(func(b *testBoard) { b.update = "Accepted" })
	call[string](t, s.backend, "update_firmware", unsigned(8))
	for _, b := range s.boards {
		b.firmware(t, 8, "Installed")
	}
	waitStatus(t, client, func(status *control.Status) bool { return status.Health == control.Healthy })
}
