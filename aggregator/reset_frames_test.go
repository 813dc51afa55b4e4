package aggregator

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/vendordata"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// TestReset plays the resets of a backend and of satctl, soft and hard. What the backend gets, and which boards are reset,
// is in testdata/reset.
func TestReset(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(s *resetScenario){
		"all_there": func(s *resetScenario) {
			s.station()
			s.resets(3)
		},
		"one_away": func(s *resetScenario) {
			s.boards[1].set(func(b *testBoard) { b.linked, b.yes = false, false })
			s.station()
			s.resets(2)
			s.boards[1].set(func(b *testBoard) { b.linked, b.yes = true, true })
			s.write("board 1 is back")
		},
		"one_silent": func(s *resetScenario) {
			s.boards[1].beSilent()
			s.station()
			s.resets(2)
			s.boards[1].speak()
			s.write("board 1 answers again")
		},
		"one_flashing": func(s *resetScenario) {
			call[string](s.t, s.backend, "update_firmware", unsigned(7))
			s.boards[1].firmware(s.t, 7, "Installing")
			s.await("flashing", func(boards []control.Board) bool { return boards[1].Flashing })
			s.station()
			s.boardAlone()
			s.boards[1].firmware(s.t, 7, "Installed")
			s.await("installed", func(boards []control.Board) bool { return !boards[1].Flashing })
			s.write("board 1 has installed")
			s.station()
			s.resets(3)
		},
		"one_says_no": func(s *resetScenario) {
			s.boards[1].set(func(b *testBoard) { b.yes = false })
			s.station()
			s.boardAlone()
		},
		"one_board_alone": func(s *resetScenario) {
			s.boardAlone()
			s.resets(1)
			s.write("satctl reset 2")
			board, err := s.client.Reset(s.t.Context(), "2", s.kind == "Hard")
			s.write("station: %s %v", board, err)
			s.resets(1)
		},
		"one_board_alone_that_is_away": func(s *resetScenario) {
			s.boards[1].set(func(b *testBoard) { b.linked = false })
			s.boardAlone()
			_, err := s.client.Reset(s.t.Context(), "1", s.kind == "Hard")
			s.write("satctl reset 1: %v", err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var played strings.Builder
			for _, kind := range []string{"Soft", "Hard"} {
				s := newResetScenario(t, kind, &played)
				play(s)
				// The station has taken what the boards report now after all that it had to do before.
				for _, b := range s.boards {
					if err := b.module.Provides("main").Publish(t.Context(), "firmware_update_status", report{RequestID: 99, Firmware: "Idle"}); err != nil {
						t.Fatal(err)
					}
				}
				s.await("idle", func(boards []control.Board) bool {
					return !slices.ContainsFunc(boards, func(b control.Board) bool { return b.FirmwareStatus != "Idle" })
				})
				if len(s.heard) > 0 {
					t.Errorf("%s: one more board is reset: %v", kind, <-s.heard)
				}
			}
			path := filepath.Join("testdata", "reset", name+".txt")
			if *rewriteFrames {
				if err := os.WriteFile(path, []byte(played.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), played.String()); diff != "" {
				t.Errorf("%s (-expected +played):\n%s", path, diff)
			}
		})
	}
}

// resetScenario is a station whose backend and whose operator reset it.
type resetScenario struct {
	*testStation
	kind   string
	client *control.Client
	heard  chan resetBoard
	played *strings.Builder
}

// resetBoard is a board's reset.
type resetBoard struct {
	board     int
	arguments string
	at        time.Time
}

func newResetScenario(t *testing.T, kind string, played *strings.Builder) *resetScenario {
	t.Helper()
	directory, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	path := filepath.Join(directory, "station.sock")
	s := &resetScenario{kind: kind, heard: make(chan resetBoard, 100), played: played}
	s.testStation = newStation(t, 3, map[string]any{"control_socket": path, "data_transfer": "reset"})
	s.client = control.Dial(path)
	t.Cleanup(s.client.Close)
	s.await("there", func([]control.Board) bool { return true })
	for i, b := range s.boards {
		b.set(func(b *testBoard) {
			b.reset = func(arguments everest.Args) {
				text, err := json.Marshal(arguments)
				if err != nil {
					t.Error(err)
				}
				s.heard <- resetBoard{i, string(text), time.Now()}
			}
		})
	}
	return s
}

func (s *resetScenario) write(format string, arguments ...any) {
	fmt.Fprintf(s.played, format+"\n", arguments...)
}

// await waits for a state of the boards.
func (s *resetScenario) await(what string, is func([]control.Board) bool) {
	s.t.Helper()
	waitStatus(s.t.(*testing.T), s.client, func(status *control.Status) bool { return status.Station != nil && is(status.Station.Boards) })
}

// station resets the station as EVerest's OCPP modules do: they ask first.
func (s *resetScenario) station() {
	s.t.Helper()
	s.write("backend: Reset %s", s.kind)
	if !call[bool](s.t, s.backend, "is_reset_allowed", map[string]any{"type": s.kind}) {
		s.write("station: ResetResponse Rejected")
		return
	}
	s.write("station: ResetResponse Accepted")
	call[any](s.t, s.backend, "reset", map[string]any{"type": s.kind, "scheduled": false})
}

// boardAlone resets board 1 from the backend.
func (s *resetScenario) boardAlone() {
	s.t.Helper()
	data := fmt.Sprintf(`{"board": 1, "type": %q}`, s.kind)
	s.write("backend: DataTransfer %s ResetBoard %s", vendordata.VendorID, data)
	reply := s.backend.dataTransfer(s.t, "ResetBoard", data)
	s.write("station: DataTransferResponse %s %s", reply.Status, reply.Data)
}

// resets waits for the resets of count boards. The satellites are reset at once, and the main board is the last one.
func (s *resetScenario) resets(count int) {
	s.t.Helper()
	var got []resetBoard
	for len(got) < count {
		select {
		case one := <-s.heard:
			got = append(got, one)
		case <-time.After(everesttest.Patience):
			s.t.Fatalf("after %v no board is reset", got)
		}
	}
	for _, one := range got[:count-1] {
		if one.board == 0 {
			s.t.Errorf("the main board is reset before a satellite: %v", got)
		}
		if last := got[count-1]; last.board == 0 && last.at.Sub(one.at) < testResetPause {
			s.t.Errorf("the main board is reset %v after a satellite", last.at.Sub(one.at))
		}
	}
	slices.SortFunc(got, func(a, b resetBoard) int { return b.board - a.board })
	for _, one := range got {
		s.write("  board %d: reset %s", one.board, one.arguments)
	}
}
