package schema_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// What a C++ provider reads was measured with its JSON library and the code that EVerest generates.
func TestReadableArguments(t *testing.T) {
	known := builtIn(t)
	for _, test := range []struct{ what, arguments, want, failure string }{
		{"evse_manager.reserve", `{"reservation_id":1}`, `{"reservation_id":1}`, ""},
		{"evse_manager.reserve", `{"reservation_id":1.50,"more":1e400}`, `{"reservation_id":1.50}`, ""},
		{"evse_manager.reserve", `{}`, "", "argument reservation_id of evse_manager.reserve is missing"},
		{"evse_manager.reserve", `{"reservation_id":null}`, "", "argument reservation_id of evse_manager.reserve: got null, want number"},
		{"evse_manager.reserve", `{"reservation_id":"1"}`, "", "got string, want number"},
		{"evse_manager.pause_charging", `{"more":1}`, `{}`, ""},
		{"auth.set_connection_timeout", `{"connection_timeout":1000000}`, `{"connection_timeout":1000000}`, ""},
		{"auth.set_master_pass_group_id", `{}`, "", "master_pass_group_id of auth.set_master_pass_group_id is missing"},
		// An object of optional members, a list of an enumeration and a value of any kind.
		{"display_message.get_display_messages", `{}`, `{"request":{}}`, ""},
		{"display_message.get_display_messages", `{"request":null}`, `{"request":{}}`, ""},
		{"display_message.get_display_messages", `{"request":{"id":1}}`, "", "at /id: got number, want array"},
		{"display_message.set_display_message", `{}`, "", "argument request of display_message.set_display_message is missing"},
		{"evse_manager.update_allowed_energy_transfer_modes", `{}`, `{"allowed_energy_transfer_modes":[]}`, ""},
		{"evse_manager.update_allowed_energy_transfer_modes", `{"allowed_energy_transfer_modes":["Hovering"]}`, "", "at /0: got \"Hovering\""},
		{"kvs.store", `{"key":"a"}`, `{"key":"a","value":null}`, ""},
		// An object that the interface declares itself has no type in C++: it must be there.
		{"own.turn", `{"list":[]}`, "", "argument inline of own.turn is missing"},
		{"own.turn", `{"inline":{}}`, "", "argument list of own.turn is missing"},
		{"own.stop", `{"a":1}`, "", "command stop is not declared by interface own"},
		{"unheard_of.at_all", `{"a":1}`, `{"a":1}`, ""},
	} {
		own, err := known.WithInterface("own", []byte(`{"description":"own","cmds":{"turn":{"description":"turns","arguments":{
			"inline":{"type":"object","properties":{"a":{"type":"string"}}},"list":{"type":"array","items":{"type":"integer"}}}}}}`))
		if err != nil {
			t.Fatal(err)
		}
		var arguments map[string]json.RawMessage
		if err := json.Unmarshal([]byte(test.arguments), &arguments); err != nil {
			t.Fatal(err)
		}
		name, command, _ := strings.Cut(test.what, ".")
		for range 2 { // compiled, and kept
			readable, err := own.ReadableArguments(name, command, arguments)
			if test.failure != "" {
				if mismatch, ok := errors.AsType[*schema.Error](err); !ok || !strings.Contains(mismatch.Message, test.failure) {
					t.Errorf("%s %s: error %v, want %q", test.what, test.arguments, err, test.failure)
				}
				continue
			}
			got, encoding := json.Marshal(readable)
			if err != nil || encoding != nil || string(got) != test.want {
				t.Errorf("%s %s: %s, %v, want %s", test.what, test.arguments, got, err, test.want)
			}
		}
	}
	var none *schema.Definitions
	if readable, err := none.ReadableArguments("a", "b", map[string]json.RawMessage{"c": nil}); err != nil || len(readable) != 1 {
		t.Errorf("an empty set: %v, %v", readable, err)
	}
}
