package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// The voltage in volt and the current in ampere that the car of a DC session asks for.
const (
	dcVoltage = 400.0
	dcCurrent = 10.0
)

// dcSession: a satellite with EVerest's simulated DC hardware charges by ISO 15118. The part of the car is played at
// DummyV2G, which has the interface of a module for ISO 15118 and no car.
func dcSession(r *Run) {
	r.sameModes()
	r.main.allow(dcExtendedMode)
	car := dcCar{r}
	if !car.arrive() || !car.tell("selected_payment_option", "ExternalPayment") || !car.tell("require_auth_eim", nil) {
		return
	}
	seen := len(r.tap.recorder.Messages())
	mark := r.journal.mark()
	if !r.do("present a card", r.mainCard("CARD1")) {
		return
	}
	car.called("the car's module hears that the driver is authorised", seen, "authorization_response", is("authorization_status", "Accepted"))
	if !r.need("session of the DC car: transaction", mark, session(remote, "TransactionStarted")) {
		return
	}
	car.charge(mark)
	r.expect("the backend gets StartTransaction of EVSE 2", mark, started(remote, "CARD1"))
}

// dcExtendedMode is the index of the energy transfer mode DC_extended.
const dcExtendedMode = 4

// knownContract: a car at the satellite has a contract whose root certificate the satellite has. The token crosses with
// the hashes of its certificates to OCPP, which asks the backend.
func knownContract(r *Run) {
	hash := map[string]any{
		"hashAlgorithm": "SHA256", "issuerNameHash": "00aa", "issuerKeyHash": "11bb", "serialNumber": "22cc", "responderURL": "http://ocsp.test",
	}
	r.contract([]any{hash}, "the backend validates the contract by its hashes", `"issuerKeyHash":"11bb"`)
	r.newCertificate()
}

// unknownContract: the satellite does not have the root certificate of the contract, and OCPP sends the contract to the
// backend.
func unknownContract(r *Run) {
	r.contract(nil, "the backend validates the contract by its certificate", "contract of the proof")
}

// contract has a car with a contract certificate charge at the satellite. The request to the backend must have evidence.
func (r *Run) contract(hashes []any, check, evidence string) {
	car := dcCar{r}
	seen := len(r.tap.recorder.Messages())
	if !r.need("OCPP connects to the backend", 0, connectedToBackend) || !car.arrive() {
		return
	}
	car.called("the backend's permission to forward contracts has crossed", seen, "session_setup", func(arguments json.RawMessage) bool {
		return strings.Contains(string(arguments), `"central_contract_validation_allowed":true`)
	})
	if !car.tell("selected_payment_option", "Contract") {
		return
	}
	mark := r.journal.mark()
	seen = len(r.tap.recorder.Messages())
	presented := map[string]any{
		"id_token": map[string]any{"value": emaid, "type": "eMAID"}, "authorization_type": "PlugAndCharge", "certificate": contractCertificate,
	}
	if hashes != nil {
		presented["iso15118CertificateHashData"] = hashes
	}
	if !car.tell("require_auth_pnc", presented) {
		return
	}
	r.expect("the token comes with its certificate, for EVSE 2", mark, func(o Observation) bool {
		var t struct {
			Certificate string
			Connectors  []int
		}
		return o.Kind == token && json.Unmarshal(o.Value, &t) == nil && t.Certificate == contractCertificate && slices.Equal(t.Connectors, []int{remote})
	})
	r.expect(check, mark, func(o Observation) bool {
		data, asked := contractData(o, "Authorize")
		return asked && strings.Contains(data, emaid) && strings.Contains(data, evidence)
	})
	r.need("session by the contract: transaction", mark, session(remote, "TransactionStarted"))
	r.absent("the contract authorises nothing at the local EVSE", mark, session(local, "Authorized"))
	car.called("the car's module hears the status of the certificate", seen, "authorization_response", is("certificate_status", "Accepted"))
	r.expect("the backend gets StartTransaction of EVSE 2", mark, started(remote, emaid))
	car.charge(mark)
}

const (
	emaid               = "DETST123456789"
	contractCertificate = "-----BEGIN CERTIFICATE-----\ncontract of the proof\n-----END CERTIFICATE-----\n"
)

// newCertificate: a car asks for a contract certificate. Its message crosses to the backend, and the answer comes back.
func (r *Run) newCertificate() {
	mark := r.journal.mark()
	request := map[string]any{"exi_request": "cmVxdWVzdA==", "iso15118_schema_version": "urn:iso:15118:2:2013:MsgDef", "certificate_action": "Install"}
	if !r.do("ask for a certificate", func(ctx context.Context) error {
		return r.satellite.connected().Provides(extensions).Publish(ctx, "iso15118_certificate_request", request)
	}) {
		return
	}
	r.expect("the backend gets the car's request for a certificate", mark, func(o Observation) bool {
		data, asked := contractData(o, "Get15118EVCertificate")
		return asked && strings.Contains(data, "cmVxdWVzdA==")
	})
	r.expect("the satellite gets the backend's answer", mark, func(o Observation) bool {
		return o.Place == onSatellite && o.Kind == certificate && strings.Contains(string(o.Value), exiResponse)
	})
}

// contractData returns the data of a DataTransfer for Plug and Charge.
func contractData(o Observation, messageID string) (string, bool) {
	var m struct{ VendorID, MessageID, Data string }
	asked := o.Kind == message && o.Name == "DataTransfer" && json.Unmarshal(o.Value, &m) == nil && m.MessageID == messageID
	return m.Data, asked
}

// observeExtensions records the answers for the car.
func (p *probe) observeExtensions(module *everest.Module) {
	module.Provides(extensions).Handle("set_get_certificate_response", func(_ context.Context, arguments everest.Args) (any, error) {
		p.journal.add(Observation{Place: p.place, Kind: certificate, EVSE: remote, Name: "answer", Value: arguments["certificate_response"]})
		return nil, nil
	})
}

// dcCar plays a car at the satellite.
type dcCar struct{ *Run }

// tell has a variable published as the car would cause it.
func (c dcCar) tell(variable string, value any) bool {
	return c.do(variable, func(ctx context.Context) error { return c.tap.publish(ctx, variable, value) })
}

// called expects a call of the module for ISO 15118.
func (c dcCar) called(check string, seen int, command string, match func(json.RawMessage) bool) bool {
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.patience.Checks, errPatience)
	defer cancel()
	found, err := c.tap.called(ctx, seen, command, match)
	if err != nil {
		return c.record(check, errPatience.Error(), false)
	}
	return c.record(check, string(found), true)
}

// is matches arguments with a member of that text.
func is(member, text string) func(json.RawMessage) bool {
	return func(arguments json.RawMessage) bool {
		var members map[string]json.RawMessage
		return json.Unmarshal(arguments, &members) == nil && string(members[member]) == `"`+text+`"`
	}
}

// arrive plugs in the car and waits for the connection of car and EVSE.
func (c dcCar) arrive() bool {
	mark, seen := c.journal.mark(), len(c.tap.recorder.Messages())
	return c.do("plug in", c.satellite.plugInDC) &&
		c.need("the DC car is plugged in", mark, session(remote, "SessionStarted")) &&
		c.called("the data link to the car is up", seen, "dlink_ready", func(arguments json.RawMessage) bool { return strings.Contains(string(arguments), "true") }) &&
		c.tell("evcc_id", "00:11:22:33:44:55")
}

// charge goes through the states of a DC session and ends it.
func (c dcCar) charge(mark int) {
	seen := len(c.tap.recorder.Messages())
	steps := c.tell("requested_energy_transfer_mode", "DC_extended") &&
		c.tell("dc_ev_maximum_limits", map[string]any{"dc_ev_maximum_current_limit": 200, "dc_ev_maximum_power_limit": 100000, "dc_ev_maximum_voltage_limit": 500}) &&
		c.tell("dc_ev_status", map[string]any{"dc_ev_ready": true, "dc_ev_error_code": "NO_ERROR", "dc_ev_ress_soc": 30}) &&
		c.tell("start_cable_check", nil) &&
		c.called("the cable check ends well", seen, "cable_check_finished", func(arguments json.RawMessage) bool { return strings.Contains(string(arguments), "true") }) &&
		c.tell("start_pre_charge", nil) && c.target(2) &&
		c.called("the voltage is that of the car", seen, "update_dc_present_values", present(dcVoltage, 0)) &&
		c.tell("v2g_setup_finished", nil) && c.tell("current_demand_started", nil) && c.target(dcCurrent)
	if !steps {
		return
	}
	c.expect("the DC car charges", mark, session(remote, "ChargingStarted"))
	c.called("the current is what the car asked for", seen, "update_dc_present_values", present(dcVoltage, dcCurrent))
	c.figure(fmt.Sprintf("%g A at %g V", dcCurrent, dcVoltage))
	if c.tell("current_demand_finished", nil) && c.tell("dc_open_contactor", nil) && c.tell("dlink_terminate", nil) {
		c.unplug(remote, "the DC car is unplugged")
	}
	c.expect("the transaction ends at the main board", mark, session(remote, "TransactionFinished"))
}

func (c dcCar) target(current float64) bool {
	return c.tell("dc_ev_target_voltage_current", map[string]any{"dc_ev_target_voltage": dcVoltage, "dc_ev_target_current": current})
}

// present matches the present values of a DC EVSE that are at most 5 % off. A current of 0 matches any.
func present(voltage, current float64) func(json.RawMessage) bool {
	near := func(value, want float64) bool { return want == 0 || math.Abs(value-want) <= 0.05*want }
	return func(arguments json.RawMessage) bool {
		var values struct {
			Present struct {
				Voltage float64 `json:"evse_present_voltage"`
				Current float64 `json:"evse_present_current"`
			} `json:"present_voltage_current"`
		}
		return json.Unmarshal(arguments, &values) == nil && near(values.Present.Voltage, voltage) && near(values.Present.Current, current)
	}
}

// plugInDC plugs in a car that speaks ISO 15118.
func (p *probe) plugInDC(ctx context.Context) error {
	return p.connected().PublishExternal(ctx, plugTopic, fmt.Appendf(nil, "sleep 0.2;iso_wait_slac_matched;iso_draw_power_regulated %g,3;sleep 36000", dcCurrent))
}
