package standin

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// satelliteNode is the module id of a satellite's charge port in the recordings. All satellites play the same recording,
// so on the main board each must get the id of its controller.
const satelliteNode = "connector"

// ControllerID returns the module id of the controller of a satellite. EVSE 1 is the main board's own.
func ControllerID(satellite int) string { return fmt.Sprintf("%s_%d", satelliteNode, EVSE(satellite)) }

// EVSE returns the number of a satellite's EVSE in the station. On its own board each is EVSE 1.
func EVSE(satellite int) int { return satellite + 1 }

// onMainBoard says what the main board must see of what a satellite sends. It is written apart from the controller's
// translation, for the recorded values only.
type onMainBoard struct{ satellite int }

// variable returns the value of a variable.
func (o onMainBoard) variable(name string, value json.RawMessage) json.RawMessage {
	switch name {
	case "energy_flow_request", "limits", "enforced_limits":
		return o.node(value)
	}
	return value
}

// node returns a value with the satellite's energy node named as on the main board.
func (o onMainBoard) node(value json.RawMessage) json.RawMessage {
	return json.RawMessage(strings.ReplaceAll(string(value), `"uuid":"`+satelliteNode+`"`, `"uuid":"`+ControllerID(o.satellite)+`"`))
}

// arguments returns the arguments of a command as the main board had sent those that the satellite got.
func (o onMainBoard) arguments(command string, arguments everest.Args) everest.Args {
	if command != "enforce_limits" {
		return arguments
	}
	return everest.Args{"value": o.node(arguments["value"])}
}

// error returns an error.
func (o onMainBoard) error(e everest.Error) everest.Error {
	e.SubType = strings.TrimPrefix(e.SubType+" "+e.Origin.ModuleID+"/"+e.Origin.ImplementationID, " ")
	e.Origin = everest.Origin{ModuleID: ControllerID(o.satellite), ImplementationID: "satellite", Mapping: &everest.Mapping{EVSE: EVSE(o.satellite)}}
	if e.Type == "evse_manager/Inoperative" {
		e.Origin.ImplementationID = "evse_manager"
	}
	return e
}

// anyNode matches the name of an energy node.
var anyNode = regexp.MustCompile(`"uuid":"[^"]*"`)

// limitsFor returns recorded arguments of enforce_limits for an energy node of the main board.
func limitsFor(node string, arguments json.RawMessage) json.RawMessage {
	return anyNode.ReplaceAll(arguments, []byte(`"uuid":"`+node+`"`))
}
