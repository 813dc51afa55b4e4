package route

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
)

// The classes of the C++ modules' commands, as doc/link.md lists them.
func TestRulesOfTheStandardCommands(t *testing.T) {
	special := map[string]Away{
		"enforce_limits": Newest, "set_external_derating": Newest,
		"reset": Never, "update_firmware": Never, "allow_firmware_installation": Never, "set_system_time": Never,
	}
	times := map[string]time.Duration{
		"enforce_limits": 10 * time.Second, "authorize_response": 15 * time.Second, "set_get_certificate_response": 5 * time.Second,
	}
	for _, r := range Standard() {
		for _, command := range r.Commands {
			want, there := special[command.Name]
			switch {
			case there:
			case command.Result == Null:
				want = Once
			default:
				want = Waits
			}
			if got := command.Rule(); got != want {
				t.Errorf("%s.%s: rule %d, want %d", r.ID, command.Name, got, want)
			}
			if command.ValidFor != times[command.Name] {
				t.Errorf("%s.%s is valid for %v, want %v", r.ID, command.Name, command.ValidFor, times[command.Name])
			}
			if command.Result != Null && command.ValidFor > 0 {
				t.Errorf("%s.%s has a result: its caller's wait is its validity", r.ID, command.Name)
			}
		}
	}
}

func TestLimitsGrowOld(t *testing.T) {
	command := Command{Limits: "value", ValidFor: 10 * time.Second}
	for _, test := range []struct {
		value    string
		subject  string
		lifetime time.Duration
		aged     string // after 2.5 s
	}{
		{`{"uuid":"evse","valid_for":10,"schedule":[]}`, "evse", 9 * time.Second, `{"uuid":"evse","valid_for":7,"schedule":[]}`},
		{`{ "valid_for" : 10.0 , "uuid":"a/b"}`, "a/b", 9 * time.Second, `{ "valid_for" : 7 , "uuid":"a/b"}`},
		{`{"uuid":"evse","valid_for":1}`, "evse", 0, `{"uuid":"evse","valid_for":0}`},
		{`{"uuid":"evse","valid_for":-3}`, "evse", 0, `{"uuid":"evse","valid_for":0}`},
		{`{"uuid":"evse","valid_for":1e300}`, "evse", maxValidity, `{"uuid":"evse","valid_for":31535997}`},
		{`{"uuid":"evse"}`, "evse", 10 * time.Second, `{"uuid":"evse"}`},
		{`{"uuid":"evse","valid_for":"soon"}`, "evse", 10 * time.Second, `{"uuid":"evse","valid_for":"soon"}`},
	} {
		arguments := everest.Args{"value": json.RawMessage(test.value), "other": json.RawMessage("1")}
		subject, lifetime := command.Validity(arguments)
		if lifetime = lifetime.Truncate(time.Millisecond); subject != test.subject || lifetime != test.lifetime {
			t.Errorf("%s: subject %q, valid for %v, want %q and %v", test.value, subject, lifetime, test.subject, test.lifetime)
		}
		aged, err := command.Aged(arguments, 2500*time.Millisecond)
		want := everest.Args{"value": json.RawMessage(test.aged), "other": json.RawMessage("1")}
		if diff := cmp.Diff(want, aged); err != nil || diff != "" {
			t.Errorf("%s: %v, aged (-want +got):\n%s", test.value, err, diff)
		}
		if string(arguments["value"]) != test.value {
			t.Errorf("%s was changed in place", test.value)
		}
	}
	if _, err := command.Aged(everest.Args{"value": json.RawMessage("7")}, time.Second); err == nil {
		t.Error("limits that are no object were taken")
	}
	if subject, lifetime := (Command{ValidFor: time.Second}).Validity(nil); subject != "" || lifetime != time.Second {
		t.Errorf("a command without limits: %q, %v", subject, lifetime)
	}
}
