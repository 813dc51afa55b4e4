package main

import (
	"strings"
	"testing"
	"time"
)

func TestEmbeddedRecordings(t *testing.T) {
	play, err := recordedPlay()
	if err != nil {
		t.Fatal(err)
	}
	variables, raised, cleared, awaits := 0, 0, 0, 0
	for i, step := range play.Steps {
		switch {
		case step.Variable != "":
			variables++
			if step.Module != moduleConnector {
				t.Errorf("step %d: variable %s of %s", i, step.Variable, step.Module)
			}
		case step.Error != nil && step.Error.State == "Active":
			raised++
		case step.Error != nil:
			cleared++
		case step.Await == commandAuthorize:
			awaits++
		default:
			t.Errorf("step %d does nothing", i)
		}
		if i > 0 && step.At < play.Steps[i-1].At {
			t.Errorf("step %d is before the one before it", i)
		}
	}
	// 162 variables of the session, and 128 that the charge port published while
	// errors were raised.
	if variables != 162+128 || raised != 9 || cleared != 9 || awaits != 1 {
		t.Errorf("the play has %d variables, %d raises, %d clears, %d awaited commands", variables, raised, cleared, awaits)
	}
	if play.Length < 33*time.Second || play.Length > 34*time.Second {
		t.Errorf("the play lasts %v", play.Length)
	}
}

func TestParseRecordingNamesTheLine(t *testing.T) {
	const good = `{"t_ms":1.5,"module":"m","impl":"i","kind":"var","name":"v","value":1}`
	for name, test := range map[string]struct{ lines, want string }{
		"no JSON":   {good + "\n\n{", "line 3"},
		"no module": {`{"t_ms":1,"impl":"i","kind":"var","name":"v","value":1}`, "missing"},
		"no value":  {`{"t_ms":1,"module":"m","impl":"i","kind":"var","name":"v"}`, "missing"},
		"time back": {good + "\n" + strings.Replace(good, "1.5", "1.4", 1), "line 2: its time"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseRecording("test", []byte(test.lines)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	rows, err := ParseRecording("test", []byte(good))
	if err != nil || len(rows) != 1 || rows[0].At != 1500*time.Microsecond {
		t.Errorf("rows %v, error %v", rows, err)
	}
}

func TestRecordedCalls(t *testing.T) {
	session, err := ParseRecording("session", chargingSession)
	if err != nil {
		t.Fatal(err)
	}
	limits, err := CommandArguments(session, "enforce_limits")
	if err != nil || len(limits) != 36 {
		t.Errorf("%d calls of enforce_limits, error %v", len(limits), err)
	}
	if _, err := CommandArguments(session, "no_such"); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("error %v does not name the command", err)
	}
	recorded, err := recordedAuthorization(session)
	if err != nil || !strings.Contains(string(recorded.token), "DEADBEEF") || !strings.Contains(string(recorded.result), "Accepted") {
		t.Errorf("authorisation %s, %s, error %v", recorded.token, recorded.result, err)
	}
}
