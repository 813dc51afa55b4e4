package firmware

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/reset"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/systemtest"
)

// systems are the Systems with which each scenario is played.
var systems = []struct {
	name  string
	board systemtest.Board
}{
	{"EVerest", systemtest.Board{Store: true, ResetDelay: 3 * time.Second}},
	{"EVerest, ResetDelay 0", systemtest.Board{Store: true}},
	{"EVerest, ResetDelay 0, no store", systemtest.Board{}},
	{"polite", systemtest.Board{Kind: systemtest.Polite}},
	{"vendor", systemtest.Board{Kind: systemtest.Vendor}},
}

// TestStations plays the scenarios of testdata/stations, each with each System, against the rules of the property test
// and against the frames in the file. -rewrite writes the frames.
//
// A scenario has a line for each thing that is different from a station of three boards on which all goes well, or that
// happens: at a time, or when a board reports something. "in each phase" plays it once for each report. What follows
// "=== System" is what a backend gets, and what has become of the boards: the image of each one (0 is the old one).
func TestStations(t *testing.T) {
	paths, err := filepath.Glob("testdata/stations/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			script, _, _ := strings.Cut(string(content), "\n===")
			script = strings.TrimRight(script, "\n") + "\n"
			got := script
			for _, system := range systems {
				got += playStations(t, script, system.name, system.board)
			}
			if machinetest.Rewrite() {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(strings.Split(string(content), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (-file +station):\n%s", path, diff)
			}
		})
	}
}

// phases are the reports at which "in each phase" lets something happen.
var phases = []string{"Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed"}

func playStations(t *testing.T, script, system string, board systemtest.Board) string {
	if !strings.Contains(script, "in each phase") {
		return fmt.Sprintf("\n=== %s\n%s", system, playStation(t, script, "", board))
	}
	var at []string
	told, last := "", ""
	for _, phase := range append(slices.Clone(phases), "") {
		outcome := ""
		if phase != "" {
			if outcome = playStation(t, script, phase, board); outcome == "" {
				continue
			}
		}
		if outcome != last && last != "" {
			told += fmt.Sprintf("\n=== %s, at %s\n%s", system, strings.Join(at, ", "), last)
			at = nil
		}
		at, last = append(at, phase), outcome
	}
	return told
}

// station is a scenario that is played.
type station struct {
	*world
	t      *testing.T
	script string
	line   string
	phase  string
	// frames are what the backend gets, on a line for each answer and for the statuses of a request after it.
	frames []string
	resets []string
	// pending happen when a board reports something.
	pending []pending
	happens bool
}

type pending struct {
	board  int
	status string
	what   string
}

// playStation returns what the backend gets and what becomes of the boards. It is empty where no board comes to the phase.
func playStation(t *testing.T, script, phase string, board systemtest.Board) string {
	t.Helper()
	boards := make([]*systemtest.Board, 3)
	if n := 0; strings.Contains(script, "satellites") {
		for _, line := range strings.Split(script, "\n") {
			if _, err := fmt.Sscanf(line, "%d satellites", &n); err == nil {
				boards = make([]*systemtest.Board, n+1)
			}
		}
	}
	for i := range boards {
		b := board
		b.Installation, b.Boot = time.Minute, 30*time.Second
		boards[i] = &b
	}
	var story []string
	tell := func(format string, arguments ...any) { story = append(story, fmt.Sprintf(format, arguments...)) }
	s := &station{world: newWorld(rand.New(rand.NewPCG(1, 1)), tell, boards), t: t, script: script, phase: phase}
	s.permits = func() time.Duration { return time.Second }
	s.heard = s.note
	s.reported = s.happen
	s.wasReset = func(board int) { s.resets = append(s.resets, fmt.Sprint(board)) }
	for _, line := range strings.Split(script, "\n") {
		if s.line = line; line != "" && !strings.HasPrefix(line, "#") {
			s.prepare()
		}
	}
	s.play()
	if s.wrong == nil && s.order.Accepted && !s.order.Over {
		s.wrong = fmt.Errorf("request %d has no end: %v", s.order.ID, s.order.Heard)
	}
	if s.wrong != nil {
		t.Errorf("%+v\nphase %q: %v\n%s\n%s", board, phase, s.wrong, script, strings.Join(story, "\n"))
	}
	if phase != "" && !s.happens {
		return ""
	}
	return s.outcome()
}

func (s *station) note(id int64, text string) {
	prefix := fmt.Sprintf("%d: ", id)
	if last := len(s.frames) - 1; last >= 0 && strings.HasPrefix(s.frames[last], prefix) {
		s.frames[last] += ", " + text
		return
	}
	s.frames = append(s.frames, prefix+text)
}

func (s *station) outcome() string {
	told := strings.Join(append(s.frames, ""), "\n")
	var images, mixed []string
	for i, b := range s.boards {
		images = append(images, fmt.Sprint(b.Image))
		if s.machine == nil {
			s.t.Error("the main board is down at the end")
			continue
		}
		if id, installed, apart := s.machine.Apart(i); apart {
			mixed = append(mixed, fmt.Sprintf("board %d %s %d", i, map[bool]string{true: "has", false: "works on"}[installed], id))
		}
		if s.machine.IsFlashing(i) {
			s.t.Errorf("board %d counts as being flashed at the end", i)
		}
	}
	told += listed("reset: boards", s.resets, " ") + listed("images:", images, " ") + listed("apart:", mixed, ", ")
	return told
}

// listed returns a line, shortened where it is long.
func listed(what string, things []string, separator string) string {
	if n := len(things); n > 8 {
		return fmt.Sprintf("%s %s, %s ... %s (%d)\n", what, things[0], things[1], things[n-1], n)
	} else if n == 0 {
		return ""
	}
	return what + " " + strings.Join(things, separator) + "\n"
}

// prepare reads a line of the script.
func (s *station) prepare() {
	var n, count int
	var text string
	scan := func(format string, targets ...any) bool {
		found, err := fmt.Sscanf(s.line, format, targets...)
		return err == nil && found == len(targets)
	}
	when, what, timed := strings.Cut(s.line, ": ")
	at, err := time.ParseDuration(when)
	switch {
	case scan("%d satellites", &n):
	case scan("board %d fails %d downloads", &n, &count):
		s.boards[n].FailingDownloads = count
	case scan("every board fails %d downloads", &count):
		for _, b := range s.boards {
			b.FailingDownloads = count
		}
	case scan("board %d installs for %s", &n, &text):
		if s.boards[n].Installation, err = time.ParseDuration(text); err != nil {
			s.t.Fatal(err)
		}
	case scan("board %d refuses with %s", &n, &text):
		s.boards[n].Refusal = text
	case scan("board %d %s a bad signature", &n, &text):
		s.boards[n].BadSignature = true
	case scan("board %d %s back", &n, &text):
		s.boards[n].FallsBack = true
	case scan("board %d never %s", &n, &text):
		s.boards[n].Mute = true
	case timed && err == nil:
		s.after(at, func() { s.do(what) })
	case timed && strings.HasPrefix(when, "when board"):
		if _, err := fmt.Sscanf(when, "when board %d reports %s", &n, &text); err != nil {
			s.t.Fatalf("%q: %v", s.line, err)
		}
		s.pending = append(s.pending, pending{n, text, what})
	case timed && strings.HasPrefix(when, "in each phase of board"):
		if _, err := fmt.Sscanf(when, "in each phase of board %d", &n); err != nil {
			s.t.Fatalf("%q: %v", s.line, err)
		}
		s.pending = append(s.pending, pending{n, s.phase, what})
	default:
		s.t.Fatalf("no such line: %q", s.line)
	}
}

// happen lets happen what waits for a report, a moment after it.
func (s *station) happen(board int, status string) {
	for i, p := range s.pending {
		if p.board == board && p.status == status {
			s.pending = slices.Delete(s.pending, i, i+1)
			s.happens = true
			s.after(500*time.Millisecond, func() { s.do(p.what) })
			return
		}
	}
}

// do does what a script says.
func (s *station) do(what string) {
	for _, what := range strings.Split(what, ", and ") {
		s.tell("%v %s", s.now, what)
		var n int
		var id int64
		var text string
		var attempts int
		scan := func(format string, targets ...any) bool {
			found, err := fmt.Sscanf(what, format, targets...)
			return err == nil && found == len(targets)
		}
		switch {
		case scan("request %d signed with %d attempts", &id, &attempts):
			s.request(id, true, attempts)
		case scan("request %d unsigned with %d attempts", &id, &attempts):
			s.request(id, false, attempts)
		case scan("request %d %s", &id, &text):
			s.request(id, text == "signed", 1)
		case what == "a power cut":
			s.powerCut()
		case scan("board %d crashes", &n):
			s.crash(n)
		case scan("the link of board %d is cut for %s", &n, &text):
			wait, err := time.ParseDuration(text)
			if err != nil {
				s.t.Fatal(err)
			}
			s.cutLink(n)
			s.after(wait, func() { s.healLink(n) })
		case what == "a reset is asked for":
			if s.machine == nil {
				continue
			}
			for i := range s.boards {
				if s.machine.IsFlashing(i) {
					s.frames = append(s.frames, fmt.Sprintf("reset refused: board %d is being flashed", i))
					return
				}
			}
			s.stepReset(reset.Requested{})
		case what == "a reset":
			s.stepReset(reset.Requested{})
		default:
			s.t.Fatalf("nothing like %q can happen", what)
		}
	}
}

// request asks for an image with the number of the request. One without id has the number 100 and on.
func (s *station) request(id int64, signed bool, attempts int) {
	image := cmp.Or(max(id, 0), 100)
	s.requestUpdate(systemtest.Request{ID: id, Image: image, Signed: signed, Attempts: attempts, Interval: 30 * time.Second})
}
