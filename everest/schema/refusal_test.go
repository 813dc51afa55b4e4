package schema

import (
	"testing"
)

func TestRefusal(t *testing.T) {
	definitions, err := BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	for command, want := range map[[2]string]string{
		{"auth", "set_connection_timeout"}:         `null`,
		{"auth", "withdraw_authorization"}:         `"Rejected"`,
		{"auth_token_validator", "validate_token"}: `{"authorization_status":"Invalid","tariff_messages":[]}`,
		{"display_message", "set_display_message"}: `{"status":"Rejected"}`,
		{"evse_manager", "reserve"}:                `false`,
		{"evse_manager", "get_evse"}:               ``, // its number would be an invention
		{"error_history", "get_errors"}:            ``, // no errors would be a statement
		{"system", "update_firmware"}:              `"Rejected"`,
		{"system", "get_boot_reason"}:              `"Unknown"`,
		{"no_such_interface", "x"}:                 ``,
		{"evse_manager", "no_such_command"}:        ``,
	} {
		result, ok := definitions.Refusal(command[0], command[1])
		if string(result) != want || ok != (want != "") {
			t.Errorf("%v: %s, %v, want %s", command, result, ok, want)
		}
	}
	var none *Definitions
	if _, ok := none.Refusal("auth", "withdraw_authorization"); ok {
		t.Error("a refusal without definitions")
	}
}
