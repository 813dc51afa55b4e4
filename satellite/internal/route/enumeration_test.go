package route

import (
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

var letters = enumeration{"a", "<b>"}

// The three places of the wire have the texts of the board's own definitions.
func TestEnumerationsComeFromTheDefinitions(t *testing.T) {
	other := defined(t, `"evse_manager":{
		"cmds":{"update_allowed_energy_transfer_modes":{"arguments":{"allowed_energy_transfer_modes":{"type":"array","items":{"$ref":"/m#/Mode"}}},"result":{"$ref":"/m#/Outcome"}}},
		"vars":{"supported_energy_transfer_modes":{"$ref":"/m#/Modes"}}}`,
		`"/m#/Mode":{"type":"string","enum":["walking","flying"]},"/m#/Modes":{"type":"array","items":{"$ref":"/m#/Mode"}},"/m#/Outcome":{"type":"string","enum":["no","yes"]}`)
	for _, test := range []struct {
		definitions              *schema.Definitions
		value, wire, result, and string
	}{
		{builtIn(t), `["DC_extended","DC_core"]`, `[4,3]`, `"NoHlc"`, `3`},
		{other.Over(builtIn(t)), `["flying","walking"]`, `[1,0]`, `"yes"`, `1`},
	} {
		routes, _ := resolve(standardInterfaces(t), test.definitions, nil)
		evse := routes[slices.IndexFunc(routes, func(r Route) bool { return r.ID == "evse_manager" })]
		command := evse.Commands[slices.IndexFunc(evse.Commands, func(c Command) bool { return c.Name == "update_allowed_energy_transfer_modes" })]
		written, err := command.WriteArguments(map[string]json.RawMessage{"allowed_energy_transfer_modes": json.RawMessage(test.value)})
		if err != nil || written[0] != test.wire {
			t.Errorf("the argument %s is written %v, %v, want %s", test.value, written, err, test.wire)
		}
		read, err := command.ReadArguments(func(targets ...any) error {
			*targets[0].(*string) = test.wire
			return nil
		})
		if err != nil || string(read["allowed_energy_transfer_modes"]) != test.value {
			t.Errorf("the argument %s is read %s, %v, want %s", test.wire, read, err, test.value)
		}
		if result, err := command.WriteResult(json.RawMessage(test.result)); err != nil || result != test.and {
			t.Errorf("the result %s is written %v, %v, want %s", test.result, result, err, test.and)
		}
		conversions := ConversionsOf(routes)
		if wire, err := conversions.ToWire("evse_manager", "supported_energy_transfer_modes", json.RawMessage(test.value)); err != nil || string(wire) != test.wire {
			t.Errorf("the variable %s is written %s, %v, want %s", test.value, wire, err, test.wire)
		}
		if len(conversions) != 1 || len(conversions["evse_manager"]) != 1 {
			t.Errorf("%v are converted, want one variable", conversions)
		}
	}
	// An EVerest that has the variable as something else.
	routes, _ := resolve(standardInterfaces(t), defined(t, `"evse_manager":{"vars":{"supported_energy_transfer_modes":{"type":"array"}}}`, ``), nil)
	_, err := ConversionsOf(routes).FromWire([]byte("evse_manager"), []byte("supported_energy_transfer_modes"), json.RawMessage(`[4]`))
	want := "variable evse_manager.supported_energy_transfer_modes: this board's EVerest does not define its enumeration"
	if err == nil || err.Error() != want {
		t.Errorf("without an enumeration: %v, want %s", err, want)
	}
}

// What is read is written as it was read, in either form, and costs no memory out of proportion.
func FuzzEnumerations(f *testing.F) {
	for _, seed := range []string{`[4,3]`, `["DC"]`, `[ "DC" , 0 ]`, `[]`, `[4`, `[-0]`, `["\u0044C"]`, `[1e2]`, `null`, `[[0]]`, `[0]]`,
		"[" + strings.Repeat("15,", 200) + "0]", "[" + strings.Repeat("[", 1000)} {
		f.Add([]byte(seed))
	}
	modes := enumeration{"AC_single_phase_core", "DC", "DC_core", "x", "y"}
	f.Fuzz(func(t *testing.T, text []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		texts, err := modes.texts(text)
		runtime.ReadMemStats(&after)
		if cost, most := after.TotalAlloc-before.TotalAlloc, uint64(4*len(text)+64<<10); cost > most {
			t.Fatalf("reading %d bytes allocates %d, want at most %d", len(text), cost, most)
		}
		if err != nil {
			if _, err := modes.indices(text); err == nil {
				t.Fatalf("%q is a list of indices, but none of texts", text)
			}
			return
		}
		var all []string
		if err := json.Unmarshal(texts, &all); err != nil {
			t.Fatalf("%q became %q: %v", text, texts, err)
		}
		indices, err := modes.indices(texts)
		if err != nil {
			t.Fatalf("%q of %q: %v", texts, text, err)
		}
		again, err := modes.texts(indices)
		if diff := cmp.Diff(string(texts), string(again)); err != nil || diff != "" {
			t.Fatalf("%q became %q and %q, %v", text, indices, again, err)
		}
	})
}
