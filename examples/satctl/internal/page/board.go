package page

import (
	"math"
	"strconv"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// Level is how much attention a board needs.
type Level uint8

// The levels, the calmest first.
const (
	// Working needs none.
	Working Level = iota
	// Notice deserves a look within the day.
	Notice
	// Trouble is a port that is not served as it should be, or soon will not be.
	Trouble
	// Down is a module that does not answer.
	Down
)

var levelNames = [...]string{"working", "notice", "trouble", "down"}

func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "level " + strconv.Itoa(int(l))
}

// MarshalText is the name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Value is a measured number; NaN is one that nobody measured, null in JSON.
type Value float64

var unknown = Value(math.NaN())

// MarshalJSON keeps six digits: more than a chart shows.
func (v Value) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(v), 'g', 6, 64), nil
}

// Sample is what the charts show of one moment.
type Sample struct {
	// Latency of the link, in seconds, from a request to its answer.
	Latency Value `json:"latency_s"`
	// Variables per second that the module moved.
	Variables Value `json:"variables_per_s"`
	// Queue is the number of events that wait.
	Queue Value `json:"queue"`
	// Errors is the number of errors that stand.
	Errors Value `json:"errors"`
}

var noSample = Sample{unknown, unknown, unknown, unknown}

// Fact is a line of a card's details.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Board is a module as the page shows it.
type Board struct {
	// ID is the path of the control socket.
	ID string `json:"id"`
	// Module is its kind, ModuleID its name in EVerest's configuration. Before
	// the first answer ModuleID is what the socket's name tells.
	Module   string `json:"module"`
	ModuleID string `json:"module_id"`
	Version  string `json:"version"`
	// State is the module's own word for where it stands.
	State string `json:"state"`
	Level Level  `json:"level"`
	// Since is when Level began.
	Since time.Time `json:"since"`
	// Peer says whom the module is linked to.
	Peer string `json:"peer"`
	// Reasons say why Level is not Working, and what to do about it.
	Reasons []string `json:"reasons"`
	Facts   []Fact   `json:"facts"`
	// Measures are the keys of the values in Now that a module of this kind has.
	Measures []string `json:"measures"`
	Now      Sample   `json:"now"`
	// Status is the module's own snapshot, the last one it gave.
	Status *control.Status `json:"status,omitempty"`
}
