package everesttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// TraceRow is a message of a recording: one line of a JSONL file.
type TraceRow struct {
	// Time is in milliseconds since the first row.
	Time float64 `json:"t_ms"`
	// ModuleID and ImplementationID are the ids of the provider of the variable, command or error.
	ModuleID         string `json:"module"`
	ImplementationID string `json:"impl"`
	// Kind is KindVariable, KindCommand, KindReply or KindError.
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
	// Value is the value of a variable or the error object. For a command Value is the object with id, origin and args.
	// For a reply it is the object with id, origin, and retval or error.
	Value json.RawMessage `json:"value"`
	// MessageType is "RaiseError" or "ClearError" for an error.
	MessageType string `json:"msg_type,omitempty"`
}

// TraceOf returns the messages between modules as rows. prefix is the EVerest prefix and ends in a slash.
func TraceOf(prefix string, messages []Message) []TraceRow {
	var rows []TraceRow
	var start time.Time
	for _, message := range messages {
		row, ok := traceRow(prefix, message)
		if !ok {
			continue
		}
		if len(rows) == 0 {
			start = message.Time
		}
		row.Time = float64(message.Time.Sub(start)/time.Microsecond) / 1000
		rows = append(rows, row)
	}
	return rows
}

func traceRow(prefix string, message Message) (TraceRow, bool) {
	subject := SubjectOf(prefix, message.Topic)
	envelope, ok := message.Envelope()
	if !ok {
		return TraceRow{}, false
	}
	row := TraceRow{ModuleID: subject.ModuleID, ImplementationID: subject.ImplementationID, Kind: subject.Kind, Name: subject.Name, Value: envelope.Data}
	var inner struct {
		Data json.RawMessage `json:"data"`
	}
	switch subject.Kind {
	case KindVariable, KindReply:
		if json.Unmarshal(envelope.Data, &inner) != nil || inner.Data == nil {
			return TraceRow{}, false
		}
		row.Value = inner.Data
	case KindError:
		row.MessageType = envelope.MessageType
	case KindCommand:
	default:
		return TraceRow{}, false
	}
	return row, true
}

// WriteTrace writes each row as a line of JSON.
func WriteTrace(w io.Writer, rows []TraceRow) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, row := range rows {
		if err := encoder.Encode(row); err != nil {
			return fmt.Errorf("everesttest: trace: %w", err)
		}
	}
	return nil
}

// ReadTrace reads rows that WriteTrace has written. The error has the number of the line.
func ReadTrace(r io.Reader) ([]TraceRow, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	var rows []TraceRow
	for number := 1; lines.Scan(); number++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var row TraceRow
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("everesttest: trace: line %d: %w", number, err)
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("everesttest: trace: %w", err)
	}
	return rows, nil
}
