package satellite_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// The controller's status has the EVSE as the main board's modules know it, through a session, a fault and a lost board.
func TestControllersStatusHasItsEVSE(t *testing.T) {
	_, controller := controlSockets(t)
	o := startOccupied(t, nil)
	o.boots("")
	// await returns the EVSE once it has the state.
	await := func(state control.EVSEState) *control.EVSE {
		t.Helper()
		return statusOf(t, controller, func(status *control.Status) bool { return status.EVSE != nil && status.EVSE.State == state }).EVSE
	}
	await(control.EVSEAvailable)
	o.expect("waiting_for_external_ready false", "ready true")
	o.charges("A")
	await(control.EVSEPreparing)
	o.says("ChargingStarted", "A", "")
	o.publish("powermeter", `{"energy_Wh_import":{"total":105},"power_W":{"total":7200},"timestamp":"2026-11-26T18:42:00.000Z"}`)
	evse := statusOf(t, controller, func(status *control.Status) bool { return status.EVSE.Power != nil }).EVSE
	if evse.State != control.EVSECharging || *evse.Power != 7200 || *evse.SessionEnergy != 100 || evse.TokenKind != "RFID" || evse.SessionSince == nil {
		t.Errorf("charging: %+v", evse)
	}
	if text, err := json.Marshal(evse); err != nil || strings.Contains(string(text), "CARD") {
		t.Errorf("the status names the token: %s, %v", text, err)
	}

	welded := everest.Error{Type: "evse_manager/MREC4OverCurrentFailure", Severity: everest.SeverityHigh, Message: "16 A are exceeded"}
	provided := o.satellite.port.module.Provides("evse_manager")
	if err := provided.Raise(t.Context(), welded); err != nil {
		t.Fatal(err)
	}
	evse = await(control.EVSEFaulted)
	if len(evse.Errors) != 1 || evse.Errors[0].Type != welded.Type || evse.Errors[0].Severity != "High" || !strings.Contains(evse.Errors[0].Text, "16 A") || evse.Errors[0].Since.IsZero() {
		t.Errorf("faulted: %+v", evse.Errors)
	}
	if err := provided.Clear(t.Context(), welded.Type, ""); err != nil {
		t.Fatal(err)
	}
	await(control.EVSECharging)

	o.cable.takeOut()
	if evse = await(control.EVSEUnknown); evse.LastState != control.EVSECharging || evse.SessionSince == nil || evse.Power != nil {
		t.Errorf("without a link: %+v", evse)
	}
	evse = statusOf(t, controller, func(status *control.Status) bool { return status.EVSE.OutOfService != "" }).EVSE
	if !strings.Contains(evse.OutOfService, "no link to the satellite") || evse.State != control.EVSEUnknown {
		t.Errorf("out of service: %+v", evse)
	}
	o.cable.heal()
	if evse = await(control.EVSECharging); evse.OutOfService != "" || len(evse.Errors) != 0 {
		t.Errorf("back: %+v", evse)
	}
}

// At the satellite the agent's status has the EVSE too, and goes on when the main board is gone.
func TestAgentsStatusHasItsEVSE(t *testing.T) {
	agent, controller := controlSockets(t)
	o := startOccupied(t, nil)
	o.boots("")
	await := func(wanted func(*control.EVSE) bool) *control.EVSE {
		t.Helper()
		return statusOf(t, agent, func(status *control.Status) bool { return status.EVSE != nil && wanted(status.EVSE) }).EVSE
	}
	in := func(state control.EVSEState) func(*control.EVSE) bool {
		return func(evse *control.EVSE) bool { return evse.State == state }
	}
	await(in(control.EVSEAvailable))
	o.expect("waiting_for_external_ready false", "ready true")
	o.charges("A")
	if peer := statusOf(t, controller, func(status *control.Status) bool { return status.Peer.Status != nil }).Peer.Status; peer.EVSE != nil {
		t.Errorf("the controller gets the EVSE a second time: %+v", peer.EVSE)
	}
	o.cable.takeOut()
	o.says("ChargingStarted", "A", "")
	o.publish("powermeter", `{"energy_Wh_import":{"total":105},"power_W":{"total":7200},"timestamp":"2026-11-26T18:42:00.000Z"}`)
	evse := await(func(evse *control.EVSE) bool { return evse.State == control.EVSECharging && evse.Power != nil })
	if *evse.Power != 7200 || *evse.SessionEnergy != 100 || evse.TokenKind != "RFID" || evse.SessionSince == nil || evse.OutOfService != "" {
		t.Errorf("charging: %+v", evse)
	}
	provided := o.satellite.port.module.Provides("evse_manager")
	hot := everest.Error{Type: "evse_manager/MREC4OverCurrentFailure", Severity: everest.SeverityHigh, Message: "16 A are exceeded"}
	if err := provided.Raise(t.Context(), hot); err != nil {
		t.Fatal(err)
	}
	if evse = await(in(control.EVSEFaulted)); len(evse.Errors) != 1 || evse.Errors[0].Text != hot.Message {
		t.Errorf("faulted: %+v", evse.Errors)
	}
	if err := provided.Clear(t.Context(), hot.Type, ""); err != nil {
		t.Fatal(err)
	}
	if evse = await(in(control.EVSECharging)); len(evse.Errors) != 0 {
		t.Errorf("cleared: %+v", evse.Errors)
	}
	o.cable.heal()
}
