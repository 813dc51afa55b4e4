package bindings_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/bindings"
)

type lamp struct {
	Name  string              `json:"name"`
	Parts bindings.List[int]  `json:"parts"`
	More  bindings.List[bool] `json:"more,omitzero"`
	Since bindings.Time       `json:"since,omitzero"`

	Extra map[string]json.RawMessage `json:"-"`
}

func (v lamp) MarshalJSON() ([]byte, error) {
	type plain lamp
	return bindings.Marshal(plain(v), v.Extra)
}

func (v *lamp) UnmarshalJSON(data []byte) error {
	type plain lamp
	return bindings.Unmarshal(data, (*plain)(v), &v.Extra, []string{"name", "parts"}, []string{"more", "since"})
}

func TestRoundTrip(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`{"name":"a","parts":[1,2]}`, ""},
		{`{"name":"a","parts":[],"more":[]}`, ""},
		{`{"name":"a","parts":null}`, `{"name":"a","parts":[]}`},
		{`{"name":"a","parts":[],"more":null}`, `{"name":"a","parts":[]}`},
		{`{"name":"a","parts":[],"z":{"b":1,"a":2.0},"\"":null}`, `{"name":"a","parts":[],"\"":null,"z":{"b":1,"a":2.0}}`},
		{`{"name":"a","parts":[],"since":"2026-11-22T10:32:38.363Z"}`, ""},
		{`{"name":"a","parts":[],"since":"2026-11-22T12:32:38+02:00"}`, ""},
		{`{"name":"a","parts":[],"since":"2026-11-22T10:32:38.363456"}`, ""},
		{`{"name":"a","parts":[],"since":null}`, `{"name":"a","parts":[]}`},
		{`null`, `{"name":"","parts":[]}`},
	} {
		if test.want == "" {
			test.want = test.in
		}
		var value lamp
		if err := json.Unmarshal([]byte(test.in), &value); err != nil {
			t.Errorf("%s: %v", test.in, err)
			continue
		}
		got, err := json.Marshal(value)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v, want %s", test.in, got, err, test.want)
		}
	}
}

func TestUnmarshalErrors(t *testing.T) {
	for _, in := range []string{`{"parts":[]}`, `{"name":1,"parts":[]}`, `[]`, `{"name":"a","parts":{}}`, `{"name":"a","parts":[],"since":"yesterday"}`, `{"name":"a","parts":[],"since":3}`} {
		if err := json.Unmarshal([]byte(in), new(lamp)); err == nil {
			t.Errorf("%s decodes", in)
		}
	}
}

func TestExtraNeverReplacesAField(t *testing.T) {
	encoded, err := json.Marshal(lamp{Name: "a", Extra: map[string]json.RawMessage{"name": []byte(`"b"`), "size": []byte(`1`)}})
	if err != nil || string(encoded) != `{"name":"a","parts":[],"size":1}` {
		t.Errorf("%s, %v", encoded, err)
	}
	if _, err := json.Marshal(lamp{Extra: map[string]json.RawMessage{"size": []byte(`{`)}}); err == nil {
		t.Error("what is no JSON is written")
	}
	type empty struct{}
	encoded, err = bindings.Marshal(empty{}, map[string]json.RawMessage{"a": []byte(`1`), "b": []byte(`2`)})
	if err != nil || string(encoded) != `{"a":1,"b":2}` {
		t.Errorf("%s, %v", encoded, err)
	}
}

func TestTimeIsInUTCWithMilliseconds(t *testing.T) {
	at := bindings.At(time.Date(2026, 11, 22, 12, 32, 38, 999_999_999, time.FixedZone("", 7200)))
	if got := at.String(); got != "2026-11-22T10:32:38.999Z" {
		t.Error(got)
	}
	var read bindings.Time
	if err := json.Unmarshal([]byte(`"2026-11-22T12:32:38+02:00"`), &read); err != nil {
		t.Fatal(err)
	}
	if !read.Equal(at.Truncate(time.Second)) || read.String() != "2026-11-22T12:32:38+02:00" {
		t.Error(read)
	}
	read.Time = read.Add(time.Second)
	if got := read.String(); got != "2026-11-22T10:32:39.000Z" {
		t.Errorf("a changed time is written as %s", got)
	}
}
