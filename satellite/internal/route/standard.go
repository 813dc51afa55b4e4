package route

import (
	"encoding/json"
	"time"
)

// IDs of routes, which are also the ids of the modules' requirements and implementations.
const (
	Auth        = "auth"
	EVSEManager = "evse_manager"
	RFID        = "rfid_token_provider"
	Satellite   = "satellite"
	System      = "system"
)

// variableFirmware is the variable that IsFirmwareStatus names.
const variableFirmware = "firmware_update_status"

const (
	// limitsValidFor is for limits without valid_for: EnergyManager's, ten times its update interval of 1 s.
	limitsValidFor = 10 * time.Second
	// authorizationValidFor is how long an authorization may wait for the link. A customer still stands at the EVSE
	// then. It is too short for one car to leave and the next to be plugged in, which an older authorization would
	// charge to the wrong customer: EvseManager does not compare tokens with sessions.
	authorizationValidFor = 15 * time.Second
	// certificateValidFor is the message time-out of ISO 15118-2 for a CertificateInstallationReq: the car has given up
	// then, and an older response would answer the next request.
	certificateValidFor = 5 * time.Second
)

// Standard returns the routes of the C++ modules. The names of the functions and the kinds of the arguments are those
// modules', down to their spelling.
func Standard() []Route {
	return []Route{
		{ID: "auth_token_provider", Interface: "auth_token_provider",
			Variables: []Variable{{Name: "provided_token"}}},

		{ID: "energy", Interface: "energy",
			Commands: []Command{
				{Name: "enforce_limits", Function: "energy_enforce_limits", Arguments: []Argument{{"value", JSON}}, Away: Newest, Limits: "value", ValidFor: limitsValidFor},
			},
			Variables: []Variable{{Name: "energy_flow_request", NewestOnly: true}}},

		{ID: EVSEManager, Interface: EVSEManager,
			Commands: []Command{
				{Name: "get_evse", Function: "evse_manager_get_evse", Result: JSON, Remembered: true},
				{Name: "enable_disable", Function: "evse_manager_enable_disable", Arguments: []Argument{{"connector_id", Integer}, {"cmd_source", JSON}}, Result: Boolean},
				{Name: "authorize_response", Function: "evse_manager_authorize_response", Arguments: []Argument{{"provided_token", JSON}, {"validation_result", JSON}}, ValidFor: authorizationValidFor},
				{Name: "withdraw_authorization", Function: "evse_manager_withdraw_authorization", Cancels: "authorize_response"},
				{Name: "reserve", Function: "evse_manager_reserve", Arguments: []Argument{{"reservation_id", Integer}}, Result: Boolean},
				{Name: "cancel_reservation", Function: "evse_manager_cancel_reservation"},
				{Name: "pause_charging", Function: "evse_manager_pause_charging", Result: Boolean},
				{Name: "resume_charging", Function: "evse_manager_resume_charging", Result: Boolean},
				{Name: "stop_transaction", Function: "evse_manager_stop_transaction", Arguments: []Argument{{"request", JSON}}, Result: Boolean},
				{Name: "force_unlock", Function: "evse_manager_force_unlock", Arguments: []Argument{{"connector_id", Integer}}, Result: Boolean},
				{Name: "external_ready_to_start_charging", Function: "evse_manager_external_ready_to_start_charging", Result: Boolean},
				{Name: "set_plug_and_charge_configuration", Function: "evse_manager_set_plug_and_charge_configuration", Arguments: []Argument{{"plug_and_charge_configuration", JSON}}},
				{Name: "update_allowed_energy_transfer_modes", Function: "evse_manager_update_allowed_energy_transfer_modes", Arguments: []Argument{{"allowed_energy_transfer_modes", EnumList}}, Result: Enum, Unavailable: json.RawMessage(`"IncompatibleEnergyTransfer"`)},
				{Name: "enable", Until: "2024.4", Function: "evse_manager_enable", Arguments: []Argument{{"connector_id", Integer}}, Result: Boolean},
				{Name: "disable", Until: "2024.4", Function: "evse_manager_disable", Arguments: []Argument{{"connector_id", Integer}}, Result: Boolean},
				{Name: "switch_three_phases_while_charging", Until: "2024.6", Function: "evse_manager_switch_three_phases_while_charging", Arguments: []Argument{{"three_phases", Boolean}}, Result: Text, Unavailable: json.RawMessage(`"Error_NotSupported"`)},
				{Name: "set_external_limits", Until: "2024.9.1", Function: "evse_manager_set_external_limits", Arguments: []Argument{{"value", JSON}}},
				{Name: "set_get_certificate_response", Until: "2025.1", Function: "evse_manager_set_get_certificate_response", Arguments: []Argument{{"certificate_response", JSON}}, ValidFor: certificateValidFor},
				{Name: "set_faulted", Until: "2025.8", Function: "evse_manager_set_faulted"},
			},
			Variables: []Variable{
				{Name: "session_event", GivenUpLast: true},
				{Name: "hlc_session_failed"},
				{Name: "limits", NewestOnly: true},
				{Name: "ev_info"},
				{Name: "car_manufacturer"},
				{Name: "telemetry", NewestOnly: true},
				{Name: "powermeter", NewestOnly: true},
				{Name: "powermeter_public_key_ocmf"},
				{Name: "evse_id"},
				{Name: "hw_capabilities"},
				{Name: "enforced_limits", NewestOnly: true},
				{Name: "waiting_for_external_ready"},
				{Name: "ready"},
				{Name: "selected_protocol"},
				{Name: "supported_energy_transfer_modes", Indices: true},
			}},

		{ID: "dc_external_derate", Interface: "dc_external_derate",
			Commands: []Command{
				{Name: "set_external_derating", Function: "dc_external_derate_set_external_derating", Arguments: []Argument{{"derate", JSON}}, Away: Newest},
			},
			Variables: []Variable{{Name: "plug_temperature_C", NewestOnly: true}}},

		{ID: "display_message", Interface: "display_message",
			Commands: []Command{
				{Name: "set_display_message", Function: "display_message_set_display_message", Arguments: []Argument{{"request", JSON}}, Result: JSON, Absent: json.RawMessage(`{"status":"Rejected"}`)},
				{Name: "get_display_messages", Function: "display_message_get_display_messages", Arguments: []Argument{{"request", JSON}}, Result: JSON, Absent: json.RawMessage(`null`), Unavailable: json.RawMessage(`{}`)},
				{Name: "clear_display_message", Function: "display_message_clear_display_message", Arguments: []Argument{{"request", JSON}}, Result: JSON, Absent: json.RawMessage(`{"status":"Unknown"}`)},
			}},

		{ID: "iso15118_extensions", Interface: "iso15118_extensions",
			Commands: []Command{
				{Name: "set_get_certificate_response", Function: "iso15118_extensions_set_get_certificate_response", Arguments: []Argument{{"certificate_response", JSON}}, ValidFor: certificateValidFor},
			},
			Variables: []Variable{
				{Name: "iso15118_certificate_request"},
				{Name: "charging_needs"},
				{Name: "ev_info"},
				{Name: "service_renegotiation_supported"},
			}},

		{ID: "ocpp_data_transfer", Interface: "ocpp_data_transfer",
			Commands: []Command{
				{Name: "data_transfer", Function: "ocpp_data_transfer_data_transfer", Arguments: []Argument{{"request", JSON}}, Result: JSON, Absent: json.RawMessage(`{"status":"Rejected"}`)},
			}},

		{ID: RFID, Interface: "auth_token_provider",
			Variables: []Variable{{Name: "provided_token"}}},

		{ID: System, Interface: System,
			Commands: []Command{
				{Name: "update_firmware", Function: "system_update_firmware", Arguments: []Argument{{"firmware_update_request", JSON}}, Result: Text, Absent: json.RawMessage(`"Rejected"`), Privileged: true, Effect: UpdatesFirmware, Away: Never},
				{Name: "allow_firmware_installation", Function: "system_allow_firmware_installation", Privileged: true, Away: Never},
				{Name: "upload_logs", Function: "system_upload_logs", Arguments: []Argument{{"upload_logs_request", JSON}}, Result: JSON, Absent: json.RawMessage(`{"upload_logs_status":"Rejected"}`), Privileged: true},
				{Name: "is_reset_allowed", Function: "sytem_is_reset_allowed", Arguments: []Argument{{"type", Text}}, Result: Boolean, Absent: json.RawMessage(`false`)},
				{Name: "reset", Function: "sytem_reset", Arguments: []Argument{{"type", Text}, {"scheduled", Boolean}}, Privileged: true, Effect: Resets, Away: Never},
				{Name: "set_system_time", Function: "system_set_system_time", Arguments: []Argument{{"timestamp", Text}}, Result: Boolean, Absent: json.RawMessage(`false`), Away: Never},
				{Name: "get_boot_reason", Function: "system_get_boot_reason", Result: Text, Absent: json.RawMessage(`"Unknown"`)},
			},
			Variables: []Variable{{Name: variableFirmware}, {Name: "log_status"}}},

		{ID: "uk_random_delay", Interface: "uk_random_delay",
			Commands: []Command{
				{Name: "enable", Function: "uk_random_delay_enable"},
				{Name: "disable", Function: "uk_random_delay_disable"},
				{Name: "cancel", Function: "uk_random_delay_cancel"},
				{Name: "set_duration_s", Function: "uk_random_delay_set_duration_s", Arguments: []Argument{{"value", Integer}}},
			},
			Variables: []Variable{{Name: "countdown", NewestOnly: true}}},
	}
}

// Pushes returns the variables that go from the main board to the satellite.
func Pushes() []Push {
	return []Push{
		{ID: Auth, Interface: Auth, Variable: "token_validation_status"},
		{ID: System, Interface: System, Variable: variableFirmware},
		{ID: System, Interface: System, Variable: "log_status"},
	}
}
