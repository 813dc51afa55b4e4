// Package recording holds the messages of one charge port, recorded on a real station with EVerest 2026.02.0, and plays
// them.
package recording

import (
	"bufio"
	"bytes"
	_ "embed" // the recordings belong to the program, which runs from anywhere
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// chargingSession is a session of the charge port, from plugging in to plugging out.
//
//go:embed charging-session.jsonl
var chargingSession []byte

// errorSeries is the same charge port while errors are raised and cleared.
//
//go:embed errors.jsonl
var errorSeries []byte

// ChargingSession returns a charging session, from plugging in to plugging out,
// with the commands of the main board.
func ChargingSession() ([]Row, error) { return parse("charging-session", chargingSession) }

// ErrorSeries returns the messages of the same charge port while errors of its
// board's modules are raised and cleared.
func ErrorSeries() ([]Row, error) { return parse("errors", errorSeries) }

// Row is one message of a recording.
type Row struct {
	// At is the time since the recording's first message.
	At time.Duration
	// Module and Implementation published the message, or were called.
	Module, Implementation string
	// Kind is var, cmd, reply or error.
	Kind string
	// Name is the variable, the command or the error type.
	Name string
	// Value is a variable's value, an error object, or a command's id, origin and
	// args or retval.
	Value json.RawMessage
}

// parse reads one message a line. The messages are in the order in which they were
// recorded, so their times never go back.
func parse(name string, lines []byte) ([]Row, error) {
	var rows []Row
	scanner := bufio.NewScanner(bytes.NewReader(lines))
	scanner.Buffer(nil, 1<<20)
	for number := 1; scanner.Scan(); number++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		row, err := parseRow(scanner.Bytes())
		if err == nil && len(rows) > 0 && row.At < rows[len(rows)-1].At {
			err = errors.New("its time is before the one of the line above")
		}
		if err != nil {
			return nil, fmt.Errorf("recording %s, line %d: %w", name, number, err)
		}
		rows = append(rows, row)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("recording %s: %w", name, err)
	}
	return rows, nil
}

func parseRow(line []byte) (Row, error) {
	var fields struct {
		Milliseconds float64         `json:"t_ms"`
		Module       string          `json:"module"`
		Impl         string          `json:"impl"`
		Kind         string          `json:"kind"`
		Name         string          `json:"name"`
		Value        json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(line, &fields); err != nil {
		return Row{}, err
	}
	if fields.Module == "" || fields.Impl == "" || fields.Kind == "" || fields.Name == "" || fields.Value == nil {
		return Row{}, errors.New("one of module, impl, kind, name and value is missing")
	}
	return Row{
		At:             time.Duration(fields.Milliseconds * float64(time.Millisecond)),
		Module:         fields.Module,
		Implementation: fields.Impl,
		Kind:           fields.Kind,
		Name:           fields.Name,
		Value:          fields.Value,
	}, nil
}

// CommandArguments returns the arguments of every recorded call of a command,
// oldest first.
func CommandArguments(rows []Row, command string) ([]json.RawMessage, error) {
	var calls []json.RawMessage
	for _, row := range rows {
		if row.Kind != "cmd" || row.Name != command {
			continue
		}
		var call struct {
			Args json.RawMessage `json:"args"`
		}
		if err := json.Unmarshal(row.Value, &call); err != nil {
			return nil, fmt.Errorf("recorded call of %s: %w", command, err)
		}
		calls = append(calls, call.Args)
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("the recording holds no call of %s", command)
	}
	return calls, nil
}
