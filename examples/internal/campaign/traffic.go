//go:build linux

package campaign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

// portModule is the charge port in the recordings, and its energy node's implementation there.
const (
	portModule = "connector"
	energyNode = "energy_grid"
)

// step is one message of the charge port: a variable, or an error raised or cleared.
type step struct {
	after          time.Duration // the one before it
	implementation string
	variable       string
	value          json.RawMessage
	err            *everest.Error
}

// recordedSteps is what a charge port published in a session and while errors were raised: of the errors, those that
// EVerest knows.
func recordedSteps(known func(errorType string) bool) ([]step, error) {
	session, err := recording.ChargingSession()
	if err != nil {
		return nil, err
	}
	series, err := recording.ErrorSeries()
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, rows := range [][]recording.Row{session, series} {
		last := time.Duration(0)
		for _, row := range rows {
			next := step{after: row.At - last, implementation: "evse_manager"}
			switch {
			case row.Kind == "var" && row.Module == portModule:
				if row.Implementation == energyNode {
					next.implementation = "energy"
				}
				next.variable, next.value = row.Name, row.Value
			case row.Kind == "error":
				next.err = new(everest.Error)
				if err := json.Unmarshal(row.Value, next.err); err != nil {
					return nil, fmt.Errorf("recorded error %s: %w", row.Name, err)
				}
				if !known(next.err.Type) {
					continue
				}
			default:
				continue
			}
			last = row.At
			steps = append(steps, next)
		}
	}
	return steps, nil
}

// numberMember is the member by which an object's number travels.
const numberMember = "campaign_number"

// numbered puts a number into a recorded value: a member of an object, the end of a text.
func numbered(value json.RawMessage, number int) json.RawMessage {
	if rest, ok := bytes.CutPrefix(value, []byte("{")); ok {
		comma := ","
		if bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
			comma = ""
		}
		return fmt.Appendf(nil, "{%q:%d%s%s", numberMember, number, comma, rest)
	}
	if rest, ok := bytes.CutSuffix(value, []byte(`"`)); ok {
		return fmt.Appendf(nil, `%s #%d"`, rest, number)
	}
	return value
}

// numberOf finds the number in a value.
func numberOf(value json.RawMessage) (int, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) == nil {
		return strconv.Atoi(string(object[numberMember]))
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return 0, err
	}
	_, number, _ := strings.Cut(text, "#")
	return strconv.Atoi(number)
}

// errorUUID is the identity of the error that was raised under a number.
func errorUUID(number int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", number) }

// errorKey names a raise or a clear in the ledger.
func errorKey(uuid string, raised bool) string {
	if raised {
		return "raise of " + uuid
	}
	return "clear of " + uuid
}

func variableKey(name string, number int) string { return fmt.Sprintf("%s %d", name, number) }
