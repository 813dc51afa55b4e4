package satellite_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// stateLines are the lines that tell of a module's state, in their order.
var stateLines = []string{
	"waiting for the controller", "waiting for the satellite", "a controller has come", "controller and agent agree",
	"working: this board is ready", "link lost: waiting for the controller to resume it", "link lost: trying to resume it", "link resumed",
	"the satellite is lost: its port is out of service", "the satellite is back: its port is in service",
	"the satellite has left as expected: waiting until it is back", "saying good-bye",
	"this board has to restart", "this process ends, and this board restarts with it", "stopped",
}

// statesOf returns the lines of a module's state that were logged, with level and reason.
func statesOf(t *testing.T, logs *observer.ObservedLogs) []string {
	t.Helper()
	var lines []string
	for _, entry := range logs.All() {
		if !slices.Contains(stateLines, entry.Message) {
			continue
		}
		line := entry.Level.String() + " " + entry.Message
		fields := entry.ContextMap()
		if reason, ok := fields["reason"].(string); ok {
			line += ": " + reason
		}
		if dialect, ok := fields["dialect"].(string); ok {
			line += " (" + dialect + ")"
		}
		if fields["module_id"] == nil {
			t.Errorf("line %q has no module_id", line)
		}
		if entry.Message != "stopped" && fields["satellite"] == nil && fields["controller"] == nil && fields["address"] == nil {
			t.Errorf("line %q does not name the other side: %v", line, fields)
		}
		lines = append(lines, line)
	}
	return lines
}

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	return zap.New(core), logs
}

func expectStates(t *testing.T, who string, logs *observer.ObservedLogs, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, statesOf(t, logs)); diff != "" {
		t.Errorf("the %s logged (-want +got):\n%s", who, diff)
	}
}

// Each change of state is one line, whatever happens between.
func TestStatesAreLogged(t *testing.T) {
	t.Parallel()
	agentLogger, agentLogs := observed()
	controllerLogger, controllerLogs := observed()
	s, link := startCabled(t, satelliteOptions{
		agent:      satellite.AgentConfig{Logger: agentLogger},
		controller: satellite.ControllerConfig{Logger: controllerLogger},
		main:       map[string]any{"on_loss": "isolate", "resume_window_s": 5, "link_timeout_ms": 20_000},
	})
	working := func() bool {
		return s.main.controller.Status().State == "Working" && s.satellite.agent.Status().State == "Working"
	}
	waitUntil(t, "both work", working)
	link.takeOut()
	waitUntil(t, "both have noticed", func() bool {
		return s.main.controller.Status().State == "Resuming" && s.satellite.agent.Status().State == "Resuming"
	})
	link.heal()
	waitUntil(t, "the link is resumed", working)
	s.satellite.process.stop()
	receive(t, s.satellite.process.ended, "the agent's end")
	waitUntil(t, "the port is out of service", func() bool { return s.main.controller.Status().State == "OutOfService" })
	agent := satellite.NewAgent(satellite.AgentConfig{Everest: s.satellite.manager.Options(agentID)})
	s.satellite.run(agent.Run)
	waitUntil(t, "the port is in service", func() bool { return s.main.controller.Status().State == "Working" })
	s.main.process.stop()
	receive(t, s.main.process.ended, "the controller's end")

	expectStates(t, "agent", agentLogs,
		"info waiting for the controller",
		"info a controller has come (v2)",
		"info controller and agent agree (v2)",
		"info working: this board is ready (v2)",
		"warn link lost: waiting for the controller to resume it: connection lost",
		"info link resumed",
		"info stopped",
	)
	expectStates(t, "controller", controllerLogs,
		"info waiting for the satellite",
		"info controller and agent agree (v2)",
		"info working: this board is ready (v2)",
		"warn link lost: trying to resume it: connection lost",
		"info link resumed",
		"warn link lost: trying to resume it: connection lost",
		"error the satellite is lost: its port is out of service: connection lost",
		"info the satellite is back: its port is in service (v2)",
		"info saying good-bye",
		"info stopped",
	)
}

func TestRestartsAreLoggedWithTheirReason(t *testing.T) {
	t.Parallel()
	agentLogger, agentLogs := observed()
	controllerLogger, controllerLogs := observed()
	s, link := startCabled(t, satelliteOptions{
		agent:      satellite.AgentConfig{Logger: agentLogger},
		controller: satellite.ControllerConfig{Logger: controllerLogger},
		main:       map[string]any{"on_loss": "restart", "resume_window_s": 1, "link_timeout_ms": 4000},
	})
	link.pull()
	expectEnd(t, s.main.process, handshake.HeartbeatTimeout)
	s.satellite.expectReset(t)
	expectStates(t, "agent", agentLogs,
		"info waiting for the controller",
		"info a controller has come (v2)",
		"info controller and agent agree (v2)",
		"info working: this board is ready (v2)",
		"warn link lost: waiting for the controller to resume it: heartbeat timeout",
		"warn this board has to restart: heartbeat timeout",
	)
	expectStates(t, "controller", controllerLogs,
		"info waiting for the satellite",
		"info controller and agent agree (v2)",
		"info working: this board is ready (v2)",
		"warn link lost: trying to resume it: heartbeat timeout",
		"error this process ends, and this board restarts with it: heartbeat timeout",
	)
}

// An agent that is away for long is one line, not one for each attempt.
func TestAnAbsentAgentIsLoggedOnce(t *testing.T) {
	t.Parallel()
	logger, logs := observed()
	port := everesttest.FreePort(t)
	startMain(t, everesttest.NewBroker(t), port, satellite.ControllerConfig{
		Logger: logger, Handshake: handshake.ControllerConfig{Retry: time.Millisecond},
	}, nil)
	waitUntil(t, "the controller has noticed", func() bool { return logs.FilterMessage("no agent yet").Len() > 0 })
	agent := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: port})
	agent.waitReady()
	if got := logs.FilterMessage("no agent yet").Len(); got != 1 {
		t.Errorf("%d lines of an agent that is away, want 1", got)
	}
}
