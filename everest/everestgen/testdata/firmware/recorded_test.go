// Package firmware_test runs in a module of its own, with the bindings of all built-in interfaces: see
// TestBindingsOfAllInterfaces.
package firmware_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/firmware/types"

	"github.com/remotechargeport/remotechargeport/everest/bindings"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// variables has a Go type for the variables of the recording.
var variables = map[string]func() any{
	"car_manufacturer":                func() any { return new(types.EvseManagerCarManufacturer) },
	"energy_flow_request":             func() any { return new(types.EnergyFlowRequest) },
	"enforced_limits":                 func() any { return new(types.EnergyEnforcedLimits) },
	"ev_info":                         func() any { return new(types.EvseManagerEVInfo) },
	"hw_capabilities":                 func() any { return new(types.EvseBoardSupportHardwareCapabilities) },
	"limits":                          func() any { return new(types.EvseManagerLimits) },
	"powermeter":                      func() any { return new(types.Powermeter) },
	"provided_token":                  func() any { return new(types.AuthorizationProvidedIdToken) },
	"session_event":                   func() any { return new(types.EvseManagerSessionEvent) },
	"supported_energy_transfer_modes": func() any { return new(bindings.List[types.Iso15118EnergyTransferMode]) },
	"telemetry":                       func() any { return new(types.EvseBoardSupportTelemetry) },
	"token_validation_status":         func() any { return new(types.AuthorizationTokenValidationStatusMessage) },
}

// The variables that a real station has published decode and encode to the same value.
func TestRecordedVariablesSurvive(t *testing.T) {
	content, err := os.ReadFile("testdata/variables.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range bytes.Lines(content) {
		var row struct {
			Name  string          `json:"name"`
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
		typed, known := variables[row.Name]
		if !known {
			continue
		}
		seen[row.Name]++
		value := typed()
		if err := json.Unmarshal(row.Value, value); err != nil {
			t.Errorf("%s: %v in %s", row.Name, err, row.Value)
			continue
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal(row.Value, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-recorded +encoded):\n%s", row.Name, diff)
		}
	}
	for _, name := range []string{"session_event", "powermeter", "limits", "enforced_limits", "telemetry", "energy_flow_request", "token_validation_status"} {
		if seen[name] == 0 {
			t.Errorf("the recording has no %s", name)
		}
	}
}

// The Go types encode to values that EVerest's definitions accept, also with lists that are nil.
func TestEncodedValuesFitTheDefinitions(t *testing.T) {
	loaded, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	soc := 80.0
	for reference, value := range map[string]any{
		"/energy#/EnforcedLimits":         types.EnergyEnforcedLimits{UUID: "1", ValidFor: 10},
		"/authorization#/ProvidedIdToken": types.AuthorizationProvidedIdToken{IDToken: types.AuthorizationIdToken{Value: "a", Type: types.AuthorizationIdTokenTypeISO14443}, AuthorizationType: types.AuthorizationTypeRFID},
		"/evse_manager#/EVInfo":           types.EvseManagerEVInfo{Soc: &soc},
		"/system#/FirmwareUpdateRequest":  types.SystemFirmwareUpdateRequest{RequestID: 1, Location: "ftp://example.org/firmware"},
	} {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := loaded.CheckType(reference, encoded); err != nil {
			t.Errorf("%v: %s", err, encoded)
		}
	}
}

// EVerest has indices in a list of an enumeration inside an object.
func TestIndicesSurvive(t *testing.T) {
	const published = `{"uuid":"1","timestamp":"2026-11-22T10:32:38.363Z","event":"ChargingPausedEVSE","charging_paused_evse":{"reasons":[2]}}`
	var event types.EvseManagerSessionEvent
	if err := json.Unmarshal([]byte(published), &event); err != nil {
		t.Fatal(err)
	}
	if reasons := event.ChargingPausedEvse.Reasons; len(reasons) != 1 || !reasons[0].Valid() {
		t.Errorf("%+v", event.ChargingPausedEvse)
	}
	if encoded, err := json.Marshal(event); err != nil || string(encoded) != published {
		t.Errorf("%s, %v, want %s", encoded, err, published)
	}
}

func TestUnknownValuesAndPropertiesSurvive(t *testing.T) {
	const newer = `{"data":{"deep":[1.50]},"event":"Teleported","timestamp":"2026-11-22T10:32:38.363Z","uuid":"1"}`
	var event types.EvseManagerSessionEvent
	if err := json.Unmarshal([]byte(newer), &event); err != nil {
		t.Fatal(err)
	}
	if event.Event.Valid() || event.Event.String() != "Teleported" || len(event.Extra) != 1 {
		t.Errorf("%+v", event)
	}
	encoded, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"uuid":"1","timestamp":"2026-11-22T10:32:38.363Z","event":"Teleported","data":{"deep":[1.50]}}`; string(encoded) != want {
		t.Errorf("%s, want %s", encoded, want)
	}
	if !types.EvseManagerSessionEventEnumAuthorized.Valid() {
		t.Error("a value of this release is not valid")
	}
}

func TestMissingPropertyIsNamed(t *testing.T) {
	var limits types.EvseManagerLimits
	if err := json.Unmarshal([]byte(`{"max_current":1}`), &limits); err == nil || err.Error() != `property "nr_of_phases_available" is missing` {
		t.Error(err)
	}
}
