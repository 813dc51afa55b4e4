package schema_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

const (
	meter   = `{"timestamp":"2026-11-22T10:43:28Z","energy_Wh_import":{"total":1.5}}`
	flow    = `{"node_type":"Evse","uuid":"a","children":[%s],"schedule_import":[{"timestamp":"t","limits_to_root":{},"limits_to_leaves":{}}],"schedule_export":[],"schedule_setpoints":[]}`
	message = `{"timestamp":"2026-11-26T18:40:18.471Z","uuid":"u","event":"Enabled"`
)

// Each kind of value of which a C++ consumer dies, and what it survives.
func TestShapeOfAVariable(t *testing.T) {
	known := builtIn(t)
	child := fmt.Sprintf(flow, "")
	for _, test := range []struct{ what, value, place, want string }{
		{"evse_manager.powermeter", meter, "", ""},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1}}`, "", ""},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1e400}}`, "/energy_Wh_import/total", "1e400 is beyond the range of a double"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":-1E+309}}`, "/energy_Wh_import/total", "beyond the range"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1e-400}}`, "", ""},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":` + strings.Repeat("9", 308) + `}}`, "", ""},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":` + strings.Repeat("9", 309) + `.0}}`, "/energy_Wh_import/total", "beyond the range"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":"1"}}`, "/energy_Wh_import/total", "got string, want number"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":null}}`, "/energy_Wh_import/total", "got null, want number"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":true}}`, "/energy_Wh_import/total", "got boolean, want number"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{}}`, "/energy_Wh_import", "member total is missing"},
		{"evse_manager.powermeter", `{"energy_Wh_import":{"total":1}}`, "", "member timestamp is missing"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1},"power_W":[]}`, "/power_W", "got array, want object"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1},"temperatures":{}}`, "/temperatures", "got object, want array"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1},"power_W":null}`, "/power_W", "got null, want object"},
		{"evse_manager.powermeter", `{"timestamp":5,"energy_Wh_import":{"total":1}}`, "/timestamp", "got number, want string"},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1},"phase_seq_error":0}`, "/phase_seq_error", "got number, want boolean"},
		{"evse_manager.powermeter", `[]`, "", "got array, want object"},
		// Unknown keys pass, but the parser reads their numbers too.
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1},"later":{"a/~":[1,{"b":null}]}}`, "", ""},
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1},"later":{"a/~":[1,{"b":1e999}]}}`, "/later/a~1~0/1/b", "beyond the range"},
		// Minimum, length and format are none of C++'s business.
		{"evse_manager.ev_info", `{"soc":-3e5}`, "", ""},
		{"evse_manager.supported_energy_transfer_modes", `[]`, "", ""},
		// A fraction is dropped where the type is an integer.
		{"dc_external_derate.plug_temperature_C", `5`, "", ""},
		{"evse_manager.limits", `{"max_current":16,"nr_of_phases_available":2.5}`, "", ""},
		{"evse_manager.limits", `{"max_current":16,"nr_of_phases_available":"2"}`, "/nr_of_phases_available", "got string, want number"},
		// C++ reads null as empty where nothing is required of an object, and where a list is a member of one.
		{"evse_manager.powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1},"voltage_V":null,"temperatures":null}`, "", ""},
		{"evse_manager.ev_info", `null`, "", ""},
		{"energy.energy_flow_request", strings.Replace(child, `"children":[]`, `"children":null`, 1), "", ""},
		{"energy.energy_flow_request", strings.Replace(child, `"children":[]`, `"children":[null]`, 1), "/children/0", "got null, want object"},
		{"evse_manager.supported_energy_transfer_modes", `null`, "", "got null, want array"},
		// Enumerations.
		{"evse_manager.session_event", message + `}`, "", ""},
		{"evse_manager.session_event", strings.Replace(message, "Enabled", `\u0045nabled`, 1) + `}`, "", ""},
		{"evse_manager.session_event", strings.Replace(message, "Enabled", "Levitating", 1) + `}`, "/event", `got "Levitating", want one of Authorized, Deauthorized, Enabled, `},
		{"evse_manager.session_event", strings.Replace(message, `"Enabled"`, "2", 1) + `}`, "/event", "got number, want string"},
		{"evse_manager.supported_energy_transfer_modes", `["DC","MCS"]`, "", ""},
		{"evse_manager.supported_energy_transfer_modes", `["DC","Air"]`, "/1", `got "Air", want one of AC_single_phase_core, `},
		{"evse_manager.supported_energy_transfer_modes", `[4]`, "/0", "got number, want string"},
		{"evse_manager.session_event", message + `,"charging_paused_evse":{"reasons":[0,2]}}`, "", ""},
		{"evse_manager.session_event", message + `,"charging_paused_evse":{"reasons":[3]}}`, "/charging_paused_evse/reasons/0", "got 3, want an index from 0 to 2"},
		{"evse_manager.session_event", message + `,"charging_paused_evse":{"reasons":[-1]}}`, "/charging_paused_evse/reasons/0", "got -1, want an index from 0 to 2"},
		{"evse_manager.session_event", message + `,"charging_paused_evse":{"reasons":["NoEnergy"]}}`, "/charging_paused_evse/reasons/0", "got string, want an index from 0 to 2"},
		// A type that contains itself.
		{"energy.energy_flow_request", child, "", ""},
		{"energy.energy_flow_request", fmt.Sprintf(flow, fmt.Sprintf(flow, child)+","+child), "", ""},
		{"energy.energy_flow_request", fmt.Sprintf(flow, child+","+fmt.Sprintf(flow, strings.Replace(child, "Evse", "Moon", 1))), "/children/1/children/0/node_type", `got "Moon"`},
		{"energy.energy_flow_request", strings.Repeat(`{"children":[`, 300) + strings.Repeat(`]}`, 300), "", "levels deep"},
		// What is no JSON.
		{"evse_manager.powermeter", `{"timestamp":"t"`, "", "ends too early"},
		{"evse_manager.powermeter", ``, "", "ends too early"},
		{"evse_manager.powermeter", `x`, "", "unexpected"},
		{"evse_manager.powermeter", meter + `,`, "", "unexpected"},
		// What is not declared.
		{"evse_manager.unheard_of", `{"a":[null]}`, "", ""},
		{"unheard_of.at_all", `1e400`, "", "beyond the range"},
	} {
		name, variable, _ := strings.Cut(test.what, ".")
		expectMistake(t, known.VariableShape(name, variable), test.value, test.place, test.want, "variable "+test.what+": ")
	}
}

func expectMistake(t *testing.T, shape *schema.Shape, value, place, want, subject string) {
	t.Helper()
	err := shape.Check(json.RawMessage(value))
	mistake, _ := errors.AsType[*schema.Error](err)
	switch {
	case want == "" && err != nil:
		t.Errorf("%.200s: %v, want none", value, err)
	case want == "":
	case mistake == nil || mistake.Place != place || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), subject) || !strings.Contains(err.Error(), place):
		t.Errorf("%.200s: %q at %+v, want %q at %q", value, err, mistake, want, place)
	}
}

func TestShapeOfAResult(t *testing.T) {
	known := builtIn(t)
	for _, test := range []struct{ what, value, place, want string }{
		{"evse_manager.get_evse", `{"id":1,"connectors":[{"id":1}]}`, "", ""},
		{"evse_manager.get_evse", `{"id":1,"connectors":[{"id":1},{}]}`, "/connectors/1", "member id is missing"},
		{"evse_manager.update_allowed_energy_transfer_modes", `"Accepted"`, "", ""},
		{"evse_manager.update_allowed_energy_transfer_modes", `3`, "", "got number, want string"},
		{"evse_manager.reserve", `true`, "", ""},
		{"evse_manager.reserve", `null`, "", "got null, want boolean"},
		{"display_message.get_display_messages", `null`, "", ""}, // what a C++ agent answers without a display
		{"system.upload_logs", `null`, "", "got null, want object"},
		{"evse_manager.set_faulted", `null`, "", ""},
		{"evse_manager.set_faulted", `"done"`, "", ""}, // nobody reads it
		{"kvs.load", `[{"a":null}]`, "", ""},
		{"kvs.load", `[{"a":1e400}]`, "/0/a", "beyond the range"},
	} {
		name, command, _ := strings.Cut(test.what, ".")
		expectMistake(t, known.ResultShape(name, command), test.value, test.place, test.want, "result of "+test.what+": ")
	}
}

func TestShapeOfAnError(t *testing.T) {
	const head, tail = `{"description":"d","message":"m","origin":`, `,"severity":"Loud","state":"Active","sub_type":"","timestamp":"?","type":"a/B","uuid":"u","vendor_id":"v","later":1}`
	for _, test := range []struct{ value, place, want string }{
		{head + `{"module_id":"far","implementation_id":"main"}` + tail, "", ""},
		{head + `{"module_id":"far","implementation_id":"main","mapping":{"evse":1,"connector":2}}` + tail, "", ""},
		{head + `{"module_id":"far","implementation_id":"main","mapping":null}` + tail, "/origin/mapping", "got null, want object"},
		{head + `{"module_id":"far","implementation_id":"main","mapping":{}}` + tail, "/origin/mapping", "member evse is missing"},
		{head + `{"module_id":"far"}` + tail, "/origin", "member implementation_id is missing"},
		{`{}`, "", "member origin is missing"},
	} {
		expectMistake(t, schema.ErrorShape(), test.value, test.place, test.want, "error object: ")
	}
}

// A vendor's interface may use what EVerest's own do not.
func TestShapeOfAVendorsInterface(t *testing.T) {
	types := `{"types":{
		"/v#/Alias":{"type":"object","$ref":"/v#/Node"},
		"/v#/Node":{"type":"object","required":["name","unheard_of"],"properties":{"name":{"type":"string"},"next":{"type":"object","$ref":"/v#/Alias"},"gone":{"$ref":"/v#/Gone"}}},
		"/v#/Circle":{"$ref":"/v#/Round"},"/v#/Round":{"$ref":"/v#/Circle"},
		"/v#/Many":{"type":"object","required":[` + names(100, `"m%d"`) + `],"properties":{` + names(100, `"m%d":{"type":"integer"}`) + `}},
		"/v#/Colour":{"type":"string","enum":["red","green"]}}}`
	interfaces := `{"interfaces":{"v":{"vars":{
		"alias":{"type":"object","$ref":"/v#/Alias"},"circle":{"$ref":"/v#/Circle"},"many":{"type":"object","$ref":"/v#/Many"},
		"inline":{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}},"text":{"type":"string","enum":["a"]},
		"either":{"type":["null","integer"]},"list":{"type":"array"}},
		"cmds":{"colours":{"result":{"type":"array","items":{"type":"string","$ref":"/v#/Colour"}}}}}}}`
	known, err := schema.LoadJSON([]byte(interfaces), []byte(types), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ what, value, place, want string }{
		{"alias", `{"name":"a","next":{"name":"b","gone":5}}`, "", ""},
		{"alias", `{"name":"a","next":{"name":"b","next":{}}}`, "/next/next", "member name is missing"},
		{"circle", `5`, "", ""},
		{"many", `{` + names(100, `"m%d":1`) + `}`, "", ""},
		{"many", `{` + names(99, `"m%d":1`) + `}`, "", "member m99 is missing"},
		// Without a type file there is no generated type: C++ takes any object and any text.
		{"inline", `{}`, "", ""},
		{"inline", `[]`, "", "got array, want object"},
		{"text", `"b"`, "", ""},
		{"either", `null`, "", ""},
		{"either", `"a"`, "", "got string, want null or number"},
		{"list", `[null,{}]`, "", ""},
	} {
		expectMistake(t, known.VariableShape("v", test.what), test.value, test.place, test.want, "variable v."+test.what+": ")
	}
	// The generated code converts a list that is a variable or an argument, but not one that is a result.
	expectMistake(t, known.ResultShape("v", "colours"), `[1]`, "", "", "")
	expectMistake(t, known.ResultShape("v", "colours"), `["red"]`, "/0", "got string, want an index from 0 to 1", "result of v.colours: ")
	if err := known.CheckResult("v", "colours", json.RawMessage(`[1]`)); err != nil {
		t.Error(err)
	}
}

func names(count int, format string) string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(all, ",")
}

// What the modules of a real EVerest published in a charging session has its shape, and checking it allocates nothing.
func TestPublishedValuesHaveTheirShape(t *testing.T) {
	known := builtIn(t)
	for _, p := range published(t) {
		shape := known.VariableShape(p.interfaceName, p.variable)
		if err := shape.Check(p.value); err != nil {
			t.Error(err)
		}
		if count := testing.AllocsPerRun(10, func() { _ = shape.Check(p.value) }); count > 0 {
			t.Errorf("checking %s.%s allocates %v times", p.interfaceName, p.variable, count)
		}
	}
}

type publication struct {
	interfaceName, variable string
	value                   json.RawMessage
}

// published are the values in testdata/published.txt, recorded between modules of EVerest 2026.02.0.
func published(t testing.TB) (all []publication) {
	t.Helper()
	text, err := os.ReadFile("testdata/published.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		what, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		interfaceName, variable, _ := strings.Cut(what, ".")
		all = append(all, publication{interfaceName, variable, json.RawMessage(value)})
	}
	return all
}

// BenchmarkShape compares both checks of one value of each kind that a satellite publishes every second.
func BenchmarkShape(b *testing.B) {
	known, err := schema.BuiltIn()
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range published(b) {
		if p.variable != "powermeter" && p.variable != "energy_flow_request" && p.variable != "telemetry" {
			continue
		}
		shape := known.VariableShape(p.interfaceName, p.variable)
		b.Run(p.variable+"/shape", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p.value)))
			for b.Loop() {
				if err := shape.Check(p.value); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(p.variable+"/schema", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = known.CheckVariable(p.interfaceName, p.variable, p.value) // the schema refuses some that EVerest publishes
			}
		})
	}
}
