package route

import (
	"encoding/json"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
)

func TestTokensGetTheirConnector(t *testing.T) {
	connector := 3
	evse := &everest.Mapping{EVSE: 2}
	both := &everest.Mapping{EVSE: 2, Connector: &connector}
	for _, test := range []struct {
		name, token string
		mapping     *everest.Mapping
		want        string
	}{
		{"no mapping", `{"id_token":1}`, nil, `{"id_token":1}`},
		{"EVSE only", `{"id_token":{"value":"A"} }`, evse, `{"id_token":{"value":"A"},"connectors":[2]}`},
		{"connector", `{"id_token":1}`, both, `{"id_token":1,"connectors":[3]}`},
		{"empty object", `{ }`, evse, `{"connectors":[2]}`},
		{"list is there", `{"connectors":[1],"id_token":1}`, both, `{"connectors":[1],"id_token":1}`},
		{"empty list is there", `{"connectors":[]}`, both, `{"connectors":[]}`},
	} {
		got, err := WithConnectors(json.RawMessage(test.token), test.mapping)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v, want %s", test.name, got, err, test.want)
		}
	}
	for _, token := range []string{`null`, `[]`, `"x"`, ``, `{"a":`} {
		if got, err := WithConnectors(json.RawMessage(token), evse); err == nil {
			t.Errorf("token %q became %s, want an error", token, got)
		}
	}
}
