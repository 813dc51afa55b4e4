package satellite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// callerID is a module of the satellite's board that calls what a fork of the agent has beside it.
const callerID = "caller"

// forkOptions are those of an agent with an own meter, an own key and hooks, and of a module that uses the meter.
func forkOptions(t *testing.T, hooks hook.Hooks) satelliteOptions {
	t.Helper()
	fork := satellite.AgentInstallation().Extended(install.Extension{Manifest: `
config:
  acme_factor: {description: The factor of the meter., type: integer, default: 3}
provides:
  acme_meter: {interface: vendor_meter, description: The meter of the vendor.}
`})
	if err := fork.Err(); err != nil {
		t.Fatal(err)
	}
	return satelliteOptions{
		agent: satellite.AgentConfig{Installation: fork, Hooks: hooks},
		keys:  map[string]any{"acme_factor": 4},
		modules: map[string]everesttest.ModuleConfig{callerID: {
			Module:      "Caller",
			Manifest:    []byte("description: stand-in\nmetadata: {license: \"https://example.org\", authors: [test]}\nrequires:\n  meter: {interface: vendor_meter}\n"),
			Connections: map[string][]everesttest.Connection{"meter": {{ModuleID: agentID, ImplementationID: "acme_meter"}}},
		}},
	}
}

// startFork starts a station whose agent is a fork, and returns the meter of the fork.
func startFork(t *testing.T, options satelliteOptions, counted func(json.RawMessage)) (*station, *everest.Required) {
	t.Helper()
	s := &station{arrivals: make(chan arrival, 10_000)}
	options.port = everesttest.FreePort(t)
	s.satellite = startSatellite(t, everesttest.NewBroker(t), options)
	caller := s.satellite.standIn(callerID, nil, func(caller *standIn) {
		caller.module.Requires("meter")[0].Subscribe("counter", func(_ context.Context, value json.RawMessage) {
			if counted != nil {
				counted(value)
			}
		})
	})
	s.main = startMainWith(t, everesttest.NewBroker(t), options.port, options.controller, options.main, s.listen)
	s.satellite.waitReady()
	s.main.waitReady()
	return s, caller.module.Requires("meter")[0]
}

// A fork has a command, a variable and a configuration key of its own, and the link is what it was.
func TestAForkHasItsOwn(t *testing.T) {
	t.Parallel()
	counted := make(chan string, 100)
	s, meter := startFork(t, forkOptions(t, hook.Hooks{Own: func(own *hook.Own) error {
		factor, err := hook.Key[int](own, "acme_factor")
		own.Handle("acme_meter", "lock", func(ctx context.Context, arguments everest.Args) (any, error) {
			var on bool
			err := arguments.Decode("on", &on)
			return !on, err
		})
		own.Handle("acme_meter", "reset_counter", func(ctx context.Context, _ everest.Args) (any, error) {
			return nil, own.Publish(ctx, "acme_meter", "counter", 0)
		})
		own.Go("counting", func(ctx context.Context) {
			if err := own.Publish(ctx, "acme_meter", "counter", factor); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
		})
		return err
	}}), func(value json.RawMessage) { counted <- string(value) })
	if got := receive(t, counted, "the counter"); got != "4" {
		t.Errorf("counter %s, want 4", got)
	}
	var locked bool
	if err := meter.Call(t.Context(), "lock", map[string]any{"on": false}, &locked); err != nil || !locked {
		t.Errorf("lock: %v, %v", locked, err)
	}
	if err := meter.Call(t.Context(), "reset_counter", nil, nil); err != nil {
		t.Error(err)
	}
	if got := receive(t, counted, "the counter"); got != "0" {
		t.Errorf("counter %s, want 0", got)
	}
	s.works(t, "DE*TST*E1")
	if tunnel := s.satellite.agent.Status().Tunnel; len(tunnel) > 0 {
		t.Errorf("the fork's own is tunnelled: %v", tunnel)
	}
}

// What a fork registers wrongly ends Run, with the place and the remedy.
func TestAForkThatRegistersWrongly(t *testing.T) {
	t.Parallel()
	handler := func(context.Context, everest.Args) (any, error) { return nil, nil }
	for name, test := range map[string]struct {
		own  func(own *hook.Own) error
		want string
	}{
		"tunnelled":   {func(own *hook.Own) error { own.Handle("system", "reset", handler); return nil }, "the implementation system is the module's own"},
		"unknown":     {func(own *hook.Own) error { own.Handle("acme_lamp", "light", handler); return nil }, "no implementation acme_lamp: add it with install.Extension"},
		"command":     {func(own *hook.Own) error { own.Handle("acme_meter", "explode", handler); return nil }, "interface vendor_meter has no such command"},
		"nil":         {func(own *hook.Own) error { own.Handle("acme_meter", "lock", nil); return nil }, "the handler is nil"},
		"requirement": {func(own *hook.Own) error { own.Subscribe("energy", "energy_flow_request", nil); return nil }, "the requirement energy is the module's own"},
		"twice": {func(own *hook.Own) error {
			own.Handle("acme_meter", "lock", handler)
			own.Handle("acme_meter", "lock", handler)
			return nil
		}, "acme_meter.lock has two handlers"},
		"error": {func(*hook.Own) error { return errors.New("no lamp is fitted") }, "no lamp is fitted"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSatellite(t, everesttest.NewBroker(t), forkOptions(t, hook.Hooks{Own: test.own}))
			if err := receive(t, s.process.ended, "the agent's end"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("ended with %v, want %q", err, test.want)
			}
		})
	}
}

// faultLines are the lines about hooks that failed.
func faultLines(logs *observer.ObservedLogs) map[string]int {
	lines := map[string]int{}
	for _, entry := range logs.FilterFieldKey("hook").All() {
		lines[fmt.Sprint(entry.ContextMap()["hook"])]++
	}
	return lines
}

func teed(t *testing.T) (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.WarnLevel)
	return zaptest.NewLogger(t, zaptest.WrapOptions(zap.WrapCore(func(test zapcore.Core) zapcore.Core { return zapcore.NewTee(test, core) }))), logs
}

// Hooks that panic, hang for ever or are slow leave the link as it is, on both boards.
func TestHooksThatFailLeaveTheLinkAlone(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		do   func(released <-chan struct{})
		logs bool
	}{
		"panic": {func(<-chan struct{}) { panic("poison") }, true},
		"hang":  {func(released <-chan struct{}) { <-released }, true},
		"slow": {func(released <-chan struct{}) {
			select {
			case <-released:
			case <-time.After(300 * time.Millisecond):
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			released := make(chan struct{})
			t.Cleanup(func() { close(released) })
			do := func() { fault.do(released) }
			hooks := hook.Hooks{
				Reset: func(context.Context, hook.Reset) hook.Verdict {
					do()
					return hook.Refuse("not now")
				},
				Changed: func(hook.Change) { do() },
				Alive:   do, AliveInterval: 20 * time.Millisecond,
				CommandLimit: 2 * time.Second,
			}
			options := forkOptions(t, hooks)
			logger, agentLogs := teed(t)
			options.agent.Logger = logger
			options.agent.Hooks.Own = func(own *hook.Own) error {
				own.Handle("acme_meter", "lock", func(context.Context, everest.Args) (any, error) {
					do()
					return true, nil
				})
				if name == "panic" {
					own.Go("background", func(context.Context) { do() })
				}
				return nil
			}
			controllerLogger, controllerLogs := teed(t)
			options.controller = satellite.ControllerConfig{Logger: controllerLogger, Hooks: hooks}
			s, meter := startFork(t, options, nil)
			goroutines := 0
			for round := range 5 {
				s.works(t, fmt.Sprintf("DE*TST*E%d", round))
				// The commands of the fork, of its reset policy and of the tunnel run in parallel.
				var calls sync.WaitGroup
				calls.Go(func() {
					err := meter.Call(t.Context(), "lock", map[string]any{"on": true}, nil)
					if failed := err != nil; failed != fault.logs {
						t.Errorf("the fork's command: %v", err)
					}
				})
				calls.Go(func() {
					var allowed bool
					err := s.main.required("system").Call(t.Context(), "is_reset_allowed", map[string]any{"type": "Soft"}, &allowed)
					if err != nil || allowed != fault.logs {
						t.Errorf("is_reset_allowed: %v, %v", allowed, err)
					}
				})
				s.works(t, fmt.Sprintf("DE*TST*F%d", round))
				calls.Wait()
				if round == 1 {
					goroutines = runtime.NumGoroutine()
				}
			}
			if name == "hang" {
				// Other tests run beside this one, so the bound is wide: what grows here grows by one each 20 ms.
				for range 20 {
					s.works(t, "DE*TST*E9")
				}
				if grown := runtime.NumGoroutine() - goroutines; grown > 2000 {
					t.Errorf("%d more goroutines", grown)
				}
			}
			if !fault.logs {
				if got := len(faultLines(agentLogs)) + len(faultLines(controllerLogs)); got > 0 {
					t.Errorf("slow hooks are logged: %v %v", faultLines(agentLogs), faultLines(controllerLogs))
				}
			} else {
				want := map[string]int{"Reset": 1, "Changed": 1, "Alive": 1, "acme_meter.lock": 1}
				if name == "panic" {
					want["background"] = 1
				}
				waitUntil(t, "each fault of the agent's hooks is logged", func() bool { return cmp.Equal(want, faultLines(agentLogs)) })
				want = map[string]int{"Changed": 1, "Alive": 1}
				waitUntil(t, "each fault of the controller's hooks is logged", func() bool { return cmp.Equal(want, faultLines(controllerLogs)) })
			}
			agent, controller := s.satellite.agent.Status(), s.main.controller.Status()
			if agent.State != "Working" || controller.State != "Working" || controller.Resumes != 0 || controller.Isolations != 0 {
				t.Errorf("the link is %s and %s after %d resumptions", agent.State, controller.State, controller.Resumes)
			}
			if faults := agent.Hooks.Panics + agent.Hooks.Hangs; (faults > 0) != fault.logs {
				t.Errorf("counted %+v", agent.Hooks)
			}
		})
	}
}

// A fork decides about the reset that the main board asks for.
func TestTheResetPolicyOfAForkOnACommand(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		decide  func(hook.Reset) hook.Verdict
		allowed bool
		// reaches: the System of the board is asked. leaves: the link ends.
		reaches, leaves bool
	}{
		"proceed": {func(hook.Reset) hook.Verdict { return hook.Proceed() }, true, true, true},
		"refuse":  {func(hook.Reset) hook.Verdict { return hook.Refuse("a vehicle charges") }, false, false, false},
		"taken":   {func(hook.Reset) hook.Verdict { return hook.Taken() }, true, false, true},
		"postpone": {func(request hook.Reset) hook.Verdict {
			if request.Postponed == 0 {
				return hook.Postpone(time.Second, "a vehicle charges")
			}
			return hook.Proceed()
		}, true, true, true},
	} {
		for _, dialect := range []string{"v2", "legacy"} {
			t.Run(name+"/"+dialect, func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				var requests []hook.Reset
				s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
					dialect: dialect, main: map[string]any{"dialect": dialect},
					agent: satellite.AgentConfig{Hooks: hook.Hooks{Reset: func(_ context.Context, request hook.Reset) hook.Verdict {
						mu.Lock()
						defer mu.Unlock()
						requests = append(requests, request)
						return test.decide(request)
					}}},
				})
				var allowed bool
				if err := s.main.required("system").Call(t.Context(), "is_reset_allowed", map[string]any{"type": "Hard"}, &allowed); err != nil {
					t.Fatal(err)
				}
				// The stand-in's own answer is a sample, which counts where the fork allows it.
				if !test.allowed && allowed {
					t.Error("is_reset_allowed is true, though the fork refuses")
				}
				mu.Lock()
				if len(requests) == 0 || !requests[0].Question || requests[0].Type != "Hard" || requests[0].Cause != hook.ByMainBoard {
					t.Errorf("asked %+v", requests)
				}
				mu.Unlock()
				if test.allowed {
					receive(t, s.satellite.system.calls, "is_reset_allowed")
				}
				if err := s.main.required("system").Call(t.Context(), "reset", hardReset, nil); err != nil {
					t.Errorf("reset: %v", err)
				}
				switch {
				case test.reaches:
					if call := receive(t, s.satellite.system.calls, "the reset"); call.Command != "reset" || string(call.Arguments["type"]) != `"Hard"` {
						t.Errorf("called %v", call)
					}
				case !test.leaves:
					s.works(t, "DE*TST*E1")
				}
				if test.leaves {
					waitUntil(t, "the agent leaves", func() bool { return s.satellite.agent.Status().State == "Resetting" })
				}
				if len(s.satellite.system.calls) > 0 {
					t.Errorf("called %v", <-s.satellite.system.calls)
				}
			})
		}
	}
}

// A fork decides about the reset that a lost main board makes necessary.
func TestTheResetPolicyOfAForkOnALoss(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			asked := make(chan hook.Reset, 100)
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
				dialect: dialect, main: map[string]any{"dialect": dialect},
				agent: satellite.AgentConfig{Hooks: hook.Hooks{Reset: func(_ context.Context, request hook.Reset) hook.Verdict {
					asked <- request
					if len(asked) == 1 {
						return hook.Postpone(time.Second, "a vehicle charges")
					}
					return hook.Proceed()
				}}},
			})
			s.main.process.stop() // it calls exit
			waitUntil(t, "the fork is asked", func() bool { return len(asked) == 1 })
			if state := s.satellite.agent.Status().State; state == "Resetting" || state == "Ended" {
				t.Errorf("the agent is %s while the reset is postponed", state)
			}
			if len(s.satellite.system.calls) > 0 {
				t.Errorf("called %v while the reset is postponed", <-s.satellite.system.calls)
			}
			if call := receive(t, s.satellite.system.calls, "the reset"); call.Command != "reset" {
				t.Errorf("called %v", call)
			}
			if first := <-asked; first.Cause != hook.ByLinkLoss || first.Text != "peer left" {
				t.Errorf("asked %+v", first)
			}
		})
	}
}

// A controller that has to restart its board waits for the fork, with the EVSE out of service.
func TestAControllerRestartsWhenItsForkLetsIt(t *testing.T) {
	t.Parallel()
	var may atomic.Bool
	asked := make(chan hook.Reset, 100)
	var alive atomic.Int64
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
		main: map[string]any{"on_loss": "restart", "link_timeout_ms": 200, "resume_window_s": 1},
		controller: satellite.ControllerConfig{Hooks: hook.Hooks{
			Reset: func(_ context.Context, request hook.Reset) hook.Verdict {
				asked <- request
				if may.Load() {
					return hook.Proceed()
				}
				return hook.Postpone(time.Second, "a vehicle charges at another EVSE")
			},
			Alive: func() { alive.Add(1) }, AliveInterval: 20 * time.Millisecond,
		}},
	})
	s.satellite.process.stop()
	if request := receive(t, asked, "the question"); request.Cause != hook.ByLinkLoss || request.Text == "" {
		t.Errorf("asked %+v", request)
	}
	for {
		if got := receive(t, s.arrivals, "the fault"); strings.HasPrefix(got.Variable, "evse_manager/Inoperative") {
			break
		}
	}
	before := alive.Load()
	waitUntil(t, "the module counts as alive", func() bool { return alive.Load() > before+2 })
	var result json.RawMessage
	if err := s.main.required("evse_manager").Call(t.Context(), "pause_charging", nil, &result); err != nil || string(result) != "false" {
		t.Errorf("a command: %s, %v", result, err)
	}
	select {
	case err := <-s.main.process.ended:
		t.Fatalf("ended with %v before the fork let it", err)
	default:
	}
	may.Store(true)
	err := receive(t, s.main.process.ended, "the controller's end")
	if _, ok := errors.AsType[*satellite.EndError](err); !ok {
		t.Errorf("ended with %v", err)
	}
}

// A fork hears what changes, on both boards.
func TestAForkHearsChanges(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	heard := map[string][]string{}
	follow := func(who string) func(hook.Change) {
		return func(change hook.Change) {
			mu.Lock()
			defer mu.Unlock()
			text := string(change.Kind) + " " + change.State
			if change.RequestID != 0 {
				text += fmt.Sprint(" ", change.RequestID)
			}
			heard[who] = append(heard[who], text)
		}
	}
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
		agent:      satellite.AgentConfig{Hooks: hook.Hooks{Changed: follow("agent")}},
		controller: satellite.ControllerConfig{Hooks: hook.Hooks{Changed: follow("controller")}},
	})
	publish := func(from *standIn, implementation, variable, value string) {
		t.Helper()
		if err := from.module.Provides(implementation).Publish(t.Context(), variable, json.RawMessage(value)); err != nil {
			t.Fatal(err)
		}
	}
	publish(s.satellite.port, "evse_manager", "ready", "true")
	publish(s.satellite.system, "system", "firmware_update_status", `{"request_id":17,"firmware_update_status":"Downloading"}`)
	publish(s.satellite.system, "system", "log_status", `{"request_id":18,"log_status":"Uploading"}`)
	if err := s.satellite.port.module.Provides("evse_manager").Raise(t.Context(), everest.Error{Type: "evse_manager/Inoperative", Severity: everest.SeverityHigh}); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"agent", "controller"} {
		for _, want := range []string{"link up", "evse Available", "firmware Downloading 17", "logs Uploading 18", "evse Faulted"} {
			waitUntil(t, who+" hears "+want, func() bool {
				mu.Lock()
				defer mu.Unlock()
				return slices.Contains(heard[who], want)
			})
		}
	}
	if err := s.main.required("system").Call(t.Context(), "reset", hardReset, nil); err != nil {
		t.Error(err)
	}
	for who, wanted := range map[string][]string{"agent": {"reset asked", "reset begun", "link down"}, "controller": {"link down", "evse Unknown"}} {
		for _, want := range wanted {
			waitUntil(t, who+" hears "+want, func() bool {
				mu.Lock()
				defer mu.Unlock()
				return slices.Contains(heard[who], want)
			})
		}
	}
}

// The hook Alive is called under a manager, too, and not while a loop hangs.
func TestAliveProvesTheLoopsUnderAManager(t *testing.T) {
	t.Parallel()
	hung, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	unhang := func() { once.Do(func() { close(release) }) }
	defer unhang()
	complaints, logs := observer.New(zap.ErrorLevel)
	// The loop itself writes this line, and is held up by it.
	holding := zapcore.RegisterHooks(zaptest.NewLogger(t).Core(), func(entry zapcore.Entry) error {
		if entry.Message == "controller and agent agree" {
			close(hung)
			<-release
		}
		return nil
	})
	var alive atomic.Int64
	options := satelliteOptions{port: everesttest.FreePort(t)}
	options.agent = satellite.AgentConfig{
		Logger: zap.New(holding),
		Hooks:  hook.Hooks{Alive: func() { alive.Add(1) }, AliveInterval: 20 * time.Millisecond},
	}
	spawned := true
	options.agent.Everest.Spawned, options.agent.Everest.Logger = &spawned, zap.New(complaints)
	s := startSatellite(t, everesttest.NewBroker(t), options)
	waitUntil(t, "the module is alive before a controller comes", func() bool { return alive.Load() > 2 })
	startMainWith(t, everesttest.NewBroker(t), options.port, satellite.ControllerConfig{}, nil, nil)
	receive(t, hung, "the agreement")
	waitUntil(t, "a complaint about the loop", func() bool { return logs.FilterFieldKey("loop").Len() > 0 })
	before := alive.Load()
	waitUntil(t, "more complaints", func() bool { return logs.FilterFieldKey("loop").Len() > 3 })
	if after := alive.Load(); after > before {
		t.Errorf("called %d times while the handshake's loop hangs", after-before)
	}
	unhang()
	waitUntil(t, "the module is alive again", func() bool { return alive.Load() > before+2 })
	s.process.stop()
	if err := receive(t, s.process.ended, "the agent's end"); err != nil {
		t.Error(err)
	}
}
