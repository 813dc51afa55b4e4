package handshake

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestScripts plays the stories of testdata. A story has comments (#), commands, and, indented, the steps of both
// machines. Messages take no time unless they are held. -update rewrites the indented lines.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := play(string(want))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("the story changed (-want +got), see -update:\n%s", diff)
			}
		})
	}
}

// player runs a world by the clock.
type player struct {
	*world
	out   strings.Builder
	held  bool
	quiet bool
	// polls and attempts count what a command repeats.
	polls, attempts int
}

func play(script string) (string, error) {
	p := &player{world: newWorld(true)}
	p.log = func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if p.quiet || p.routine(text) {
			return
		}
		fmt.Fprintln(&p.out, "    "+text)
	}
	for n, text := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		if strings.HasPrefix(text, " ") {
			continue
		}
		fmt.Fprintln(&p.out, text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if err := p.command(text); err != nil {
			return "", fmt.Errorf("line %d: %q: %w", n+1, text, err)
		}
		p.deliver()
		if p.polls > 0 {
			fmt.Fprintf(&p.out, "    (%d polls)\n", p.polls)
		}
		if p.attempts > 1 {
			fmt.Fprintf(&p.out, "    (%d attempts)\n", p.attempts)
		}
		p.polls, p.attempts = 0, 0
		if p.broken != "" {
			fmt.Fprintln(&p.out, "    BROKEN: "+p.broken)
		}
	}
	return p.out.String(), nil
}

// routine reports whether a line repeats one before: a poll without a change, or a refused connection. It counts these
// lines.
func (p *player) routine(text string) bool {
	switch {
	case strings.Contains(text, "TimerFired{Timer:retry} => Connecting"), strings.Contains(text, "TimerFired{Timer:retry}: Connect"),
		strings.Contains(text, "TimerFired{Timer:call}: Disconnect") && p.controller.suspended:
		p.attempts++
		return p.attempts > 1
	case strings.Contains(text, "ConnectFailed"):
		return p.attempts > 1
	case strings.Contains(text, "=>"):
		return false
	case strings.Contains(text, "TimerFired{Timer:poll}: Call"):
		p.polls++
		return true
	}
	heartbeat := regexp.MustCompile(`(Called|Replied)\{Conn:\d+ Function:(Retrieve|Events)( Known:false)?\}`).FindStringIndex(text)
	return heartbeat != nil && (heartbeat[1] == len(text) || strings.HasPrefix(text[heartbeat[1]:], ": St"))
}

// verbs are the commands without an argument.
var verbs = map[string]func(*player){
	"start agent":                   func(p *player) { p.endAgent(); p.startAgent() },
	"start controller":              func(p *player) { p.endController(); p.startController() },
	"both work":                     (*player).bothWork,
	"agent gets":                    func(p *player) { p.oldest(true) },
	"controller gets":               func(p *player) { p.oldest(false) },
	"agent without system":          func(p *player) { p.agentConfig.HasSystem = false },
	"crash agent":                   func(p *player) { p.endAgent() },
	"crash controller":              func(p *player) { p.endController() },
	"stop agent":                    func(p *player) { p.stepAgent(Stop{}) },
	"stop controller":               func(p *player) { p.stepController(Stop{}) },
	"satellite board ready":         func(p *player) { p.agentReady() },
	"main board ready":              func(p *player) { p.controllerReady() },
	"hold messages":                 func(p *player) { p.held = true },
	"release messages":              func(p *player) { p.held = false },
	"firmware update":               func(p *player) { p.passOn(callFirmware) },
	"firmware fails on agent":       func(p *player) { p.stepAgent(FirmwareEnded{}) },
	"firmware fails on controller":  func(p *player) { p.stepController(FirmwareEnded{}) },
	"update runs on agent":          func(p *player) { p.stepAgent(FirmwareAccepted{}) },
	"satellite board goes down":     func(p *player) { p.endAgent() },
	"forward reset":                 func(p *player) { p.stepController(ResetForwarded{}); p.passOn(callReset) },
	"system refuses reset":          func(p *player) { p.resetting = false; p.stepAgent(ResetRefused{}) },
	"journal overflows":             func(p *player) { p.stepAgent(JournalFull{}) },
	"second controller announces":   func(p *player) { p.stepAgent(Called{100, IAmHere}) },
	"second controller is ready":    func(p *player) { p.stepAgent(Called{100, IAmReady}) },
	"second controller calls exit":  func(p *player) { p.stepAgent(Called{100, Exit}) },
	"second controller disconnects": func(p *player) { p.stepAgent(Disconnected{100}) },
	"third controller announces":    func(p *player) { p.stepAgent(Called{101, IAmHere}) },
	"third controller is ready":     func(p *player) { p.stepAgent(Called{101, IAmReady}) },
	"i_am_here gets an error":       func(p *player) { p.refuse(IAmHere) },
	"i_am_here is unknown":          func(p *player) { p.fail(IAmHere, true) },
	"i_am_ready gets an error": func(p *player) {
		p.refuse(IAmReady)
	},
	"poll gets an error": func(p *player) { p.refuse(Retrieve) },
	"exit gets an error": func(p *player) { p.refuse(Exit) },
	"cut": func(p *player) {
		for i := range p.connections {
			p.cut(i)
		}
	},
	"pull cable": func(p *player) {
		p.blackHole = true
		for i := len(p.connections) - 1; i >= 0; i-- {
			p.stall(i)
		}
	},
	"both speak v2":             func(p *player) { p.agentConfig.Dialects, p.controllerConfig.Dialects = AnyDialect, AnyDialect },
	"controller speaks v2":      func(p *player) { p.controllerConfig.Dialects = AnyDialect },
	"controller speaks only v2": func(p *player) { p.controllerConfig.Dialects = OnlyV2 },
	"agent speaks v2":           func(p *player) { p.agentConfig.Dialects = AnyDialect },
	"controller isolates":       func(p *player) { p.controllerConfig.LossPolicy = IsolateOnLoss },
	"satellite publishes":       func(p *player) { p.publish(); p.tell() },
	"main board asks":           func(p *player) { p.ask(); p.deliver(); p.tell() },
	"satellite carries out":     func(p *player) { p.carryOut(); p.deliver(); p.tell() },
	"count":                     (*player).tell,
	"plug cable in":             func(p *player) { p.blackHole = false },
}

func (p *player) command(text string) error {
	if verb, ok := verbs[text]; ok {
		verb(p)
		return nil
	}
	if rest, ok := strings.CutPrefix(text, "wait "); ok {
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		p.wait(d)
		return nil
	}
	return fmt.Errorf("no such command")
}

// bothWork brings both boards to Working without output.
func (p *player) bothWork() {
	p.quiet = true
	p.startAgent()
	p.startController()
	p.deliver()
	p.agentReady()
	p.controllerReady()
	p.wait(time.Second)
	p.quiet, p.polls = false, 0
}

// tell writes how many events and commands have arrived.
func (p *player) tell() {
	p.deliver()
	fmt.Fprintf(&p.out, "    events: %d made, %d arrived; commands: %d asked, %d executed, %d without answer\n",
		p.v2.made, p.v2.last, p.v2.numbers.last, len(p.v2.executed), len(p.v2.asked))
}

// oldest delivers one held message.
func (p *player) oldest(toAgent bool) {
	for i, c := range p.connections {
		switch {
		case toAgent && c.toAgent != "":
			p.deliverToAgent(i)
			return
		case !toAgent && c.toController != "":
			p.deliverToController(i)
			return
		}
	}
	fmt.Fprintln(&p.out, "    nothing to get")
}

// refuse puts an error in the place of a call's answer.
func (p *player) refuse(function Function) { p.fail(function, false) }

func (p *player) fail(function Function, unknown bool) {
	c := p.ofController(p.controller.conn)
	c.toAgent, c.toController = "", ""
	p.stepController(CallFailed{c.controllerConn, function, unknown})
}

// deliver delivers every message, oldest connection first.
func (p *player) deliver() {
	for !p.held && p.deliverOne() {
	}
}

func (w *world) deliverOne() bool {
	for i, c := range w.connections {
		if c.toAgent != "" {
			w.deliverToAgent(i)
			return true
		}
		if c.toController != "" {
			w.deliverToController(i)
			return true
		}
	}
	return false
}

// wait lets time pass.
func (p *player) wait(d time.Duration) {
	end := p.now + d
	for {
		p.deliver()
		if !p.fireNext(end) {
			p.now = end
			return
		}
	}
}

// fireNext moves the clock to the next timer that is due by end.
func (w *world) fireNext(end time.Duration) bool {
	var fire func()
	at := end
	for t := range w.main.alarms {
		if a := w.main.alarms[t]; a.after > 0 && a.due <= at {
			at, fire = a.due, func() { w.fireController(Timer(t)) }
		}
	}
	for t := range w.satellite.alarms {
		if a := w.satellite.alarms[t]; a.after > 0 && a.due <= at {
			at, fire = a.due, func() { w.fireAgent(Timer(t)) }
		}
	}
	if fire == nil {
		return false
	}
	w.now = at
	fire()
	return true
}
