package occupancy

import (
	"encoding/json"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// heard is everything that an EVSE's state in OCPP's words follows from.
type heard struct {
	linked, ready bool
	// fault: an error of severity High is active.
	fault              bool
	disabled, reserved bool
	source             string // of disabled, one of sources
	// session is the state within a session, empty without one.
	session control.EVSEState
}

// within has the state that follows a session event. Events that are missing here leave the state as it is.
var within = map[string]control.EVSEState{
	"SessionStarted":     control.EVSEPreparing,
	"AuthRequired":       control.EVSEPreparing,
	"TransactionStarted": control.EVSEPreparing,
	"PrepareCharging":    control.EVSEPreparing,
	"ChargingStarted":    control.EVSECharging,
	"ChargingResumed":    control.EVSECharging, // before EVerest 2026.02
	"WaitingForEnergy":   control.EVSESuspendedEVSE,
	// EvseManager resumes a transaction only.
	"SessionResumed":      control.EVSECharging,
	"ChargingPausedEV":    control.EVSESuspendedEV,
	"ChargingPausedEVSE":  control.EVSESuspendedEVSE,
	"StoppingCharging":    control.EVSEFinishing,
	"ChargingFinished":    control.EVSEFinishing,
	"TransactionFinished": control.EVSEFinishing,
	"PluginTimeout":       control.EVSEFinishing,
}

// state returns the state in OCPP's words: the first that applies.
func (h *heard) state() control.EVSEState {
	switch {
	case !h.linked || !h.ready:
		return control.EVSEUnknown
	case h.fault:
		return control.EVSEFaulted
	case h.disabled:
		return control.EVSEUnavailable
	case h.session != "":
		return h.session
	case h.reserved:
		return control.EVSEReserved
	}
	return control.EVSEAvailable
}

// follow follows a session event.
func (h *heard) follow(event sessionEvent, value json.RawMessage) {
	switch event.kind {
	case "Enabled":
		h.disabled = false
	case "Disabled":
		h.disabled, h.source = true, ""
		if source := rawjson.String(member(member(value, "source"), "enable_source")); slices.Contains(sources, source) {
			h.source = source
		}
	case "ReservationStart":
		h.reserved = true
	case "ReservationEnd":
		h.reserved = false
	case "SessionFinished":
		h.session = ""
	default:
		if next, known := within[event.kind]; known {
			h.session = next
		}
	}
}

// sources are who disables an EVSE, in EVerest's words.
var sources = []string{
	"Unspecified", "LocalAPI", "LocalKeyLock", "ServiceTechnician", "RemoteKeyLock", "MobileApp", "FirmwareUpdate", "CSMS",
}

// disabledBy returns who disabled the EVSE, empty where it is enabled or nobody says.
func (h *heard) disabledBy() string {
	if !h.disabled {
		return ""
	}
	return h.source
}
