package satellite

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// A command that only a newer EVerest has is refused, and one that this EVerest lacks is not handled.
func TestOwnCommandsOfOtherReleases(t *testing.T) {
	known, err := schema.LoadJSON([]byte(`{"interfaces":{
		"auth":{"cmds":{"set_connection_timeout":{},"forget":{"result":{"type":"boolean"}},"count":{"result":{"type":"integer"}}}},
		"system":{"cmds":{"reset":{},"configure_network":{"result":{"$ref":"/system#/ConfigureNetworkResponse"}}}}}}`),
		[]byte(`{"types":{"/system#/ConfigureNetworkResponse":{"type":"object","required":["status"],"properties":{"status":{"type":"string","enum":["Accepted","Rejected"]}}}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]json.RawMessage{
		"auth":   {"set_connection_timeout": nil, "forget": json.RawMessage("false")},
		"system": {"reset": nil, "configure_network": json.RawMessage(`{"status":"Rejected"}`)},
	}
	if diff := cmp.Diff(want, ownAnswers(known)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
