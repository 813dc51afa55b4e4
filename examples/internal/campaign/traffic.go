//go:build linux

package campaign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

// recordedSteps returns what a charge port published in a session and while errors
// were raised: of the errors, those that EVerest knows.
func recordedSteps(known func(errorType string) bool) ([]recording.Step, error) {
	play, err := recording.Whole()
	if err != nil {
		return nil, err
	}
	steps := slices.DeleteFunc(play.Steps, func(step recording.Step) bool {
		return step.Await != "" || step.Error != nil && !known(step.Error.Type)
	})
	for i := range steps {
		if steps[i].Variable == "session_event" {
			steps[i].Value = sessionEvent.ReplaceAll(steps[i].Value, []byte(`"event":"ReservationStart"`))
		}
	}
	return steps, nil
}

// sessionEvent finds the type of a session event. The traffic plays one session over and over, in lives of the
// satellite that begin anywhere in it. The main board would withhold such events, but not those of the EVSE.
var sessionEvent = regexp.MustCompile(`"event":"\w+"`)

// ofController reports whether a variable without a number is one that the controller publishes for a satellite that is
// lost.
func ofController(variable string, value json.RawMessage) bool {
	switch variable {
	case "ready", "waiting_for_external_ready":
		return true
	case "session_event":
		return bytes.Contains(value, []byte(`"event":"Disabled"`)) || bytes.Contains(value, []byte(`"event":"Enabled"`))
	case "energy_flow_request": // once the limits of the lost satellite have run out
		return bytes.Contains(value, []byte(`"source":"satellite out of service"`))
	}
	return false
}

// implementationOf returns the implementation of the stand-in that carries out a step.
func implementationOf(step recording.Step) string {
	if step.Variable != "" && step.Implementation == "energy_grid" {
		return "energy"
	}
	return "evse_manager"
}

// numberMember is the member that holds an object's number.
const numberMember = "campaign_number"

// numbered puts a number into a recorded value: as a member of an object, or at the end of a text.
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

// numberOf returns the number in a value.
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

// errorUUID returns the uuid of the error that was raised with a number.
func errorUUID(number int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", number) }

// errorKey returns the key of a raise or a clear in the ledger.
func errorKey(uuid string, raised bool) string {
	if raised {
		return "raise of " + uuid
	}
	return "clear of " + uuid
}

func variableKey(name string, number int) string { return fmt.Sprintf("%s %d", name, number) }
