package everest

import (
	"context"
	"testing"
	"testing/synctest"
)

// A broker that takes nothing for a while must not hold up a status page.
func TestActiveErrorsDoNotWaitForTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		main := m.Provides("main")
		if err := main.Raise(t.Context(), Error{Type: "a/B"}); err != nil {
			t.Fatal(err)
		}
		blocked := make(chan struct{})
		hub.answer = func(message Message) []Message {
			<-blocked
			return nil
		}
		raised := make(chan error, 1)
		go func() { raised <- main.Raise(context.WithoutCancel(t.Context()), Error{Type: "a/C"}) }()
		synctest.Wait()
		looked := make(chan int, 1)
		go func() {
			if !main.IsActive("a/B", "") {
				t.Error("the error is not active")
			}
			looked <- len(main.ActiveErrors())
		}()
		synctest.Wait()
		select {
		case count := <-looked:
			if count == 0 {
				t.Error("no error is active")
			}
		default:
			t.Error("ActiveErrors waits for the broker")
		}
		close(blocked)
		if err := <-raised; err != nil {
			t.Error(err)
		}
	})
}

func TestProvidesDoesNotAllocate(t *testing.T) {
	m := &Module{provided: map[string]*Provided{"main": {}, "second": {}}}
	if allocations := testing.AllocsPerRun(100, func() { m.Provides("main") }); allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}
