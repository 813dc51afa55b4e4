package page

import (
	"math"
	"strconv"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// Value is a measured number. NaN means that there is none, which is null in JSON.
type Value float64

var unknown = Value(math.NaN())

// MarshalJSON encodes six digits, more than a chart shows.
func (v Value) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(v), 'g', 6, 64), nil
}

// Sample has the values of one tick for the charts.
type Sample struct {
	// Latency is the last round trip of the link, in seconds.
	Latency Value `json:"latency_s"`
	// Variables is how many variables per second the module forwards.
	Variables Value `json:"variables_per_s"`
	// Queue is how many events wait.
	Queue Value `json:"queue"`
	// Errors is how many errors are active.
	Errors Value `json:"errors"`
}

var noSample = Sample{unknown, unknown, unknown, unknown}

// Board is a module as the page shows it.
type Board struct {
	// ID is the path of the status socket.
	ID string `json:"id"`
	// Module is the module's name, ModuleID its id in EVerest's configuration. Before the first status ModuleID comes
	// from the name of the socket.
	Module   string `json:"module"`
	ModuleID string `json:"module_id"`
	Version  string `json:"version"`
	// State is the module's own state.
	State string        `json:"state"`
	Level verdict.Level `json:"level"`
	// Since is when Level began.
	Since time.Time `json:"since"`
	// Peer describes the peer of the module.
	Peer string `json:"peer"`
	// Reasons are why Level is not Working, and what to do. Cause is the program's own error behind them.
	Reasons []string `json:"reasons"`
	Cause   string   `json:"cause,omitempty"`
	// Answers reports whether the module answers on its status socket.
	Answers bool `json:"answers"`
	// EVSE is the EVSE behind the module in the words of the page, nil where there is none.
	EVSE  *EVSE          `json:"evse,omitempty"`
	Facts []verdict.Fact `json:"facts"`
	// Measures are the keys of Now that this kind of module has.
	Measures []string `json:"measures"`
	Now      Sample   `json:"now"`
	// Status is the module's last snapshot.
	Status *control.Status `json:"status,omitempty"`
}
