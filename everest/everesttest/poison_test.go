package everesttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

const meterManifest = `
description: a power meter that needs a port
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [vendor]}
provides:
  main: {interface: powermeter, description: the meter}
requires:
  port: {interface: evse_manager}
`

// meter is a module that a test makes wrong in one point.
type meter struct {
	handled   map[string]any // results by command, beside those of the healthy module
	unhandled string         // a command without a handler
	prepare   func(*everest.Module)
	init      func(context.Context, *everest.Module)
	ready     func(context.Context, *everest.Module)
	undefined bool          // the module has no definitions
	ends      chan struct{} // the module ends by itself when it is closed
}

// The values of a healthy meter.
var (
	powermeter = json.RawMessage(`{"timestamp":"2026-11-22T10:32:38.363Z","energy_Wh_import":{"total":1}}`)
	started    = json.RawMessage(`{"status":"OK"}`)
	stopped    = json.RawMessage(`{"status":"OK"}`)
)

func (p meter) run(ctx context.Context, options everest.Options) error {
	options.Manifest = []byte(meterManifest)
	if p.undefined {
		options.Definitions, options.UncheckedCalls = nil, true
	}
	m, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer m.Close()
	results := map[string]any{"start_transaction": started, "stop_transaction": stopped}
	for command, result := range p.handled {
		results[command] = result
	}
	delete(results, p.unhandled)
	for command, result := range results {
		m.Provides("main").Handle(command, func(context.Context, everest.Args) (any, error) { return result, nil })
	}
	if p.prepare != nil {
		p.prepare(m)
	}
	m.OnInit(func(ctx context.Context) error {
		if p.init != nil {
			p.init(ctx, m)
		}
		return nil
	})
	m.OnReady(func(ctx context.Context) error {
		if p.ready != nil {
			p.ready(ctx, m)
		}
		// What the module does wrong comes before this, so a test that waits for it has seen everything.
		err := m.Provides("main").Publish(ctx, "powermeter", powermeter)
		if err == nil && p.ends != nil {
			<-p.ends
			m.Fail(everest.ErrShutdown)
		}
		return err
	})
	return m.Run(ctx)
}

// station runs the module in a station, and returns the failures of that test.
func (p meter) station(config everesttest.StationConfig, body func(t testing.TB, station *everesttest.Station)) string {
	config.Manifest = []byte(meterManifest)
	return record(func(t testing.TB) {
		station := everesttest.NewStation(t, config, p.run)
		station.Expect(everesttest.Published("main", "powermeter", powermeter))
		if body != nil {
			body(t, station)
		}
	})
}

func call(command string, arguments any) func(context.Context, *everest.Module) {
	return func(ctx context.Context, m *everest.Module) {
		_ = m.Requires("port")[0].Call(ctx, command, arguments, nil) // the module does not care
	}
}

func publish(variable string, value any) func(context.Context, *everest.Module) {
	return func(ctx context.Context, m *everest.Module) { _ = m.Provides("main").Publish(ctx, variable, value) }
}

// Each of these modules has one fault, and its test fails and names the fault.
func TestPoisonedModules(t *testing.T) {
	ends := make(chan struct{})
	validating := everesttest.StationConfig{Settings: everesttest.Settings{ValidateSchema: true}}
	for name, test := range map[string]struct {
		module meter
		config everesttest.StationConfig
		body   func(testing.TB, *everesttest.Station)
		want   string
	}{
		"undeclared variable": {
			module: meter{ready: publish("powermetre", 3)},
			want:   "module module: implementation main (interface powermeter): variable powermetre is not declared; the interface has powermeter, public_key_ocmf",
		},
		"undeclared variable, no definitions": {
			module: meter{ready: publish("powermetre", 3), undefined: true},
			want:   "implementation main (interface powermeter): variable powermetre is not declared",
		},
		"undeclared variable, validated": {
			module: meter{ready: publish("powermetre", 3)}, config: validating,
			want: "module module: not sent: everest: publish main.powermetre: variable powermeter.powermetre: the interface does not declare it",
		},
		"value": {
			module: meter{ready: publish("powermeter", 3)},
			want:   "module module: implementation main (interface powermeter): variable powermeter.powermeter: got number, want object",
		},
		"value, validated": {
			module: meter{ready: publish("powermeter", 3)}, config: validating,
			want: "module module: not sent: everest: publish main.powermeter: variable powermeter.powermeter: got number, want object",
		},
		"place in the value": {
			module: meter{ready: publish("powermeter", json.RawMessage(`{"timestamp":"2026-11-22T10:32:38.363Z","energy_Wh_import":{"total":"much"}}`))},
			want:   "variable powermeter.powermeter: at /energy_Wh_import/total: got string, want number",
		},
		"missing property": {
			module: meter{ready: publish("powermeter", json.RawMessage(`{"energy_Wh_import":{"total":1}}`))},
			want:   "variable powermeter.powermeter: missing property 'timestamp'",
		},
		"handled command": {
			module: meter{handled: map[string]any{"stop_transactionn": stopped}},
			want: "module module: implementation main (interface powermeter): has a handler, but command stop_transactionn is not declared; " +
				"the interface has start_transaction, stop_transaction",
		},
		"handled command, no definitions": {
			module: meter{handled: map[string]any{"stop_transactionn": stopped}, undefined: true},
			want:   "has a handler, but command stop_transactionn is not declared",
		},
		"no handler": {
			module: meter{unhandled: "stop_transaction"},
			want:   "module module: implementation main (interface powermeter): command stop_transaction has no handler; register one",
		},
		"no handler, no definitions": {
			module: meter{unhandled: "stop_transaction", undefined: true},
			want:   "command stop_transaction has no handler",
		},
		"result": {
			module: meter{handled: map[string]any{"stop_transaction": map[string]any{"status": "Fine"}}},
			body: func(_ testing.TB, s *everesttest.Station) {
				s.Call("main", "stop_transaction", map[string]any{"transaction_id": "1"}, nil)
			},
			want: "implementation main (interface powermeter): result of powermeter.stop_transaction: at /status: value must be one of",
		},
		"result, validated": {
			module: meter{handled: map[string]any{"stop_transaction": map[string]any{"status": "Fine"}}}, config: validating,
			body: func(_ testing.TB, s *everesttest.Station) {
				_ = s.TryCall("main", "stop_transaction", map[string]any{"transaction_id": "1"}, nil)
			},
			want: "not sent: result of powermeter.stop_transaction: at /status: value must be one of",
		},
		"called command": {
			module: meter{ready: call("pause_chargin", nil)},
			want:   "not sent: command pause_chargin is not declared by interface evse_manager",
		},
		"arguments": {
			module: meter{ready: call("enable_disable", map[string]any{"connector_id": "first"})},
			want:   "not sent: argument connector_id of evse_manager.enable_disable: got string, want integer",
		},
		"arguments, no definitions": {
			module: meter{ready: call("enable_disable", map[string]any{"connector_id": "first"}), undefined: true},
			want:   "module module: requirement port (interface evse_manager): argument connector_id of evse_manager.enable_disable: got string, want integer",
		},
		"undeclared error": {
			module: meter{ready: func(ctx context.Context, m *everest.Module) {
				_ = m.Provides("main").Raise(ctx, everest.Error{Type: "powermeter/Melted"})
			}},
			want: "not sent: everest: raise powermeter/Melted of main: interface powermeter",
		},
		"undeclared error, no definitions": {
			module: meter{undefined: true, ready: func(ctx context.Context, m *everest.Module) {
				_ = m.Provides("main").Raise(ctx, everest.Error{Type: "powermeter/Melted"})
			}},
			want: "module module: implementation main (interface powermeter): error powermeter/Melted is not declared; the interface has generic/CommunicationFault",
		},
		"subscribed variable": {
			module: meter{prepare: func(m *everest.Module) {
				m.Requires("port")[0].Subscribe("session_evnt", func(context.Context, json.RawMessage) {})
			}},
			want: "module module: requirement port (interface evse_manager): is subscribed to, but variable session_evnt is not declared; the interface has ",
		},
		"call in OnInit": {
			module: meter{init: func(ctx context.Context, m *everest.Module) {
				ctx, cancel := context.WithTimeout(ctx, time.Second) // the call may be lost
				defer cancel()
				call("get_evse", nil)(ctx, m)
			}},
			want: "module module: cmd get_evse before all modules are ready",
		},
		"variable in OnInit": {
			module: meter{init: publish("powermeter", powermeter)},
			want:   "module module: var powermeter before all modules are ready",
		},
		"too large": {
			module: meter{ready: publish("public_key_ocmf", strings.Repeat("x", everest.MaxPacketSize))},
			want:   "module module: not sent: everest: publish main.public_key_ocmf: ",
		},
		"end": {
			module: meter{ends: ends},
			body: func(_ testing.TB, s *everesttest.Station) {
				close(ends)
				<-s.Process.Done()
			},
			want: "the module under test ended by itself; EVerest's manager then ends all modules",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := test.module.station(test.config, test.body)
			if !strings.Contains(got, test.want) {
				t.Errorf("%q is not in\n%s", test.want, got)
			}
			if strings.Count(got, "everesttest: ") != 1 {
				t.Errorf("the module has one fault, its test has\n%s", got)
			}
		})
	}
}

// The same module without a fault passes, in every family of messages and with validation.
func TestHealthyModulePasses(t *testing.T) {
	for _, family := range everesttest.Families() {
		for _, validate := range []bool{false, true} {
			t.Run(family, func(t *testing.T) {
				t.Parallel()
				config := everesttest.StationConfig{Family: family, Settings: everesttest.Settings{ValidateSchema: validate}}
				if family[0] == 'A' {
					config.Settings.Prefix = t.TempDir()
				}
				healthy := meter{
					ready: call("get_evse", nil),
					prepare: func(m *everest.Module) {
						m.Requires("port")[0].Subscribe("session_event", func(context.Context, json.RawMessage) {})
					},
				}
				got := healthy.station(config, func(_ testing.TB, s *everesttest.Station) {
					s.Call("main", "stop_transaction", map[string]any{"transaction_id": "1"}, nil)
					s.Fake("port").Raise(everest.Error{Type: "evse_manager/MREC4OverCurrentFailure"})
				})
				if got != "" {
					t.Error(got)
				}
			})
		}
	}
}

// A poisoned module is found in every family of messages.
func TestPoisonedModuleOfEveryFamily(t *testing.T) {
	for _, family := range everesttest.Families() {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			poisoned := meter{
				undefined: true, handled: map[string]any{"stop_transaction": 3},
				ready: func(ctx context.Context, m *everest.Module) {
					publish("powermetre", 3)(ctx, m)
					call("enable_disable", map[string]any{"connector_id": "first"})(ctx, m)
				},
			}
			got := poisoned.station(everesttest.StationConfig{Family: family}, func(_ testing.TB, s *everesttest.Station) {
				_ = s.TryCall("main", "stop_transaction", map[string]any{"transaction_id": "1"}, nil)
			})
			for _, want := range []string{
				"variable powermetre is not declared", "argument connector_id of evse_manager.enable_disable: got string",
				"result of powermeter.stop_transaction: got number, want object",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in\n%s", want, got)
				}
			}
		})
	}
}

// A fake that says what no module may say fails the test.
func TestPoisonedFakes(t *testing.T) {
	for want, body := range map[string]func(port *everesttest.Fake, station *everesttest.Station){
		"fake port_0 (interface evse_manager): publish session_evnt: variable session_evnt is not declared": func(port *everesttest.Fake, _ *everesttest.Station) {
			port.Publish("session_evnt", 3)
		},
		"fake port_0 (interface evse_manager): publish session_event: variable evse_manager.session_event: got number, want object": func(port *everesttest.Fake, _ *everesttest.Station) {
			port.Publish("session_event", 3)
		},
		"fake port_0 (interface evse_manager): answer get_evse: result of evse_manager.get_evse: got string, want object": func(port *everesttest.Fake, _ *everesttest.Station) {
			port.Answer("get_evse", "one")
		},
		"fake port_0 (interface evse_manager): handle get_evs: command get_evs is not declared": func(port *everesttest.Fake, _ *everesttest.Station) {
			port.Handle("get_evs", func(context.Context, everest.Args) (any, error) { return nil, nil })
		},
		"fake port_0 (interface evse_manager): raise: error powermeter/Melted is not declared": func(port *everesttest.Fake, _ *everesttest.Station) {
			port.Raise(everest.Error{Type: "powermeter/Melted"})
		},
		"fake port_0 (interface evse_manager): result of evse_manager.pause_charging: got string, want boolean": func(port *everesttest.Fake, station *everesttest.Station) {
			port.Handle("pause_charging", func(context.Context, everest.Args) (any, error) { return "yes", nil })
			station.Call("main", "stop_transaction", map[string]any{"transaction_id": "1"}, nil)
		},
		"main.stop_transactionn: command stop_transactionn is not declared": func(_ *everesttest.Fake, station *everesttest.Station) {
			station.Call("main", "stop_transactionn", nil, nil)
		},
		"main.stop_transaction: argument transaction_id of powermeter.stop_transaction is missing": func(_ *everesttest.Fake, station *everesttest.Station) {
			station.Call("main", "stop_transaction", nil, nil)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			pausing := meter{prepare: func(m *everest.Module) {
				everest.Handle(m.Provides("main"), "stop_transaction", func(ctx context.Context, _ everest.Args) (json.RawMessage, error) {
					call("pause_charging", nil)(ctx, m)
					return stopped, nil
				})
			}, unhandled: "stop_transaction"}
			got := pausing.station(everesttest.StationConfig{}, func(_ testing.TB, s *everesttest.Station) { body(s.Fake("port"), s) })
			if !strings.Contains(got, want) || strings.Count(got, "\n") > 1 {
				t.Errorf("%q is not in\n%s", want, got)
			}
		})
	}
}

// What a test sends by hand is not the module's fault.
func TestUncheckedMessagesPass(t *testing.T) {
	got := meter{}.station(everesttest.StationConfig{}, func(t testing.TB, s *everesttest.Station) {
		s.Poison()
		message := everesttest.Message{Topic: "everest/modules/module/impl/main/var/nothing", Payload: []byte(`{"data":{"data":1},"msg_type":"Var"}`), QoS: 2}
		for range 2 {
			if err := s.Recorder.Publish(t.Context(), message); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.TryCall("main", "start_transaction", map[string]any{"wrong": 1}, nil); err != nil {
			t.Error(err)
		}
	})
	if got != "" {
		t.Error(got)
	}
}

// An error list of the vendor that is not loaded is named, with the remedy.
func TestMissingErrorListIsNamed(t *testing.T) {
	builtIn, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := builtIn.WithInterface("acme_door", []byte("description: A door\nerrors: [{reference: /errors/acme}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := []byte("description: A door\nmetadata: {license: 'https://example.org', authors: [acme]}\nprovides:\n  door: {interface: acme_door, description: The door}\n")
	stuck := func(ctx context.Context, options everest.Options) error {
		options.Definitions = nil
		m, err := everest.Connect(ctx, options)
		if err != nil {
			return err
		}
		m.OnReady(func(ctx context.Context) error {
			return m.Provides("door").Raise(ctx, everest.Error{Type: "acme/Stuck"})
		})
		return m.Run(ctx)
	}
	run := func(definitions *schema.Definitions) string {
		return record(func(t testing.TB) {
			station := everesttest.NewStation(t, everesttest.StationConfig{Manifest: manifest, Definitions: definitions}, stuck)
			station.Expect(everesttest.Raised("door", "acme/Stuck", ""))
		})
	}
	if got, want := run(definitions), "error acme/Stuck: the interface refers to the error list acme, which the definitions do not have; add it with WithErrors"; !strings.Contains(got, want) {
		t.Errorf("%q is not in\n%s", want, got)
	}
	definitions, err = definitions.WithErrors("acme", []byte("description: Errors of Acme\nerrors: [{name: Stuck, description: The door is stuck}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := run(definitions); got != "" {
		t.Error(got)
	}
}

// A wait ends before the deadline of the test program, so that the test can say what it has waited for.
func TestPatienceIsBounded(t *testing.T) {
	got := record(func(t testing.TB) {
		config := everesttest.StationConfig{Manifest: []byte("description: Nothing\nmetadata: {license: 'https://example.org', authors: [me]}\n"), Patience: time.Millisecond}
		everesttest.NewStation(t, config, func(ctx context.Context, _ everest.Options) error {
			<-ctx.Done()
			return errors.Join(ctx.Err())
		})
	})
	if want := "see Patience"; !strings.Contains(got, want) {
		t.Errorf("%q is not in %s", want, got)
	}
}
