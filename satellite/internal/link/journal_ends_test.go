package link

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// keptOnDisk stands for the file of ends.
type keptOnDisk struct {
	// writes has what was kept, one text for each time.
	writes []string
	fails  bool
}

func (d *keptOnDisk) keep(ends []Event) error {
	if d.fails {
		return errors.New("no space left on device")
	}
	var sessions []string
	for _, end := range ends {
		sessions = append(sessions, end.Ends)
	}
	d.writes = append(d.writes, fmt.Sprint(sessions))
	return nil
}

func (d *keptOnDisk) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(d.writes, want) {
		t.Errorf("kept %v, want %v", d.writes, want)
	}
}

func endOf(session string) Event {
	return Event{Interface: "evse_manager", Name: "session_event", Ends: session, GivenUpLast: true}
}

// keepEnds runs script with a server of which only the keeper of ends runs.
func keepEnds(t *testing.T, script func(*Server, *keptOnDisk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		disk := &keptOnDisk{}
		s := NewServer(ServerConfig{Logger: zap.NewNop(), SatelliteBoard: SatelliteBoard{KeepEnds: disk.keep}})
		ended := make(chan struct{})
		s.running.Go(func() { s.ends.run(ended) })
		script(s, disk)
		close(ended)
		s.running.Wait()
	})
}

// A controller that is there has the end before it is kept: nothing is written.
func TestAnEndThatArrivesIsNotKept(t *testing.T) {
	keepEnds(t, func(s *Server, disk *keptOnDisk) {
		for range 10 {
			s.Record(variableOf("evse_id"))
			s.Record(endOf("A"))
			time.Sleep(keepDelay / 2)
			s.journal.acknowledge(s.journal.buffer.last)
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		disk.expect(t)
	})
}

// An end that nobody takes is kept, once, until the controller has it. Other events cost no write.
func TestAnEndThatNobodyTakesIsKept(t *testing.T) {
	keepEnds(t, func(s *Server, disk *keptOnDisk) {
		s.Record(endOf("A"))
		time.Sleep(keepDelay)
		disk.expect(t, "[A]")
		for range 100 {
			s.Record(variableOf("evse_id"))
			time.Sleep(time.Second)
		}
		disk.expect(t, "[A]")
		s.Record(endOf("B"))
		time.Sleep(keepDelay)
		disk.expect(t, "[A]", "[A B]")
		s.journal.acknowledge(50)
		disk.expect(t, "[A]", "[A B]", "[B]")
		s.journal.acknowledge(200)
		time.Sleep(time.Hour)
		disk.expect(t, "[A]", "[A B]", "[B]", "[]")
	})
}

// Towards a legacy controller, an end that was handed over is not kept any more.
func TestAnEndThatWasHandedOverIsNotKept(t *testing.T) {
	keepEnds(t, func(s *Server, disk *keptOnDisk) {
		s.Record(endOf("A"))
		time.Sleep(keepDelay)
		disk.expect(t, "[A]")
		s.journal.take(1<<20, func(*Event) bool { return false })
		disk.expect(t, "[A]", "[]")
	})
}

// The oldest ends are kept: the main board holds the session of the first.
func TestTheNumberOfKeptEndsIsBounded(t *testing.T) {
	keepEnds(t, func(s *Server, disk *keptOnDisk) {
		for _, session := range []string{"A", "B", "C", "D", "E", "F"} {
			s.Record(endOf(session))
		}
		time.Sleep(keepDelay)
		disk.expect(t, "[A B C D]")
	})
}

// What the process ends with is kept, and what could not be written is tried again.
func TestAnEndIsKeptAtTheEndOfTheProcess(t *testing.T) {
	for _, fails := range []bool{false, true} {
		var server *Server
		disk := &keptOnDisk{}
		keepEnds(t, func(s *Server, kept *keptOnDisk) {
			server, kept.fails = s, fails
			s.Record(endOf("A"))
			if fails {
				time.Sleep(time.Minute)
			}
			kept.expect(t)
			server.ends.keep = disk.keep
		})
		if kept := server.KeepEnds(); kept != 1 || !slices.Equal(disk.writes, []string{"[A]"}) {
			t.Errorf("fails %v: %d ends are kept, written %v", fails, kept, disk.writes)
		}
		if server.KeepEnds(); len(disk.writes) != 1 {
			t.Errorf("the same is written twice: %v", disk.writes)
		}
	}
}

// What the process before has kept is recorded before anything new, is not written again, and goes once it has arrived.
func TestAKeptEndIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &keptOnDisk{}
		s := NewServer(ServerConfig{Logger: zap.NewNop(), SatelliteBoard: SatelliteBoard{KeepEnds: disk.keep}})
		s.Restore([]Event{variableOf("session_event"), endOf("A")})
		ended := make(chan struct{})
		s.running.Go(func() { s.ends.run(ended) })
		s.Record(variableOf("evse_id"))
		time.Sleep(time.Hour)
		disk.expect(t)
		s.journal.acknowledge(1)
		disk.expect(t)
		s.journal.acknowledge(2)
		disk.expect(t, "[]")
		close(ended)
		s.running.Wait()
	})
}
