package route

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The functions as the C++ agent registers them: name, arguments, result.
const functionsOnTheWire = `
dc_external_derate_set_external_derating(JSON) Null
display_message_clear_display_message(JSON) JSON
display_message_get_display_messages(JSON) JSON
display_message_set_display_message(JSON) JSON
energy_enforce_limits(JSON) Null
evse_manager_authorize_response(JSON JSON) Null
evse_manager_cancel_reservation() Null
evse_manager_disable(Integer) Boolean
evse_manager_enable(Integer) Boolean
evse_manager_enable_disable(Integer JSON) Boolean
evse_manager_external_ready_to_start_charging() Boolean
evse_manager_force_unlock(Integer) Boolean
evse_manager_get_evse() JSON
evse_manager_pause_charging() Boolean
evse_manager_reserve(Integer) Boolean
evse_manager_resume_charging() Boolean
evse_manager_set_external_limits(JSON) Null
evse_manager_set_faulted() Null
evse_manager_set_get_certificate_response(JSON) Null
evse_manager_set_plug_and_charge_configuration(JSON) Null
evse_manager_stop_transaction(JSON) Boolean
evse_manager_switch_three_phases_while_charging(Boolean) Text
evse_manager_update_allowed_energy_transfer_modes(EnumList) Enum
evse_manager_withdraw_authorization() Null
iso15118_extensions_set_get_certificate_response(JSON) Null
ocpp_data_transfer_data_transfer(JSON) JSON
system_allow_firmware_installation() Null
system_get_boot_reason() Text
system_set_system_time(Text) Boolean
system_update_firmware(JSON) Text
system_upload_logs(JSON) JSON
sytem_is_reset_allowed(Text) Boolean
sytem_reset(Text Boolean) Null
uk_random_delay_cancel() Null
uk_random_delay_disable() Null
uk_random_delay_enable() Null
uk_random_delay_set_duration_s(Integer) Null
`

func TestRoutesHaveTheFunctionsOfTheWire(t *testing.T) {
	kinds := map[Kind]string{Null: "Null", JSON: "JSON", Text: "Text", Integer: "Integer", Boolean: "Boolean", Enum: "Enum", EnumList: "EnumList"}
	var got []string
	for _, route := range Standard() {
		for _, command := range route.Commands {
			var arguments []string
			for _, argument := range command.Arguments {
				arguments = append(arguments, kinds[argument.Kind])
			}
			got = append(got, fmt.Sprintf("%s(%s) %s", command.Function, strings.Join(arguments, " "), kinds[command.Result]))
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(functionsOnTheWire), "\n"), got); diff != "" {
		t.Errorf("functions (-want +got):\n%s", diff)
	}
}

// Every command, argument and variable of a tunnelled interface has its row.
func TestRoutesCoverTheInterfaces(t *testing.T) {
	known := builtIn(t)
	for _, route := range Standard() {
		declared, ok := known.Interface(route.Interface)
		if !ok {
			t.Errorf("interface %s is not defined", route.Interface)
			continue
		}
		commands, variables := map[string]bool{}, map[string]bool{}
		for _, command := range route.Commands {
			commands[command.Name] = true
			definition := declared.Commands[command.Name]
			if command.Until != "" && definition == nil {
				continue // of an older release: see the peers in satellite/testdata
			}
			if definition == nil {
				t.Errorf("%s.%s is not a command of EVerest", route.Interface, command.Name)
				continue
			}
			var want, got []string
			for _, argument := range definition.Arguments {
				want = append(want, argument.Name)
			}
			for _, argument := range command.Arguments {
				got = append(got, argument.Name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("arguments of %s.%s (-want +got):\n%s", route.Interface, command.Name, diff)
			}
		}
		for _, variable := range route.Variables {
			variables[variable.Name] = true
		}
		for name := range declared.Commands {
			if !commands[name] {
				t.Errorf("command %s.%s has no row", route.Interface, name)
			}
		}
		for name := range declared.Variables {
			if !variables[name] {
				t.Errorf("variable %s.%s has no row", route.Interface, name)
			}
		}
		if len(variables) != len(declared.Variables) {
			t.Errorf("%s has rows for variables that EVerest does not have", route.Interface)
		}
	}
}

// What a satellite answers for a requirement that is not connected is a valid
// result, with the one exception that the C++ agent has too: null for get_display_messages
// and upload_logs.
func TestAbsentAnswersAreValidResults(t *testing.T) {
	known := builtIn(t)
	manifest := manifestOf(t, "SatelliteAgent")
	for _, route := range Standard() {
		if manifest.Requires[route.ID].MinConnections > 0 {
			continue
		}
		for _, command := range route.Commands {
			if _, err := toWire(command.Result, nil, command.Absent); err != nil {
				t.Errorf("%s: absent answer %s: %v", command.Function, command.Absent, err)
			}
			if string(command.Absent) == "null" {
				continue
			}
			if err := known.CheckResult(route.Interface, command.Name, command.Absent); err != nil {
				t.Errorf("%s: absent answer %s: %v", command.Function, command.Absent, err)
			}
		}
	}
}

// The manifests offer and want exactly what the table tunnels.
func TestManifestsFitTheRoutes(t *testing.T) {
	agent, controller := manifestOf(t, "SatelliteAgent"), manifestOf(t, "SatelliteController")
	wantRequires, wantProvides := map[string]string{}, map[string]string{"satellite": "satellite"}
	for _, route := range Standard() {
		wantRequires[route.ID], wantProvides[route.ID] = route.Interface, route.Interface
	}
	gotRequires, gotProvides := map[string]string{}, map[string]string{}
	for id, required := range agent.Requires {
		gotRequires[id] = required.Interface
	}
	for id, provided := range controller.Provides {
		gotProvides[id] = provided.Interface
	}
	if diff := cmp.Diff(wantRequires, gotRequires); diff != "" {
		t.Errorf("the agent's requirements (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantProvides, gotProvides); diff != "" {
		t.Errorf("the controller's implementations (-want +got):\n%s", diff)
	}
	if !agent.EnableGlobalErrors {
		t.Error("the agent does not see the errors of its board")
	}
	for _, push := range Pushes() {
		if agent.Provides[push.ID].Interface != push.Interface || controller.Requires[push.ID].Interface != push.Interface {
			t.Errorf("%s.%s goes nowhere", push.Interface, push.Variable)
		}
	}
}

// TestAcceptedUpdate: both spellings of the releases take the board down.
func TestAcceptedUpdate(t *testing.T) {
	update := Command{Effect: UpdatesFirmware}
	for result, want := range map[string]bool{
		`"Accepted"`: true, `"AcceptedCanceled"`: true, `"AcceptedCancelled"`: true, `"Rejected"`: false, `null`: false,
	} {
		if got := update.AcceptsUpdate(json.RawMessage(result)); got != want {
			t.Errorf("%s: %t", result, got)
		}
	}
}
