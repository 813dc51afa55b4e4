package schema_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

func TestCheckArguments(t *testing.T) {
	loaded := loadLamp(t)
	for _, test := range []struct {
		interfaceName, command, arguments, want string
		received                                string
	}{
		{"lamp", "switch", `{"on":true,"colour":{"name":"red"}}`, "", ""},
		{"lamp", "switch", `{"on":true,"colour":{"name":"2026-01-01","since":"2026-11-22T10:32:38.363Z"}}`, "", ""},
		{"lamp", "switch", `{"on":1,"colour":{"name":"red"}}`, "argument on of lamp.switch: got number, want boolean", "*"},
		{"lamp", "switch", `{"on":true}`, "argument colour of lamp.switch is missing", "*"},
		{"lamp", "switch", `{"on":true,"colour":{"name":"red"},"more":1}`, "argument more of lamp.switch is not declared", ""},
		{"lamp", "switch", `{"on":true,"colour":{"name":"blue"}}`, "argument colour of lamp.switch: at /name: value must be one of", "*"},
		{"lamp", "switch", `{"on":true,"colour":{"name":"red","size":1}}`, "additional properties 'size' not allowed", "*"},
		{"lamp", "switch", `{"on":true,"colour":{"name":"red","since":"yesterday"}}`, "at /since: 'yesterday' is not valid date-time", "*"},
		{"lamp", "blink", `{}`, "", ""},
		{"lamp", "blink", `{"a":null}`, "argument a of lamp.blink is not declared", ""},
		{"lamp", "burn", `{}`, "command burn is not declared by interface lamp", "*"},
		{"other", "burn", `{}`, "", ""},
	} {
		var arguments map[string]json.RawMessage
		if err := json.Unmarshal([]byte(test.arguments), &arguments); err != nil {
			t.Fatal(err)
		}
		if test.received == "*" {
			test.received = test.want
		}
		check := func(what string, err error, want string) {
			var mismatch *schema.Error
			switch {
			case want == "" && err != nil:
				t.Errorf("%s %s.%s %s: %v", what, test.interfaceName, test.command, test.arguments, err)
			case want != "" && (!errors.As(err, &mismatch) || !strings.Contains(mismatch.Message, want)):
				t.Errorf("%s %s.%s %s: error %v, want %q", what, test.interfaceName, test.command, test.arguments, err, want)
			}
		}
		check("sent", loaded.CheckArguments(test.interfaceName, test.command, arguments), test.want)
		check("received", loaded.CheckReceivedArguments(test.interfaceName, test.command, arguments), test.received)
	}
}

func TestCheckResult(t *testing.T) {
	loaded := loadLamp(t)
	for _, test := range []struct{ command, result, want string }{
		{"switch", `true`, ""},
		{"switch", ``, "result of lamp.switch: got null, want boolean"},
		{"switch", `"on"`, "got string, want boolean"},
		{"switch", `tru`, "not JSON"},
		{"blink", ``, ""},
		{"blink", `null`, ""},
		{"blink", `1`, "got number, want null"},
		{"burn", `1`, "command burn is not declared"},
	} {
		err := loaded.CheckResult("lamp", test.command, json.RawMessage(test.result))
		var mismatch *schema.Error
		if test.want == "" && err != nil || test.want != "" && (!errors.As(err, &mismatch) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %s: error %v, want %q", test.command, test.result, err, test.want)
		}
	}
}

func TestCheckVariable(t *testing.T) {
	loaded := loadLamp(t)
	for _, test := range []struct{ variable, value, want string }{
		{"brightness", `0`, ""},
		{"brightness", `101`, "variable lamp.brightness: maximum: got 101, want 100"},
		{"brightness", `5.5`, "want integer"},
		// C++ peers refuse these, though draft-07 alone would not.
		{"brightness", `5.0`, "an integer is written without fraction and exponent, not 5.0"},
		{"brightness", `5e1`, "not 5e1"},
		{"darkness", `5`, "variable lamp.darkness: the interface does not declare it"},
	} {
		err := loaded.CheckVariable("lamp", test.variable, json.RawMessage(test.value))
		var schemaError *schema.Error
		if test.want == "" && err != nil || test.want != "" && (!errors.As(err, &schemaError) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %s: error %v, want %q", test.variable, test.value, err, test.want)
		}
	}
}

// Draft-07: what stands beside $ref does not count. EVerest's evse_manager says "type: object" beside a reference to an enum.
func TestReferenceOverridesSiblings(t *testing.T) {
	loaded, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.CheckVariable("evse_manager", "supported_energy_transfer_modes", []byte(`["DC"]`)); err != nil {
		t.Error(err)
	}
	if err := loaded.CheckVariable("evse_manager", "supported_energy_transfer_modes", []byte(`[{}]`)); err == nil {
		t.Error("an object passes for an enum")
	}
	if err := loaded.CheckVariable("evse_manager", "supported_energy_transfer_modes", []byte(`[]`)); err == nil {
		t.Error("minItems beside items is overridden as well")
	}
	// A number with an integer's text is a number.
	if err := loaded.CheckVariable("dc_external_derate", "plug_temperature_C", []byte(`21`)); err != nil {
		t.Error(err)
	}
	if err := loaded.CheckVariable("dc_external_derate", "plug_temperature_C", []byte(`21.0`)); err != nil {
		t.Error(err)
	}
}

func TestCheckType(t *testing.T) {
	loaded := loadLamp(t)
	if err := loaded.CheckType("/light/colours#/Colour", []byte(`{"name":"red"}`)); err != nil {
		t.Error(err)
	}
	if err := loaded.CheckType("/light/colours#/Colour", []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "missing property 'name'") {
		t.Error(err)
	}
	if err := loaded.CheckType("/light/colours#/Shade", []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "it is not defined") {
		t.Error(err)
	}
}

// A definition that cannot be compiled must not let a value pass, nor end the program.
func TestUnusableDefinition(t *testing.T) {
	for _, test := range []struct{ schema, want string }{
		{`{"$ref":"/gone#/Type"}`, "there is no type file /gone"},
		{`{"$ref":"https://example.org/schema.json"}`, "only references of the form /file#/Type can be resolved"},
		{`{"type":"nonsense"}`, "type"},
		{`3`, "cannot be used"},
	} {
		loaded, err := schema.LoadJSON([]byte(`{"interfaces":{"lamp":{"cmds":{"c":{"arguments":{"a":`+test.schema+`}}},"vars":{}}}}`), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := loaded.CheckArguments("lamp", "c", map[string]json.RawMessage{"a": []byte(`1`)}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: error %v, want %q", test.schema, err, test.want)
			}
		}
		if err := loaded.Compile(); err == nil {
			t.Errorf("%s compiles", test.schema)
		}
	}
}

func TestChecksAtOnce(t *testing.T) {
	loaded, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for _, name := range loaded.InterfaceNames() {
				definition, _ := loaded.Interface(name)
				for variable := range definition.Variables {
					if err := loaded.CheckVariable(name, variable, []byte(`{"no such property":1}`)); err == nil {
						t.Errorf("%s.%s takes anything", name, variable)
					}
				}
			}
		})
	}
	group.Wait()
}

// The format uri is EVerest's own notion of it, the others are draft-07's.
func TestFormats(t *testing.T) {
	loaded, err := schema.LoadJSON([]byte(`{"interfaces":{"lamp":{"vars":{
		"link":{"type":"string","format":"uri"},"since":{"type":"string","format":"date-time"},"many":{"type":["integer","string"]}}}}}`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		variable, value string
		fits            bool
	}{
		{"link", `"ftp://example.org/a b"`, true},
		{"link", `"://"`, true},
		{"link", `"mailto:a@example.org"`, false},
		{"since", `"2026-11-22T10:32:38+01:00"`, true},
		{"since", `"2026-11-22"`, false},
		{"many", `"a"`, true},
		{"many", `1`, true},
		{"many", `1.5`, false},
	} {
		if err := loaded.CheckVariable("lamp", test.variable, json.RawMessage(test.value)); (err == nil) != test.fits {
			t.Errorf("%s %s: %v", test.variable, test.value, err)
		}
	}
}
