package everesttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Event is an action of the module under test.
type Event struct {
	// Kind is KindVariable, KindCommand for a call of a fake, or KindError.
	Kind Kind
	// Of is the id of the implementation that published the variable or reported the error. For a call it is the
	// requirement whose fake was called, such as "bell", or "bell[1]" for its second fake.
	Of string
	// Name is the name of the variable or command, or the type of the error.
	Name string
	// Value is the value of the variable, the arguments of the call or the error object.
	Value json.RawMessage
	// Raised is true for a raised error, false for a cleared one.
	Raised bool
}

func (e Event) String() string {
	switch e.Kind {
	case KindVariable:
		return fmt.Sprintf("publishes %s.%s %s", e.Of, e.Name, e.Value)
	case KindCommand:
		return fmt.Sprintf("calls %s.%s %s", e.Of, e.Name, e.Value)
	}
	var raised everest.Error
	// An error object that cannot be decoded is shown without a sub type.
	_ = json.Unmarshal(e.Value, &raised)
	if e.Raised {
		return fmt.Sprintf("raises %s.%s %q", e.Of, e.Name, raised.SubType)
	}
	return fmt.Sprintf("clears %s.%s %q", e.Of, e.Name, raised.SubType)
}

// Step is an action that a test expects of the module under test.
type Step struct {
	text  string
	match func(Event) bool
}

func (s Step) String() string { return s.text }

// Any, as the value of a step, matches every value.
const Any = anyValue("any value")

type anyValue string

// Published expects that a variable is published. value and the published value are compared as JSON. If value is a
// func(json.RawMessage) bool, that function decides instead.
func Published(implementation, variable string, value any) Step {
	return Step{
		fmt.Sprintf("publishes %s.%s %s", implementation, variable, textOf(value)),
		func(e Event) bool {
			return e.Kind == KindVariable && e.Of == implementation && e.Name == variable && fits(value, e.Value)
		},
	}
}

// Called expects a call to a fake. of is the requirement, such as "bell", or "bell[1]" for its second fake. arguments
// are compared like the value of Published. nil arguments mean a call without arguments.
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
		return "a value that the test checks"
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

// decodeNumbers decodes JSON with exact numbers. It returns a text that is not JSON unchanged.
func decodeNumbers(text []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return text
	}
	return value
}

// Expect waits until the module under test has performed all steps in this order. The module may do other things before
// and between the steps. The first step must come after the last step of the previous call of Expect. If a step does
// not come within Patience, the test fails with a list of the module's actions.
func (s *Station) Expect(steps ...Step) {
	s.t.Helper()
	ctx, cancel := s.bounded()
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
		s.t.Fatalf("expected that the module under test %s (step %d of %d); its actions since the step before:\n%s%v",
			steps[reached], reached+1, len(steps), s.actions(), err)
	}
	s.seen = at
}

// Events returns all actions of the module under test so far.
func (s *Station) Events() []Event {
	var events []Event
	for _, message := range s.Recorder.Messages() {
		if event, ok := s.event(message); ok {
			events = append(events, event)
		}
	}
	return events
}

func (s *Station) actions() string {
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

// event returns a message as an event, and false for a message that is not an action of the module under test.
func (s *Station) event(message Message) (Event, bool) {
	said, ok := s.Manager.dialect().contentOf(s.prefix, message)
	event := Event{Kind: said.Kind, Of: said.ImplementationID, Name: said.Name, Value: said.value, Raised: said.raised}
	switch {
	case !ok:
		return Event{}, false
	case said.Kind == KindCommand && said.ModuleID == worldID:
		event.Of = s.fakeName(said.ImplementationID)
	case said.ModuleID != ModuleID || said.Kind != KindVariable && said.Kind != KindError:
		return Event{}, false
	}
	return event, true
}

// fakeName returns the name of a fake as Called has it: the requirement, with the index from the second connection on.
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
