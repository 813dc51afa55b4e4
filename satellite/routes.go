package satellite

import "encoding/json"

// Kind is how one EVerest value travels as an argument or a result of an RPC
// function.
type Kind int

const (
	// Null carries no value: the function answers nil.
	Null Kind = iota
	// JSON is a msgpack string that holds the value's JSON text.
	JSON
	// Text is a msgpack string that holds the text of a JSON string, without
	// quotes: enumerations and time stamps.
	Text
	// Integer is a msgpack integer.
	Integer
	// Boolean is a msgpack boolean.
	Boolean
)

// Argument is one argument of a command: its name on EVerest's side, and its
// kind at its position on the RPC side.
type Argument struct {
	Name string
	Kind Kind
}

// Command is the route of one command: from the implementation on the main
// board, through the RPC function, to the requirement on the satellite.
type Command struct {
	Name      string
	Function  string
	Arguments []Argument
	Result    Kind
	// Absent is the answer of a satellite whose optional requirement is not
	// connected.
	Absent json.RawMessage
	// Control marks a command that resets or updates the satellite's board, or has
	// it send its logs away: the agent refuses it, with the answer for an isolated
	// satellite, on a link that is not authenticated where its configuration says
	// so.
	Control bool
	// Repeated marks a command that its caller repeats with a newer value before
	// long: it does not wait for a link to be resumed.
	Repeated bool
	// Unavailable is the answer while the satellite is isolated. Where it is nil
	// the answer is Absent, false for a Boolean, and null for a Null.
	Unavailable json.RawMessage
	// Whole has the arguments travel by name, as one JSON object, and the result
	// as JSON: a command that comes from the interface's definition and not from
	// the table of the C++ modules.
	Whole bool
	// missing marks a command that this board's EVerest does not have.
	missing bool
}

// absent is the answer of a satellite that does not have the interface.
func (c Command) absent() json.RawMessage {
	if c.Absent == nil {
		return json.RawMessage("null")
	}
	return c.Absent
}

// unavailable is the negative answer for an isolated satellite; nil where none
// fits.
func (c Command) unavailable() json.RawMessage {
	switch {
	case c.Unavailable != nil:
		return c.Unavailable
	case c.Absent != nil:
		return c.Absent
	case c.Result == Boolean:
		return json.RawMessage("false")
	case c.Result == Null:
		return json.RawMessage("null")
	}
	return nil
}

// Variable is the route of one variable from the satellite to the main board.
type Variable struct {
	Name string
	// NewestOnly marks variables of which only the newest value matters to a
	// reader, so that older ones may be given up before anything else is.
	NewestOnly bool
}

// wireResult is how the result travels in the legacy dialect.
func (c Command) wireResult() Kind {
	if c.Whole {
		return JSON
	}
	return c.Result
}

// Route is one tunnelled interface. ID names the requirement of the agent and
// the implementation of the controller alike, and the `interface` field of the
// events on the wire.
type Route struct {
	ID        string
	Interface string
	Commands  []Command
	Variables []Variable
	// extra marks an interface of the configuration key tunnel.
	extra bool
}

// Push is a variable that goes from the main board to the satellite: published
// by the module behind the controller's requirement ID, published again by the
// agent's implementation ID.
type Push struct {
	ID        string
	Interface string
	Variable  string
}

// Functions of the link itself, which no command stands behind.
const (
	FunctionIAmHere   = "i_am_here"
	FunctionIAmReady  = "i_am_ready"
	FunctionExit      = "exit"
	FunctionPushVar   = "push_var"
	FunctionRetrieve  = "retrieve_vars_and_errors"
	functionReset     = "sytem_reset" // spelled so on the wire
	commandReset      = "reset"
	commandFirmware   = "update_firmware"
	routeSystem       = "system"
	routeAuth         = "auth"
	routeRFID         = "rfid_token_provider"
	routeSatellite    = "satellite"
	routeEVSE         = "evse_manager"
	commandGetEVSE    = "get_evse"
	variableToken     = "provided_token"
	resetTypeSoft     = "Soft"
	errorActionRaise  = "raise"
	errorActionClear  = "clear"
	interfaceAuth     = "auth"
	interfaceSystem   = "system"
	variableValidated = "token_validation_status"
	variableFirmware  = "firmware_update_status"
	variableLog       = "log_status"
)

// Routes returns the table of everything that is tunnelled from the satellite's
// charge port to the main board. The function names and argument kinds are
// those of the C++ modules; adding an interface is adding rows.
func Routes() []Route {
	return []Route{
		{ID: "auth_token_provider", Interface: "auth_token_provider",
			Variables: []Variable{{Name: variableToken}}},

		{ID: "energy", Interface: "energy",
			Commands: []Command{
				{Name: "enforce_limits", Function: "energy_enforce_limits", Arguments: []Argument{{"value", JSON}}, Repeated: true},
			},
			Variables: []Variable{{Name: "energy_flow_request", NewestOnly: true}}},

		{ID: "evse_manager", Interface: "evse_manager",
			Commands: []Command{
				{Name: "get_evse", Function: "evse_manager_get_evse", Result: JSON},
				{Name: "enable_disable", Function: "evse_manager_enable_disable", Arguments: []Argument{{"connector_id", Integer}, {"cmd_source", JSON}}, Result: Boolean},
				{Name: "authorize_response", Function: "evse_manager_authorize_response", Arguments: []Argument{{"provided_token", JSON}, {"validation_result", JSON}}},
				{Name: "withdraw_authorization", Function: "evse_manager_withdraw_authorization"},
				{Name: "reserve", Function: "evse_manager_reserve", Arguments: []Argument{{"reservation_id", Integer}}, Result: Boolean},
				{Name: "cancel_reservation", Function: "evse_manager_cancel_reservation"},
				{Name: "pause_charging", Function: "evse_manager_pause_charging", Result: Boolean},
				{Name: "resume_charging", Function: "evse_manager_resume_charging", Result: Boolean},
				{Name: "stop_transaction", Function: "evse_manager_stop_transaction", Arguments: []Argument{{"request", JSON}}, Result: Boolean},
				{Name: "force_unlock", Function: "evse_manager_force_unlock", Arguments: []Argument{{"connector_id", Integer}}, Result: Boolean},
				{Name: "external_ready_to_start_charging", Function: "evse_manager_external_ready_to_start_charging", Result: Boolean},
				{Name: "set_plug_and_charge_configuration", Function: "evse_manager_set_plug_and_charge_configuration", Arguments: []Argument{{"plug_and_charge_configuration", JSON}}},
				{Name: "update_allowed_energy_transfer_modes", Function: "evse_manager_update_allowed_energy_transfer_modes", Arguments: []Argument{{"allowed_energy_transfer_modes", JSON}}, Result: JSON, Unavailable: json.RawMessage(`"IncompatibleEnergyTransfer"`)},
			},
			Variables: []Variable{
				{Name: "session_event"},
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
				{Name: "supported_energy_transfer_modes"},
			}},

		{ID: "dc_external_derate", Interface: "dc_external_derate",
			Commands: []Command{
				{Name: "set_external_derating", Function: "dc_external_derate_set_external_derating", Arguments: []Argument{{"derate", JSON}}},
			},
			Variables: []Variable{{Name: "plug_temperature_C", NewestOnly: true}}},

		{ID: "display_message", Interface: "display_message",
			Commands: []Command{
				{Name: "set_display_message", Function: "display_message_set_display_message", Arguments: []Argument{{"request", JSON}}, Result: JSON, Absent: json.RawMessage(`{"status":"Rejected"}`)},
				{Name: "get_display_messages", Function: "display_message_get_display_messages", Arguments: []Argument{{"request", JSON}}, Result: JSON, Absent: json.RawMessage(`null`)},
				{Name: "clear_display_message", Function: "display_message_clear_display_message", Arguments: []Argument{{"request", JSON}}, Result: JSON, Absent: json.RawMessage(`{"status":"Unknown"}`)},
			}},

		{ID: "iso15118_extensions", Interface: "iso15118_extensions",
			Commands: []Command{
				{Name: "set_get_certificate_response", Function: "iso15118_extensions_set_get_certificate_response", Arguments: []Argument{{"certificate_response", JSON}}},
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

		{ID: routeRFID, Interface: "auth_token_provider",
			Variables: []Variable{{Name: variableToken}}},

		{ID: routeSystem, Interface: interfaceSystem,
			Commands: []Command{
				{Name: commandFirmware, Function: "system_update_firmware", Arguments: []Argument{{"firmware_update_request", JSON}}, Result: Text, Absent: json.RawMessage(`"Rejected"`), Control: true},
				{Name: "allow_firmware_installation", Function: "system_allow_firmware_installation", Control: true},
				{Name: "upload_logs", Function: "system_upload_logs", Arguments: []Argument{{"upload_logs_request", JSON}}, Result: JSON, Absent: json.RawMessage(`null`), Unavailable: json.RawMessage(`{"upload_logs_status":"Rejected"}`), Control: true},
				{Name: "is_reset_allowed", Function: "sytem_is_reset_allowed", Arguments: []Argument{{"type", Text}}, Result: Boolean, Absent: json.RawMessage(`false`)},
				{Name: commandReset, Function: functionReset, Arguments: []Argument{{"type", Text}, {"scheduled", Boolean}}, Control: true},
				{Name: "set_system_time", Function: "system_set_system_time", Arguments: []Argument{{"timestamp", Text}}, Result: Boolean, Absent: json.RawMessage(`false`)},
				{Name: "get_boot_reason", Function: "system_get_boot_reason", Result: Text, Absent: json.RawMessage(`"Unknown"`)},
			},
			Variables: []Variable{{Name: variableFirmware}, {Name: variableLog}}},

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
		{ID: routeAuth, Interface: interfaceAuth, Variable: variableValidated},
		{ID: routeSystem, Interface: interfaceSystem, Variable: variableFirmware},
		{ID: routeSystem, Interface: interfaceSystem, Variable: variableLog},
	}
}
