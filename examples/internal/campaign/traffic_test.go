//go:build linux

package campaign

import (
	"encoding/json"
	"testing"
)

func TestNumbered(t *testing.T) {
	for value, want := range map[string]string{
		`{"a":1}`: `{"campaign_number":12,"a":1}`,
		`{}`:      `{"campaign_number":12}`,
		`"text"`:  `"text #12"`,
	} {
		got := numbered(json.RawMessage(value), 12)
		if string(got) != want || !json.Valid(got) {
			t.Errorf("%s becomes %s, want %s", value, got, want)
		}
		if number, err := numberOf(got); number != 12 || err != nil {
			t.Errorf("%s has number %d, error %v", got, number, err)
		}
		if number, err := numberOf(json.RawMessage(value)); err == nil {
			t.Errorf("%s has number %d", value, number)
		}
	}
}

func TestWhatIsOfTheController(t *testing.T) {
	for value, want := range map[string]bool{
		`{"schedule_import":[{"limits_to_leaves":{"total_power_W":{"source":"satellite out of service","value":0.0}}}]}`: true,
		`{"schedule_import":[{"limits_to_leaves":{"total_power_W":{"source":"connector_1","value":0.0}}}]}`:              false,
	} {
		if got := ofController("energy_flow_request", json.RawMessage(value)); got != want {
			t.Errorf("%s: %v, want %v", value, got, want)
		}
	}
}

func TestRecordedSteps(t *testing.T) {
	steps, err := recordedSteps(func(errorType string) bool { return errorType != "nosuch/Err" })
	if err != nil {
		t.Fatal(err)
	}
	variables, errors := 0, 0
	for i, step := range steps {
		if step.Error != nil {
			errors++
			continue
		}
		variables++
		if _, err := numberOf(numbered(step.Value, 1)); err != nil {
			t.Errorf("step %d, %s, takes no number: %s", i, step.Variable, step.Value)
		}
	}
	if variables != 162+128 || errors != 16 {
		t.Errorf("%d variables and %d errors", variables, errors)
	}
}
