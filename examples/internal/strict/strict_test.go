package strict

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
)

func request(uuid string, current float64, children ...energyFlow) energyFlow {
	side := energyLimits{&ampere{uuid, current}}
	nodeType := "Evse"
	if len(children) > 0 {
		nodeType = "Generic"
	}
	return energyFlow{UUID: uuid, NodeType: nodeType, Children: children, Import: []energyDemand{{Timestamp: timestamp(), ToRoot: side}}}
}

func TestSharesKeepEveryFuse(t *testing.T) {
	root := request("root", 20, request("a", 32), request("b", 32), request("branch", 4, request("c", 32)))
	want := map[string]float64{"a": 8, "b": 8, "c": 4}
	for _, limits := range shares(root) {
		if got := limits.RootSide.Current.Value; got != want[limits.UUID] {
			t.Errorf("%s gets %g A, want %g A", limits.UUID, got, want[limits.UUID])
		}
		delete(want, limits.UUID)
	}
	if len(want) > 0 {
		t.Errorf("without limits: %v", want)
	}
}

func TestListsOfEnumerationsAreIntegers(t *testing.T) {
	validations := map[string]bool{
		`{"authorization_status":"Accepted","tariff_messages":[],"allowed_energy_transfer_modes":[2]}`:      true,
		`{"authorization_status":"Accepted","tariff_messages":[],"allowed_energy_transfer_modes":["DC"]}`:   false,
		`{"authorization_status":"Accepted","tariff_messages":[],"allowed_energy_transfer_modes":[17]}`:     false,
		`{"authorization_status":"Accepted","allowed_energy_transfer_modes":[2]}`:                           false,
		`{"authorization_status":"Accepted","tariff_messages":[],"unknown":"members are ignored","x":null}`: true,
	}
	for text, want := range validations {
		if _, err := parseValidation(json.RawMessage(text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	event := `{"uuid":"1","event":"ChargingPausedEVSE","timestamp":"2026-01-01T00:00:00.000Z","charging_paused_evse":{"reasons":[%s]}}`
	for reason, want := range map[string]bool{"2": true, `"NoEnergy"`: false} {
		if _, err := parseSessionEvent(fmt.Appendf(nil, event, reason)); (err == nil) != want {
			t.Errorf("reason %s: %v", reason, err)
		}
	}
}

// heard is an errorConsumer that counts.
type heard struct {
	errorHistory
	raises, clears int
}

func (h *heard) raised(errorObject)  { h.raises++ }
func (h *heard) cleared(errorObject) { h.clears++ }

func TestGlobalErrorsAreComparedAsTheFrameworkDoes(t *testing.T) {
	const object = `{"data":{"type":"generic/VendorWarning","sub_type":"SUB","message":"m","description":"d","severity":"Low","state":"STATE",
		"timestamp":"2026-01-01T00:00:00.000Z","uuid":"UUID","vendor_id":"v",
		"origin":{"module_id":"MODULE","implementation_id":"main","mapping":{"evse":1}}}}`
	payload := func(state, uuid, module, sub string) []byte {
		return []byte(strings.NewReplacer("STATE", state, "UUID", uuid, "MODULE", module, "SUB", sub).Replace(object))
	}
	tests := []struct {
		name           string
		debug          bool
		payloads       [][]byte
		raises, clears int
	}{
		{"equal identities are one error", false, [][]byte{payload("Active", "1", "a", ""), payload("Active", "2", "a", "")}, 1, 0},
		{"a sub type makes another error", false, [][]byte{payload("Active", "1", "a", ""), payload("Active", "2", "a", "x")}, 2, 0},
		{"one uuid is one error", false, [][]byte{payload("Active", "1", "a", ""), payload("Active", "1", "b", "")}, 1, 0},
		{"a clear with another uuid clears", false, [][]byte{payload("Active", "1", "a", ""), payload("ClearedByModule", "2", "a", "")}, 1, 1},
		{"a clear without a raise is ignored", false, [][]byte{payload("ClearedByModule", "1", "a", "")}, 0, 0},
		{"an unknown module passes at INFO", false, [][]byte{payload("Active", "1", "stranger", "")}, 1, 0},
		{"an unknown module is dropped at DEBUG", true, [][]byte{payload("Active", "1", "stranger", "")}, 0, 0},
		{"a known origin passes at DEBUG", true, [][]byte{payload("Active", "1", "a", "")}, 1, 0},
		{"an incomplete object is dropped", false, [][]byte{[]byte(`{"data":{"type":"generic/VendorWarning","state":"Active"}}`)}, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			manager := newErrorManager(&Board{
				Modules: map[string][]string{"a": {"main"}, "b": {"main"}}, Debug: test.debug,
				KnowsError: func(name string) bool { return name == "generic/VendorWarning" },
			})
			var consumer heard
			for _, payload := range test.payloads {
				manager.receive(payload, &consumer)
			}
			if consumer.raises != test.raises || consumer.clears != test.clears {
				t.Errorf("%d raises and %d clears, want %d and %d", consumer.raises, consumer.clears, test.raises, test.clears)
			}
		})
	}
}

// TestHistoryFindsAClearByItsUUID: the global manager clears by identity, ErrorHistory by uuid.
func TestHistoryFindsAClearByItsUUID(t *testing.T) {
	history := newErrorHistory(nil)
	history.raised(errorObject{Type: "generic/VendorWarning", UUID: "1", State: "Active"})
	history.cleared(errorObject{Type: "generic/VendorWarning", UUID: "2"})
	active := "Active"
	if found := history.find(&active, nil); len(found) != 1 {
		t.Errorf("%d errors are active, want 1", len(found))
	}
	history.cleared(errorObject{Type: "generic/VendorWarning", UUID: "1"})
	if found := history.find(&active, nil); len(found) != 0 {
		t.Errorf("%d errors are active, want none", len(found))
	}
}

// TestStatusNotificationsAreOCPPs: the frames of a connector whose errors come and go while its status changes.
func TestStatusNotificationsAreOCPPs(t *testing.T) {
	var sent []string
	connector := &ocppConnector{id: 2, status: available, send: func(_ string, payload map[string]any) {
		sent = append(sent, fmt.Sprintln(payload["status"], payload["errorCode"], payload["info"], payload["vendorErrorCode"]))
	}}
	other := errorObject{Type: "generic/VendorError", SubType: "x", UUID: "1", Origin: errorFrom{Module: "connector_2", Implementation: "satellite"}}
	fault := errorObject{Type: "evse_manager/Inoperative", Message: "connector_2: away", Description: "CommunicationFault", UUID: "2"}
	connector.raise(other)
	connector.move("Preparing")
	connector.raise(errorObject{Type: "ac_rcd/MREC2GroundFailure", UUID: "3"})
	connector.raise(fault)
	connector.move(available) // not told while it is faulted
	connector.clear("2")
	connector.clear("3")
	connector.clear("1")
	want := `Available OtherError connector_2->satellite VendorError/x
Preparing OtherError <nil> VendorError/x
Preparing GroundFailure <nil> CX002
Faulted OtherError caused_by:connector_2: away CommunicationFault
Available GroundFailure <nil> CX002
Available OtherError connector_2->satellite VendorError/x
Available NoError <nil> <nil>
`
	if got := strings.Join(sent, ""); got != want {
		t.Errorf("sent\n%s", got)
	}
}

// TestNothingIsSentBeforeTheRegistration: until BootNotification is Accepted only the messages of transactions are kept.
func TestNothingIsSentBeforeTheRegistration(t *testing.T) {
	var sent []string
	o := newOCPP(&Board{Backend: func(action string, payload map[string]any) {
		sent = append(sent, strings.TrimSpace(fmt.Sprintln(action, payload["connectorId"], payload["status"])))
	}}, nil)
	o.ports = make([]*everest.Required, 1)
	o.boot()
	o.raised(errorObject{Type: "generic/VendorWarning", UUID: "1"})
	o.sessionEvent(1, json.RawMessage(`{"uuid":"1","event":"SessionStarted","timestamp":"2026-01-01T00:00:00.000Z"}`))
	o.send("StartTransaction", map[string]any{"connectorId": 1})
	o.send("FirmwareStatusNotification", map[string]any{"status": "Installed"})
	if len(sent) != 1 {
		t.Errorf("before the registration the backend gets %q", sent)
	}
	o.register()
	o.send("FirmwareStatusNotification", map[string]any{"status": "Idle"})
	want := []string{
		"BootNotification <nil> <nil>", "StatusNotification 0 Available", "StatusNotification 1 Preparing", "StartTransaction 1 <nil>",
		"FirmwareStatusNotification <nil> Idle",
	}
	if !slices.Equal(sent, want) {
		t.Errorf("the backend gets %q, want %q", sent, want)
	}
}
