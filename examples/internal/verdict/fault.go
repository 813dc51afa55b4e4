package verdict

import (
	"cmp"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// inoperative is the error with which an EVSE says that it does not charge, whatever the cause.
const inoperative = "evse_manager/Inoperative"

// fault is what a type of error means, and what a person does about it.
type fault struct{ means, remedy string }

const (
	secure     = "Switch the EVSE off at its breaker. Until then do not touch it: it may be live. Have it repaired before it charges again."
	unplug     = "Unplug the car, look at cable and plug, and try another car."
	waitForIt  = "It charges again by itself when the value is normal."
	atTheBoard = "Look at its wiring and supply, and at the log of its driver."
)

// faults has EVerest's types of errors by their last part, which several interfaces share.
var faults = map[string]fault{
	"MREC17EVSEContactorFault": {"the contactor does not switch as it should: it may be welded", secure},
	"MREC2GroundFailure":       {"current flows to ground", secure},
	"AC":                       {"the residual current device has tripped", secure},
	"DC":                       {"the residual current device has tripped", secure},
	"Selftest":                 {"the residual current device fails its self-test", secure},
	"MREC4OverCurrentFailure":  {"the car draws more current than it may", unplug},
	"MREC5OverVoltage":         {"the voltage is too high", "Measure the supply of the EVSE."},
	"MREC6UnderVoltage":        {"the voltage is too low", "Measure the supply of the EVSE."},
	"MREC3HighTemperature":     {"it is too hot", "Look at fan, filter and sun. " + waitForIt},
	"MREC18CableOverTempDerate": {
		"the cable is hot: the current is reduced", "Look for a worn plug or socket. " + waitForIt},
	"MREC19CableOverTempStop":      {"the cable is too hot", "Look for a worn plug or socket. " + waitForIt},
	"MREC8EmergencyStop":           {"the emergency stop is pressed", "Find out why, then release it."},
	"MREC10InvalidVehicleMode":     {"the car asks for a mode that does not exist", unplug},
	"MREC14PilotFault":             {"the control pilot is out of order", unplug},
	"MREC23ProximityFault":         {"the proximity pilot is out of order", unplug},
	"MREC20PartialInsertion":       {"the plug is not fully inserted", "Plug it in again."},
	"MREC24ConnectorVoltageHigh":   {"there is voltage on the open connector", secure},
	"MREC25BrokenLatch":            {"the latch of the connector is broken", secure},
	"MREC26CutCable":               {"the cable is cut", secure},
	"MREC15PowerLoss":              {"the supply has failed", "Look at fuse and supply of the EVSE."},
	"BrownOut":                     {"the supply has dropped", "Look at fuse and supply of the EVSE."},
	"DiodeFault":                   {"the car's diode is missing", unplug},
	"VentilationNotAvailable":      {"the car asks for ventilation, which is not there", unplug},
	"TiltDetected":                 {"the station is tilted", secure},
	"WaterIngressDetected":         {"water has come in", secure},
	"EnclosureOpen":                {"the enclosure is open", "Close it."},
	"PermanentFault":               {"the board has a permanent fault", secure},
	"MREC1ConnectorLockFailure":    {"the connector lock fails", "Look for dirt in lock and plug."},
	"ConnectorLockCapNotCharged":   {"the connector lock has no energy to unlock", "Look at the supply of the lock."},
	"ConnectorLockUnexpectedOpen":  {"the connector lock has opened by itself", "Look for dirt in lock and plug."},
	"ConnectorLockUnexpectedClose": {"the connector lock has closed by itself", "Look for dirt in lock and plug."},
	"ConnectorLockFailedLock":      {"the connector does not lock", "Look for dirt in lock and plug."},
	"ConnectorLockFailedUnlock":    {"the connector does not unlock", "Look for dirt in lock and plug."},
	"MREC22ResistanceFault":        {"the insulation resistance is too low", secure},
	"MREC11CableCheckFault":        {"the cable check has failed", unplug},
	"VoltagePlausibilityFault":     {"the meters do not agree on the voltage", secure},
	"PowermeterTransactionStartFailed": {
		"the meter does not start a transaction", "Look at the meter's wiring and log."},
	"CommunicationFault": {"a part of the EVSE does not answer", atTheBoard},
	"DeviceFault":        {"a device of the EVSE fails", atTheBoard},
	"HardwareFault":      {"the power supply fails", secure},
	"OverTemperature":    {"the power supply is too hot", "Look at fan and filter. " + waitForIt},
	"Inoperative":        {"it does not charge", "Its other errors, or its board's log, have the cause."},
}

// lookUp returns what an error means, and what to do.
func lookUp(e control.EVSEError) fault {
	if known, found := faults[e.Type[strings.LastIndexByte(e.Type, '/')+1:]]; found {
		return known
	}
	return fault{"an error of severity " + cmp.Or(e.Severity, "unknown") + " is active", "The manual of the EVSE, or its board's log, says more."}
}

// Meaning returns what an error means, in words without a full stop.
func Meaning(e control.EVSEError) string { return upper(lookUp(e).means) }

// unsaid is the message of an error whose module gives none.
const unsaid = "no message provided"

// Finding returns what an error means, with its own message, in words without a full stop.
func Finding(e control.EVSEError) string {
	if e.Text == "" || e.Text == unsaid {
		return Meaning(e)
	}
	return Meaning(e) + ": " + strings.TrimRight(e.Text, ". ")
}

// describe returns an error as a sentence with what to do.
func describe(e control.EVSEError) string {
	what := e.Type
	if e.SubType != "" {
		what += " (" + e.SubType + ")"
	}
	return Finding(e) + ". " + lookUp(e).remedy + " [" + what + "]"
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
