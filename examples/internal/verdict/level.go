// Package verdict says in a person's words how modules and EVSEs are, from their status alone: a level, and sentences
// with what to do. `satctl status`, the page and the metrics judge by it, so that they never disagree.
package verdict

import (
	"fmt"
	"slices"
	"strconv"
)

// Level is how much attention something needs.
type Level uint8

// The levels, the best first.
const (
	// Working needs no attention.
	Working Level = iota
	// Notice needs a look within a day.
	Notice
	// Trouble means that an EVSE soon may be out of service, or is restricted.
	Trouble
	// Down means that an EVSE is out of service, or that a module does not answer.
	Down
)

var levelNames = [...]string{"working", "notice", "trouble", "down"}

func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "level " + strconv.Itoa(int(l))
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) error {
	at := slices.Index(levelNames[:], string(text))
	if at < 0 {
		return fmt.Errorf("%.20q is no level", text)
	}
	*l = Level(at)
	return nil
}

// Verdict is a level with its reasons.
type Verdict struct {
	Level Level
	// Reasons are why Level is not Working, and what to do.
	Reasons []string
}

// Add adds a reason, and raises the level to that of the reason.
func (v *Verdict) Add(level Level, format string, arguments ...any) {
	v.Level = max(v.Level, level)
	v.Reasons = append(v.Reasons, fmt.Sprintf(format, arguments...))
}
