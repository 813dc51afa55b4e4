package occupancy

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestScripts plays the stories of testdata. A story has comments (#), commands, and, indented, what the machine does
// and what the main board's modules make of it. -update rewrites the indented lines.
func TestScripts(t *testing.T) {
	for name, story := range stories(t) {
		t.Run(name, func(t *testing.T) {
			got, broken := play(t, story, true)
			if broken != "" {
				t.Errorf("broken: %s", broken)
			}
			if *update {
				if err := os.WriteFile("testdata/"+name+".txt", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(story, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("the story changed (-want +got), see -update:\n%s", diff)
			}
		})
	}
}

// TestScriptsEndBadlyWithoutTheMachine holds the stories to what was seen on a real station: a story whose first line
// names a fault has it where everything is published as the satellite says it.
func TestScriptsEndBadlyWithoutTheMachine(t *testing.T) {
	for name, story := range stories(t) {
		want, bad := strings.CutPrefix(strings.Split(story, "\n")[0], "# Without the machine: ")
		if !bad {
			continue
		}
		if _, broken := play(t, story, false); broken+"." != want {
			t.Errorf("%s: it breaks as %q, and says %q", name, broken, want)
		}
	}
}

func stories(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in testdata: %v", err)
	}
	stories := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stories[strings.TrimSuffix(filepath.Base(file), ".txt")] = string(content)
	}
	return stories
}

// play plays a story, with the machine or without. It returns the story with its output, and the first broken promise.
func play(t *testing.T, story string, machine bool) (output, broken string) {
	t.Helper()
	var out strings.Builder
	w := newWorld(t, func(format string, args ...any) { fmt.Fprintf(&out, "    "+format+"\n", args...) })
	if !machine {
		w.machine = nil
	}
	for n, line := range strings.Split(strings.TrimRight(story, "\n"), "\n") {
		if strings.HasPrefix(line, " ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		w.now = w.now.Add(time.Millisecond)
		if err := w.command(line); err != nil {
			t.Fatalf("line %d: %q: %v", n+1, line, err)
		}
	}
	w.check()
	return out.String(), w.broken
}

// command carries out a line of a story.
func (w *world) command(line string) error {
	words := strings.Fields(line)
	argument := func(n int) string {
		if n < len(words) {
			return words[n]
		}
		return ""
	}
	switch words[0] {
	case "start":
		w.linked = true
		w.step(Linked{At: w.now})
		w.boot("")
	case "start-again":
		w.linked = true
		w.step(Linked{At: w.now})
		w.boot(argument(1))
	case "absent":
		w.step(Lost{"no link to the satellite", w.now})
	case "lost":
		w.linked = false
		w.step(Lost{"no link to the satellite", w.now})
	case "resumed":
		w.linked = true
		w.step(Linked{true, w.now})
	case "returned":
		w.linked = true
		w.step(Linked{At: w.now})
	case "boots":
		w.boot(argument(1))
	case "charges":
		w.charges(argument(1))
	case "unplugs":
		w.unplugs(argument(1))
	case "leaves": // the customer unplugs, and the events of it are lost
		w.running, w.charging = "", false
	case "says":
		if argument(1) == "SessionFinished" && argument(2) == w.running {
			w.running, w.charging = "", false
		}
		w.says(strings.ReplaceAll(argument(1), "_", " "), argument(2))
	case "publishes":
		w.variable(argument(1), json.RawMessage(argument(2)))
	case "meter":
		meter, err := strconv.ParseFloat(argument(1), 64)
		if err != nil {
			return err
		}
		w.meter = meter
		w.variable(meterVariable, w.value("powermeter", ""))
		if w.open != nil {
			w.open.meter = meter
		}
	case "clock":
		clock, err := time.ParseDuration(argument(1))
		w.clock = clock
		return err
	case "wait":
		d, err := time.ParseDuration(argument(1))
		w.wait(d)
		return err
	case "told":
		told := Told{Command: argument(1), Arguments: map[string]json.RawMessage{}, At: w.now}
		for _, word := range words[2:] {
			name, value, _ := strings.Cut(word, "=")
			told.Arguments[name] = json.RawMessage(value)
		}
		w.step(told)
	case "limits":
		limits := strings.Replace(string(w.value("enforce_limits", "")), `"valid_for":10`, `"valid_for":`+argument(1), 1)
		w.step(Told{Command: "enforce_limits", Arguments: map[string]json.RawMessage{"value": json.RawMessage(limits)}, At: w.now})
	case "requests":
		request := strings.ReplaceAll(string(w.value("energy_flow_request", "")), `"value":0.0`, `"value":16.0`)
		w.variable(FlowRequest, json.RawMessage(request))
	case "expect":
		switch {
		case argument(1) == "connected" && !w.connected:
			w.fail("OCPP does not connect")
		case argument(1) == "stopped" && w.machine != nil && len(w.calls) == 0:
			w.fail("a transaction runs on after its end")
		case argument(1) == "free" && w.demand:
			w.fail("EnergyNode keeps the share of the EVSE")
		}
	case "evse":
		evse, err := strconv.Atoi(argument(1))
		w.config.EVSE = evse
		return err
	case "restart":
		w.restartMain(argument(1) == "kept")
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}

// charges begins a session with a transaction.
func (w *world) charges(session string) {
	w.running, w.charging = session, true
	for _, event := range []string{"SessionStarted", "AuthRequired", "Authorized", "TransactionStarted", "PrepareCharging", "ChargingStarted"} {
		w.says(event, session)
	}
}

// unplugs ends a session.
func (w *world) unplugs(session string) {
	w.running, w.charging = "", false
	for _, event := range []string{"StoppingCharging", "ChargingFinished", "TransactionFinished", "SessionFinished"} {
		w.says(event, session)
	}
}

// restartMain restarts the main board. OCPP keeps its database.
func (w *world) restartMain(kept bool) {
	w.queued = nil
	w.finished = map[string]bool{} // what this process has published
	w.connected, w.resuming, w.occupied, w.session, w.faulted, w.disabled, w.linked = false, map[string]bool{}, false, "", false, false, false
	w.deadline = time.Time{}
	if w.machine == nil {
		return
	}
	config := w.config
	if kept {
		text, err := json.Marshal(w.kept)
		if err != nil {
			w.fail("%v", err)
		}
		config.Kept = &Kept{}
		if err := json.Unmarshal(text, config.Kept); err != nil {
			w.fail("%v", err)
		}
	}
	w.machine = New(config)
}
