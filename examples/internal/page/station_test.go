package page

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// runStation runs a station in a synctest bubble.
func runStation(t *testing.T, source *fakeStation, test func(station *Station)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		station := NewStation(Config{Source: source, Name: "CS-041"})
		ended := make(chan error)
		go func() { ended <- station.Run(ctx) }()
		time.Sleep(interval / 2) // between two ticks
		test(station)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// pass waits for some seconds and for the end of their ticks.
func pass(seconds int) {
	time.Sleep(time.Duration(seconds) * time.Second)
	synctest.Wait()
}

func levelOf(station *Station, id string) string {
	for _, board := range station.Boards() {
		if board.ID == id {
			return board.Level.String()
		}
	}
	return "absent"
}

func TestStationFollowsSockets(t *testing.T) {
	source := newFakeStation()
	source.answer("a.sock", controllerStatus("connector_1", noon))
	runStation(t, source, func(station *Station) {
		expect := func(when, id, want string) {
			t.Helper()
			if got := levelOf(station, id); got != want {
				t.Errorf("%s: %s is %s, want %s", when, id, got, want)
			}
		}
		pass(1)
		expect("at first", "a.sock", "working")

		source.answer("b.sock", agentStatus("remote_controller", noon))
		pass(2)
		expect("once it is there", "b.sock", "working")

		source.set("a.sock", func(context.Context) (*control.Status, error) { return nil, syscall.ECONNREFUSED })
		pass(2)
		expect("when nobody answers", "a.sock", "down")
		expect("beside it", "b.sock", "working")

		source.answer("a.sock", controllerStatus("connector_1", noon.Add(time.Second)))
		pass(2)
		expect("when it answers again", "a.sock", "working")

		source.remove("a.sock")
		pass(2)
		expect("when its socket is gone", "a.sock", "down")
		pass(25 * 3600)
		expect("a day later", "a.sock", "absent")
		expect("a day later", "b.sock", "working")
	})
}

func TestModuleThatHangs(t *testing.T) {
	source := newFakeStation()
	source.answer("a.sock", controllerStatus("connector_1", noon))
	source.answer("b.sock", controllerStatus("connector_2", noon))
	runStation(t, source, func(station *Station) {
		pass(2)
		source.set("a.sock", func(ctx context.Context) (*control.Status, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		_, before, _ := station.since(0)
		pass(10)
		if _, after, _ := station.since(0); after-before != 10 {
			t.Errorf("%d ticks in 10 s beside a module that hangs", after-before)
		}
		boards := station.Boards()
		if boards[0].Level != verdict.Down || !strings.Contains(boards[0].Reasons[0], "hangs") || boards[1].Level != verdict.Working {
			t.Errorf("boards: %+v", boards)
		}
	})
}

func TestSocketsOfOtherProcesses(t *testing.T) {
	source := newFakeStation()
	source.set("left_behind.sock", func(context.Context) (*control.Status, error) { return nil, syscall.ECONNREFUSED })
	runStation(t, source, func(station *Station) {
		pass(2)
		boards := station.Boards()
		if len(boards) != 1 || boards[0].ModuleID != "left_behind" || boards[0].Level != verdict.Down {
			t.Errorf("a socket without a process: %+v", boards)
		}
		source.remove("left_behind.sock")
		pass(2)
		if boards := station.Boards(); len(boards) != 0 {
			t.Errorf("one that was never a module's stays: %+v", boards)
		}
	})
}

func TestTooManySockets(t *testing.T) {
	source := newFakeStation()
	for i := range maxBoards + 10 {
		source.answer(string(rune('a'+i%26))+strings.Repeat("x", i/26)+".sock", controllerStatus("c", noon))
	}
	runStation(t, source, func(station *Station) {
		pass(2)
		if got := len(station.Boards()); got != maxBoards {
			t.Errorf("%d boards, want %d", got, maxBoards)
		}
	})
}

func TestUnreadableDirectory(t *testing.T) {
	source := newFakeStation()
	source.fail(errors.New("no directory /run/nowhere"))
	runStation(t, source, func(station *Station) {
		pass(1)
		_, _, data := station.since(0)
		if !strings.Contains(string(data), `"problem":"no directory /run/nowhere"`) {
			t.Errorf("the page is told %s", data)
		}
	})
}

func TestChanges(t *testing.T) {
	source := newFakeStation()
	source.answer("a.sock", controllerStatus("connector_1", noon))
	runStation(t, source, func(station *Station) {
		pass(2)
		source.set("a.sock", func(context.Context) (*control.Status, error) { return nil, syscall.ECONNREFUSED })
		pass(2)
		source.answer("a.sock", controllerStatus("connector_1", noon))
		source.answer("b.sock", controllerStatus("connector_2", noon))
		pass(2)
		_, _, data := station.since(0)
		var event struct {
			Changes []struct {
				Number   int
				From, To string
				New      bool
				Reason   string
			}
		}
		if err := json.Unmarshal(data, &event); err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, change := range event.Changes {
			told = append(told, change.From+" to "+change.To)
		}
		if diff := cmp.Diff([]string{"working to down", "down to working", "working to working"}, told); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if event.Changes[0].New || event.Changes[0].Reason == "" || !event.Changes[2].New {
			t.Errorf("changes: %+v", event.Changes)
		}
	})
}

func TestSince(t *testing.T) {
	source := newFakeStation()
	source.answer("a.sock", controllerStatus("connector_1", noon))
	runStation(t, source, func(station *Station) {
		pass(3)
		kind, tick, data := station.since(0)
		if kind != eventStation || !strings.Contains(string(data), `"history"`) {
			t.Errorf("a page that opens gets %s %s", kind, data)
		}
		if kind, _, data := station.since(tick); data != nil {
			t.Errorf("a page that knows everything gets %s %s", kind, data)
		}
		pass(1)
		kind, next, data := station.since(tick)
		if kind != eventTick || next != tick+1 || strings.Contains(string(data), `"history"`) || strings.Contains(string(data), "null") {
			t.Errorf("a second later it gets %s %d %s", kind, next, data)
		}
		pass(5)
		if kind, _, _ := station.since(next); kind != eventStation {
			t.Errorf("a page that missed something gets %s", kind)
		}
	})
}

func TestHistoryKeepsFiveMinutes(t *testing.T) {
	var h history
	for i := range historyLen + 7 {
		h.add(Sample{Latency: Value(i), Variables: unknown, Queue: Value(i), Errors: Value(i)})
	}
	got := h.series()
	if len(got.Queue) != historyLen || got.Queue[0] != 7 || got.Queue[historyLen-1] != historyLen+6 {
		t.Errorf("%d samples from %v to %v", len(got.Queue), got.Queue[0], got.Queue[len(got.Queue)-1])
	}
	text, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(text), `"variables_per_s":[null,null,`) || !slices.Equal(got.Latency, got.Errors) {
		t.Errorf("%v %.80s", err, text)
	}
	if text, _ := Value(math.Inf(1)).MarshalJSON(); string(text) != "null" {
		t.Errorf("infinity is %s", text)
	}
}

func TestChangesAreBounded(t *testing.T) {
	var c changes
	for range maxChanges + 5 {
		c.add(Change{})
	}
	if len(c.last) != maxChanges || c.last[0].Number != 6 || c.last[maxChanges-1].Number != maxChanges+5 {
		t.Errorf("%d changes from %d", len(c.last), c.last[0].Number)
	}
}
