package strict

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// The states of an EVSE, by the names of EVerest's interface energy.
const (
	unplugged       = "Unplugged"
	waitForAuth     = "WaitForAuth"
	prepareCharging = "PrepareCharging"
	charging        = "Charging"
	pausedEVSE      = "PausedEVSE"
	finished        = "Finished"
)

// minCurrent is the least current in ampere with which a car charges.
const minCurrent = 6

// The indices of the enumeration PauseChargingEVSEReasonEnum.
const (
	pausedByUser = iota
	_            // Error
	pausedForEnergy
)

// evseManager stands in for EvseManager, with a simulated car that starts to charge when it may. It obeys limits only if
// they have its module id as uuid, and only as long as they are valid.
type evseManager struct {
	module       *everest.Module
	evse, energy *everest.Provided
	config       struct {
		ConnectorID int  `everest:"connector_id"`
		HLC         bool `everest:"ac_hlc_enabled"`
		External    bool `everest:"external_ready_to_start_charging"`
	}

	mu      sync.Mutex
	state   string
	session string
	token   json.RawMessage
	paused  bool
	limit   float64
	until   time.Time
	// register is what the meter shows in Wh. It restarts at 0 with each car, as that of YetiSimulator.
	register float64
	// external has a value when OCPP lets the EVSE be ready.
	external chan struct{}
}

func newEvseManager() *evseManager {
	return &evseManager{state: unplugged, external: make(chan struct{}, 1)}
}

func (m *evseManager) setUp(module *everest.Module) error {
	if err := module.DecodeConfig(&m.config); err != nil {
		return err
	}
	m.module, m.evse, m.energy = module, module.Provides("evse"), module.Provides("energy_grid")
	m.provide()
	m.energy.Handle("enforce_limits", m.enforce)
	// These are the topics of the simulators that a real station has beside its EvseManager.
	module.SubscribeExternal("everest_external/nodered/1/carsim/cmd/execute_charging_session", func(ctx context.Context, _ string, _ []byte) {
		m.change(ctx, m.plug)
	})
	module.SubscribeExternal("everest_external/nodered/1/carsim/cmd/modify_charging_session", func(ctx context.Context, _ string, payload []byte) {
		if string(payload) == "unplug" {
			m.change(ctx, m.unplug)
		}
	})
	module.SubscribeExternal("everest_external/nodered/1/carsim/error", m.fault)
	module.OnReady(m.run)
	return nil
}

// provide answers the commands of the EVSE.
func (m *evseManager) provide() {
	m.evse.Handle("get_evse", func(context.Context, everest.Args) (any, error) {
		return map[string]any{"id": m.config.ConnectorID, "connectors": []any{map[string]any{"id": 1}}}, nil
	})
	m.evse.Handle("authorize_response", func(ctx context.Context, arguments everest.Args) (any, error) {
		if _, err := parseToken(arguments["provided_token"]); err != nil {
			return nil, err
		}
		result, err := parseValidation(arguments["validation_result"])
		if err != nil {
			return nil, err
		}
		if result.Status == "Accepted" {
			m.change(ctx, func(ctx context.Context) { m.authorize(ctx, arguments["provided_token"]) })
		}
		return nil, nil
	})
	m.evse.Handle("stop_transaction", func(ctx context.Context, _ everest.Args) (any, error) {
		stopped := false
		m.change(ctx, func(ctx context.Context) { stopped = m.stop(ctx, "Local") })
		return stopped, nil
	})
	m.evse.Handle("pause_charging", func(ctx context.Context, _ everest.Args) (any, error) {
		m.change(ctx, func(ctx context.Context) {
			m.paused = true
			m.pause(ctx, pausedByUser)
		})
		return true, nil
	})
	m.evse.Handle("resume_charging", func(ctx context.Context, _ everest.Args) (any, error) {
		m.change(ctx, func(ctx context.Context) {
			m.paused = false
			m.resume(ctx)
		})
		return true, nil
	})
	m.evse.Handle("update_allowed_energy_transfer_modes", func(_ context.Context, arguments everest.Args) (any, error) {
		var modes []string
		if err := arguments.Decode("allowed_energy_transfer_modes", &modes); err != nil {
			return nil, err
		}
		if !m.config.HLC {
			return "NoHlc", nil
		}
		return "IncompatibleEnergyTransfer", nil // whatever the modes are: 2026.02.0 filters into a list that stays empty
	})
	m.evse.Handle("external_ready_to_start_charging", func(context.Context, everest.Args) (any, error) {
		select {
		case m.external <- struct{}{}:
		default:
		}
		return true, nil
	})
	for command, answer := range map[string]any{
		"withdraw_authorization": nil, "enable_disable": true, "reserve": true, "cancel_reservation": nil, "force_unlock": true,
		"set_plug_and_charge_configuration": nil,
	} {
		m.evse.Handle(command, func(context.Context, everest.Args) (any, error) { return answer, nil })
	}
}

// waitExternal publishes whether the EVSE waits for OCPP before it is ready, and waits.
func (m *evseManager) waitExternal(ctx context.Context) {
	m.publish(ctx, "waiting_for_external_ready", m.config.External)
	if !m.config.External {
		return
	}
	select {
	case <-m.external:
	case <-ctx.Done():
	}
}

// run publishes what an EvseManager publishes at its start, and then requests energy again and again.
func (m *evseManager) run(ctx context.Context) error {
	m.change(ctx, m.resumeStored)
	m.waitExternal(ctx)
	modes := []string{}
	if m.config.HLC {
		modes = []string{"AC_single_phase_core", "AC_three_phase_core"}
	}
	m.publish(ctx, "supported_energy_transfer_modes", modes)
	m.change(ctx, func(ctx context.Context) { m.tell(ctx, "Enabled", nil) })
	m.publish(ctx, "ready", true)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		m.change(ctx, func(ctx context.Context) {
			if m.limit >= minCurrent && time.Now().After(m.until) {
				m.limit = 0
				m.pause(ctx, pausedForEnergy)
			}
			m.read(ctx)
			m.request(ctx, false)
		})
	}
}

func (m *evseManager) publish(ctx context.Context, variable string, value any) {
	// A broker that is gone ends the module elsewhere.
	_ = m.evse.Publish(ctx, variable, value)
}

// change runs fn, which may change the state of the EVSE.
func (m *evseManager) change(ctx context.Context, fn func(context.Context)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn(ctx)
}

// tell publishes a session event with one further member.
func (m *evseManager) tell(ctx context.Context, event string, member map[string]any) {
	value := map[string]any{"event": event, "timestamp": timestamp(), "uuid": m.session}
	for name, content := range member {
		value[name] = content
	}
	m.publish(ctx, "session_event", value)
}

// volts is the voltage of all three phases together.
const volts = 3 * 230

// simulated is how long an interval is for the car, so that its energy fits to what the real modules have.
const simulated = time.Second

// read publishes a reading of the meter.
func (m *evseManager) read(ctx context.Context) {
	m.register += m.draws() * volts * simulated.Hours()
	m.publish(ctx, "powermeter", m.meterValue())
}

// draws returns what the car draws in ampere on each phase.
func (m *evseManager) draws() float64 {
	if m.state != charging {
		return 0
	}
	return min(m.limit, 16)
}

func (m *evseManager) meterValue() map[string]any {
	return map[string]any{
		"timestamp": timestamp(), "energy_Wh_import": map[string]any{"total": m.register},
		"current_A": map[string]any{"L1": m.draws(), "L2": m.draws(), "L3": m.draws()},
	}
}

func (m *evseManager) request(ctx context.Context, priority bool) {
	source := m.module.ID() + "/evse_board_support_caps"
	slots := []energyDemand{{Timestamp: timestamp(), ToRoot: energyLimits{&ampere{source, 32}}}}
	_ = m.energy.Publish(ctx, "energy_flow_request", energyFlow{
		UUID: m.module.ID(), Children: []energyFlow{}, NodeType: "Evse", Priority: priority, EVSEState: m.state,
		Import: slots, Export: []energyDemand{}, Setpoints: []any{},
	})
}

func (m *evseManager) enforce(ctx context.Context, arguments everest.Args) (any, error) {
	var limits enforcedLimits
	if err := strictly(arguments["value"], &limits, "uuid", "valid_for", "schedule", "limits_root_side"); err != nil {
		return nil, err
	}
	if limits.UUID != m.module.ID() {
		return nil, nil
	}
	m.publish(ctx, "enforced_limits", arguments["value"])
	m.change(ctx, func(ctx context.Context) {
		m.limit = 0
		if limits.RootSide.Current != nil {
			m.limit = limits.RootSide.Current.Value
		}
		m.until = time.Now().Add(time.Duration(limits.ValidFor) * time.Second)
		if m.limit < minCurrent {
			m.pause(ctx, pausedForEnergy)
		} else {
			m.resume(ctx)
		}
	})
	return nil, nil
}

func (m *evseManager) plug(ctx context.Context) {
	if m.state != unplugged {
		return
	}
	m.state = waitForAuth
	if m.token != nil { // the driver has been authorised before the car came
		m.begin(ctx)
		return
	}
	m.startSession(ctx, "EVConnected")
	m.tell(ctx, "AuthRequired", nil)
	m.request(ctx, true)
}

func (m *evseManager) startSession(ctx context.Context, reason string) {
	m.session, m.paused, m.register = rand.Text(), false, 0
	m.tell(ctx, "SessionStarted", map[string]any{"session_started": map[string]any{"reason": reason, "meter_value": m.meterValue()}})
}

func (m *evseManager) authorize(ctx context.Context, provided json.RawMessage) {
	if m.token != nil || m.state != waitForAuth && m.state != unplugged {
		return
	}
	if m.state == unplugged {
		m.startSession(ctx, "Authorized")
	}
	m.token = provided
	m.tell(ctx, "Authorized", map[string]any{"authorization_event": map[string]any{"meter_value": m.meterValue()}})
	if m.state == waitForAuth {
		m.begin(ctx)
	}
}

// begin starts the transaction of a car that is plugged in and of a driver who is authorised.
func (m *evseManager) begin(ctx context.Context) {
	m.state = prepareCharging
	m.storeSession(ctx, m.session)
	m.tell(ctx, "TransactionStarted", map[string]any{"transaction_started": map[string]any{"id_tag": m.token, "meter_value": m.meterValue()}})
	m.tell(ctx, "PrepareCharging", nil)
	m.resume(ctx)
}

// resume starts to charge, if the EVSE may.
func (m *evseManager) resume(ctx context.Context) {
	if m.limit < minCurrent || m.paused || m.state != prepareCharging && m.state != pausedEVSE {
		return
	}
	m.state = charging
	m.tell(ctx, "ChargingStarted", map[string]any{"charging_state_changed_event": map[string]any{"meter_value": m.meterValue()}})
}

// pause ends a charging that may be taken up again.
func (m *evseManager) pause(ctx context.Context, reason int) {
	if m.state != charging {
		return
	}
	m.state = pausedEVSE
	m.tell(ctx, "ChargingPausedEVSE", map[string]any{
		"charging_paused_evse":         map[string]any{"reasons": []int{reason}},
		"charging_state_changed_event": map[string]any{"meter_value": m.meterValue()},
	})
}

// stop ends the transaction, and reports whether there was one.
func (m *evseManager) stop(ctx context.Context, reason string) bool {
	if m.state != prepareCharging && m.state != charging && m.state != pausedEVSE {
		return false
	}
	m.state = finished
	m.tell(ctx, "StoppingCharging", nil)
	m.tell(ctx, "ChargingFinished", nil)
	m.storeSession(ctx, "")
	m.tell(ctx, "TransactionFinished", map[string]any{
		"transaction_finished": map[string]any{"reason": reason, "id_tag": m.token, "meter_value": m.meterValue()},
	})
	return true
}

func (m *evseManager) unplug(ctx context.Context) {
	if m.state == unplugged {
		return
	}
	m.stop(ctx, "EVDisconnected")
	m.state = unplugged
	m.tell(ctx, "SessionFinished", map[string]any{"session_finished": map[string]any{"meter_value": m.meterValue()}})
	m.session, m.token = "", nil
}

// fault raises or clears Inoperative, as EvseManager does for a fatal error of its hardware.
func (m *evseManager) fault(ctx context.Context, _ string, payload []byte) {
	var reported struct {
		Type  string `json:"error_type"`
		Raise string `json:"raise"`
	}
	if err := json.Unmarshal(payload, &reported); err != nil {
		return
	}
	const inoperative = "evse_manager/Inoperative"
	if reported.Raise == "true" {
		_ = m.evse.Raise(ctx, everest.Error{Type: inoperative, Severity: everest.SeverityHigh, Message: "evse_board_support/" + reported.Type})
		return
	}
	_ = m.evse.Clear(ctx, inoperative, "")
}
