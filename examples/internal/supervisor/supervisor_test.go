package supervisor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is a process that ends only when it is killed, or crash says so.
type deaf struct{ ended chan error }

func (d *deaf) Order(any)   {}
func (d *deaf) Stop()       {}
func (d *deaf) Kill()       { d.ended <- errors.New("signal: killed") }
func (d *deaf) Wait() error { return <-d.ended }

func TestCloseKillsABoardThatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		process := &deaf{make(chan error, 1)}
		s := New(func(string, func(Event)) (Process, error) { return process, nil }, "main")
		synctest.Wait()
		began := time.Now()
		go s.Close()
		var events []Event
		for event := range s.Events() {
			events = append(events, event)
		}
		if len(events) != 1 || events[0].Ended == nil || time.Since(began) != stopLimit {
			t.Errorf("events %v after %v, want the end after %v", events, time.Since(began), stopLimit)
		}
	})
}

func TestKillRestartsTheBoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		process := &deaf{make(chan error, 1)}
		s := New(func(string, func(Event)) (Process, error) { return process, nil }, "main")
		synctest.Wait()
		if !s.Kill("main") {
			t.Error("the board does not run")
		}
		if event := <-s.Events(); event.Ended == nil || s.Kill("main") {
			t.Errorf("event %+v, want the end of the board", event)
		}
		if event := <-s.Events(); !event.Started {
			t.Errorf("event %+v, want the next start", event)
		}
		synctest.Wait()
		if !s.Kill("main") {
			t.Error("the board was not started again")
		}
		go s.Close()
		for range s.Events() {
		}
	})
}

func TestBoardThatCannotBeStartedIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(func(string, func(Event)) (Process, error) { return nil, errors.New("no program") }, "main")
		if event := <-s.Events(); event.GivenUp == nil || !strings.Contains(event.GivenUp.Error(), "cannot start main: no program") {
			t.Errorf("event %+v", event)
		}
		s.Order("main", "play") // nobody hears it
		s.Close()
	})
}

func TestInputEndsTheContext(t *testing.T) {
	var first int
	ctx, values, err := ReadInput(t.Context(), strings.NewReader("1\n2\n"), &first)
	if err != nil || first != 1 || <-values != 2 {
		t.Errorf("first value %d, error %v", first, err)
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, ErrStopped) {
		t.Errorf("the input ended with %v", cause)
	}
	if _, _, err := ReadInput(t.Context(), strings.NewReader("{"), &first); err == nil {
		t.Error("an input without a value was read")
	}
}
