package proof

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
)

// probeID is the module id of the probe on both boards, so that the errors of both have equal origins.
const probeID = "probe"

// The implementations that a probe raises errors on.
const (
	powerpath  = "powerpath"
	powerpath2 = "powerpath2"
)

// extensions is the implementation of the satellite's probe that asks for certificates, as a module for ISO 15118 does.
const extensions = "extensions"

//go:embed manifests
var manifests embed.FS

// manifestOf returns the manifest of a probe by its module's name.
func manifestOf(module string) []byte {
	manifest, err := manifests.ReadFile("manifests/" + module + ".yaml")
	if err != nil {
		return nil
	}
	return manifest
}

// probe is the module through which the proof looks at a board.
type probe struct {
	place   string
	journal *journal
	// evses are the EVSEs that the probe is connected to.
	evses []int
	ready chan struct{}
	// once closes ready, also where the board starts again.
	once sync.Once

	mu     sync.Mutex
	module *everest.Module
	// allowed are the energy transfer modes that the validator allows, as integers; nil for none.
	allowed []int
}

func newMainProbe(j *journal) *probe {
	return &probe{place: onMain, journal: j, evses: []int{local, remote}, ready: make(chan struct{})}
}

func newSatelliteProbe(j *journal) *probe {
	return &probe{place: onSatellite, journal: j, evses: []int{remote}, ready: make(chan struct{})}
}

// run is the life of the module.
func (p *probe) run(ctx context.Context, options everest.Options) error {
	options.UncheckedCalls = true // what the boards make of a call is what the proof is about
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	p.mu.Lock()
	p.module = module
	p.mu.Unlock()
	for i, evse := range module.Requires("evse_manager") {
		p.observe(evse, p.evses[i])
	}
	if p.place == onMain {
		p.observeMain(module)
	} else {
		p.observeExtensions(module)
	}
	module.OnReady(func(context.Context) error {
		p.once.Do(func() { close(p.ready) })
		p.journal.add(Observation{Place: p.place, Kind: up, Name: "ready"})
		return nil
	})
	return module.Run(ctx)
}

// observe records what an EVSE publishes.
func (p *probe) observe(port *everest.Required, evse int) {
	record := func(kind string) everest.VariableHandler {
		return func(_ context.Context, value json.RawMessage) {
			p.journal.add(Observation{Place: p.place, Kind: kind, EVSE: evse, Name: nameOf(value), Ampere: ampereOf(value), Value: value})
		}
	}
	port.Subscribe("session_event", record(sessionEvent))
	port.Subscribe("enforced_limits", record(limit))
	port.Subscribe("powermeter", record(reading))
	port.Subscribe("supported_energy_transfer_modes", record(modes))
	port.SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
		p.journal.add(Observation{Place: p.place, Kind: fault, EVSE: evse, Name: event.Error.Type, Raised: event.Raised})
	})
}

func (p *probe) observeMain(module *everest.Module) {
	everest.Subscribe(module.Requires("auth")[0], "token_validation_status", func(_ context.Context, value struct{ Status string }) {
		p.journal.add(Observation{Place: p.place, Kind: tokenStatus, Name: value.Status})
	})
	module.Requires("token_provider")[0].Subscribe("provided_token", func(_ context.Context, value json.RawMessage) {
		p.journal.add(Observation{Place: p.place, Kind: token, EVSE: remote, Name: "token", Value: value})
	})
	module.Provides("validator").Handle("validate_token", func(context.Context, everest.Args) (any, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		result := map[string]any{"authorization_status": "Accepted", "tariff_messages": []any{}}
		if p.allowed != nil {
			result["allowed_energy_transfer_modes"] = p.allowed
		}
		return result, nil
	})
}

// nameOf returns the member event of a session event, and "" for any other value.
func nameOf(value json.RawMessage) string {
	var event struct{ Event string }
	if json.Unmarshal(value, &event) != nil {
		return ""
	}
	return event.Event
}

// ampereOf returns the current of an EnforcedLimits, and 0 for any other value.
func ampereOf(value json.RawMessage) float64 {
	var limits struct {
		Side struct {
			Current struct{ Value float64 } `json:"ac_max_current_A"`
		} `json:"limits_root_side"`
	}
	if json.Unmarshal(value, &limits) != nil {
		return 0
	}
	return limits.Side.Current.Value
}

func (p *probe) connected() *everest.Module {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.module
}

// allow makes the validator return a list of energy transfer modes, as integers.
func (p *probe) allow(modes ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = modes
}

// card presents a card. Without connectors it is for any EVSE.
func (p *probe) card(ctx context.Context, number string, connectors ...int) error {
	token := map[string]any{
		"id_token": map[string]any{"value": number, "type": "ISO14443"}, "authorization_type": "RFID",
	}
	if len(connectors) > 0 {
		token["connectors"] = connectors
	}
	return p.connected().Provides("reader").Publish(ctx, "provided_token", token)
}

// vendorWarning is an error that stops no session.
const vendorWarning = "evse_board_support/VendorWarning"

// raise raises a warning of an origin and returns its uuid.
func (p *probe) raise(ctx context.Context, implementation string) (string, error) {
	origin := p.connected().Provides(implementation)
	if err := origin.Raise(ctx, everest.Error{Type: vendorWarning, Message: "raised by the proof"}); err != nil {
		return "", err
	}
	active := origin.ActiveErrors()
	if len(active) != 1 {
		return "", fmt.Errorf("%d errors of %s are active", len(active), implementation)
	}
	return active[0].UUID, nil
}

func (p *probe) clear(ctx context.Context, implementation string) error {
	return p.connected().Provides(implementation).Clear(ctx, vendorWarning, "")
}

// The topics of the simulators.
const (
	plugTopic   = "everest_external/nodered/1/carsim/cmd/execute_charging_session"
	modifyTopic = "everest_external/nodered/1/carsim/cmd/modify_charging_session"
	faultTopic  = "everest_external/nodered/1/carsim/error"
)

// plugIn plugs in the car of the board, which then charges until it is unplugged.
func (p *probe) plugIn(ctx context.Context) error {
	return p.connected().PublishExternal(ctx, plugTopic, []byte("sleep 0.2;iec_wait_pwr_ready;draw_power_regulated 16,3;sleep 36000"))
}

func (p *probe) unplug(ctx context.Context) error {
	return p.connected().PublishExternal(ctx, modifyTopic, []byte("unplug"))
}

// breakContactor raises or clears a fault of the board's hardware, for which EvseManager raises Inoperative.
func (p *probe) breakContactor(ctx context.Context, raise bool) error {
	return p.connected().PublishExternal(ctx, faultTopic, fmt.Appendf(nil, `{"error_type":"MREC17EVSEContactorFault","raise":"%t"}`, raise))
}
