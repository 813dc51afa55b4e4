package crossing

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/remotechargeport/remotechargeport/everest"
)

func newTranslator(t testing.TB) (*Translator, *[]string) {
	t.Helper()
	var reports []string
	connector := 1
	return New(Place{
		Module: "port_2", EVSE: 2, Mapping: &everest.Mapping{EVSE: 2, Connector: &connector}, Reader: &everest.Mapping{EVSE: 2, Connector: &connector},
		Report: func(text string) { reports = append(reports, text) },
	}), &reports
}

// learned returns a Translator that has seen a request of the satellite's node and its EVSE.
func learned(t testing.TB, node string, evse int) *Translator {
	t.Helper()
	translator, _ := newTranslator(t)
	if _, err := translator.Variable("energy", "energy_flow_request", json.RawMessage(`{"uuid":"`+node+`"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := translator.Result("evse_manager", "get_evse", json.RawMessage(fmt.Sprintf(`{"id":%d}`, evse))); err != nil {
		t.Fatal(err)
	}
	return translator
}

// Each row is a value of real EVerest modules, with number forms, spaces and unknown keys that must stay.
func TestVariable(t *testing.T) {
	for _, test := range []struct{ name, id, variable, value, want string }{
		{"the node of an EVSE", "energy", "energy_flow_request",
			`{"children":[],"node_type":"Evse","schedule_import":[{"limits_to_root":{"ac_max_current_A":{"source":"evse/caps","value":16.0}}}],"uuid":"evse"}`,
			`{"children":[],"node_type":"Evse","schedule_import":[{"limits_to_root":{"ac_max_current_A":{"source":"evse/caps","value":16.0}}}],"uuid":"port_2"}`},
		{"a node with children", "energy", "energy_flow_request",
			`{ "uuid" : "node","children":[{"uuid":"a","children":[{"children":[],"uuid":"b/c"}]}, {"uuid":"port_2","children":[]}],"other":{"uuid":"x","children":[{"uuid":"y"}]}}`,
			`{ "uuid" : "port_2","children":[{"uuid":"port_2/a","children":[{"children":[],"uuid":"port_2/b/c"}]}, {"uuid":"port_2/port_2","children":[]}],"other":{"uuid":"x","children":[{"uuid":"y"}]}}`},
		{"a name with escapes", "energy", "energy_flow_request", `{"uuid":"e\"v","\u0075uid":"again"}`, `{"uuid":"port_2","\u0075uid":"port_2"}`},
		{"a uuid that is no text", "energy", "energy_flow_request", `{"uuid":7,"children":{"uuid":"a"}}`, `{"uuid":7,"children":{"uuid":"a"}}`},
		{"limits", "evse_manager", "limits", `{"max_current":1.60e1,"uuid":"evse"}`, `{"max_current":1.60e1,"uuid":"port_2"}`},
		{"enforced limits of a child", "evse_manager", "enforced_limits", `{"uuid":"other"}`, `{"uuid":"port_2/other"}`},
		{"a token for the satellite", "auth_token_provider", "provided_token", `{"connectors":[1],"id_token":{"value":"A","type":"Central"}}`, `{"connectors":[2],"id_token":{"value":"A","type":"Central"}}`},
		{"a token of the reader", "rfid_token_provider", "provided_token", `{"connectors":[1,1]}`, `{"connectors":[2,2]}`},
		{"a token of the reader without an EVSE", "rfid_token_provider", "provided_token", `{"a":1}`, `{"connectors":[2],"a":1}`},
		{"a token of the car without an EVSE", "auth_token_provider", "provided_token", `{"a":1}`, `{"a":1}`},
		{"a session event", "evse_manager", "session_event", `{"uuid":"evse","event":"Enabled"}`, `{"uuid":"evse","event":"Enabled"}`},
		{"no object", "energy", "energy_flow_request", `[{"uuid":"evse"}]`, `[{"uuid":"evse"}]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := learned(t, "evse", 1).Variable(test.id, test.variable, json.RawMessage(test.value))
			if err != nil || string(got) != test.want {
				t.Errorf("%v\n got %s\nwant %s", err, got, test.want)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	limits := func(uuid string) everest.Args {
		return everest.Args{"value": json.RawMessage(`{"uuid":"` + uuid + `","valid_for":10}`)}
	}
	for _, test := range []struct {
		name, uuid, want string
		unknown          bool
	}{
		{name: "own", uuid: "port_2", want: "evse"},
		{name: "a child", uuid: "port_2/b/c", want: "b/c"},
		{name: "another EVSE", uuid: "port_1"},
		{name: "the satellite's own name on the main board", uuid: "evse"},
		{name: "another controller whose id begins alike", uuid: "port_22"},
		{name: "before the satellite's node is known", uuid: "port_2", unknown: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			translator, _ := newTranslator(t)
			if !test.unknown {
				translator = learned(t, "evse", 1)
			}
			given := limits(test.uuid)
			got, carried, err := translator.Arguments("energy", "enforce_limits", given)
			if err != nil || carried != (test.want != "") {
				t.Fatalf("carried %v, %v", carried, err)
			}
			if diff := cmp.Diff(limits(test.uuid), given); diff != "" {
				t.Errorf("the caller's arguments were changed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(limits(test.want), got); carried && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	translator := learned(t, "evse", 1)
	other := everest.Args{"connector_id": json.RawMessage(`1`)}
	if got, carried, err := translator.Arguments("evse_manager", "force_unlock", other); err != nil || !carried || cmp.Diff(other, got) != "" {
		t.Errorf("another command: %v, carried %v, %v", got, carried, err)
	}
}

// A satellite that restarted with another configuration has another id and another number.
func TestWhatIsLearnedIsRenewed(t *testing.T) {
	translator := learned(t, "evse", 1)
	if _, err := translator.Variable("energy", "energy_flow_request", json.RawMessage(`{"uuid":"other"}`)); err != nil {
		t.Fatal(err)
	}
	got, carried, err := translator.Arguments("energy", "enforce_limits", everest.Args{"value": json.RawMessage(`{"uuid":"port_2"}`)})
	if err != nil || !carried || string(got["value"]) != `{"uuid":"other"}` {
		t.Errorf("%s, carried %v, %v", got["value"], carried, err)
	}
}

func TestResult(t *testing.T) {
	translator, _ := newTranslator(t)
	got, err := translator.Result("evse_manager", "get_evse", json.RawMessage(`{"connectors":[{"id":1}],"id":1}`))
	if want := `{"connectors":[{"id":1}],"id":2}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestTokenOfAnotherEVSE(t *testing.T) {
	token := json.RawMessage(`{"connectors":[7]}`)
	translator, reports := newTranslator(t)
	if got, err := translator.Variable("auth_token_provider", "provided_token", token); err != nil || string(got) != `{"connectors":[2]}` {
		t.Errorf("before the number is known: %s, %v", got, err)
	}
	if _, err := translator.Result("evse_manager", "get_evse", json.RawMessage(`{"id":1}`)); err != nil {
		t.Fatal(err)
	}
	if got, err := translator.Variable("auth_token_provider", "provided_token", token); err != nil || string(got) != string(token) {
		t.Errorf("of another EVSE: %s, %v", got, err)
	}
	if len(*reports) != 1 || !strings.Contains((*reports)[0], "EVSE 7") {
		t.Errorf("reports %q", *reports)
	}
}

// Without a mapping the numbers stay. The energy nodes and errors need none.
func TestWithoutMapping(t *testing.T) {
	translator := New(Place{Module: "port_2"})
	for _, value := range []struct{ id, name, value, want string }{
		{"auth_token_provider", "provided_token", `{"connectors":[1]}`, `{"connectors":[1]}`},
		{"rfid_token_provider", "provided_token", `{}`, `{}`},
		{"energy", "energy_flow_request", `{"uuid":"evse"}`, `{"uuid":"port_2"}`},
	} {
		if got, err := translator.Variable(value.id, value.name, json.RawMessage(value.value)); err != nil || string(got) != value.want {
			t.Errorf("%s: %s, %v", value.value, got, err)
		}
	}
	if got, err := translator.Result("evse_manager", "get_evse", json.RawMessage(`{"id":1}`)); err != nil || string(got) != `{"id":1}` {
		t.Errorf("get_evse %s, %v", got, err)
	}
	got, err := translator.Error(json.RawMessage(`{"origin":{"module_id":"m","implementation_id":"i","mapping":{"evse":1}}}`), "satellite")
	if want := `{"sub_type":"m/i","origin":{"module_id":"port_2","implementation_id":"satellite"}}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestError(t *testing.T) {
	translator, _ := newTranslator(t)
	origin := `{"module_id":"port_2","implementation_id":"satellite","mapping":{"evse":2,"connector":1}}`
	for _, test := range []struct{ name, object, want string }{
		{"with all members", `{"origin":{"implementation_id":"board_support","mapping":{"evse":1},"module_id":"bsp"},"severity":"Critical","sub_type":"","timestamp":"2026-02-03T04:05:06.123456Z","type":"evse_board_support/MREC17"}`,
			`{"origin":` + origin + `,"severity":"Critical","sub_type":"bsp/board_support","timestamp":"2026-02-03T04:05:06.123456Z","type":"evse_board_support/MREC17"}`},
		{"with a sub type", `{"sub_type":"L1 L2","origin":{"module_id":"bsp","implementation_id":"x"}}`, `{"sub_type":"L1 L2 bsp/x","origin":` + origin + `}`},
		{"with members that are absent", `{"type":"a/B"}`, `{"origin":` + origin + `,"sub_type":"/","type":"a/B"}`},
		{"that a backend names by its description", `{"type":"generic/VendorError","description":"too \u0068ot","message":"m","sub_type":"","origin":{"module_id":"bsp","implementation_id":"x"}}`,
			`{"type":"generic/VendorError","description":"port_2: too hot","message":"m","sub_type":"bsp/x","origin":` + origin + `}`},
		{"that a backend names by its message", `{"type":"evse_manager/Inoperative","description":"MREC17","message":"contactor","sub_type":"","origin":{"module_id":"evse","implementation_id":"evse"}}`,
			`{"type":"evse_manager/Inoperative","description":"MREC17","message":"port_2: contactor","sub_type":"evse/evse","origin":` + origin + `}`},
		{"with texts that are empty", `{"type":"a/B","description":"","message":null,"sub_type":"","origin":{"module_id":"bsp","implementation_id":"x"}}`,
			`{"type":"a/B","description":"","message":null,"sub_type":"bsp/x","origin":` + origin + `}`},
		{"with ids that no configuration has", `{"sub_type":"","origin":{"module_id":"a/b %","implementation_id":"c"}}`, `{"sub_type":"a%2Fb%20%25/c","origin":` + origin + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := translator.Error(json.RawMessage(test.object), "satellite")
			if err != nil || string(got) != test.want {
				t.Errorf("%v\n got %s\nwant %s", err, got, test.want)
			}
		})
	}
	if _, err := translator.Error(json.RawMessage(`[]`), "satellite"); err == nil {
		t.Error("an array was taken for an error")
	}
	if got := translator.Implementation("evse_manager/Inoperative", "satellite"); got != "evse_manager" {
		t.Errorf("Inoperative is raised under %s", got)
	}
	if got := translator.Implementation("generic/VendorError", "meter"); got != "meter" {
		t.Errorf("VendorError is raised under %s", got)
	}
}

func TestVerbatim(t *testing.T) {
	connector := 3
	translator := Verbatim(Place{Module: "port_2", EVSE: 2, Reader: &everest.Mapping{EVSE: 2, Connector: &connector}})
	request := json.RawMessage(`{"uuid":"evse"}`)
	if got, err := translator.Variable("energy", "energy_flow_request", request); err != nil || string(got) != string(request) {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := translator.Variable("rfid_token_provider", "provided_token", json.RawMessage(`{}`)); err != nil || string(got) != `{"connectors":[3]}` {
		t.Errorf("token %s, %v", got, err)
	}
	arguments := everest.Args{"value": request}
	if got, carried, err := translator.Arguments("energy", "enforce_limits", arguments); err != nil || !carried || cmp.Diff(arguments, got) != "" {
		t.Errorf("%s, carried %v, %v", got, carried, err)
	}
	if got := translator.Implementation("evse_manager/Inoperative", "satellite"); got != "satellite" {
		t.Errorf("Inoperative is raised under %s", got)
	}
	if !translator.IsOwn(everest.Error{Origin: everest.Origin{ModuleID: "port_2"}}) || translator.IsOwn(everest.Error{SubType: "x", Origin: everest.Origin{ModuleID: "bsp"}}) {
		t.Error("own errors are not told apart by their origin")
	}
}

func TestTokenThatIsNoObject(t *testing.T) {
	for _, token := range []string{`null`, `[]`, `"x"`, ``, `{"a":`} {
		for _, translator := range []*Translator{New(Place{EVSE: 2, Reader: &everest.Mapping{EVSE: 2}}), Verbatim(Place{Reader: &everest.Mapping{EVSE: 2}})} {
			if got, err := translator.Variable("rfid_token_provider", "provided_token", json.RawMessage(token)); err == nil {
				t.Errorf("token %q became %s, want an error", token, got)
			}
		}
	}
}

// Different errors of a satellite stay different, and none is taken for the controller's own.
func TestErrorsStayDistinct(t *testing.T) {
	translator, _ := newTranslator(t)
	part := rapid.StringOf(rapid.SampledFrom([]rune(`ab /%2F0"\é`)))
	rapid.Check(t, func(t *rapid.T) {
		draw := func() (id everest.ErrorID, translated everest.Error) {
			original := everest.Error{SubType: part.Draw(t, "sub type")}
			original.Origin.ModuleID, original.Origin.ImplementationID = part.Draw(t, "module"), part.Draw(t, "implementation")
			object, err := json.Marshal(original)
			if err != nil {
				t.Fatal(err)
			}
			got, err := translator.Error(object, "satellite")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(got, &translated); err != nil {
				t.Fatal(err)
			}
			return original.ID(), translated
		}
		one, first := draw()
		two, second := draw()
		if (one == two) != (first.ID() == second.ID()) {
			t.Fatalf("%+v and %+v became %+v and %+v", one, two, first.ID(), second.ID())
		}
		if translator.IsOwn(first) {
			t.Fatalf("%+v is taken for the controller's own", first)
		}
	})
}

// What the splicer changes, encoding/json finds at the same places, and nowhere else.
func FuzzVariable(f *testing.F) {
	for _, seed := range []string{`{}`, `{"uuid":"a","children":[{"uuid":"b","children":[{"uuid":"c"}]}]}`, `{"children":[[{"uuid":"x"}]],"uuid":null}`,
		`{"children":{"children":[{"uuid":"x"}]}}`, strings.Repeat(`{"children":[`, 300) + strings.Repeat(`]}`, 300)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		translator, _ := newTranslator(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := translator.Variable("energy", "energy_flow_request", text)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(16<<10+16*len(text)) {
			t.Errorf("%d bytes take %d bytes of memory", len(text), used)
		}
		var value any
		if json.Unmarshal(text, &value) != nil {
			if err == nil {
				t.Fatalf("%q was taken for JSON", text)
			}
			return
		}
		if err != nil {
			return // not UTF-8, or too deep
		}
		if limit := 2*len(text) + 16*strings.Count(string(text), "u") + 64; len(got) > limit {
			t.Fatalf("%d bytes became %d", len(text), len(got))
		}
		translateNode(value, func(uuid string) string { return "port_2" })
		var translated any
		if err := json.Unmarshal(got, &translated); err != nil {
			t.Fatalf("%q became %q: %v", text, got, err)
		}
		if !reflect.DeepEqual(value, translated) { // cmp.Diff takes for ever where lists are nested deeply
			t.Fatalf("%q became %q, want %v", text, got, value)
		}
	})
}

func translateNode(node any, name func(string) string) {
	object, _ := node.(map[string]any)
	if uuid, text := object["uuid"].(string); text {
		object["uuid"] = name(uuid)
	}
	children, _ := object["children"].([]any)
	for _, child := range children {
		translateNode(child, func(uuid string) string { return "port_2/" + uuid })
	}
}

func TestAllocations(t *testing.T) {
	translator := learned(t, "evse", 1)
	event := json.RawMessage(`{"event":"Enabled","uuid":""}`)
	if allocations := testing.AllocsPerRun(100, func() { _, _ = translator.Variable("evse_manager", "session_event", event) }); allocations != 0 {
		t.Errorf("%v allocations for a value without identifiers", allocations)
	}
	request := json.RawMessage(`{"children":[],"node_type":"Evse","schedule_import":[{"limits_to_root":{"ac_max_current_A":{"source":"evse/caps","value":16.0}}}],"uuid":"evse"}`)
	if allocations := testing.AllocsPerRun(100, func() { _, _ = translator.Variable("energy", "energy_flow_request", request) }); allocations > 2 {
		t.Errorf("%v allocations for an energy request", allocations)
	}
}
