package everesttest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Fake stands in for one implementation that the module under test requires. A command without Answer or Handle returns
// the smallest value that the interface allows. The methods of a Fake may be called from several goroutines.
type Fake struct {
	station       *Station
	id            string
	interfaceName string
	definitions   *schema.Definitions
	provided      *everest.Provided

	mu       sync.Mutex
	handlers map[string]everest.CommandHandler
}

// Answer sets a fixed result for a command. A result that the interface does not allow ends the test.
func (f *Fake) Answer(command string, result any) {
	f.station.t.Helper()
	f.mustFit("answer "+command, content{Subject: Subject{Kind: KindReply, Name: command}}, result)
	f.Handle(command, func(context.Context, everest.Args) (any, error) { return result, nil })
}

// Handle sets the handler of a command. A command that the interface does not have ends the test. A result that the
// interface does not allow fails it.
func (f *Fake) Handle(command string, handler everest.CommandHandler) {
	f.station.t.Helper()
	f.mustFit("handle "+command, content{Subject: Subject{Kind: KindReply, Name: command}, failed: true}, nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handlers == nil {
		f.handlers = map[string]everest.CommandHandler{}
	}
	f.handlers[command] = handler
}

// prepare registers handlers for all commands of the interface.
func (f *Fake) prepare(provided *everest.Provided) {
	f.provided = provided
	definition, ok := f.definitions.Interface(f.interfaceName)
	if !ok {
		return
	}
	for command, declared := range maps.All(definition.Commands) {
		provided.Handle(command, func(ctx context.Context, arguments everest.Args) (any, error) {
			f.mu.Lock()
			handler := f.handlers[command]
			f.mu.Unlock()
			if handler != nil {
				result, err := handler(ctx, arguments)
				if err == nil {
					f.checkResult(command, result)
				}
				return result, err
			}
			result, ok := smallest(f.definitions, declared.Result)
			if !ok || f.definitions.CheckResult(f.interfaceName, command, result) != nil {
				return nil, fmt.Errorf("fake %s has no Answer or Handle for %s, and no value can be derived from the interface", f.id, command)
			}
			return result, nil
		})
	}
}

// checkResult fails the test for a result that the interface does not allow.
func (f *Fake) checkResult(command string, result any) {
	encoded, err := json.Marshal(result)
	if err == nil {
		err = f.definitions.CheckResult(f.interfaceName, command, encoded)
	}
	if err != nil {
		text := fmt.Sprintf("everesttest: fake %s (interface %s): %v", f.id, f.interfaceName, err)
		f.station.fault(text, text)
	}
}

// mustFit ends the test if the interface does not allow what the fake is to say.
func (f *Fake) mustFit(what string, said content, value any) {
	f.station.t.Helper()
	encoded, err := json.Marshal(value)
	if said.value = encoded; err == nil {
		err = checkSaid(f.definitions, f.interfaceName, said)
	}
	if err != nil {
		f.station.t.Fatalf("fake %s (interface %s): %s: %v", f.id, f.interfaceName, what, err)
	}
}

// Publish publishes a variable. A failure, or a variable or value that the interface does not allow, ends the test. To
// publish what no module may, use Recorder.Publish.
func (f *Fake) Publish(variable string, value any) {
	f.station.t.Helper()
	f.mustFit("publish "+variable, content{Subject: Subject{Kind: KindVariable, Name: variable}}, value)
	f.do("publish "+variable, func(ctx context.Context) error { return f.provided.Publish(ctx, variable, value) })
}

// Raise raises an error. A failure, or an error that the interface does not declare, ends the test.
func (f *Fake) Raise(raised everest.Error) {
	f.station.t.Helper()
	f.mustFit("raise", content{Subject: Subject{Kind: KindError, Name: raised.Type}}, nil)
	f.do("raise "+raised.Type, func(ctx context.Context) error { return f.provided.Raise(ctx, raised) })
}

// Clear clears an error. A failure ends the test.
func (f *Fake) Clear(errorType, subType string) {
	f.station.t.Helper()
	f.do("clear "+errorType, func(ctx context.Context) error { return f.provided.Clear(ctx, errorType, subType) })
}

// Replay publishes the variables and errors of a recording in their order. The fake is the sender of all of them,
// whichever module published them in the recording. Speed 1 keeps the times of the recording, 10 is ten times as fast,
// and 0 makes no pauses. A failure ends the test.
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
		return f.provided.RelayError(ctx, row.Value, raised.State == everest.StateActive)
	}
	return nil
}

func (f *Fake) do(what string, act func(context.Context) error) {
	f.station.t.Helper()
	ctx, cancel := f.station.bounded()
	defer cancel()
	if err := act(ctx); err != nil {
		f.station.t.Fatalf("fake %s: %s: %v", f.id, what, err)
	}
}

// smallestSchema is the part of a JSON schema that smallest uses.
type smallestSchema struct {
	Reference  string                     `json:"$ref"`
	Type       string                     `json:"type"`
	Enum       []json.RawMessage          `json:"enum"`
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
	Items      json.RawMessage            `json:"items"`
	MinItems   int                        `json:"minItems"`
	Minimum    json.Number                `json:"minimum"`
	MinLength  int                        `json:"minLength"`
	Format     string                     `json:"format"`
}

// smallest returns a small value for a schema, and false where it finds none. It covers the keywords of EVerest's
// definitions except pattern, so the caller must check the value.
func smallest(definitions *schema.Definitions, schema json.RawMessage) (json.RawMessage, bool) {
	return smallestWithin(definitions, schema, 32)
}

func smallestWithin(definitions *schema.Definitions, raw json.RawMessage, depth int) (json.RawMessage, bool) {
	var schema smallestSchema
	if depth == 0 || json.Unmarshal(raw, &schema) != nil {
		return nil, false
	}
	if schema.Reference != "" {
		referred, known := definitions.Type(schema.Reference)
		if !known {
			return nil, false
		}
		return smallestWithin(definitions, referred, depth-1)
	}
	if len(schema.Enum) > 0 {
		return schema.Enum[0], true
	}
	switch schema.Type {
	case "null":
		return json.RawMessage("null"), true
	case "boolean":
		return json.RawMessage("false"), true
	case "integer", "number":
		if schema.Minimum != "" {
			return json.RawMessage(schema.Minimum), true
		}
		return json.RawMessage("0"), true
	case "string":
		text := strings.Repeat("x", schema.MinLength)
		switch schema.Format {
		case "date-time":
			text = "1970-01-01T00:00:00.000Z"
		case "uri":
			text = "urn://x"
		}
		return json.RawMessage(`"` + text + `"`), true
	case "array":
		elements := make([]json.RawMessage, schema.MinItems)
		for i := range elements {
			element, ok := smallestWithin(definitions, schema.Items, depth-1)
			if !ok {
				return nil, false
			}
			elements[i] = element
		}
		return marshalled(elements)
	case "object":
		members := map[string]json.RawMessage{}
		for _, name := range schema.Required {
			value, ok := smallestWithin(definitions, schema.Properties[name], depth-1)
			if !ok {
				return nil, false
			}
			members[name] = value
		}
		return marshalled(members)
	}
	return nil, false
}

func marshalled(value any) (json.RawMessage, bool) {
	encoded, err := json.Marshal(value)
	return encoded, err == nil
}
