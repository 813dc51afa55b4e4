package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// wire is a cable between two ends in memory. Pulled, it loses every byte and tells nobody, and no connection is made.
type wire struct {
	listener *rpctest.Listener
	pulled   atomic.Bool
	// inFlight is how many calls a connection takes at once, 0 for the default.
	inFlight int
	mu       sync.Mutex
	conns    []*rpctest.Conn
}

func (w *wire) faults(written []byte) []rpctest.Delivery {
	if w.pulled.Load() {
		return nil
	}
	return []rpctest.Delivery{{Data: written}}
}

func (w *wire) dial(ctx context.Context) (*rpc.Client, error) {
	if w.pulled.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := w.listener.Dial(ctx, w.faults, w.faults)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, conn.(*rpctest.Conn))
	return rpc.NewClient(conn, rpc.Config{Limits: rpc.Limits{InFlight: w.inFlight}}), nil
}

// cut ends every connection, which both ends notice at once. The link is resumed as soon as the cable carries again.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		conn.Cut()
	}
}

// twoEnds is both ends of a link, and the commands that the satellite executes.
type twoEnds struct {
	t      *testing.T
	wire   *wire
	server *Server
	client *Client
	logs   *observer.ObservedLogs
	began  time.Time

	mu sync.Mutex
	// executed are the commands that the satellite has begun, with their time.
	executed []string
	// busy makes a command wait until the channel is closed.
	busy map[string]chan struct{}
}

// execute is the satellite's board.
func (e *twoEnds) execute(ctx context.Context, _ route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	text := command.Name
	for name, value := range arguments {
		text += fmt.Sprintf(" %s=%s", name, value)
	}
	e.mu.Lock()
	e.executed = append(e.executed, fmt.Sprintf("%v %s", time.Since(e.began).Round(10*time.Millisecond), text))
	busy := e.busy[command.Name]
	e.mu.Unlock()
	if busy != nil {
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch command.Name {
	case "cancel_reservation":
		return nil, errors.New("nothing is reserved")
	case "pause_charging", "reserve", "is_reset_allowed":
		return json.RawMessage("true"), nil
	case "update_firmware":
		return json.RawMessage(`"Accepted"`), nil
	}
	return json.RawMessage("null"), nil
}

// holdUp makes the satellite busy with a command until the returned function is called.
func (e *twoEnds) holdUp(command string) (release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	busy := make(chan struct{})
	e.busy[command] = busy
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.busy, command)
		close(busy)
	}
}

// startTwoEnds starts both ends, which speak a dialect. It must be called in a bubble of synctest.
func startTwoEnds(t *testing.T, dialects handshake.Dialects, change func(*ClientConfig)) *twoEnds {
	t.Helper()
	return startTwoEndsOn(t, &wire{listener: rpctest.Listen("agent")}, dialects, change)
}

func startTwoEndsOn(t *testing.T, wire *wire, dialects handshake.Dialects, change func(*ClientConfig)) *twoEnds {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	e := &twoEnds{t: t, wire: wire, busy: map[string]chan struct{}{}, logs: logs}
	e.server = NewServer(ServerConfig{
		Protocol: handshake.AgentConfig{Dialects: dialects}, CommandTimeout: patience, Routes: route.Standard(),
		Logger: zap.NewNop(), Admission: new(openAdmission),
		SatelliteBoard: SatelliteBoard{
			Listen: func() (net.Listener, error) { return e.wire.listener, nil }, Listening: func() {},
			Execute: e.execute, Publish: func(ctx context.Context, _, name string, _ json.RawMessage) error {
				_, err := e.execute(ctx, route.Route{}, route.Command{Name: name}, nil)
				return err
			},
			Connected:    func(string) bool { return true },
			LegacyFilter: func() func(Event) bool { return func(Event) bool { return true } },
			Compare:      func(string) (string, error) { return "{}", nil },
			Status:       func(context.Context) (string, error) { return "{}", nil },
			Reset:        func(context.Context) error { return errors.New("no") },
			Fail:         func(err error) { t.Error(err) }, Changed: func(ServerState) {}, Suspected: func(int) {},
		},
	})
	config := ClientConfig{
		Protocol: handshake.ControllerConfig{
			Dialects: dialects, HeartbeatTimeout: 1500 * time.Millisecond, ResumeWindow: 30 * time.Second,
		},
		CommandTimeout: patience, Peer: "the agent", Logger: zap.New(core),
		MainBoard: MainBoard{
			Dial: e.wire.dial, Connected: func(*rpc.Client) {}, NotConnected: func(error) {}, Disconnected: func(error) {},
			Compare: func(context.Context, handshake.Dialect, func(context.Context, string) (string, error)) {},
			Publish: func(context.Context, Event) {}, Unreadable: func(error) {}, Suspected: func() {},
			Established: func(bool) {}, Isolated: func(handshake.Reason) {}, Changed: func(ClientState) {},
		},
	}
	change(&config)
	e.client = NewClient(config)
	runEnd(t, e.server.Run)
	runEnd(t, e.client.Run)
	var starting sync.WaitGroup
	starting.Go(func() { e.server.Start(t.Context()) })
	agreed(t, e.client)
	starting.Wait()
	e.server.BoardReady()
	e.client.BoardReady()
	synctest.Wait()
	e.began = time.Now()
	return e
}

func unchanged(*ClientConfig) {}

// call calls a command, and returns how long its caller waited.
func (e *twoEnds) call(id, name string, arguments everest.Args) (result string, took time.Duration, err error) {
	e.t.Helper()
	r, command := standard(e.t, id, name)
	begun := time.Now()
	value, err := e.client.Call(e.t.Context(), r, command, arguments)
	return string(value), time.Since(begun), err
}

// promptly calls a command without a result, which must return null within a time.
func (e *twoEnds) promptly(within time.Duration, id, name string, arguments everest.Args) {
	e.t.Helper()
	if result, took, err := e.call(id, name, arguments); err != nil || result != "null" || took > within {
		e.t.Errorf("%s.%s returned %s, %v after %v, want null within %v", id, name, result, err, took, within)
	}
}

// limit sets a limit of a current.
func (e *twoEnds) limit(within time.Duration, current int) {
	e.t.Helper()
	e.promptly(within, "energy", "enforce_limits", everest.Args{
		"value": json.RawMessage(fmt.Sprintf(`{"limits_root_side":{"A":%d},"uuid":"evse","valid_for":10}`, current)),
	})
}

// limited returns how a limit arrives.
func limited(at string, current, validFor int) string {
	return fmt.Sprintf(`%s enforce_limits value={"limits_root_side":{"A":%d},"uuid":"evse","valid_for":%d}`, at, current, validFor)
}

// expectExecuted compares what the satellite has executed since the last time, when everything has settled.
func (e *twoEnds) expectExecuted(want ...string) {
	e.t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if diff := cmp.Diff(want, e.executed); diff != "" {
		e.t.Errorf("executed (-want +got):\n%s", diff)
	}
	e.executed = nil
}

// expectLogged compares the texts that were logged, and the reasons or errors with them.
func (e *twoEnds) expectLogged(want ...string) {
	e.t.Helper()
	var got []string
	for _, entry := range e.logs.TakeAll() {
		text := entry.Message
		fields := entry.ContextMap()
		for _, name := range []string{"command", "reason", "result", "error", "commands"} {
			if value, there := fields[name]; there {
				text += fmt.Sprintf("; %v", value)
			}
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		e.t.Errorf("logged (-want +got):\n%s", diff)
	}
}

// While the link answers promptly nothing is different: a command without a result returns the satellite's error.
func TestErrorsOfAPromptSatelliteComeBack(t *testing.T) {
	for _, dialects := range []handshake.Dialects{handshake.OnlyLegacy, handshake.OnlyV2} {
		synctest.Test(t, func(t *testing.T) {
			e := startTwoEnds(t, dialects, unchanged)
			if _, _, err := e.call("evse_manager", "cancel_reservation", nil); err == nil {
				t.Error("the satellite's error is lost")
			}
			if result, _, err := e.call("evse_manager", "pause_charging", nil); err != nil || result != "true" {
				t.Errorf("pause_charging returned %s, %v", result, err)
			}
			e.limit(0, 16)
			e.expectExecuted("0s cancel_reservation", "0s pause_charging", limited("0s", 16, 10))
		})
	}
}

// A cable that is cut while the link looks up holds up the first caller for a moment, and no further one.
func TestACutCableHoldsUpNobody(t *testing.T) {
	for _, dialects := range []handshake.Dialects{handshake.OnlyLegacy, handshake.OnlyV2} {
		synctest.Test(t, func(t *testing.T) {
			e := startTwoEnds(t, dialects, unchanged)
			e.wire.pulled.Store(true)
			e.limit(promptly, 16)
			for current := range 10 {
				e.limit(0, current)
				e.promptly(0, "evse_manager", "cancel_reservation", nil)
				time.Sleep(time.Second)
			}
			e.expectExecuted()
		})
	}
}

// What a satellite that is only slow has not answered delays no caller. It is executed in order, the newest limits only.
func TestASlowSatelliteGetsEverythingInOrder(t *testing.T) {
	for _, dialects := range []handshake.Dialects{handshake.OnlyLegacy, handshake.OnlyV2} {
		synctest.Test(t, func(t *testing.T) {
			e := startTwoEnds(t, dialects, unchanged)
			releaseEVSE, releaseEnergy := e.holdUp("withdraw_authorization"), e.holdUp("enforce_limits")
			e.promptly(promptly, "evse_manager", "withdraw_authorization", nil)
			e.promptly(0, "evse_manager", "cancel_reservation", nil)
			// Whether these wait depends on which comes first at this moment, the end of the wait above or a sign of life.
			e.limit(promptly, 1)
			time.Sleep(time.Until(e.began.Add(time.Second)))
			// The satellite is alive: no other interface waits.
			e.limit(0, 2)
			e.limit(0, 3)
			if result, took, err := e.call("system", "is_reset_allowed", everest.Args{"type": json.RawMessage(`"Hard"`)}); err != nil || result != "true" || took > 0 {
				t.Errorf("is_reset_allowed returned %s, %v after %v", result, err, took)
			}
			e.promptly(0, "evse_manager", "withdraw_authorization", nil)
			reserved := make(chan error, 1)
			go func() {
				_, _, err := e.call("evse_manager", "reserve", reservation)
				reserved <- err
			}()
			synctest.Wait()
			e.mu.Lock()
			before := e.executed
			e.executed = nil
			e.mu.Unlock()
			if len(before) != 3 || !strings.Contains(before[1], `"A":1`) || !strings.Contains(before[2], "is_reset_allowed") {
				t.Errorf("executed %v, want the first withdrawal, the first limits and is_reset_allowed", before)
			}
			releaseEVSE()
			if err := <-reserved; err != nil {
				t.Error(err)
			}
			e.expectExecuted("1s cancel_reservation", "1s withdraw_authorization", "1s reserve reservation_id=1")
			time.Sleep(time.Second)
			releaseEnergy()
			e.expectExecuted(limited("2s", 3, 9))
			e.expectLogged("a command whose caller takes it for done has failed; cancel_reservation; HandlerException: nothing is reserved")
		})
	}
}

// While a v2 link is away, commands are kept, answered or refused as the route table says.
func TestCommandsWhileALinkIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyV2, unchanged)
		e.wire.pulled.Store(true)
		time.Sleep(2 * time.Second)
		if state := e.client.Stats().State; state != handshake.Resuming {
			t.Fatalf("the link is %v", state)
		}
		token := everest.Args{"provided_token": json.RawMessage(`1`), "validation_result": json.RawMessage(`{}`)}
		e.promptly(0, "evse_manager", "authorize_response", token)
		time.Sleep(6 * time.Second) // 8 s
		e.promptly(0, "evse_manager", "cancel_reservation", nil)
		e.promptly(0, "evse_manager", "authorize_response", token)
		e.limit(0, 5)
		if _, took, err := e.call("evse_manager", "reserve", everest.Args{"reservation_id": json.RawMessage("1")}); !errors.Is(err, ErrAway) || took != 2*time.Second {
			t.Errorf("reserve returned %v after %v, want that the link is away after 2 s", err, took)
		}
		e.limit(0, 6) // 10 s
		e.promptly(0, "uk_random_delay", "enable", nil)
		for _, name := range []string{"reset", "allow_firmware_installation"} {
			if _, took, err := e.call("system", name, nil); !errors.Is(err, net.ErrClosed) || took != 0 {
				t.Errorf("%s returned %v after %v, want a refusal at once", name, err, took)
			}
		}
		for _, name := range []string{"update_firmware", "set_system_time"} {
			if _, took, err := e.call("system", name, nil); !errors.Is(err, net.ErrClosed) || took != 0 {
				t.Errorf("%s returned %v after %v, want a refusal at once", name, err, took)
			}
		}
		time.Sleep(7500 * time.Millisecond) // 17.5 s: the first authorization is too old
		if waiting := e.client.Stats().Waiting; waiting != 5 {
			t.Errorf("%d commands wait, want 5", waiting)
		}
		e.wire.pulled.Store(false)
		time.Sleep(1400 * time.Millisecond)
		paused := make(chan error, 1)
		go func() {
			_, _, err := e.call("evse_manager", "pause_charging", nil)
			paused <- err
		}()
		if err := <-paused; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		e.mu.Lock()
		for i, line := range e.executed {
			at, command, _ := strings.Cut(line, " ")
			command, _, _ = strings.Cut(command, " ")
			if took, err := time.ParseDuration(at); err != nil || took < 17*time.Second || took > 24*time.Second {
				t.Errorf("executed at %s: %s", at, command)
			}
			e.executed[i] = command
		}
		e.mu.Unlock()
		e.expectExecuted("cancel_reservation", "authorize_response", "enforce_limits", "enable", "pause_charging")
	})
}

var reservation = everest.Args{"reservation_id": json.RawMessage("1")}

// What a connection does not take goes out at the next sign of life.
func TestABusyConnectionDelaysACommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEndsOn(t, &wire{listener: rpctest.Listen("agent"), inFlight: 2}, handshake.OnlyV2, unchanged)
		release := e.holdUp("log_status")
		pushed := make(chan error, 1)
		go func() {
			pushed <- e.client.Push(t.Context(), route.Push{ID: route.System, Interface: route.System, Variable: "log_status"}, json.RawMessage("{}"))
		}()
		synctest.Wait()
		// The call for events and the variable are all that the connection takes.
		e.limit(0, 1)
		e.expectExecuted("0s log_status")
		time.Sleep(100 * time.Millisecond)
		release()
		if err := <-pushed; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		e.expectExecuted(limited("500ms", 1, 9))
	})
}

// A module of the satellite that hangs holds up its own commands, and no limits.
func TestAHangingModuleHoldsUpItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyV2, unchanged)
		e.wire.pulled.Store(true)
		e.wire.cut()
		synctest.Wait()
		e.promptly(0, "uk_random_delay", "enable", nil)
		e.promptly(0, "uk_random_delay", "cancel", nil)
		e.limit(0, 1)
		release := e.holdUp("enable")
		e.wire.pulled.Store(false)
		time.Sleep(8 * time.Second)
		e.limit(0, 2)
		synctest.Wait()
		e.mu.Lock()
		for i, line := range e.executed {
			_, e.executed[i], _ = strings.Cut(line, " ")
		}
		e.mu.Unlock()
		_, first, _ := strings.Cut(limited("0s", 1, 8), " ")
		_, second, _ := strings.Cut(limited("0s", 2, 10), " ")
		e.expectExecuted("enable", first, second)
		release()
		e.expectExecuted("8s cancel")
	})
}

// A command that was sent into a cut cable is not executed after its negative answer.
func TestACommandIsNotExecutedAfterItsNegativeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyV2, unchanged)
		e.wire.pulled.Store(true)
		if _, took, err := e.call("evse_manager", "reserve", reservation); !errors.Is(err, ErrAway) || took != 2*time.Second {
			t.Errorf("reserve returned %v after %v, want that the link is away after 2 s", err, took)
		}
		e.wire.pulled.Store(false)
		time.Sleep(10 * time.Second)
		e.limit(0, 1)
		e.expectExecuted(limited("12s", 1, 10))
		e.expectLogged()
		if stats := e.client.Stats(); stats.Waiting != 0 || stats.Resumes != 1 {
			t.Errorf("%d commands wait after %d resumes", stats.Waiting, stats.Resumes)
		}
	})
}

// A command that had begun before the cable was cut is executed. Its late result is logged, and what it means for the
// satellite's board is not missed.
func TestALateResultIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyV2, unchanged)
		release := e.holdUp("update_firmware")
		answered := make(chan error, 1)
		go func() {
			_, _, err := e.call("system", "update_firmware", everest.Args{"firmware_update_request": json.RawMessage("{}")})
			answered <- err
		}()
		synctest.Wait()
		e.wire.pulled.Store(true)
		release()
		if err := <-answered; !errors.Is(err, ErrAway) || !errors.Is(err, errMayHaveRun) {
			t.Errorf("update_firmware returned %v, want that it may have been executed", err)
		}
		e.wire.pulled.Store(false)
		time.Sleep(10 * time.Second)
		e.expectExecuted("0s update_firmware firmware_update_request={}")
		e.expectLogged(`a command that was answered negatively was executed: the satellite's variables tell its effect; update_firmware; "Accepted"`)
	})
}

// A connection that ends is replaced at once. Its commands are executed once, and their callers get the results.
func TestAConnectionThatEndsCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyV2, unchanged)
		release := e.holdUp("reserve")
		reserved := make(chan string, 1)
		go func() {
			result, _, err := e.call("evse_manager", "reserve", reservation)
			reserved <- fmt.Sprint(result, err)
		}()
		synctest.Wait()
		held := e.holdUp("enable")
		enabled := make(chan struct{})
		go func() {
			e.promptly(0, "uk_random_delay", "enable", nil)
			close(enabled)
		}()
		synctest.Wait()
		e.wire.cut()
		<-enabled
		time.Sleep(time.Second)
		release()
		held()
		if got := <-reserved; got != "true<nil>" {
			t.Errorf("reserve returned %s", got)
		}
		e.expectExecuted("0s reserve reservation_id=1", "0s enable")
		e.expectLogged()
	})
}

// A satellite that is isolated gets nothing of what waited for it.
func TestIsolationDiscardsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		isolated := make(chan struct{})
		e := startTwoEnds(t, handshake.OnlyV2, func(config *ClientConfig) {
			config.Protocol.LossPolicy = handshake.IsolateOnLoss
			config.Protocol.ResumeWindow = 4 * time.Second
			config.Isolated = func(handshake.Reason) { close(isolated) }
		})
		e.wire.pulled.Store(true)
		e.limit(promptly, 1)
		time.Sleep(4 * time.Second)
		e.limit(0, 2)
		e.promptly(0, "evse_manager", "withdraw_authorization", nil)
		_, took, err := e.call("evse_manager", "reserve", reservation)
		<-isolated
		if !errors.Is(err, ErrIsolated) || took > 2*time.Second {
			t.Errorf("reserve returned %v after %v", err, took)
		}
		for _, name := range []string{"withdraw_authorization", "get_evse"} {
			if _, took, err := e.call("evse_manager", name, nil); !errors.Is(err, ErrIsolated) || took != 0 {
				t.Errorf("%s returned %v after %v, want that the port is isolated at once", name, err, took)
			}
		}
		e.expectExecuted()
		e.expectLogged("commands that waited for the satellite are discarded: the link is given up; 3")
		if stats := e.client.Stats(); stats.Waiting != 0 || stats.Undelivered != 3 {
			t.Errorf("%d commands wait, %d are not delivered", stats.Waiting, stats.Undelivered)
		}
	})
}

// What a caller takes for done and is not delivered is logged.
func TestWhatIsNotDeliveredIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyV2, unchanged)
		token := everest.Args{"provided_token": json.RawMessage(`1`), "validation_result": json.RawMessage(`{}`)}
		e.wire.pulled.Store(true)
		e.promptly(promptly, "evse_manager", "authorize_response", token)
		time.Sleep(5 * time.Second)
		e.promptly(0, "iso15118_extensions", "set_get_certificate_response", everest.Args{"certificate_response": json.RawMessage(`{}`)})
		time.Sleep(12 * time.Second)
		e.wire.pulled.Store(false)
		time.Sleep(10 * time.Second)
		e.expectExecuted()
		const lost = "a command whose caller takes it for done is not delivered; "
		e.expectLogged(lost+"set_get_certificate_response; its validity ran out while the link was away",
			lost+"authorize_response; its validity ran out while the link was away")
	})
}

// A legacy agent serves one call after the other: who asks a slow one waits, and gets the result.
func TestASlowLegacyAgentIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyLegacy, unchanged)
		release := e.holdUp("pause_charging")
		time.AfterFunc(10*time.Second, release)
		if result, took, err := e.call("evse_manager", "pause_charging", nil); err != nil || result != "true" || took != 10*time.Second {
			t.Errorf("pause_charging returned %s, %v after %v", result, err, took)
		}
	})
}

// A legacy link ends with its connection. What was sent on it may have been executed, and is not sent again.
func TestALegacyConnectionThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyLegacy, unchanged)
		e.holdUp("reserve")
		e.holdUp("enable")
		reserved := make(chan error, 1)
		go func() {
			_, _, err := e.call("evse_manager", "reserve", reservation)
			reserved <- err
		}()
		synctest.Wait()
		e.promptly(promptly, "uk_random_delay", "enable", nil)
		e.promptly(0, "uk_random_delay", "cancel", nil)
		e.wire.cut()
		if err := <-reserved; !errors.Is(err, net.ErrClosed) {
			t.Errorf("reserve returned %v, want the end of its connection", err)
		}
		e.expectExecuted("0s reserve reservation_id=1", "0s enable")
		if undelivered := e.client.Stats().Undelivered; undelivered != 2 {
			t.Errorf("%d commands are not delivered, want 2", undelivered)
		}
	})
}

// Who does not wait any longer ends the command on the satellite.
func TestACallerThatLeavesCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startTwoEnds(t, handshake.OnlyV2, unchanged)
		e.holdUp("pause_charging")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, command := standard(t, "evse_manager", "pause_charging")
		if _, err := e.client.Call(ctx, r, command, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("pause_charging returned %v", err)
		}
		synctest.Wait()
		if stats := e.server.Stats(); stats.CommandErrors != 1 {
			t.Errorf("%d commands have failed on the satellite, want the one that was cancelled", stats.CommandErrors)
		}
		e.expectLogged()
	})
}
