package satellite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

const clockSet = "the satellite's clock was off and is set to this board's"

// clockedAgent is an agent of link v2 whose clock is ahead of this board's.
type clockedAgent struct {
	ahead atomic.Int64
	// silent: it answers nothing. met: it has agreed with a controller.
	silent, met atomic.Bool
	// set has the times that the controller sets.
	set chan time.Time
}

// startClockedAgent returns the agent and its port.
func startClockedAgent(t *testing.T, ahead time.Duration) (agent *clockedAgent, port int) {
	t.Helper()
	agent = &clockedAgent{set: make(chan time.Time, 10)}
	agent.ahead.Store(int64(ahead))
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true, Order: rpc.OrderPerMethod})
	for name, answer := range map[string]func(context.Context, *rpc.Request) (any, error){
		link.FunctionHello: func(ctx context.Context, _ *rpc.Request) (any, error) {
			clock := time.Now().Add(time.Duration(agent.ahead.Load()))
			return []any{3, 1, agent.met.Load(), uint64(clock.UnixMilli())}, nil
		},
		link.FunctionIAmHere: func(context.Context, *rpc.Request) (any, error) { return false, nil },
		link.FunctionIAmReady: func(context.Context, *rpc.Request) (any, error) {
			agent.met.Store(true)
			return nil, nil
		},
		link.FunctionExit: func(context.Context, *rpc.Request) (any, error) { return nil, nil },
		link.FunctionEvents: func(ctx context.Context, _ *rpc.Request) (any, error) {
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			return []any{0, []byte{0x90}, 0}, nil
		},
		"link_command:system.set_system_time": func(_ context.Context, request *rpc.Request) (any, error) {
			var number, floor, limit uint64
			var text string
			if err := request.Decode(&number, &floor, &limit, &text); err != nil {
				return nil, err
			}
			var arguments struct{ Timestamp time.Time }
			if err := json.Unmarshal([]byte(text), &arguments); err != nil {
				return nil, err
			}
			agent.set <- arguments.Timestamp
			return "true", nil
		},
	} {
		if err := server.Handle(name, func(ctx context.Context, request *rpc.Request) (any, error) {
			if agent.silent.Load() {
				return nil, rpc.NoReply
			}
			return answer(ctx, request)
		}); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return agent, listener.Addr().(*net.TCPAddr).Port
}

// The main board's time is told at an agreement where the satellite's clock is off by more than the key.
func TestTheSatellitesClockIsSet(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ahead time.Duration
		keys  map[string]any
	}{
		"ahead":          {5 * time.Second, nil},
		"in 1970":        {-time.Since(time.Unix(100, 0)), nil},
		"beyond the key": {90 * time.Second, map[string]any{"satellite_clock_tolerance_s": 60}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent, port := startClockedAgent(t, test.ahead)
			startClockMaster(t, port, test.keys).wait(agent, 1)
		})
	}
}

// A satellite that is back after an outage has its clock compared again.
func TestTheClockIsComparedAfterAnOutage(t *testing.T) {
	t.Parallel()
	agent, port := startClockedAgent(t, 0)
	m := startClockMaster(t, port, map[string]any{"on_loss": "isolate", "resume_window_s": 1, "link_timeout_ms": 3000})
	before := m.controller.Status().Isolations
	agent.silent.Store(true)
	waitUntil(t, "the port is out of service", func() bool { return m.controller.Status().Isolations > before })
	agent.ahead.Store(int64(-time.Hour))
	agent.silent.Store(false)
	m.wait(agent, 1)
}

// clockMaster is a main board whose clock is right.
type clockMaster struct {
	*mainBoard
	logs *observer.ObservedLogs
}

func startClockMaster(t *testing.T, port int, keys map[string]any) *clockMaster {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	config := satellite.ControllerConfig{Logger: zap.New(core), Handshake: handshake.ControllerConfig{Retry: 50 * time.Millisecond}}
	m := &clockMaster{startMainWith(t, everesttest.NewBroker(t), port, config, keys, nil), logs}
	m.waitReady()
	return m
}

// wait waits until the agent's clock is set, for the nth time.
func (m *clockMaster) wait(agent *clockedAgent, nth int) {
	m.t.Helper()
	if set := receive(m.t, agent.set, "set_system_time"); time.Since(set).Abs() > time.Minute {
		m.t.Errorf("set to %v", set)
	}
	waitUntil(m.t, "the log line", func() bool { return m.logs.FilterMessage(clockSet).Len() == nth })
}

// An agent tells its clock where the satellite has a system that can set it.
func TestAnAgentTellsItsClock(t *testing.T) {
	t.Parallel()
	for name, noSystem := range map[string]bool{"with a system": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{noSystem: noSystem})
			client := legacyController(t, s)
			var answer []any
			if err := client.Call(t.Context(), link.FunctionHello, &answer, []int{3}, 7, 1, 1500, 30_000); err != nil {
				t.Fatal(err)
			}
			if noSystem {
				if len(answer) != 3 {
					t.Errorf("link_hello answered %v, want no clock", answer)
				}
				return
			}
			if len(answer) != 4 {
				t.Fatalf("link_hello answered %v, want a clock", answer)
			}
			clock, err := strconv.ParseInt(fmt.Sprint(answer[3]), 10, 64)
			if err != nil || time.Since(time.UnixMilli(clock)).Abs() > time.Minute {
				t.Errorf("link_hello answered %v", answer)
			}
		})
	}
}
