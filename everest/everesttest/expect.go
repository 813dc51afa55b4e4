package everesttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Event is one thing that the module under test has done.
type Event struct {
	// Kind is KindVariable, KindCommand for a call of a fake, or KindError.
	Kind Kind
	// Of is the module's own implementation, or for a call the requirement and index of the fake: "bell", "bell[1]".
	Of string
	// Name of the variable or command, or the type of the error.
	Name string
	// Value of the variable, arguments of the call, or the error object.
	Value json.RawMessage
	// Raised is true for a raised error, false for a cleared one.
	Raised bool
}

// String is the event in one line.
func (e Event) String() string {
	switch e.Kind {
	case KindVariable:
		return fmt.Sprintf("publishes %s.%s %s", e.Of, e.Name, e.Value)
	case KindCommand:
		return fmt.Sprintf("calls %s.%s %s", e.Of, e.Name, e.Value)
	}
	var raised everest.Error
	// An error object that cannot be read shows as one without a sub type.
	_ = json.Unmarshal(e.Value, &raised)
	if e.Raised {
		return fmt.Sprintf("raises %s.%s %q", e.Of, e.Name, raised.SubType)
	}
	return fmt.Sprintf("clears %s.%s %q", e.Of, e.Name, raised.SubType)
}

// Step is something that the module under test is expected to do.
type Step struct {
	text  string
	match func(Event) bool
}

// String is the step in one line.
func (s Step) String() string { return s.text }

// Any as the value of a step fits every value.
const Any = anyValue("any value")

type anyValue string

// Published expects a variable. value is compared as JSON, a func(json.RawMessage) bool decides by itself.
func Published(implementation, variable string, value any) Step {
	return Step{
		fmt.Sprintf("publishes %s.%s %s", implementation, variable, textOf(value)),
		func(e Event) bool {
			return e.Kind == KindVariable && e.Of == implementation && e.Name == variable && fits(value, e.Value)
		},
	}
}

// Called expects a call of a command of a fake; of is the requirement, "bell[1]" is the second connection of bell. Arguments
// are compared as the value of Published; nil is a call without arguments.
func Called(of, command string, arguments any) Step {
	return Step{
		fmt.Sprintf("calls %s.%s %s", of, command, textOf(arguments)),
		func(e Event) bool {
			if e.Kind != KindCommand || e.Of != strings.TrimSuffix(of, "[0]") || e.Name != command {
				return false
			}
			if arguments == nil {
				return string(e.Value) == "null" || string(e.Value) == "{}"
			}
			return fits(arguments, e.Value)
		},
	}
}

// Raised expects a raised error.
func Raised(implementation, errorType, subType string) Step {
	return errorStep("raises", true, implementation, errorType, subType)
}

// Cleared expects a cleared error.
func Cleared(implementation, errorType, subType string) Step {
	return errorStep("clears", false, implementation, errorType, subType)
}

func errorStep(verb string, raised bool, implementation, errorType, subType string) Step {
	return Step{
		fmt.Sprintf("%s %s.%s %q", verb, implementation, errorType, subType),
		func(e Event) bool {
			var object everest.Error
			return e.Kind == KindError && e.Raised == raised && e.Of == implementation && e.Name == errorType &&
				json.Unmarshal(e.Value, &object) == nil && object.SubType == subType
		},
	}
}

func textOf(value any) string {
	if value == Any {
		return "anything"
	}
	if _, decides := value.(func(json.RawMessage) bool); decides {
		return "what the test decides on"
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

func fits(want any, got json.RawMessage) bool {
	if decide, ok := want.(func(json.RawMessage) bool); ok {
		return decide(got)
	}
	if want == Any {
		return true
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		return false
	}
	return sameJSON(encoded, got)
}

func sameJSON(a, b []byte) bool {
	return reflect.DeepEqual(decodeNumbers(a), decodeNumbers(b))
}

// decodeNumbers keeps numbers exact; what is no JSON equals nothing but itself.
func decodeNumbers(text []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return text
	}
	return value
}

// Expect waits until the module under test does all the steps in this order; other things may happen in between, and each
// Expect goes on where the last one has ended. In vain, the test ends and tells what happened instead.
func (s *Station) Expect(steps ...Step) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), Patience)
	defer cancel()
	reached, at := 0, s.seen
	_, err := s.Recorder.Wait(ctx, func(messages []Message) bool {
		for ; at < len(messages) && reached < len(steps); at++ {
			if event, ok := s.event(messages[at]); ok && steps[reached].match(event) {
				reached++
			}
		}
		return reached == len(steps)
	})
	if err != nil {
		s.t.Fatalf("expected that the module under test %s (step %d of %d); since the step before it did:\n%s%v",
			steps[reached], reached+1, len(steps), s.told(), err)
	}
	s.seen = at
}

// Events returns everything that the module under test has done so far.
func (s *Station) Events() []Event {
	var events []Event
	for _, message := range s.Recorder.Messages() {
		if event, ok := s.event(message); ok {
			events = append(events, event)
		}
	}
	return events
}

func (s *Station) told() string {
	var lines strings.Builder
	for _, message := range s.Recorder.Messages()[s.seen:] {
		if event, ok := s.event(message); ok {
			fmt.Fprintf(&lines, "\t%s\n", event)
		}
	}
	if lines.Len() == 0 {
		return "\tnothing\n"
	}
	return lines.String()
}

// event reads a message; false where it is none of the module under test.
func (s *Station) event(message Message) (Event, bool) {
	subject := SubjectOf(s.prefix, message.Topic)
	envelope, ok := message.Envelope()
	if !ok {
		return Event{}, false
	}
	event := Event{Kind: subject.Kind, Of: subject.ImplementationID, Name: subject.Name}
	switch {
	case subject.Kind == KindVariable && subject.ModuleID == ModuleID:
		var data struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(envelope.Data, &data) != nil {
			return Event{}, false
		}
		event.Value = data.Data
	case subject.Kind == KindCommand && subject.ModuleID == WorldID:
		var data struct {
			Arguments json.RawMessage `json:"args"`
		}
		if json.Unmarshal(envelope.Data, &data) != nil {
			return Event{}, false
		}
		event.Of, event.Value = s.fakeName(subject.ImplementationID), data.Arguments
	case subject.Kind == KindError && subject.ModuleID == ModuleID:
		var data struct {
			State everest.State `json:"state"`
		}
		if json.Unmarshal(envelope.Data, &data) != nil {
			return Event{}, false
		}
		event.Value, event.Raised = envelope.Data, data.State == everest.StateActive
	default:
		return Event{}, false
	}
	return event, true
}

// fakeName is how a test names a fake: by requirement, and by index from the second on.
func (s *Station) fakeName(id string) string {
	for requirement, fakes := range s.fakes {
		for i, fake := range fakes {
			if fake.id == id && i == 0 {
				return requirement
			}
			if fake.id == id {
				return fmt.Sprintf("%s[%d]", requirement, i)
			}
		}
	}
	return id
}
