package satellite_test

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// supervisor tells its channel what it hears.
type supervisor struct {
	told chan string
}

func (s supervisor) Ready()                { s.told <- "ready" }
func (s supervisor) Alive()                { s.told <- "alive" }
func (s supervisor) Stopping()             { s.told <- "stopping" }
func (supervisor) Status(string)           {}
func (supervisor) Interval() time.Duration { return 20 * time.Millisecond }

// A handshake loop that hangs stops the watchdog, though the module's own loop turns.
func TestHungLoopStopsTheWatchdog(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	supervisor := supervisor{make(chan string, 1_000_000)}
	hung, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	unhang := func() { once.Do(func() { close(release) }) }
	defer unhang()
	observed, logs := observer.New(zap.ErrorLevel)
	// The loop itself writes this line, and is held up by it.
	holding := zapcore.RegisterHooks(zaptest.NewLogger(t).Core(), func(entry zapcore.Entry) error {
		if entry.Message == "waiting for the controller" {
			close(hung)
			<-release
		}
		return nil
	})
	modules := map[string]everesttest.ModuleConfig{
		portID: {Module: "ChargePort", Manifest: providing(implementationsOf(false))},
		agentID: {
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest,
			Connections: map[string][]everesttest.Connection{
				"evse_manager": {{ModuleID: portID, ImplementationID: "evse_manager"}},
				"energy":       {{ModuleID: portID, ImplementationID: "energy"}},
			},
		},
	}
	b := newBoard(t, everesttest.NewBroker(t), modules)
	b.standIn(portID, implementationsOf(false), nil)
	options := b.manager.Options(agentID)
	options.Supervisor = supervisor
	options.Logger = zap.New(observed)
	agent := satellite.NewAgent(satellite.AgentConfig{Everest: options, Logger: zap.New(holding), Listener: listener})
	process := b.run(agent.Run)

	receive(t, hung, "the start of the handshake")
	// Two complaints are an interval apart, and nothing is told in it.
	complaints := func(count int) {
		t.Helper()
		waitUntil(t, fmt.Sprintf("%d complaints about the loop", count), func() bool { return logs.Len() >= count })
	}
	complaints(1)
	for len(supervisor.told) > 0 {
		<-supervisor.told
	}
	complaints(logs.Len() + 2)
	if len(supervisor.told) > 0 {
		t.Errorf("the watchdog was told %q while the handshake's loop hung", <-supervisor.told)
	}
	if part := logs.All()[0].ContextMap()["loop"]; part != "handshake" {
		t.Errorf("the complaint names %v, want handshake", part)
	}
	unhang()
	for range 3 {
		if told := receive(t, supervisor.told, "life"); told != "alive" {
			t.Fatalf("told %q, want alive", told)
		}
	}
	if address := agent.Status().ListenAddress; address != listener.Addr().String() {
		t.Errorf("the agent listens on %s, want the listener that was passed, %s", address, listener.Addr())
	}
	process.stop()
	if err := receive(t, process.ended, "the end"); err != nil {
		t.Error(err)
	}
	for told := ""; told != "stopping"; told = receive(t, supervisor.told, "stopping") {
	}
	if _, err := listener.Accept(); err == nil {
		t.Error("the listener is open after Run")
	}
}
