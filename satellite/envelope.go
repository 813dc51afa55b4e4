package satellite

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// Functions of the link itself, which no command stands behind.
const (
	FunctionIAmHere  = "i_am_here"
	FunctionIAmReady = "i_am_ready"
	FunctionExit     = "exit"
	FunctionPushVar  = "push_var"
	FunctionRetrieve = "retrieve_vars_and_errors"

	errorActionRaise = "raise"
	errorActionClear = "clear"
)

// retrieved is the JSON text that retrieve_vars_and_errors answers: two lists,
// each oldest first. The order between a variable and an error is not on the
// wire; see Journal.Take for what keeps it.
type retrieved struct {
	Errors []errorEvent    `json:"errors"`
	Vars   []variableEvent `json:"vars"`
}

// variableEvent is one variable on the wire, in retrieve_vars_and_errors and as
// the argument of push_var.
type variableEvent struct {
	Interface string          `json:"interface"`
	Value     json.RawMessage `json:"value"`
	Variable  string          `json:"var"`
}

type errorEvent struct {
	Action string          `json:"action"`
	Error  json.RawMessage `json:"error"`
}

// encodeRetrieved writes events as the answer of retrieve_vars_and_errors.
func encodeRetrieved(events []Event) (string, error) {
	message := retrieved{Errors: []errorEvent{}, Vars: []variableEvent{}}
	for _, event := range events {
		switch {
		case event.Error == nil:
			message.Vars = append(message.Vars, variableEvent{Interface: event.Interface, Value: event.Value, Variable: event.Variable})
		case event.Raised:
			message.Errors = append(message.Errors, errorEvent{Action: errorActionRaise, Error: event.Error})
		default:
			message.Errors = append(message.Errors, errorEvent{Action: errorActionClear, Error: event.Error})
		}
	}
	text, err := route.Marshal(message)
	return string(text), err
}

// decodeRetrieved reads such an answer: variables first, then errors. What is
// wrong with a single entry is joined into the error; the good entries are
// returned all the same, for they were handed over and would be lost.
func decodeRetrieved(text string) ([]Event, error) {
	var message struct {
		Errors []json.RawMessage `json:"errors"`
		Vars   []json.RawMessage `json:"vars"`
	}
	if err := json.Unmarshal([]byte(text), &message); err != nil {
		return nil, fmt.Errorf("answer of %s is not the expected JSON: %w", FunctionRetrieve, err)
	}
	var wrong []error
	events := make([]Event, 0, len(message.Vars)+len(message.Errors))
	for _, entry := range message.Vars {
		variable, err := decodeVariable(entry)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		events = append(events, Event{Interface: variable.Interface, Variable: variable.Variable, Value: variable.Value})
	}
	for _, entry := range message.Errors {
		var raised errorEvent
		err := json.Unmarshal(entry, &raised)
		if err != nil || len(raised.Error) == 0 || raised.Action != errorActionRaise && raised.Action != errorActionClear {
			wrong = append(wrong, fmt.Errorf("error entry %s has no action raise or clear with an error", route.Clip(entry)))
			continue
		}
		events = append(events, Event{Error: raised.Error, Raised: raised.Action == errorActionRaise})
	}
	return events, errors.Join(wrong...)
}

// decodeVariable reads one variable as it is on the wire.
func decodeVariable(text []byte) (variableEvent, error) {
	var event variableEvent
	if err := json.Unmarshal(text, &event); err != nil {
		return event, fmt.Errorf("variable entry %s is not the expected JSON: %w", route.Clip(text), err)
	}
	if event.Interface == "" || event.Variable == "" || len(event.Value) == 0 {
		return event, fmt.Errorf("variable entry %s lacks interface, var or value", route.Clip(text))
	}
	return event, nil
}
