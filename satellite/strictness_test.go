package satellite_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// The rows of doc/compatibility.md, "How strict the tunnel is": what a caller sends that does not check it, and what
// reaches the satellite's module. Nothing reaches it where the call is refused.
func TestTheTunnelIsAsStrictAsEVerest(t *testing.T) {
	t.Parallel()
	const refused = ""
	authorize := func(validation string) string {
		return `{"provided_token":{"authorization_type":"OCPP","id_token":{"type":"ISO14443","value":"ABC"}},"validation_result":` + validation + `}`
	}
	enable := func(source string) string { return `{"cmd_source":` + source + `,"connector_id":1}` }
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect})
			for _, row := range []struct{ what, id, command, arguments, want string }{
				{"a surplus argument", "evse_manager", "reserve", `{"more":{"a":1},"reservation_id":1}`, `{"reservation_id":1}`},
				{"a missing argument", "evse_manager", "reserve", `{}`, refused},
				{"a missing argument of optional members", "display_message", "get_display_messages", `{}`, `{"request":{}}`},
				{"null for an argument of optional members", "display_message", "get_display_messages", `{"request":null}`, `{"request":{}}`},
				{"a missing list of an enumeration", "evse_manager", "update_allowed_energy_transfer_modes", `{}`, `{"allowed_energy_transfer_modes":[]}`},
				{"null for another argument", "evse_manager", "reserve", `{"reservation_id":null}`, refused},
				{"a text that is no time", "evse_manager", "authorize_response",
					authorize(`{"authorization_status":"Accepted","expiry_time":"soon","tariff_messages":[]}`), "="},
				{"an empty list where one element is the minimum", "evse_manager", "authorize_response",
					authorize(`{"allowed_energy_transfer_modes":[],"authorization_status":"Accepted","tariff_messages":[]}`), "="},
				{"an unknown key in a closed type", "evse_manager", "authorize_response",
					authorize(`{"authorization_status":"Accepted","later":1.50,"tariff_messages":[]}`), "="},
				{"a number out of its range", "evse_manager", "enable_disable",
					enable(`{"enable_priority":-1,"enable_source":"CSMS","enable_state":"Enable"}`), "="},
				{"an unknown value of an enumeration", "evse_manager", "enable_disable",
					enable(`{"enable_priority":1,"enable_source":"Nobody","enable_state":"Enable"}`), refused},
				{"a missing member", "evse_manager", "enable_disable", enable(`{"enable_priority":1,"enable_source":"CSMS"}`), refused},
				{"null for a member", "evse_manager", "authorize_response", authorize(`{"authorization_status":"Accepted","tariff_messages":[],"reservation_id":null}`), refused},
				{"another kind", "evse_manager", "reserve", `{"reservation_id":"seven"}`, refused},
				{"a boolean for an integer", "evse_manager", "reserve", `{"reservation_id":true}`, refused},
				{"a boolean for a number in an object", "evse_manager", "enable_disable",
					enable(`{"enable_priority":true,"enable_source":"CSMS","enable_state":"Enable"}`), refused},
				{"null for a list in an object", "evse_manager", "authorize_response", authorize(`{"authorization_status":"Accepted","tariff_messages":null}`), "="},
				{"a text that is too long", "evse_manager", "authorize_response",
					authorize(`{"authorization_status":"Accepted","parent_id_token":{"type":"Central","value":"0123456789012345678901234567890123456789"},"tariff_messages":[]}`), "="},
				{"an index that the enumeration does not have", "evse_manager", "authorize_response",
					authorize(`{"allowed_energy_transfer_modes":[99],"authorization_status":"Accepted","tariff_messages":[]}`), refused},
				{"an index of an enumeration in a list", "evse_manager", "authorize_response",
					authorize(`{"allowed_energy_transfer_modes":[2],"authorization_status":"Accepted","tariff_messages":[]}`), "="},
				{"a text of an enumeration in such a list", "evse_manager", "authorize_response",
					authorize(`{"allowed_energy_transfer_modes":["DC"],"authorization_status":"Accepted","tariff_messages":[]}`), refused},
				{"a number beyond a double", "evse_manager", "authorize_response",
					authorize(`{"authorization_status":"Accepted","later":1e400,"tariff_messages":[]}`), refused},
				{"a fraction for an integer", "evse_manager", "reserve", `{"reservation_id":1.5}`,
					map[string]string{"v2": "=", "legacy": `{"reservation_id":1}`}[dialect]},
				{"an integer of more than 32 bits", "evse_manager", "reserve", `{"reservation_id":3000000000}`,
					map[string]string{"v2": "=", "legacy": refused}[dialect]},
			} {
				if row.want == "=" {
					row.want = row.arguments
				}
				err := callUnchecked(t, s.main, row.id, row.command, row.arguments)
				if row.want == refused {
					if failed, ok := errors.AsType[*everest.CommandError](err); !ok || failed.Type != everest.SchemaValidationError {
						t.Errorf("%s: %v, want SchemaValidationError", row.what, err)
					}
				} else if err != nil {
					t.Errorf("%s: %v", row.what, err)
				}
				got := refused
				for _, call := range drain(s.satellite.port.calls) {
					arguments, err := json.Marshal(call.Arguments)
					if err != nil {
						t.Fatal(err)
					}
					got += string(arguments)
				}
				if got != row.want {
					t.Errorf("%s: %q has reached the satellite's module, want %q", row.what, got, row.want)
				}
			}
		})
	}
}

// What a caller gets from a satellite whose requirements are not connected. The C++ agent answers null there, which is
// no value of the result's type.
func TestResultsWithoutAConnection(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect, onlyMandatory: true})
			for _, row := range []struct{ id, command, arguments, want string }{
				{"display_message", "get_display_messages", `{"request":{}}`, `{}`},
				{"system", "upload_logs", `{"upload_logs_request":{"location":"ftp://example.org"}}`, `{"upload_logs_status":"Rejected"}`},
			} {
				var result json.RawMessage
				err := s.main.required(row.id).Call(t.Context(), row.command, json.RawMessage(row.arguments), &result)
				if err != nil || string(result) != row.want {
					t.Errorf("%s is answered %s, %v, want %s", row.command, result, err, row.want)
				}
			}
		})
	}
}
