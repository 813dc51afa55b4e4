package ocppframes

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// inoperative is the only error for which an EVSE is Faulted.
const inoperative = "evse_manager/Inoperative"

// mrecVendor is the vendor of the codes of the MREC catalogue.
const mrecVendor = "https://chargex.inl.gov"

// mrecErrors has the errors of the MREC catalogue, and the error code that OCPP 1.6 has for them.
var mrecErrors = map[string]struct{ mrec, code string }{
	"connector_lock/MREC1ConnectorLockFailure":      {"CX001", "ConnectorLockFailure"},
	"evse_board_support/MREC2GroundFailure":         {"CX002", "GroundFailure"},
	"evse_board_support/MREC3HighTemperature":       {"CX003", "HighTemperature"},
	"evse_board_support/MREC4OverCurrentFailure":    {"CX004", "OverCurrentFailure"},
	"evse_board_support/MREC5OverVoltage":           {"CX005", "OverVoltage"},
	"evse_board_support/MREC6UnderVoltage":          {"CX006", "UnderVoltage"},
	"evse_board_support/MREC8EmergencyStop":         {"CX008", otherError},
	"evse_board_support/MREC10InvalidVehicleMode":   {"CX010", otherError},
	"evse_board_support/MREC14PilotFault":           {"CX014", otherError},
	"evse_board_support/MREC15PowerLoss":            {"CX015", otherError},
	"evse_board_support/MREC17EVSEContactorFault":   {"CX017", otherError},
	"evse_board_support/MREC18CableOverTempDerate":  {"CX018", otherError},
	"evse_board_support/MREC19CableOverTempStop":    {"CX019", otherError},
	"evse_board_support/MREC20PartialInsertion":     {"CX020", otherError},
	"evse_board_support/MREC23ProximityFault":       {"CX023", otherError},
	"evse_board_support/MREC24ConnectorVoltageHigh": {"CX024", otherError},
	"evse_board_support/MREC25BrokenLatch":          {"CX025", otherError},
	"evse_board_support/MREC26CutCable":             {"CX026", otherError},
	"evse_manager/MREC4OverCurrentFailure":          {"CX004", "OverCurrentFailure"},
	"evse_manager/MREC5OverVoltage":                 {"CX005", "OverVoltage"},
	"evse_manager/MREC11CableCheckFault":            {"CX011", otherError},
	"evse_manager/MREC22ResistanceFault":            {"CX022", otherError},
	"ac_rcd/MREC2GroundFailure":                     {"CX002", "GroundFailure"},
}

const otherError = "OtherError"

// ErrorInfo is an error as OCPP 1.6 reports it in a StatusNotification, at the connector of the error's mapping.
type ErrorInfo struct {
	// Code is the member errorCode.
	Code, Info, VendorID, VendorErrorCode string
	// Fault is true for an error that makes the connector Faulted.
	Fault bool
}

// Payload returns the members of a StatusNotification.
func (i ErrorInfo) Payload(connector int, status string) map[string]any {
	payload := map[string]any{"connectorId": connector, "errorCode": i.Code, "status": status}
	for name, text := range map[string]string{"info": i.Info, "vendorId": i.VendorID, "vendorErrorCode": i.VendorErrorCode} {
		if text != "" {
			payload[name] = text
		}
	}
	return payload
}

// ErrorInfoOf returns what OCPP 1.6 makes of an error.
func ErrorInfoOf(e everest.Error) ErrorInfo {
	if catalogued, known := mrecErrors[e.Type]; known {
		return ErrorInfo{Code: catalogued.code, VendorID: mrecVendor, VendorErrorCode: catalogued.mrec}
	}
	switch e.Type {
	case "powermeter/CommunicationFault":
		return ErrorInfo{Code: "PowerMeterFailure"}
	case inoperative:
		return ErrorInfo{
			Code: otherError, Fault: true, Info: cut("caused_by:"+e.Message, 50), VendorID: cut(e.VendorID, 255), VendorErrorCode: cut(e.Description, 50),
		}
	}
	_, name, _ := strings.Cut(e.Type, "/")
	return ErrorInfo{
		Code: otherError, Info: cut(e.Origin.ModuleID+"->"+e.Origin.ImplementationID, 50),
		VendorID: cut(e.Message, 255), VendorErrorCode: cut(name+"/"+e.SubType, 50),
	}
}

// cut returns at most the bytes that OCPP allows.
func cut(text string, most int) string { return text[:min(len(text), most)] }

// Event returns the frames of OCPP 2.0.1 for an error that is raised or cleared: a NotifyEvent, and the Faulted of an
// EVSE that has become inoperative.
func Event(e everest.Error, cleared bool) []Frame {
	code := e.Type
	if catalogued, known := mrecErrors[e.Type]; known {
		code = catalogued.mrec
	}
	component := map[string]any{"name": "ChargingStation"}
	if mapping := e.Origin.Mapping; mapping != nil {
		evse := map[string]any{"id": mapping.EVSE}
		if mapping.Connector != nil {
			evse["connectorId"] = *mapping.Connector
		}
		component = map[string]any{"name": "EVSE", "evse": evse}
	}
	frames := []Frame{{"NotifyEvent", map[string]any{"eventData": []any{map[string]any{
		"trigger": "Alerting", "actualValue": fmt.Sprint(!cleared), "cleared": cleared, "techCode": code, "techInfo": e.Description,
		"eventNotificationType": "HardWiredNotification", "component": component, "variable": map[string]any{"name": "Problem"},
	}}}}}
	if e.Type == inoperative && e.Origin.Mapping != nil && !cleared {
		connector := 1
		if e.Origin.Mapping.Connector != nil {
			connector = *e.Origin.Mapping.Connector
		}
		frames = append(frames, Frame{"StatusNotification", map[string]any{
			"evseId": e.Origin.Mapping.EVSE, "connectorId": connector, "connectorStatus": "Faulted",
		}})
	}
	return frames
}

// DataTransfer returns the response to a backend's DataTransfer for a DataTransferResponse of EVerest. It returns an
// error where the module ends: the data that OCPP 2.0.1 gets must be JSON.
func (v Version) DataTransfer(status, data string) (map[string]any, error) {
	response := map[string]any{"status": status}
	if status == "Offline" {
		response["status"] = "UnknownVendorId"
	}
	if data == "" {
		return response, nil
	}
	response["data"] = data
	if v == OCPP201 {
		var value any
		if err := json.Unmarshal([]byte(data), &value); err != nil {
			return nil, fmt.Errorf("ocppframes: the data %.40q is not JSON: %w", data, err)
		}
		response["data"] = value
	}
	return response, nil
}
