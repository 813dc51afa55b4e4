package route

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestValuesCrossTheWireUnchanged(t *testing.T) {
	for _, test := range []struct {
		kind  Kind
		value string
		wire  any
	}{
		{JSON, `{"b":1.50,"a":[null,"<x>"]}`, `{"b":1.50,"a":[null,"<x>"]}`},
		{JSON, `null`, `null`},
		{Text, `"Soft"`, "Soft"},
		{Text, `"<a\"b>"`, `<a"b>`},
		{Integer, `-7`, int64(-7)},
		{Boolean, `true`, true},
		{Boolean, `false`, false},
		{Null, `null`, nil},
	} {
		wire, err := toWire(test.kind, json.RawMessage(test.value))
		if err != nil || wire != test.wire {
			t.Errorf("toWire(%s) = %v, %v, want %v", test.value, wire, err, test.wire)
			continue
		}
		target, value := fromWire(test.kind)
		switch target := target.(type) {
		case *string:
			*target = wire.(string)
		case *int64:
			*target = wire.(int64)
		case *bool:
			*target = wire.(bool)
		}
		if got, err := value(); err != nil || string(got) != test.value {
			t.Errorf("%v came back as %s, %v, want %s", wire, got, err, test.value)
		}
	}
}

func TestValuesOfTheWrongTypeAreRefused(t *testing.T) {
	for _, test := range []struct {
		kind  Kind
		value string
	}{
		{JSON, `{"a":`}, {JSON, ``}, {Text, `1`}, {Text, `null`}, {Integer, `1.5`}, {Integer, `"1"`}, {Integer, `1e300`},
		{Boolean, `1`}, {Boolean, `null`}, {Kind(99), `1`},
	} {
		if wire, err := toWire(test.kind, json.RawMessage(test.value)); err == nil {
			t.Errorf("toWire(kind %d, %s) = %v, want an error", test.kind, test.value, wire)
		}
	}
	if wire, err := toWire(Integer, json.RawMessage(`5.0`)); err != nil || wire != int64(5) {
		t.Errorf("toWire(Integer, 5.0) = %v, %v, want 5", wire, err)
	}
	target, value := fromWire(JSON)
	*target.(*string) = "{"
	if _, err := value(); err == nil {
		t.Error("a JSON text that is none was taken")
	}
}

// A large result is scanned once for being JSON, in whichever dialect it came. The fastest of many short runs is the
// same on a busy machine.
func TestAResultIsScannedOnce(t *testing.T) {
	text := `"` + strings.Repeat("x", 64<<10) + `"`
	command := Command{Result: JSON, Derived: true}
	fastest := map[string]time.Duration{}
	isSlow := func(dialect string) bool { return fastest[dialect] > fastest["one scan"]*8/5 }
	for round := 0; round < 10 || round < 300 && (isSlow("legacy") || isSlow("v2")); round++ {
		for name, do := range map[string]func(){
			"one scan": func() { json.Valid([]byte(text)) },
			"legacy": func() {
				target, result := command.ReadResult()
				*target.(*string) = text
				result()
			},
			"v2": func() { command.ParseResult(text) },
		} {
			began := time.Now()
			do()
			if took := time.Since(began); fastest[name] == 0 || took < fastest[name] {
				fastest[name] = took
			}
		}
	}
	for _, dialect := range []string{"legacy", "v2"} {
		if isSlow(dialect) {
			t.Errorf("%s: a result takes %v, one scan takes %v", dialect, fastest[dialect], fastest["one scan"])
		}
	}
}
