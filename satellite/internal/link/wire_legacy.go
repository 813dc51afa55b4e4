package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// This file is the wire of the legacy dialect beside the commands, which doc/link.md describes. The C++ modules fix it.

// Functions of the legacy dialect.
const (
	FunctionIAmHere  = "i_am_here"
	FunctionIAmReady = "i_am_ready"
	FunctionExit     = "exit"
	FunctionPushVar  = "push_var"
	FunctionRetrieve = "retrieve_vars_and_errors"
	// FunctionRetrieveVars is the poll of the C++ modules before 2025.01.0. Its result has no errors.
	FunctionRetrieveVars = "retrieve_vars"
)

// Actions of an error entry.
const (
	actionRaise = "raise"
	actionClear = "clear"
)

// retrieved is the result of retrieve_vars_and_errors as JSON: two lists, each oldest first. The order between a
// variable and an error is not on the wire. journal.take keeps it.
type retrieved struct {
	Errors []errorEntry    `json:"errors"`
	Vars   []variableEntry `json:"vars"`
}

// variableEntry is one variable on the wire, in retrieve_vars_and_errors and as the argument of push_var.
type variableEntry struct {
	Interface string          `json:"interface"`
	Value     json.RawMessage `json:"value"`
	Variable  string          `json:"var"`
}

type errorEntry struct {
	Action string          `json:"action"`
	Error  json.RawMessage `json:"error"`
}

// encodeRetrieved writes events as the answer of a poll. That of retrieve_vars is the list of the variables alone.
func encodeRetrieved(events []Event, function string) (string, error) {
	message := retrieved{Errors: []errorEntry{}, Vars: []variableEntry{}}
	for _, event := range events {
		switch event.Kind {
		case Variable:
			message.Vars = append(message.Vars, variableEntry{event.Interface, event.Value, event.Name})
		case Raised:
			message.Errors = append(message.Errors, errorEntry{actionRaise, event.Value})
		case Cleared:
			message.Errors = append(message.Errors, errorEntry{actionClear, event.Value})
		}
	}
	if function == FunctionRetrieveVars {
		text, err := route.Marshal(message.Vars)
		return string(text), err
	}
	text, err := route.Marshal(message)
	return string(text), err
}

// maxReportedEntries bounds the bad entries that an error names.
const maxReportedEntries = 10

// readRetrieved reads such an answer without decoding the events: variables first, then errors. A list is the answer of
// retrieve_vars. What is wrong with single entries, or cannot be converted, is joined into the error. The good entries are in the batch all the same,
// because the agent has forgotten them.
func readRetrieved(answer []byte, conversions route.Conversions) (eventBatch, error) {
	var lists struct {
		Errors json.RawMessage `json:"errors"`
		Vars   json.RawMessage `json:"vars"`
	}
	var err error
	if answer = bytes.TrimSpace(answer); len(answer) > 0 && answer[0] == '[' {
		lists.Vars, err = answer, rawjson.Check(answer)
	} else {
		err = json.Unmarshal(answer, &lists)
	}
	if err != nil {
		return eventBatch{}, fmt.Errorf("answer of %s is not the expected JSON: %w", FunctionRetrieve, err)
	}
	for _, list := range []json.RawMessage{lists.Vars, lists.Errors} {
		if len(list) > 0 && list[0] != '[' && string(list) != "null" {
			return eventBatch{}, fmt.Errorf("answer of %s is not the expected JSON: %s is not a list", FunctionRetrieve, route.Clip(list))
		}
	}
	batch := eventBatch{kept: len(lists.Vars) + len(lists.Errors)}
	var wrong []error
	bad := 0
	count := func(list json.RawMessage, read func(entry []byte, reported bool) (encodedEvent, error)) {
		for entry, err := range elements(list) {
			var event encodedEvent
			if err == nil {
				event, err = read(entry, bad < maxReportedEntries)
			}
			if err == nil {
				batch.count++
				batch.bytes += len(event.route) + len(event.name) + len(event.value)
			} else if bad++; bad <= maxReportedEntries {
				wrong = append(wrong, err)
			}
		}
	}
	convert := func(entry []byte, reported bool) (encodedEvent, error) {
		event, err := readVariable(entry, reported)
		if err == nil {
			event.value, err = conversions.FromWire(event.route, event.name, event.value)
		}
		return event, err
	}
	count(lists.Vars, convert)
	count(lists.Errors, readError)
	if bad > maxReportedEntries {
		wrong = append(wrong, fmt.Errorf("and %d more", bad-maxReportedEntries))
	}
	batch.all = func(yield func(Event) bool) {
		for entry := range elements(lists.Vars) { // an entry that cannot be read is empty here, and no event
			event, err := convert(entry, false)
			if err == nil && !yield(Event{Interface: string(event.route), Name: string(event.name), Value: event.value}) {
				return
			}
		}
		for entry := range elements(lists.Errors) {
			event, err := readError(entry, false)
			if err == nil && !yield(Event{Kind: event.kind, Value: event.value}) {
				return
			}
		}
	}
	return batch, errors.Join(wrong...)
}

// errBadEntry is the error of an entry that is not reported.
var errBadEntry = errors.New("bad entry")

// readVariable reads an entry of vars. The error names the entry if it is to be reported.
func readVariable(entry []byte, reported bool) (event encodedEvent, err error) {
	if len(entry) > 0 && entry[0] == '{' {
		for name, value := range members(entry) {
			switch string(name) {
			case "interface":
				event.route = rawjson.Text(value)
			case "var":
				event.name = rawjson.Text(value)
			case "value":
				event.value = value
			}
		}
	}
	switch {
	case len(event.route) > 0 && len(event.name) > 0 && len(event.value) > 0:
		return event, nil
	case reported:
		return event, fmt.Errorf("variable entry %s lacks interface, var or value", route.Clip(entry))
	}
	return event, errBadEntry
}

// readError reads an entry of errors. The error names the entry if it is to be reported.
func readError(entry []byte, reported bool) (event encodedEvent, err error) {
	known := false
	if len(entry) > 0 && entry[0] == '{' {
		for name, value := range members(entry) {
			switch string(name) {
			case "action":
				switch string(rawjson.Text(value)) {
				case actionRaise:
					event.kind, known = Raised, true
				case actionClear:
					event.kind, known = Cleared, true
				}
			case "error":
				event.value = value
			}
		}
	}
	switch {
	case known && len(event.value) > 0:
		return event, nil
	case reported:
		return event, fmt.Errorf("error entry %s has no action raise or clear with an error", route.Clip(entry))
	}
	return event, errBadEntry
}

// elements returns the elements of an array, none for an absent one and for null. An element that cannot be read ends
// the sequence; it comes with the error.
func elements(array json.RawMessage) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		if rawjson.IsNull(array) {
			return
		}
		r := rawjson.NewReader(array)
		for r.Array(); r.More(); {
			element := r.Value()
			if element == nil {
				break
			}
			if !yield(element, nil) {
				return
			}
		}
		if err := r.Close(); err != nil {
			yield(nil, err)
		}
	}
}

// members returns the names and the values of an object of valid JSON.
func members(object json.RawMessage) iter.Seq2[[]byte, json.RawMessage] {
	return func(yield func([]byte, json.RawMessage) bool) {
		r := rawjson.NewReader(object)
		for r.Object(); ; {
			name, more := r.Next()
			if !more || !yield(name, r.Value()) {
				return
			}
		}
	}
}

// encodePushed writes the argument of push_var.
func encodePushed(id, name string, value json.RawMessage) (string, error) {
	text, err := route.Marshal(variableEntry{Interface: id, Value: value, Variable: name})
	return string(text), err
}

// readPushed reads the argument of push_var.
func readPushed(text []byte) (Event, error) {
	entry := bytes.TrimSpace(text)
	if !json.Valid(entry) {
		return Event{}, fmt.Errorf("variable entry %s is not the expected JSON", route.Clip(text))
	}
	event, err := readVariable(entry, true)
	if err != nil {
		return Event{}, err
	}
	return Event{Interface: string(event.route), Name: string(event.name), Value: event.value}, nil
}
