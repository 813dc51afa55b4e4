package events

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/durable"
	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"
)

// childEnvironment makes the test program the process of TestEveryEventOnceOverKills that is killed.
const childEnvironment = "EVENTS_TEST_DIRECTORY"

func TestMain(m *testing.M) {
	if directory := os.Getenv(childEnvironment); directory != "" {
		follow(directory)
	}
	os.Exit(m.Run())
}

func open(t *testing.T, path string) (*Log, *observer.ObservedLogs) {
	t.Helper()
	core, lines := observer.New(zap.InfoLevel)
	log, err := Open(path, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	return log, lines
}

func look1(log *Log, now time.Time, change func(*control.Status)) []Event {
	status := working(now.Sub(noon))
	change(status)
	return log.Follow([]Seen{{ID: "a.sock", Status: status, Answers: true}}, now)
}

func kinds(events []Event) string {
	var all []string
	for _, event := range events {
		all = append(all, fmt.Sprintf("%d %s", event.Number, event.Kind))
	}
	return strings.Join(all, ", ")
}

// What happens while nobody looks is noticed at the next start, and nothing twice.
func TestALogGoesOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "events.json")
	log, _ := open(t, path)
	look1(log, noon, as)
	look1(log, noon.Add(time.Second), both(welded, charging(noon, 0)))
	for range 2 {
		log, _ = open(t, path)
		if again := look1(log, noon.Add(2*time.Second), both(welded, charging(noon, 0))); len(again) > 0 {
			t.Errorf("a second time: %+v", again)
		}
	}
	log, lines := open(t, path)
	look1(log, noon.Add(time.Minute), as)
	want := "1 restart, 2 error, 3 session began, 4 error cleared, 5 session ended"
	if read, err := Read(path, noon.Add(time.Minute)); err != nil || kinds(read) != want {
		t.Errorf("%s, %v", kinds(read), err)
	}
	if lines.Len() > 0 {
		t.Errorf("logged: %v", lines.All())
	}
	if left := kinds(log.Events(noon.Add(24*time.Hour + time.Second))); left != "4 error cleared, 5 session ended" {
		t.Errorf("a day later: %s", left)
	}
}

// A file that is not ours, or not whole, is put aside with a line in the log.
func TestAForeignFileIsPutAside(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.json")
	log, _ := open(t, whole)
	look1(log, noon, as)
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"torn": string(content[:len(content)-7]), "empty": "", "zeros": strings.Repeat("\x00", len(content)), "foreign": "[1, 2]\n",
		"newer": strings.Replace(string(content), `"version":1`, `"version":2`, 1), "numbers": strings.Replace(string(content), `"last":1`, `"last":0`, 1),
		"level": strings.Replace(string(content), `"working"`, `"blue"`, 1), "huge": strings.Repeat(" ", maxFile+1),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			log, lines := open(t, path)
			if lines.FilterMessageSnippet("put aside").Len() != 1 {
				t.Errorf("logged: %v", lines.All())
			}
			if fresh := look1(log, noon, as); kinds(fresh) != "1 restart" {
				t.Errorf("a new one begins with %s", kinds(fresh))
			}
			if aside, err := os.ReadFile(path + unreadable); err != nil || string(aside) != text {
				t.Errorf("aside: %d bytes, %v", len(aside), err)
			}
			if again, lines := open(t, path); lines.Len() > 0 || kinds(again.Events(noon)) != "1 restart" {
				t.Errorf("then: %v", lines.All())
			}
		})
	}
}

func TestAPathThatIsNoFileIsRefused(t *testing.T) {
	if _, err := Open(t.TempDir(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "--events") {
		t.Errorf("a directory: %v", err)
	}
}

// A disk that takes nothing costs a line in the log, and not the events of this process.
func TestADiskThatTakesNothing(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "gone")
	log, lines := open(t, filepath.Join(directory, "events.json"))
	if err := os.RemoveAll(directory); err != nil {
		t.Fatal(err)
	}
	look1(log, noon, as)
	look1(log, noon.Add(time.Second), welded)
	if lines.FilterMessageSnippet("not kept over a restart").Len() != 1 || kinds(log.Events(noon)) != "2 error, 1 restart" && kinds(log.Events(noon)) != "1 restart, 2 error" {
		t.Errorf("logged %v, events %s", lines.All(), kinds(log.Events(noon)))
	}
}

// A module that flaps does not push out the events of others, and the file stays small.
func TestEventsAreBounded(t *testing.T) {
	log := InMemory()
	log.kept.Events = append(log.kept.Events, Event{ModuleID: "quiet", Time: noon})
	long := strings.Repeat("x", maxText)
	for i := range 3 * maxEvents {
		log.kept.Events = append(log.kept.Events, Event{ModuleID: "flaps", Time: noon.Add(time.Duration(i) * time.Second), Text: long})
		log.kept.Events = prune(log.kept.Events, noon.Add(time.Hour))
	}
	size := 0
	for _, event := range log.kept.Events {
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		size += len(text)
	}
	if log.kept.Events[0].ModuleID != "quiet" || len(log.kept.Events) > maxEvents || size > maxBytes {
		t.Errorf("%d events with %d bytes, the first of %s", len(log.kept.Events), size, log.kept.Events[0].ModuleID)
	}
	if last := log.kept.Events[len(log.kept.Events)-1]; !last.Time.Equal(noon.Add((3*maxEvents - 1) * time.Second)) {
		t.Errorf("the last event is of %v", last.Time)
	}
}

// A loss of power leaves the events before or after each write.
func TestEventsSurviveCuts(t *testing.T) {
	step := func(after int, change func(*control.Status)) func(string) error {
		return func(directory string) error {
			log, err := Open(filepath.Join(directory, "state", "events.json"), zap.NewNop())
			if err == nil {
				look1(log, noon.Add(time.Duration(after)*time.Second), change)
			}
			return err
		}
	}
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{step(0, as), step(1, welded), step(2, both(welded, charging(noon, 0))), step(3, as)},
		Read: func(directory string) (string, error) {
			core, lines := observer.New(zap.InfoLevel)
			log, err := Open(filepath.Join(directory, "state", "events.json"), zap.New(core))
			if err == nil && lines.Len() > 0 {
				err = fmt.Errorf("logged: %v", lines.All())
			}
			if err != nil {
				return "", err
			}
			return kinds(log.Events(noon.Add(time.Minute))), nil
		},
	})
}

// follow is the process that is killed: it follows the status in a file.
func follow(directory string) {
	log, err := Open(filepath.Join(directory, "events.json"), zap.NewNop())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("follows")
	for {
		var status control.Status
		content, err := os.ReadFile(filepath.Join(directory, "status.json"))
		if err == nil {
			err = json.Unmarshal(content, &status)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		log.Follow([]Seen{{ID: "a.sock", Status: &status, Answers: true}}, time.Now())
		time.Sleep(200 * time.Microsecond) // as the page has a pause between two looks
	}
}

// Sessions come and go while the process that follows them is killed again and again, in the midst of writing too. Each
// begins once and ends once.
func TestEveryEventOnceOverKills(t *testing.T) {
	const sessions = 40
	directory := t.TempDir()
	began := time.Now()
	show := func(number int, charging bool) {
		status := working(0)
		status.Started, status.Taken, status.UptimeSeconds = began, time.Now(), time.Since(began).Seconds()
		if charging {
			status.EVSE.State, status.EVSE.SessionSince = control.EVSECharging, new(time.Now())
			status.EVSE.TokenKind = "card" + strconv.Itoa(number)
		}
		content, err := json.Marshal(status)
		if err == nil {
			err = durable.Replace(filepath.Join(directory, "status.json"), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	show(0, false)
	start := func() *exec.Cmd {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnvironment+"="+directory)
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if line, _ := bufio.NewReader(out).ReadString('\n'); line != "follows\n" {
			t.Fatalf("the process says %q", line)
		}
		return child
	}
	child := start()
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	path := filepath.Join(directory, "events.json")
	for number := range sessions {
		for _, charging := range []bool{true, false} {
			show(number, charging)
			time.Sleep(rand.N(3 * time.Millisecond))
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // it was killed
			child = start()
			for begin := time.Now(); ; time.Sleep(time.Millisecond) {
				read, err := Read(path, time.Now())
				if want := 1 + 2*number + map[bool]int{true: 1, false: 2}[charging]; err == nil && len(read) >= want {
					break
				}
				if time.Since(begin) > time.Minute {
					t.Fatalf("after session %d, %v: %s, %v", number, charging, kinds(read), err)
				}
			}
		}
	}
	read, err := Read(path, time.Now())
	if err != nil || len(read) != 1+2*sessions {
		t.Fatalf("%d events, %v: %s", len(read), err, kinds(read))
	}
	for number := range sessions {
		begin, end := read[1+2*number], read[2+2*number]
		if begin.Kind != SessionBegan || !strings.Contains(begin.Text, "card"+strconv.Itoa(number)+".") || end.Kind != SessionEnded {
			t.Errorf("session %d: %+v, %+v", number, begin, end)
		}
	}
}
