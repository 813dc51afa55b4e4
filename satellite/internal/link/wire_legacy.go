package link

import (
	"encoding/json"
	"errors"
	"fmt"

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

// encodeRetrieved writes events as the answer of retrieve_vars_and_errors.
func encodeRetrieved(events []Event) (string, error) {
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
	text, err := route.Marshal(message)
	return string(text), err
}

// maxReportedEntries bounds the bad entries that an error names.
const maxReportedEntries = 10

// readRetrieved reads such an answer without decoding the events: variables first, then errors. What is wrong with
// single entries is joined into the error. The good entries are in the batch all the same, because the agent has
// forgotten them.
func readRetrieved(answer []byte) (eventBatch, error) {
	var lists struct {
		Errors json.RawMessage `json:"errors"`
		Vars   json.RawMessage `json:"vars"`
	}
	if err := json.Unmarshal(answer, &lists); err != nil {
		return eventBatch{}, fmt.Errorf("answer of %s is not the expected JSON: %w", FunctionRetrieve, err)
	}
	for _, list := range []json.RawMessage{lists.Vars, lists.Errors} {
		if len(list) > 0 && list[0] != '[' && string(list) != "null" {
			return eventBatch{}, fmt.Errorf("answer of %s is not the expected JSON: %s is not a list", FunctionRetrieve, route.Clip(list))
		}
	}
	var batch eventBatch
	var wrong []error
	bad := 0
	count := func(event encodedEvent, err error) {
		if err == nil {
			batch.count++
			batch.bytes += len(event.route) + len(event.name) + len(event.value)
			return
		}
		if bad++; bad <= maxReportedEntries {
			wrong = append(wrong, err)
		}
	}
	for entry := range elements(lists.Vars) {
		count(readVariable(entry, bad < maxReportedEntries))
	}
	for entry := range elements(lists.Errors) {
		count(readError(entry, bad < maxReportedEntries))
	}
	if bad > maxReportedEntries {
		wrong = append(wrong, fmt.Errorf("and %d more", bad-maxReportedEntries))
	}
	batch.all = func(yield func(Event) bool) {
		for entry := range elements(lists.Vars) {
			event, err := readVariable(entry, false)
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
			switch string(plainText(name)) {
			case "interface":
				event.route = plainText(value)
			case "var":
				event.name = plainText(value)
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
			switch string(plainText(name)) {
			case "action":
				switch string(plainText(value)) {
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

// encodePushed writes the argument of push_var.
func encodePushed(id, name string, value json.RawMessage) (string, error) {
	text, err := route.Marshal(variableEntry{Interface: id, Value: value, Variable: name})
	return string(text), err
}

// readPushed reads the argument of push_var.
func readPushed(text []byte) (Event, error) {
	if !json.Valid(text) {
		return Event{}, fmt.Errorf("variable entry %s is not the expected JSON", route.Clip(text))
	}
	event, err := readVariable(text[skipSpace(text, 0):], true)
	if err != nil {
		return Event{}, err
	}
	return Event{Interface: string(event.route), Name: string(event.name), Value: event.value}, nil
}
