package satellite

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvelopeIsTheWiresOwn(t *testing.T) {
	events := []Event{
		{Interface: "evse_manager", Variable: "evse_id", Value: json.RawMessage(`"DE*TST*E0001*2"`)},
		{Interface: "evse_manager", Variable: "limits", Value: json.RawMessage(`{"max_current":0.0,"note":"<a>"}`)},
		{Error: json.RawMessage(`{"type":"generic/VendorError"}`), Raised: true},
		{Error: json.RawMessage(`{"type":"generic/VendorError","sub_type":"S1"}`)},
	}
	text, err := encodeRetrieved(events)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"errors":[{"action":"raise","error":{"type":"generic/VendorError"}},{"action":"clear","error":{"type":"generic/VendorError","sub_type":"S1"}}],` +
		`"vars":[{"interface":"evse_manager","value":"DE*TST*E0001*2","var":"evse_id"},{"interface":"evse_manager","value":{"max_current":0.0,"note":"<a>"},"var":"limits"}]}`
	if text != want {
		t.Errorf("encoded\n%s\nwant\n%s", text, want)
	}
	got, err := decodeRetrieved(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(events, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if empty, err := encodeRetrieved(nil); err != nil || empty != `{"errors":[],"vars":[]}` {
		t.Errorf("nothing is encoded as %s, %v", empty, err)
	}
}

// One bad entry must not cost the good ones beside it: the agent has forgotten them.
func TestEnvelopeKeepsTheGoodEntries(t *testing.T) {
	events, err := decodeRetrieved(`{"vars":[{"interface":"a","var":"v","value":1},7,{"interface":"a","value":1},{"interface":"a","var":"n","value":null}],` +
		`"errors":[{"action":"explode","error":{}},{"action":"raise"},{"action":"clear","error":{}}],"more":1}`)
	if err == nil || strings.Count(err.Error(), "entry") != 4 {
		t.Errorf("error %v, want one for each of the four bad entries", err)
	}
	want := []Event{
		{Interface: "a", Variable: "v", Value: json.RawMessage(`1`)},
		{Interface: "a", Variable: "n", Value: json.RawMessage(`null`)},
		{Error: json.RawMessage(`{}`)},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, text := range []string{``, `[]`, `{"vars":{}}`, `nonsense`} {
		if events, err := decodeRetrieved(text); err == nil || len(events) != 0 {
			t.Errorf("%q gives %v, %v, want an error", text, events, err)
		}
	}
}

func FuzzDecodeRetrieved(f *testing.F) {
	f.Add(`{"errors":[{"action":"raise","error":{}}],"vars":[{"interface":"a","var":"v","value":1}]}`)
	f.Add(`{"vars":[null]}`)
	f.Fuzz(func(t *testing.T, text string) {
		events, _ := decodeRetrieved(text)
		again, err := encodeRetrieved(events)
		if err != nil {
			t.Fatalf("what was decoded from %q does not encode: %v", text, err)
		}
		if repeated, err := decodeRetrieved(again); err != nil || len(repeated) != len(events) {
			t.Fatalf("%d events became %d, %v", len(events), len(repeated), err)
		}
	})
}
