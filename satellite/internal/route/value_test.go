package route

import (
	"encoding/json"
	"math"
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
		{Enum, `"<b>"`, `1`},
		{EnumList, `["<b>","a","<b>"]`, `[1,0,1]`},
		{EnumList, `[]`, `[]`},
	} {
		wire, err := toWire(test.kind, letters, json.RawMessage(test.value))
		if err != nil || wire != test.wire {
			t.Errorf("toWire(%s) = %v, %v, want %v", test.value, wire, err, test.wire)
			continue
		}
		target, value := fromWire(test.kind, letters)
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
		{JSON, `{"a":`}, {JSON, ``}, {Text, `1`}, {Text, `null`}, {Integer, `"1"`}, {Integer, `true`}, {Integer, `1e300`}, {Integer, `2147483648`}, {Integer, `-2147483649`},
		{Boolean, `1`}, {Boolean, `null`}, {Kind(99), `1`},
		{Enum, `"c"`}, {Enum, `2`}, {Enum, `-1`}, {Enum, `1.0`}, {Enum, `null`}, {Enum, ``}, {Enum, `"a`}, {Enum, `[0]`},
		{EnumList, `0`}, {EnumList, `null`}, {EnumList, ``}, {EnumList, `[0`}, {EnumList, `[0,]`}, {EnumList, `[0]]`}, {EnumList, `[0] 1`},
		{EnumList, `["c"]`}, {EnumList, `[2]`}, {EnumList, `[[0]]`}, {EnumList, "[" + strings.Repeat("0,", maxElements) + "0]"},
	} {
		if wire, err := toWire(test.kind, letters, json.RawMessage(test.value)); err == nil {
			t.Errorf("toWire(kind %d, %s) = %v, want an error", test.kind, test.value, wire)
		}
	}
	for value, want := range map[string]int64{`5.0`: 5, `5.9`: 5, `-5.9`: -5, `1e2`: 100, `2147483647`: math.MaxInt32, `-2147483648`: math.MinInt32} {
		if wire, err := toWire(Integer, nil, json.RawMessage(value)); err != nil || wire != want {
			t.Errorf("toWire(Integer, %s) = %v, %v, want %d", value, wire, err, want)
		}
	}
	target, value := fromWire(JSON, nil)
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
