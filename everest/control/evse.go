package control

import "time"

// EVSEState is the state of an EVSE in the words of OCPP 1.6, and Unknown.
type EVSEState string

// The states of an EVSE.
const (
	// EVSEUnknown is the state while a controller has no link to the EVSE's board, or it has not reported yet.
	EVSEUnknown EVSEState = "Unknown"
	// EVSEAvailable is an EVSE without a car.
	EVSEAvailable EVSEState = "Available"
	// EVSEPreparing is a session before its charging.
	EVSEPreparing EVSEState = "Preparing"
	EVSECharging  EVSEState = "Charging"
	// EVSESuspendedEV is a session whose car takes no power, EVSESuspendedEVSE one that gets none.
	EVSESuspendedEV   EVSEState = "SuspendedEV"
	EVSESuspendedEVSE EVSEState = "SuspendedEVSE"
	// EVSEFinishing is a session after its charging.
	EVSEFinishing EVSEState = "Finishing"
	EVSEReserved  EVSEState = "Reserved"
	// EVSEFaulted is an EVSE with an active error of severity High, such as evse_manager/Inoperative.
	EVSEFaulted EVSEState = "Faulted"
	// EVSEUnavailable is an EVSE that somebody has disabled: EVSE.DisabledBy.
	EVSEUnavailable EVSEState = "Unavailable"
)

// EVSE is one EVSE: at a controller as the modules of the main board know it, at an agent as those of its own board do,
// also while the main board is gone. It never has a token.
type EVSE struct {
	// Number is the number of the EVSE in the station, 0 where the module has no mapping, and at an agent.
	Number int `json:"number,omitempty"`
	// State has been so Since then, by the clock of the module's board. LastState is the state before Unknown.
	State     EVSEState `json:"state"`
	Since     time.Time `json:"since"`
	LastState EVSEState `json:"last_state,omitempty"`
	// OutOfService is why the module has taken the EVSE out of service, empty while it has not.
	OutOfService string `json:"out_of_service,omitempty"`
	// DisabledBy is who disabled the EVSE, in EVerest's words, such as "CSMS" or "LocalAPI".
	DisabledBy string `json:"disabled_by,omitempty"`
	// SessionSince is when the car's session began, nil without a session. SessionEnergy is what the session has
	// imported, in Wh, nil where the meter did not say. TokenKind is how the session was authorized, such as "RFID".
	SessionSince  *time.Time `json:"session_since,omitempty"`
	SessionEnergy *float64   `json:"session_energy_wh,omitempty"`
	TokenKind     string     `json:"token_kind,omitempty"`
	// Power is the last reading of the meter in W, nil where there is none or the state is Unknown.
	Power *float64 `json:"power_w,omitempty"`
	// Limit is what the energy management grants, nil where that is not known.
	Limit *EVSELimit `json:"limit,omitempty"`
	// Errors are the active errors, the most severe first, and of those the newest first. ErrorsOmitted is how many
	// further ones are active.
	Errors        []EVSEError `json:"errors"`
	ErrorsOmitted int         `json:"errors_omitted,omitempty"`
}

// EVSELimit is a limit of the energy management. What it does not limit is nil.
type EVSELimit struct {
	Current *float64 `json:"current_a,omitempty"`
	Power   *float64 `json:"power_w,omitempty"`
	Phases  int      `json:"phases,omitempty"`
}

// EVSEError is an active error of an EVSE.
type EVSEError struct {
	// Type is EVerest's type, such as "evse_board_support/MREC17EVSEContactorFault". Severity is "Low", "Medium" or "High".
	Type     string `json:"type"`
	SubType  string `json:"sub_type,omitempty"`
	Severity string `json:"severity"`
	// Text is the error's message, or its description where it has no message.
	Text string `json:"text,omitempty"`
	// Since is when the error was raised, by the clock of the board that raised it.
	Since time.Time `json:"since"`
}
