package aggregator

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	difference "github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

var rewriteFrames = flag.Bool("rewrite-frames", false, "write the frames of the scenarios into testdata/get_log; read the difference before it is committed")

// TestGetLog plays what a backend asks for, on a station whose boards have one upload at a time, as EVerest's System. The
// frames that the backend gets are in testdata/get_log, and are judged by OCPP's rules as well.
func TestGetLog(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(s *logScenario){
		"retries_0": func(s *logScenario) {
			s.getLog("SecurityLog", 1, 0, 0)
			s.ends(1)
			s.getLog("SecurityLog", 2, 0, 1)
			s.ends(1)
		},
		"retries_1": func(s *logScenario) {
			s.getLog("SecurityLog", 1, 1, 1)
			s.ends(1)
			s.getLog("SecurityLog", 2, 1, 2)
			s.ends(1)
		},
		"retries_3": func(s *logScenario) {
			s.getLog("DiagnosticsLog", 1, 3, 3)
			s.ends(1)
			s.getLog("DiagnosticsLog", 2, 3, 4)
			s.ends(1)
		},
		"both_types_at_once":       bothTypes,
		"both_types_one_uploading": bothTypesOneUploading,
		"same_type_twice":          sameTypeTwice,
		"reboot_while_collecting": func(s *logScenario) {
			s.hold()
			s.getLog("SecurityLog", 1, 3, 0)
			s.uploading()
			s.reboot()
			s.ends(1)
			s.release()
			s.getLog("SecurityLog", 2, 0, 0)
			s.ends(1)
		},
		"reboot_while_uploading": func(s *logScenario) {
			s.server.hold()
			s.getLog("SecurityLog", 1, 3, 0)
			s.uploading()
			s.server.arrival()
			s.reboot()
			s.ends(1)
			s.server.release()
			s.getLog("SecurityLog", 2, 0, 0)
			s.ends(1)
		},
		"reboot_with_both_types": func(s *logScenario) {
			s.hold()
			s.getLog("SecurityLog", 1, 0, 0)
			s.uploading()
			s.getLog("DiagnosticsLog", 2, 0, 0)
			s.uploading()
			s.reboot()
			s.ends(2)
		},
		"unknown_protocol": func(s *logScenario) {
			s.location = "gopher://backend.example/"
			s.getLog("SecurityLog", 1, 3, 0)
			s.ends(1)
		},
		"a_board_is_away": func(s *logScenario) {
			s.station.boards[2].set(func(b *testBoard) { b.logs = rejects })
			s.getLog("SecurityLog", 1, 0, 0)
			s.ends(1)
		},
		"no_board_sends": func(s *logScenario) {
			s.every(func(b *testBoard) { b.logs = rejects })
			s.getLog("SecurityLog", 1, 0, 0)
		},
		"no_board_sends_the_second_type": secondTypeRejected,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newLogScenario(t, ocppframes.OCPP201).play(name, play)
		})
	}
}

// TestGetDiagnostics: OCPP 1.6, which has no request id and no type.
func TestGetDiagnostics(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(s *logScenario){
		"diagnostics": func(s *logScenario) {
			s.getDiagnostics(0, 0)
			s.ends(1)
			s.getDiagnostics(1, 1)
			s.ends(1)
			s.getDiagnostics(1, 2)
			s.ends(1)
		},
		"diagnostics_reboot": func(s *logScenario) {
			s.hold()
			s.getDiagnostics(3, 0)
			s.uploading()
			s.reboot()
			s.ends(1)
			s.release()
			s.getDiagnostics(0, 0)
			s.ends(1)
		},
		"diagnostics_protocol": func(s *logScenario) { s.location = "gopher://backend.example/"; s.getDiagnostics(0, 0); s.ends(1) },
		"diagnostics_and_log": func(s *logScenario) {
			s.hold()
			s.getDiagnostics(0, 0)
			s.uploading()
			s.getLog("SecurityLog", 7, 0, 0)
			s.uploading()
			s.release()
			s.ends(2)
		},
		"log_replaced_1_6": sameTypeTwice,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newLogScenario(t, ocppframes.OCPP16).play(name, play)
		})
	}
}

func bothTypes(s *logScenario) {
	s.hold()
	s.getLog("SecurityLog", 1, 0, 0)
	s.uploading()
	s.getLog("DiagnosticsLog", 2, 0, 0)
	s.uploading()
	s.release()
	s.ends(2)
}

func bothTypesOneUploading(s *logScenario) {
	s.server.hold()
	s.getLog("SecurityLog", 1, 0, 0)
	s.uploading()
	s.server.arrival()
	s.getLog("DiagnosticsLog", 2, 0, 0)
	s.uploading()
	s.server.arrival()
	s.server.release()
	s.ends(2)
}

func sameTypeTwice(s *logScenario) {
	s.hold()
	s.getLog("SecurityLog", 1, 0, 0)
	s.uploading()
	s.server.hold()
	s.release()
	s.server.arrival()
	s.getLog("SecurityLog", 2, 0, 0)
	s.ends(1)
	s.uploading()
	s.server.release()
	s.ends(1)
}

func secondTypeRejected(s *logScenario) {
	s.hold()
	s.getLog("SecurityLog", 1, 0, 0)
	s.uploading()
	s.every(func(b *testBoard) { b.logs = rejects })
	s.getLog("DiagnosticsLog", 2, 0, 0)
	s.uploading()
	s.release()
	s.ends(2)
}

func rejects(context.Context, map[string]any) (any, error) {
	return map[string]any{"upload_logs_status": "Rejected"}, nil
}

// logScenario is a station and its backend. transcript has what the backend sends and gets.
type logScenario struct {
	t          *testing.T
	version    ocppframes.Version
	ocpp       *ocppframes.Module
	station    *testStation
	systems    []*oneUpload
	server     *fileServer
	location   string
	transcript strings.Builder
	rules      logRules
}

func newLogScenario(t *testing.T, version ocppframes.Version) *logScenario {
	t.Helper()
	config := map[string]any{"default_retry_interval": 0}
	if version == ocppframes.OCPP16 {
		config[ocppModule] = "OCPP"
	}
	s := &logScenario{t: t, version: version, ocpp: ocppframes.New(version), station: newStation(t, 3, config), server: newFileServer(t)}
	s.location = s.server.URL + "/in/"
	s.rules = logRules{version: version, server: s.server, requests: map[int64]*ruledRequest{}, names: map[string]bool{}}
	for _, b := range s.station.boards {
		system := &oneUpload{board: b}
		t.Cleanup(system.end)
		s.systems = append(s.systems, system)
		b.set(func(b *testBoard) { b.logs = system.handle })
	}
	return s
}

func (s *logScenario) play(name string, play func(*logScenario)) {
	s.t.Helper()
	play(s)
	s.rules.over(s.t)
	s.station.backend.quiet(s.t)
	path := filepath.Join("testdata", "get_log", name+".txt")
	if *rewriteFrames {
		if err := os.WriteFile(path, []byte(s.transcript.String()), 0o644); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := difference.Diff(string(want), s.transcript.String()); diff != "" {
		s.t.Errorf("%s (-expected +played):\n%s", path, diff)
	}
}

func (s *logScenario) write(format string, arguments ...any) {
	fmt.Fprintf(&s.transcript, format+"\n", arguments...)
}

var nameTime = regexp.MustCompile(`_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ_[0-9a-f]{8}\.tar\.gz`)

// getLog sends a GetLog request, as EVerest's OCPP modules pass it on: retries is the number of attempts there.
func (s *logScenario) getLog(kind string, id int64, retries, failing int) {
	s.t.Helper()
	s.write("backend: GetLog %s requestId %d, %d retries, %d attempts fail", kind, id, retries, failing)
	s.ask("GetLog", id, retries, failing, map[string]any{"type": kind, "request_id": id})
}

func (s *logScenario) getDiagnostics(retries, failing int) {
	s.t.Helper()
	s.write("backend: GetDiagnostics, %d retries, %d attempts fail", retries, failing)
	s.ask("GetDiagnostics", -1, retries, failing, map[string]any{})
}

func (s *logScenario) ask(action string, id int64, retries, failing int, request map[string]any) {
	s.t.Helper()
	s.server.fail(failing)
	request["retries"], request["retry_interval_s"] = retries+1, 0
	response := call[logsResponse](s.t, s.station.backend, "upload_logs", logsArguments(s.location, request))
	s.write("station: %sResponse %s %s", action, response.Status, nameTime.ReplaceAllString(response.FileName, "_TIME_RANDOM.tar.gz"))
	s.rules.response(s.t, id, retries, response)
}

// heardFrame is a frame that the backend gets of a request.
type heardFrame struct {
	id    int64
	text  string
	isEnd bool
}

// next waits for the next frame of the station.
func (s *logScenario) next() heardFrame {
	s.t.Helper()
	var heard heardFrame
	var status string
	select {
	case text := <-s.station.backend.heard:
		if _, err := fmt.Sscan(text, &heard.id, &status); err != nil {
			s.t.Fatalf("%q: %v", text, err)
		}
	case <-time.After(everesttest.Patience):
		s.t.Fatalf("no frame comes after\n%s", s.transcript.String())
	}
	frames, err := s.ocpp.Logs(heard.id, status)
	if err != nil || len(frames) != 1 {
		s.t.Fatalf("%s: %v %v", status, frames, err)
	}
	heard.text, heard.isEnd = frames[0].String(), s.rules.frame(s.t, heard.id, frames[0])
	return heard
}

// uploading waits for the frame that begins an upload.
func (s *logScenario) uploading() {
	s.t.Helper()
	heard := s.next()
	s.write("station: %s", heard.text)
	if heard.isEnd {
		s.t.Errorf("%s where an upload is to begin", heard.text)
	}
}

// ends waits for the ends of count requests. The order of uploads that run at a time is left open: they are written by their
// requests.
func (s *logScenario) ends(count int) {
	s.t.Helper()
	var heard []heardFrame
	for count > 0 {
		next := s.next()
		heard = append(heard, next)
		if next.isEnd {
			count--
		}
	}
	slices.SortStableFunc(heard, func(a, b heardFrame) int { return cmp.Compare(a.id, b.id) })
	for _, frame := range heard {
		s.write("station: %s", frame.text)
		if frame.isEnd {
			s.write("  %s", s.rules.outcome(frame.id))
		}
	}
}

// hold has the boards keep their files back until release.
func (s *logScenario) hold() {
	for _, system := range s.systems {
		system.hold()
	}
}

func (s *logScenario) release() {
	for _, system := range s.systems {
		system.release()
	}
}

func (s *logScenario) every(change func(*testBoard)) {
	for _, b := range s.station.boards {
		b.set(change)
	}
}

// reboot restarts the aggregator, and the OCPP module beside it.
func (s *logScenario) reboot() {
	s.t.Helper()
	s.write("the main board restarts")
	s.station.restartMainBoard(s.t)
	s.ocpp = ocppframes.New(s.version)
}
