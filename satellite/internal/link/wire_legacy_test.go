package link

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvelopeIsTheWiresOwn(t *testing.T) {
	events := []Event{
		{Interface: "evse_manager", Name: "evse_id", Value: json.RawMessage(`"DE*TST*E0001*2"`)},
		{Interface: "evse_manager", Name: "limits", Value: json.RawMessage(`{"max_current":0.0,"note":"<a>"}`)},
		{Kind: Raised, Value: json.RawMessage(`{"type":"generic/VendorError"}`)},
		{Kind: Cleared, Value: json.RawMessage(`{"type":"generic/VendorError","sub_type":"S1"}`)},
	}
	text, err := encodeRetrieved(events, FunctionRetrieve)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"errors":[{"action":"raise","error":{"type":"generic/VendorError"}},{"action":"clear","error":{"type":"generic/VendorError","sub_type":"S1"}}],` +
		`"vars":[{"interface":"evse_manager","value":"DE*TST*E0001*2","var":"evse_id"},{"interface":"evse_manager","value":{"max_current":0.0,"note":"<a>"},"var":"limits"}]}`
	if text != want {
		t.Errorf("encoded\n%s\nwant\n%s", text, want)
	}
	got, err := readRetrieved([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(events, decoded(got)); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if empty, err := encodeRetrieved(nil, FunctionRetrieve); err != nil || empty != `{"errors":[],"vars":[]}` {
		t.Errorf("nothing is encoded as %s, %v", empty, err)
	}
}

// One bad entry must not cost the good ones beside it: the agent has forgotten them.
func TestEnvelopeKeepsTheGoodEntries(t *testing.T) {
	events, err := readRetrieved([]byte(`{"vars":[{"interface":"a","var":"v","value":1},7,{"interface":"a","value":1},{"interface":"a","var":"n","value":null}],`+
		`"errors":[{"action":"explode","error":{}},{"action":"raise"},{"action":"clear","error":{}}],"more":1}`), nil)
	if err == nil || strings.Count(err.Error(), "entry") != 4 {
		t.Errorf("error %v, want one for each of the four bad entries", err)
	}
	want := []Event{
		{Interface: "a", Name: "v", Value: json.RawMessage(`1`)},
		{Interface: "a", Name: "n", Value: json.RawMessage(`null`)},
		{Kind: Cleared, Value: json.RawMessage(`{}`)},
	}
	if diff := cmp.Diff(want, decoded(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	// No module can write a text that is not UTF-8. What follows it is lost, and that is reported.
	events, err = readRetrieved([]byte("{\"vars\":[{\"interface\":\"a\",\"var\":\"v\",\"value\":1},{\"interface\":\"a\",\"var\":\"v\",\"value\":\"\xff\"}],\"errors\":[]}"), nil)
	if diff := cmp.Diff(want[:1], decoded(events)); diff != "" || err == nil {
		t.Errorf("events before a bad text with %v (-want +got):\n%s", err, diff)
	}
	for _, text := range []string{``, `[7`, `{"vars":{}}`, `nonsense`} {
		if events, err := readRetrieved([]byte(text), nil); err == nil || len(decoded(events)) != 0 {
			t.Errorf("%q gives %v, %v, want an error", text, events, err)
		}
	}
}

func FuzzDecodeRetrieved(f *testing.F) {
	f.Add(`{"errors":[{"action":"raise","error":{}}],"vars":[{"interface":"a","var":"v","value":1}]}`)
	f.Add(`{"vars":[null]}`)
	f.Add(`{"vars":[` + strings.Repeat("0,", 20_000) + `0]}`)
	f.Add(`{"vars":[{ "var" : "v" , "\u0069nterface":"\u0061", "value" : [ "]" , {} ] } , {"interface":"a\"b","var":"v","value":"}"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var batch eventBatch
		checkMemory(t, "fuzzed", len(text), allocated(func() { batch, _ = readRetrieved([]byte(text), nil) }))
		events := decoded(batch)
		again, err := encodeRetrieved(events, FunctionRetrieve)
		if err != nil {
			t.Fatalf("what was decoded from %q does not encode: %v", text, err)
		}
		repeated, err := readRetrieved([]byte(again), nil)
		if err != nil || repeated.count != len(events) || batch.count != len(events) {
			t.Fatalf("%d events became %d, %v", len(events), repeated.count, err)
		}
		for i, event := range decoded(repeated) {
			if event.Kind != events[i].Kind || event.Interface != events[i].Interface || event.Name != events[i].Name {
				t.Fatalf("event %+v became %+v", events[i], event)
			}
		}
	})
}

func TestMemoryForRetrievedIsBounded(t *testing.T) {
	for name, element := range map[string]string{
		"numbers":           "0,",
		"empty objects":     "{},",
		"smallest variable": `{"interface":"a","var":"b","value":1},`,
	} {
		for _, size := range []int{1 << 10, 256 << 10, 8<<20 - 64} {
			for _, list := range []string{"vars", "errors"} {
				text := []byte(`{"` + list + `":[` + strings.Repeat(element, size/len(element)) + `0]}`)
				checkMemory(t, name+" in "+list, len(text), allocated(func() {
					batch, err := readRetrieved(text, nil)
					if err == nil {
						t.Error("a number is taken for an entry")
					}
					newQueue().addUnique(batch)
				}))
			}
		}
	}
}
