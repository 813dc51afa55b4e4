package everest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// Traps that a checklist item holds already have no test of that name: a configuration of standalone modules only (4) is
// TestChecklist36, stale start topics (6) TestChecklist06_GivesUpByPolicyOnly, their order against the answer (12)
// TestChecklist07, parameter types (13) TestChecklist08, short descriptions (15) the manifest's tests, the clear's time
// stamp (17) TestChecklist25, the kept response topic (18) TestChecklist05. Numbers in YAML (14) are the manager's alone.

// A message that ends the manager does not end a module that runs by itself; it greets the next manager.
func TestTrap01_PoisonThatEndsTheManager(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		b := newBelfry(t, config, nil, nil)
		newWireClient(t, broker).publish(t, b.prefix+"config/request", `{"msg_type":"Unknown","data":{}}`)
		<-b.manager.Done()
		if err := b.manager.Err(); !errors.Is(err, everesttest.ErrPoisoned) {
			t.Errorf("the manager ends with %v", err)
		}
		b.manager.Kill() // returns when it has ended, which is later than the beginning of its end
		config.EverestPrefix = b.prefix
		everesttest.WaitReady(t, everesttest.NewManager(t, config))
	})
}

func TestTrap02_LargeMessagesAreSurvived(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		heard := make(chan int, 1)
		b := newBelfry(t, bellConfig(t, broker), nil, func(m *everest.Module) {
			m.Requires("bell")[0].Subscribe("last", func(_ context.Context, value json.RawMessage) { heard <- len(value) })
		})
		const size = 3 * everest.MaxPacketSize
		newWireClient(t, broker).publish(t, b.topic("var/last"), `{"data":{"data":"`+strings.Repeat("x", size)+`"},"msg_type":"Var"}`)
		if got := receive(t, heard); got != size+2 {
			t.Errorf("heard %d bytes", got)
		}
	})
}

// echoManifest is a module that is a bell and rings one.
const echoManifest = `
description: Rings the other bell
provides:
  own: {interface: bell, description: A bell}
requires:
  other: {interface: bell}
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [nobody]}
`

// A handler calls a module whose handler calls this one back, while nothing has warmed either of them up.
func TestTrap03_HandlersMayCallBack(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		module := func(other string) everesttest.ModuleConfig {
			return everesttest.ModuleConfig{Module: "Echo", Manifest: []byte(echoManifest), Connections: map[string][]everesttest.Connection{
				"other": {{ModuleID: other, ImplementationID: "own"}},
			}}
		}
		manager := everesttest.NewManager(t, everesttest.ManagerConfig{
			Broker: broker, Definitions: bellDefinitions(t),
			Modules: map[string]everesttest.ModuleConfig{"a": module("b"), "b": module("a")},
		})
		var first *everest.Module
		for _, id := range []string{"a", "b"} {
			started := everesttest.RunModule(t, manager.Options(id), func(m *everest.Module) {
				other := m.Requires("other")[0]
				m.Provides("own").Handle("ring", func(ctx context.Context, _ everest.Args) (any, error) {
					return everest.Call[int](ctx, other, "wait", nil)
				})
				m.Provides("own").Handle("stop", func(ctx context.Context, _ everest.Args) (any, error) {
					return nil, other.Call(ctx, "ring", map[string]any{"text": "back", "times": 1}, nil)
				})
				m.Provides("own").Handle("wait", func(context.Context, everest.Args) (any, error) { return 1, nil })
			})
			if id == "a" {
				first = started.Module
			}
		}
		everesttest.WaitReady(t, manager)
		// a calls b.stop, which calls a.ring, which calls b.wait.
		if err := first.Requires("other")[0].Call(patient(t), "stop", nil, nil); err != nil {
			t.Error(err)
		}
	})
}

// For the manager every exit is a crash, so only its own request to end is none for the module.
func TestTrap05_RunDoesNotReturnNilByItself(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		stopped := everesttest.RunModule(t, manager.Options("tower"), nil)
		if err := stopped.Stop(); err == nil {
			t.Error("a module that is stopped returns nil")
		}
		asked := everesttest.RunModule(t, manager.Options("tower"), nil)
		if err := manager.Shutdown(patient(t)); err != nil {
			t.Fatal(err)
		}
		if err := asked.Wait(patient(t)); err != nil {
			t.Errorf("a module that the manager asks to end returns %v", err)
		}
	})
}

// Nothing in an answer of the config service says which request it answers.
func TestTrap07_ConcurrentRequestsGetTheirOwnAnswers(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		tower := config.Modules["tower"]
		tower.Manifest = []byte(strings.Replace(towerManifest, "config:", "config:\n  height: {type: integer, description: In metres, default: 90}", 1))
		config.Modules["tower"] = tower
		b := newBelfry(t, config, nil, nil)
		type answer struct {
			name  string
			value int
			err   error
		}
		answers := make(chan answer)
		wanted := map[string]int{"height": 90, "weight": 5}
		const rounds = 10
		for range rounds {
			for name := range wanted {
				go func() {
					got := answer{name: name}
					parameter, err := b.tower.ConfigValue(patient(t), everest.ConfigID{Module: "tower", Parameter: name})
					if err == nil {
						err = parameter.Decode(&got.value)
					}
					got.err = err
					answers <- got
				}()
			}
		}
		for range rounds * len(wanted) {
			if got := receive(t, answers); got.err != nil || got.value != wanted[got.name] {
				t.Errorf("%+v", got)
			}
		}
	})
}

// Some C++ providers do not survive arguments that they cannot read, so such a call does not leave the module.
func TestTrap08_WrongArgumentsStayHere(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) { m.Provides("main").Handle("ring", ring) }, nil)
		for _, arguments := range []any{nil, map[string]any{"text": "x"}, map[string]any{"text": 1, "times": 1}, map[string]any{"text": "x", "times": 0}, []int{1}} {
			if err := b.bell().Call(patient(t), "ring", arguments, nil); err == nil {
				t.Errorf("%v is sent", arguments)
			}
		}
		if err := b.bell().Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, nil); err != nil {
			t.Fatal(err)
		}
		if calls := b.waitFor(t, b.topic("cmd/ring"), 1); len(calls) != 1 {
			t.Errorf("on the wire: %q", payloads(calls))
		}
	})
}

// A second global ready, for the restart of another module, does not hold a module up whose ready function still runs.
func TestTrap09_SecondGlobalReadyWhileReadyRuns(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		release := make(chan struct{})
		finished := make(chan struct{})
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
			m.OnReady(func(context.Context) error {
				<-release
				close(finished)
				return nil
			})
		}, nil)
		wire := newWireClient(t, broker)
		for range 3 {
			wire.publish(t, b.prefix+"ready", `{"msg_type":"GlobalReady","data":true}`)
		}
		var answer string
		if err := b.bell().Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, &answer); err != nil || answer != "ding x" {
			t.Errorf("answer %q, %v", answer, err)
		}
		close(release)
		receive(t, finished)
	})
}

// Two requirements connected to one provider, and the global subscription beside them, each get every error once.
func TestTrap10_ConnectedTwiceToOneProvider(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		config.Modules["ringer"].Connections["bell"][1] = config.Modules["ringer"].Connections["bell"][0]
		heard := make(chan string, 100)
		note := func(who string) everest.ErrorHandler {
			return func(_ context.Context, event everest.ErrorEvent) {
				heard <- who + " " + map[bool]string{true: "raised", false: "cleared"}[event.Raised]
			}
		}
		b := newBelfry(t, config, nil, func(m *everest.Module) {
			m.Requires("bell")[0].SubscribeErrors(note("first"))
			m.Requires("bell")[1].SubscribeErrors(note("second"))
			m.SubscribeGlobalErrors(note("global"))
		})
		main := b.tower.Provides("main")
		if err := errors.Join(main.Raise(patient(t), everest.Error{Type: "bell/Stuck"}), main.Clear(patient(t), "bell/Stuck", ""),
			main.Raise(patient(t), everest.Error{Type: "bell/Cracked"})); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for range 9 {
			got[receive(t, heard)]++
		}
		for _, who := range []string{"first", "second", "global"} {
			if got[who+" raised"] != 2 || got[who+" cleared"] != 1 {
				t.Errorf("heard %v", got)
			}
		}
		if more := len(heard); more > 0 {
			t.Errorf("%d events more than there were", more)
		}
	})
}

// The definition of an optional requirement's interface need not exist where nobody provides it.
func TestTrap11_UnconnectedInterfaceWithoutDefinition(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		ringer := config.Modules["ringer"]
		ringer.Manifest = []byte(strings.Replace(ringerManifest, "spare: {interface: bell,", "spare: {interface: gong,", 1))
		config.Modules["ringer"] = ringer
		b := newBelfry(t, config, nil, nil)
		if spare := b.ringer.Requires("spare"); len(spare) != 0 {
			t.Errorf("connected to %v", spare)
		}
	})
}

// A ready under an id that the manager does not know is lost; such a module never gets that far.
func TestTrap16_UnknownModuleIDIsNamed(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		options := everesttest.NewManager(t, bellConfig(t, broker)).Options("nobody")
		options.ConfigAttempts, options.ConfigTimeout = 1, 200*time.Millisecond
		_, err := everest.Connect(patient(t), options)
		if err == nil || !strings.Contains(err.Error(), "module nobody") {
			t.Errorf("error %v", err)
		}
	})
}

// An ignored module is in the configuration and in nobody's way; calls to it are not answered.
func TestTrap19_IgnoredModuleDoesNotAnswer(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		tower := config.Modules["tower"]
		tower.Ignored = true
		config.Modules["tower"] = tower
		manager := everesttest.NewManager(t, config)
		options := manager.Options("ringer")
		options.CallTimeout = 200 * time.Millisecond
		ringer := everesttest.RunModule(t, options, nil).Module
		everesttest.WaitReady(t, manager)
		err := ringer.Requires("bell")[0].Call(patient(t), "stop", nil, nil)
		var failed *everest.CommandError
		if !errors.As(err, &failed) || failed.Type != everest.CmdTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// A reply that is lost leaves the caller to its context, and one that comes twice or too late is dropped.
func TestRepliesThatAreLostLateOrDoubled(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		everesttest.RunModule(t, manager.Options("tower"), func(m *everest.Module) { m.Provides("main").Handle("ring", ring) })
		ringer := everesttest.RunModule(t, through(proxy, manager.Options("ringer")), nil)
		everesttest.WaitReady(t, manager)
		call := func(ctx context.Context) error {
			return ringer.Module.Requires("bell")[0].Call(ctx, "ring", map[string]any{"text": "x", "times": 1}, nil)
		}
		replies := func(packets []everesttest.Packet) int {
			return len(slices.DeleteFunc(packets, func(p everesttest.Packet) bool {
				return p.FromClient || p.Type != "PUBLISH" || !strings.HasSuffix(p.Topic, "/response/ringer")
			}))
		}
		// callInVain gives up when the proxy has seen the reply.
		callInVain := func(count int) {
			t.Helper()
			ctx, giveUp := context.WithCancel(patient(t))
			outcome := make(chan error, 1)
			go func() { outcome <- call(ctx) }()
			if _, err := proxy.Wait(patient(t), func(packets []everesttest.Packet) bool { return replies(packets) == count }); err != nil {
				t.Error(err)
			}
			giveUp()
			if err := receive(t, outcome); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		}
		proxy.Drop(1, everesttest.ToClient("/response/ringer"))
		callInVain(1)
		late := proxy.Hold(1, everesttest.ToClient("/response/ringer"))
		callInVain(2)
		doubled := proxy.Duplicate(0, everesttest.ToClient("/response/ringer"))
		late.Lift()
		for range 10 {
			if err := call(patient(t)); err != nil {
				t.Error(err)
			}
		}
		if doubled.Hits() != 10 {
			t.Errorf("%d replies came twice", doubled.Hits())
		}
		proxy.Refuse(true)
		if err := call(patient(t)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("without a broker: %v", err)
		}
		proxy.Refuse(false)
		eventually(t, "a call succeeds with a broker again", func() bool { return call(patient(t)) == nil })
	})
}
