package standin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/satellite"
)

func TestAnswersFitTheInterfaces(t *testing.T) {
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	board, err := NewSatelliteBoard(known, Account{Record: func(ledger.Entry) {}}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"evse_manager", "energy", "uk_random_delay", "dc_external_derate", "system", "auth"} {
		definition, ok := board.definitions.Interface(name)
		if !ok {
			t.Fatalf("interface %s is not defined", name)
		}
		for _, command := range definition.Commands {
			answer := board.portAnswer(command, nil)
			if err := board.definitions.CheckResult(name, command.Name, answer); err != nil {
				t.Errorf("%s.%s answers %s: %v", name, command.Name, answer, err)
			}
		}
	}
	getEVSE := &schema.Command{Name: "get_evse"}
	if got := string(board.portAnswer(getEVSE, nil)); got != `{"connectors":[{"id":1,"type":"Unknown"}],"id":1}` {
		t.Errorf("get_evse returns %s", got)
	}
	var arguments map[string]json.RawMessage
	if err := json.Unmarshal(enableDisable("Disable"), &arguments); err != nil {
		t.Fatal(err)
	}
	if err := board.definitions.CheckArguments("evse_manager", "enable_disable", arguments); err != nil {
		t.Error(err)
	}
}

func TestRecordedAuthorization(t *testing.T) {
	session, err := recording.ChargingSession()
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := recordedAuthorization(session)
	if err != nil || !strings.Contains(string(recorded.token), "DEADBEEF") || !strings.Contains(string(recorded.result), "Accepted") {
		t.Errorf("authorisation %s, %s, error %v", recorded.token, recorded.result, err)
	}
}
