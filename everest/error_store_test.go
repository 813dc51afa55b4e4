package everest

import (
	"context"
	"strconv"
	"strings"
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

// Active errors are bounded in bytes as well as in number: a source may make each as long as a message.
func TestErrorsAreBoundedInBytes(t *testing.T) {
	const size = maxActiveBytes / 8
	object := make([]byte, size)
	id := func(n int) Error { return Error{Type: "a/B", SubType: strconv.Itoa(n)} }
	var store errorStore
	raised := 0
	for n := range 20 {
		if store.raise(id(n), object) {
			raised++
		}
	}
	if raised != 8 {
		t.Errorf("%d of 20 long errors are active", raised)
	}
	if !store.clear(id(3).ID()) || !store.raise(id(15), object) || store.raise(id(16), object) {
		t.Error("the room of an error that was cleared is not used once")
	}
	for n := range 20 {
		store.clear(id(n).ID())
	}
	if !store.raise(id(1), make([]byte, 2*maxActiveBytes)) || store.raise(id(2), nil) {
		t.Error("one error fits, whatever its length, and none beside it")
	}

	full := raisedErrors{}
	if isNew, err := full.add(id(1), make([]byte, 2*maxActiveBytes)); !isNew || err != nil {
		t.Error(isNew, err)
	}
	if _, err := full.add(id(2), object); err == nil || !strings.Contains(err.Error(), "1 errors of 8388608 bytes") {
		t.Errorf("an error beyond the bound: %v", err)
	}
	if isNew, err := full.add(id(1), object); isNew || err != nil {
		t.Errorf("the same error again: %v, %v", isNew, err)
	}
}
