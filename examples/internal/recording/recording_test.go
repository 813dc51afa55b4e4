package recording

import (
	"strings"
	"testing"
	"time"
)

func TestParseNamesTheLine(t *testing.T) {
	const good = `{"t_ms":1.5,"module":"m","impl":"i","kind":"var","name":"v","value":1}`
	for name, test := range map[string]struct{ lines, want string }{
		"no JSON":   {good + "\n\n{", "line 3"},
		"no module": {`{"t_ms":1,"impl":"i","kind":"var","name":"v","value":1}`, "missing"},
		"no value":  {`{"t_ms":1,"module":"m","impl":"i","kind":"var","name":"v"}`, "missing"},
		"time back": {good + "\n" + strings.Replace(good, "1.5", "1.4", 1), "line 2: its time"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse("test", []byte(test.lines)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	rows, err := parse("test", []byte(good))
	if err != nil || len(rows) != 1 || rows[0].At != 1500*time.Microsecond {
		t.Errorf("rows %v, error %v", rows, err)
	}
}

func TestRecordedCalls(t *testing.T) {
	session, err := ChargingSession()
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
}
