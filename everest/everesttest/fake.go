package everesttest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Fake plays one implementation that the module under test requires. A command that it was not told how to answer, it answers
// with the smallest value that fits the interface. Its methods are safe for concurrent use.
type Fake struct {
	station       *Station
	id            string
	interfaceName string
	definitions   *schema.Definitions
	provided      *everest.Provided

	mutex    sync.Mutex
	handlers map[string]everest.CommandHandler
}

// Answer makes the fake answer a command with a fixed result from now on.
func (f *Fake) Answer(command string, result any) {
	f.Handle(command, func(context.Context, everest.Args) (any, error) { return result, nil })
}

// Handle makes the fake answer a command by the handler from now on.
func (f *Fake) Handle(command string, handler everest.CommandHandler) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.handlers == nil {
		f.handlers = map[string]everest.CommandHandler{}
	}
	f.handlers[command] = handler
}

// prepare has the fake listen to all commands of its interface.
func (f *Fake) prepare(provided *everest.Provided) {
	f.provided = provided
	definition, ok := f.definitions.Interface(f.interfaceName)
	if !ok {
		return
	}
	for command, declared := range maps.All(definition.Commands) {
		provided.Handle(command, func(ctx context.Context, arguments everest.Args) (any, error) {
			f.mutex.Lock()
			handler := f.handlers[command]
			f.mutex.Unlock()
			if handler != nil {
				return handler(ctx, arguments)
			}
			result, ok := smallest(f.definitions, declared.Result)
			if !ok || f.definitions.CheckResult(f.interfaceName, command, result) != nil {
				return nil, fmt.Errorf("the fake %s was not told how to answer %s", f.id, command)
			}
			return result, nil
		})
	}
}

// Publish publishes a variable. A failure ends the test.
func (f *Fake) Publish(variable string, value any) {
	f.station.t.Helper()
	f.do("publish "+variable, func(ctx context.Context) error { return f.provided.Publish(ctx, variable, value) })
}

// Raise raises an error. A failure ends the test.
func (f *Fake) Raise(raised everest.Error) {
	f.station.t.Helper()
	f.do("raise "+raised.Type, func(ctx context.Context) error { return f.provided.Raise(ctx, raised) })
}

// Clear clears an error. A failure ends the test.
func (f *Fake) Clear(errorType, subType string) {
	f.station.t.Helper()
	f.do("clear "+errorType, func(ctx context.Context) error { return f.provided.Clear(ctx, errorType, subType) })
}

// Replay publishes the variables and errors of a recording in their order, whatever module they are from. speed 1 keeps the
// times of the recording, 10 is ten times as fast, 0 leaves no pauses. A failure ends the test.
func (f *Fake) Replay(rows []TraceRow, speed float64) {
	f.station.t.Helper()
	start := time.Now()
	for _, row := range rows {
		if speed > 0 {
			due := start.Add(time.Duration(row.Time / speed * float64(time.Millisecond)))
			select {
			case <-time.After(time.Until(due)):
			case <-f.station.t.Context().Done():
				return
			}
		}
		f.do("replay "+row.Name, func(ctx context.Context) error { return f.replay(ctx, row) })
	}
}

func (f *Fake) replay(ctx context.Context, row TraceRow) error {
	switch row.Kind {
	case KindVariable:
		return f.provided.Publish(ctx, row.Name, row.Value)
	case KindError:
		var raised everest.Error
		if err := json.Unmarshal(row.Value, &raised); err != nil {
			return err
		}
		if raised.State == everest.StateActive {
			return f.provided.RaiseForwarded(ctx, raised)
		}
		return f.provided.ClearForwarded(ctx, raised)
	}
	return nil
}

func (f *Fake) do(what string, act func(context.Context) error) {
	f.station.t.Helper()
	ctx, cancel := context.WithTimeout(f.station.t.Context(), Patience)
	defer cancel()
	if err := act(ctx); err != nil {
		f.station.t.Fatalf("fake %s: %s: %v", f.id, what, err)
	}
}
