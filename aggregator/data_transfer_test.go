package aggregator

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/vendordata"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// dataTransfer calls data_transfer as OCPP does when a backend has sent a DataTransfer.
func (b *testBackend) dataTransfer(t testing.TB, message, data string) vendordata.Reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	defer cancel()
	request := map[string]any{"vendor_id": vendordata.VendorID, "message_id": message}
	if data != "" {
		request["data"] = data
	}
	reply, err := everest.Call[vendordata.Reply](ctx, b.module.Requires("data_transfer")[0], "data_transfer", map[string]any{"request": request})
	if err != nil {
		t.Fatalf("%s: %v", message, err)
	}
	return reply
}

func (b *testBackend) boards(t testing.TB) (boards []vendordata.Board) {
	t.Helper()
	reply := b.dataTransfer(t, "GetBoards", "")
	var list struct{ Boards *[]vendordata.Board }
	list.Boards = &boards
	if err := json.Unmarshal([]byte(reply.Data), &list); reply.Status != "Accepted" || err != nil {
		t.Fatalf("%+v: %v", reply, err)
	}
	return boards
}

// TestBackendListsTheBoards: who is where since when, and which board has other firmware than the station.
func TestBackendListsTheBoards(t *testing.T) {
	t.Parallel()
	broker := everesttest.NewBroker(t)
	s := newStationOn(t, broker, 4, map[string]any{"data_transfer": "read"})
	recorder := everesttest.NewRecorder(t, broker, "#")
	since := time.Date(2026, 11, 27, 15, 0, 0, 0, time.UTC)
	s.boards[1].set(func(b *testBoard) {
		b.link = func(context.Context) (any, error) {
			return map[string]any{"connected": true, "since": since, "serial": "ABC123", "version": "v1.2.3"}, nil
		}
	})
	s.boards[2].set(func(b *testBoard) { b.linked = false })
	// The controller of one board does not know the question, as a C++ one: it never answers, and is not asked again.
	s.boards[3].set(func(b *testBoard) {
		b.link = func(ctx context.Context) (any, error) { <-ctx.Done(); return nil, ctx.Err() }
	})
	boards := s.backend.boards(t)
	if len(boards) == 4 && (boards[0].Since == nil || boards[0].Version == "") {
		t.Errorf("the main board: %+v", boards[0])
	}
	boards[0].Since, boards[0].Version = nil, ""
	if diff := cmp.Diff([]vendordata.Board{
		{Index: 0, Name: "0_board0", Connected: true},
		{Index: 1, Name: "1_board1", EVSE: 2, Connected: true, Since: &since, Serial: "ABC123", Version: "v1.2.3"},
		{Index: 2, Name: "2_board2", EVSE: 3},
		{Index: 3, Name: "3_board3", EVSE: 4, Connected: true},
	}, boards); diff != "" {
		t.Error(diff)
	}

	s.boards[2].set(func(b *testBoard) { b.linked, b.update = true, "Rejected" })
	call[string](t, s.backend, "update_firmware", unsigned(7))
	s.boards[1].firmware(t, 7, "Installed")
	s.waitLogged(t, "has installed firmware that the station does not have", 1)
	if board := s.backend.boards(t)[2]; board.FirmwareRefusal != "Rejected" {
		t.Errorf("a board that refused an update: %+v", board)
	}
	if board := s.backend.boards(t)[1]; board.FirmwareRefusal != "" || board.FirmwareStatus != "Installed" || !board.Mixed || board.MixedRequest != 7 {
		t.Errorf("a board with other firmware: %+v", board)
	}
	asked := 0
	for _, message := range recorder.Messages() {
		if strings.HasSuffix(message.Topic, "board3/impl/satellite/cmd/get_link_status") {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("a controller that does not answer was asked %d times", asked)
	}
	if reply := s.backend.dataTransfer(t, "ResetBoard", `{"board": "1"}`); reply.Status != "Rejected" || !strings.Contains(reply.Data, "data_transfer") {
		t.Errorf("a reset where only reading is allowed: %+v", reply)
	}
}

// TestBackendResetsOneBoard: a satellite that is there, and no other board.
func TestBackendResetsOneBoard(t *testing.T) {
	t.Parallel()
	s := newStation(t, 4, map[string]any{"data_transfer": "reset"})
	for _, data := range []string{`{"board": 2}`, `{"board": "2_board2", "type": "Hard"}`, `"{\"board\": \"board2\"}"`} {
		if reply := s.backend.dataTransfer(t, "ResetBoard", data); reply != (vendordata.Reply{Status: "Accepted", Data: `{"board":"2_board2"}`}) {
			t.Errorf("%s: %+v", data, reply)
		}
		s.boards[2].expectReset(t)
	}
	s.boards[1].set(func(b *testBoard) { b.linked = false })
	s.boards[3].beSilent()
	for data, reason := range map[string]string{
		`{"board": 0}`: "the main board", `{"board": 7}`: "no board", `{"board": 1}`: "is away", `{"board": 3}`: "does not answer",
		`reset them all`: "JSON",
	} {
		if reply := s.backend.dataTransfer(t, "ResetBoard", data); reply.Status != "Rejected" || !strings.Contains(reply.Data, reason) {
			t.Errorf("%s: %+v", data, reply)
		}
	}
	s.boards[0].wasNotCalled(t)
	s.boards[1].wasNotCalled(t)
	if board := <-s.boards[3].called; board != "is_reset_allowed" || len(s.boards[3].called) > 0 {
		t.Errorf("the silent board was called %s", board)
	}
}

// TestBackendIsRefusedByDefault: as a station without these messages.
func TestBackendIsRefusedByDefault(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{"data_transfer": "none"})
	for _, message := range []string{"GetBoards", "ResetBoard"} {
		if reply := s.backend.dataTransfer(t, message, `{"board": 1}`); reply != (vendordata.Reply{Status: "UnknownVendorId"}) {
			t.Errorf("%s: %+v", message, reply)
		}
	}
	s.boards[1].wasNotCalled(t)
}

// TestStationWithoutDataTransfer: where EVerest has no such interface, or where the manifest of the C++ module is
// installed, the module works without it.
func TestStationWithoutDataTransfer(t *testing.T) {
	t.Parallel()
	prefix := t.TempDir()
	for _, folder := range []string{"errors", "types", "interfaces"} {
		if err := os.MkdirAll(filepath.Join(prefix, "share/everest", folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(prefix, "share/everest/interfaces/system.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Installation().Install(prefix, os.Args[0], nil)
	if err != nil || !strings.Contains(strings.Join(report, "\n"), "left out: implementation ocpp_data_transfer") {
		t.Fatalf("%v\n%s", err, strings.Join(report, "\n"))
	}
	installed, err := os.ReadFile(filepath.Join(prefix, "libexec/everest/modules/SystemAggregator/manifest.yaml"))
	if err != nil || bytes.Contains(installed, []byte("interface: ocpp_data_transfer")) {
		t.Fatalf("%v\n%s", err, installed)
	}
	s := newStation(t, 2, map[string]any{aggregatorManifest: installed})
	if !s.resetAllowed(t) {
		t.Error("the station does not work")
	}
}
