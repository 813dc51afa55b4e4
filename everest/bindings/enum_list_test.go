package bindings_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/bindings"
)

type shade string

func (shade) Values() []shade { return []shade{"light", "dark"} }

func TestEnumListIsWrittenAsIndices(t *testing.T) {
	for _, test := range []struct {
		in    string
		value bindings.EnumList[shade]
		want  string
	}{
		{`["dark","light"]`, bindings.EnumList[shade]{"dark", "light"}, `[1,0]`},
		{`[1, "light" ,0]`, bindings.EnumList[shade]{"dark", "light", "light"}, `[1,0,0]`},
		{`[]`, bindings.EnumList[shade]{}, `[]`},
		{`null`, nil, `[]`},
		// Those of a newer release.
		{`["\"grey","dark"]`, bindings.EnumList[shade]{`"grey`, "dark"}, `["\"grey",1]`},
		{`[2,-1,99999999999999999999]`, bindings.EnumList[shade]{"2", "-1", "99999999999999999999"}, `[2,-1,99999999999999999999]`},
	} {
		var value bindings.EnumList[shade]
		if err := json.Unmarshal([]byte(test.in), &value); err != nil {
			t.Errorf("%s: %v", test.in, err)
			continue
		}
		if diff := cmp.Diff(test.value, value); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.in, diff)
		}
		got, err := value.MarshalJSON()
		if err != nil || string(got) != test.want {
			t.Errorf("%s is written %s, %v, want %s", test.in, got, err, test.want)
		}
		if _, err := json.Marshal(value); err != nil {
			t.Error(err)
		}
	}
	for _, in := range []string{`[1.0]`, `[true]`, `[null]`, `[[0]]`, `{}`, `"dark"`, `[1e1]`} {
		if value := (bindings.EnumList[shade]{"dark"}); json.Unmarshal([]byte(in), &value) == nil {
			t.Errorf("%s is read as %v", in, value)
		}
	}
	var assigned bindings.EnumList[shade] = []shade{"light"}
	if got, err := json.Marshal(struct {
		List bindings.EnumList[shade] `json:"list,omitzero"`
		None bindings.EnumList[shade] `json:"none,omitzero"`
	}{List: assigned}); err != nil || string(got) != `{"list":[0]}` {
		t.Errorf("written %s, %v", got, err)
	}
}
