package schema_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

var writeGolden = flag.Bool("schema.write", false, "write the golden files of this package")

const listedEnums = "testdata/listed_enums.txt"

// What real modules publish: real-station.md names these places.
func TestAnIndexIsAcceptedWhereTheCodeOfEVerestWritesOne(t *testing.T) {
	known := builtIn(t)
	token := `{"authorization_type":"RFID","id_token":{"type":"ISO14443","value":"ABC"}}`
	for _, test := range []struct{ what, value, want string }{
		{"evse_manager.session_event", `{"charging_paused_evse":{"reasons":[2]},"event":"ChargingPausedEVSE","timestamp":"2026-11-26T18:40:18.471Z","uuid":"u"}`, ""},
		{"evse_manager.session_event", `{"charging_paused_evse":{"reasons":["NoEnergy",0]},"event":"ChargingPausedEVSE","timestamp":"2026-11-26T18:40:18.471Z","uuid":"u"}`, ""},
		{"evse_manager.session_event", `{"charging_paused_evse":{"reasons":[3]},"event":"ChargingPausedEVSE","timestamp":"2026-11-26T18:40:18.471Z","uuid":"u"}`,
			"at /charging_paused_evse/reasons/0: index 3 of an enumeration that has 3 values"},
		{"iso15118_extensions.charging_needs", `{"available_energy_transfer":[4,"DC_core"],"requested_energy_transfer":"DC_extended"}`, ""},
		{"iso15118_extensions.charging_needs", `{"requested_energy_transfer":4}`, "at /requested_energy_transfer: "},
		{"evse_manager.authorize_response", `{"provided_token":` + token + `,"validation_result":{"allowed_energy_transfer_modes":[2],"authorization_status":"Accepted","tariff_messages":[]}}`, ""},
		{"evse_manager.authorize_response", `{"provided_token":` + token + `,"validation_result":{"allowed_energy_transfer_modes":[],"authorization_status":"Accepted","tariff_messages":[]}}`, "at /allowed_energy_transfer_modes: minItems"},
		{"evse_manager.authorize_response", `{"provided_token":` + token + `,"validation_result":{"allowed_energy_transfer_modes":[17],"authorization_status":"Accepted","tariff_messages":[]}}`,
			"validation_result of evse_manager.authorize_response: at /allowed_energy_transfer_modes/0: index 17 of an enumeration that has 17 values"},
		{"evse_manager.authorize_response", `{"provided_token":` + token + `,"validation_result":{"allowed_energy_transfer_modes":[-1],"authorization_status":"Accepted","tariff_messages":[]}}`, "index -1 of an enumeration"},
		{"evse_manager.authorize_response", `{"provided_token":` + token + `,"validation_result":{"allowed_energy_transfer_modes":[99999999999999999999],"authorization_status":"Accepted","tariff_messages":[]}}`, "index 99999999999999999999 of an enumeration"},
		{"evse_manager.authorize_response", `{"provided_token":` + token + `,"validation_result":{"allowed_energy_transfer_modes":[2.0],"authorization_status":"Accepted","tariff_messages":[]}}`, "at /allowed_energy_transfer_modes/0: got number, want string"},
		{"evse_manager.authorize_response", `{"provided_token":` + token + `,"validation_result":{"allowed_energy_transfer_modes":["Hovering"],"authorization_status":"Accepted","tariff_messages":[]}}`, "at /allowed_energy_transfer_modes/0: value must be one of"},
		// A list that is the whole value is a list of texts, and an enumeration that is not in a list is a text.
		{"evse_manager.supported_energy_transfer_modes", `["DC_extended","DC_core"]`, ""},
		{"evse_manager.supported_energy_transfer_modes", `[4,3]`, "at /0: got number, want string"},
		{"evse_manager.update_allowed_energy_transfer_modes", `{"allowed_energy_transfer_modes":["DC"]}`, ""},
		{"evse_manager.update_allowed_energy_transfer_modes", `{"allowed_energy_transfer_modes":[7]}`, "at /0: got number, want string"},
	} {
		checkMember(t, known, test.what, test.value, test.want)
	}
}

// A type may be used as a whole value and inside an object.
func TestOneTypeInBothContexts(t *testing.T) {
	colours := `"/paint#/Colour":{"type":"string","enum":["red","green"]},
		"/paint#/Alias":{"$ref":"/paint#/Colour"},
		"/paint#/Colours":{"type":"array","items":{"$ref":"/paint#/Alias"}},
		"/paint#/Grid":{"type":"array","items":{"$ref":"/paint#/Colours"}},
		"/paint#/Tree":{"type":"object","properties":{"own":{"$ref":"/paint#/Colours"},"children":{"type":"array","items":{"$ref":"/paint#/Tree"}}}},
		"/paint#/Box":{"type":"object","properties":{"colours":{"$ref":"/paint#/Colours"},"grid":{"$ref":"/paint#/Grid"},
			"inline":{"type":"array","items":{"type":"string","enum":["a","b"]}},"one":{"$ref":"/paint#/Colour"},
			"numbers":{"type":"array","items":{"enum":[7,8]}}},
			"additionalProperties":{"type":"array","items":{"$ref":"/paint#/Colour"}}}`
	known, err := schema.LoadJSON([]byte(`{"interfaces":{"painter":{"vars":{
		"colours":{"$ref":"/paint#/Colours"},"grid":{"$ref":"/paint#/Grid"},"box":{"$ref":"/paint#/Box"},
		"tree":{"$ref":"/paint#/Tree"},"boxes":{"type":"array","items":{"$ref":"/paint#/Box"}}}}}}`),
		[]byte(`{"types":{`+colours+`}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := known.Compile(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ what, value, want string }{
		{"painter.colours", `["red"]`, ""},
		{"painter.colours", `[0]`, "at /0: got number, want string"},
		{"painter.grid", `[["red"]]`, ""},
		{"painter.grid", `[[0]]`, "at /0/0: got number, want string"},
		{"painter.box", `{"colours":[1],"grid":[[0,"green"]],"inline":[1,"a"],"one":"red","other":[1]}`, ""},
		{"painter.box", `{"colours":[2]}`, "at /colours/0: index 2"},
		{"painter.box", `{"grid":[[2]]}`, "at /grid/0/0: index 2"},
		{"painter.box", `{"inline":[2]}`, "at /inline/0: index 2"},
		{"painter.box", `{"other":[2]}`, "at /other/0: index 2"},
		{"painter.box", `{"one":0}`, "at /one: got number, want string"},
		// An enumeration of numbers has no index.
		{"painter.box", `{"numbers":[7]}`, ""},
		{"painter.box", `{"numbers":[0]}`, "at /numbers/0: value must be one of"},
		{"painter.boxes", `[{"colours":[1]}]`, ""},
		{"painter.tree", `{"own":[1],"children":[{"own":[0],"children":[]}]}`, ""},
		{"painter.tree", `{"children":[{"own":[2]}]}`, "at /children/0/own/0: index 2"},
	} {
		checkMember(t, known, test.what, test.value, test.want)
	}
	if err := known.CheckType("/paint#/Colours", json.RawMessage(`[0]`)); err == nil {
		t.Error("a list of texts takes an index")
	}
}

// checkMember checks the value of a variable, or the arguments of a command.
func checkMember(t *testing.T, known *schema.Definitions, what, value, want string) {
	t.Helper()
	name, member, _ := strings.Cut(what, ".")
	definition, _ := known.Interface(name)
	var err error
	if definition.Variables[member] != nil {
		err = known.CheckVariable(name, member, json.RawMessage(value))
	} else {
		var arguments map[string]json.RawMessage
		if err := json.Unmarshal([]byte(value), &arguments); err != nil {
			t.Fatal(err)
		}
		err = known.CheckArguments(name, member, arguments)
	}
	var mismatch *schema.Error
	if want == "" && err != nil || want != "" && (!errors.As(err, &mismatch) || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s %s: error %v, want %q", what, value, err, want)
	}
}

// The golden file lists every list of an enumeration in the built-in definitions, and what its elements may be. The
// elements that take an index are found by checking one.
func TestListedEnumsOfTheBuiltInDefinitions(t *testing.T) {
	known := builtIn(t)
	var lines []string
	list := func(name, kind, member string, raw json.RawMessage) {
		probe, err := known.WithInterface("probe", []byte(`{"description":"probe","vars":{"value":`+string(raw)+`}}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range listsOf(t, known, raw) {
			elements := "text"
			if takesAnIndex(t, probe, place) {
				elements = "text or index"
			}
			lines = append(lines, fmt.Sprintf("%s %s %s %s: %s", name, kind, member, place.path, elements))
		}
	}
	for _, name := range known.InterfaceNames() {
		definition, _ := known.Interface(name)
		for _, command := range slices.Sorted(maps.Keys(definition.Commands)) {
			for _, argument := range definition.Commands[command].Arguments {
				list(name, "argument", command+"."+argument.Name, argument.Schema)
			}
			list(name, "result", command, definition.Commands[command].Result)
		}
		for _, variable := range slices.Sorted(maps.Keys(definition.Variables)) {
			list(name, "variable", variable, definition.Variables[variable].Schema)
		}
	}
	got := "# Lists of enumerations in the definitions of EVerest 2026.02.0: interface, member, path, what an element may be.\n" +
		"# Seen on 2026.02.0. For other releases the rule is inferred: their definitions yield their places.\n" +
		strings.Join(lines, "\n") + "\n"
	if *writeGolden {
		if err := os.WriteFile(listedEnums, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(listedEnums)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the definitions yield (-file +yielded); -schema.write writes it:\n%s", listedEnums, diff)
	}
	for _, seen := range []string{
		"evse_manager variable session_event /charging_paused_evse/reasons/0: text or index",
		"evse_manager argument authorize_response.validation_result /allowed_energy_transfer_modes/0: text or index",
		"iso15118_extensions variable charging_needs /available_energy_transfer/0: text or index",
		"iso15118_extensions variable charging_needs /der_charging_parameters/ev_supported_dercontrol/0: text or index",
		"iso15118_extensions variable charging_needs /der_charging_parameters/ev_islanding_detection_method/0: text or index",
		"evse_manager variable supported_energy_transfer_modes /0: text",
		"evse_manager argument update_allowed_energy_transfer_modes.allowed_energy_transfer_modes /0: text",
	} {
		if !slices.Contains(lines, seen) {
			t.Errorf("a place that was seen on real modules is missing: %s", seen)
		}
	}
}

// listPlace is a list of an enumeration: the path of its first element, and a value that has nothing but that element.
type listPlace struct {
	path  string
	value func(element string) string
}

func listsOf(t *testing.T, known *schema.Definitions, raw json.RawMessage) []listPlace {
	t.Helper()
	var places []listPlace
	var walk func(raw json.RawMessage, path string, value func(string) string, listed bool, within []string)
	walk = func(raw json.RawMessage, path string, value func(string) string, listed bool, within []string) {
		var parsed struct {
			Reference  string                     `json:"$ref"`
			Enum       []string                   `json:"enum"`
			Items      json.RawMessage            `json:"items"`
			Properties map[string]json.RawMessage `json:"properties"`
		}
		if err := json.Unmarshal(raw, &parsed); err != nil {
			t.Fatal(err)
		}
		if parsed.Reference != "" {
			if slices.Contains(within, parsed.Reference) {
				return
			}
			referred, ok := known.Type(parsed.Reference)
			if !ok {
				t.Fatalf("there is no type %s", parsed.Reference)
			}
			walk(referred, path, value, listed, append(slices.Clone(within), parsed.Reference))
			return
		}
		if listed && len(parsed.Enum) > 0 {
			places = append(places, listPlace{path, value})
		}
		if len(parsed.Items) > 0 {
			walk(parsed.Items, path+"/0", func(element string) string { return value("[" + element + "]") }, true, within)
		}
		for _, name := range slices.Sorted(maps.Keys(parsed.Properties)) {
			walk(parsed.Properties[name], path+"/"+name, func(element string) string { return value(`{"` + name + `":` + element + `}`) }, false, within)
		}
	}
	walk(raw, "", func(element string) string { return element }, false, nil)
	return places
}

// takesAnIndex checks an index that every enumeration has, and one that none has. Other parts of the value may be wrong:
// only what is said of the place counts.
func takesAnIndex(t *testing.T, probe *schema.Definitions, place listPlace) bool {
	t.Helper()
	refused := func(element string) bool {
		err := probe.CheckVariable("probe", "value", json.RawMessage(place.value(element)))
		return err != nil && strings.Contains(err.Error(), "at "+place.path+": ")
	}
	if !refused("1000000") || !refused(`"no such text"`) {
		t.Errorf("%s takes anything", place.path)
	}
	return !refused("0")
}

func builtIn(t *testing.T) *schema.Definitions {
	t.Helper()
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	return known
}
