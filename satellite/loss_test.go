package satellite_test

import (
	"fmt"
	"testing"

	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// lossOf returns what the process said is lost with it; -1 where it said nothing.
func lossOf(logs *observer.ObservedLogs) int64 {
	for _, entry := range logs.All() {
		if count, ok := entry.ContextMap()["events_lost"].(int64); ok {
			return count
		}
	}
	return -1
}

// What an agent holds when it ends is counted.
func TestAnAgentThatEndsTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	port := everesttest.FreePort(t)
	cable := newCable(t, fmt.Sprintf("127.0.0.1:%d", port))
	options := satelliteOptions{port: port, controllerPort: cable.port(), main: map[string]any{"link_timeout_ms": 200}}
	logger, logs := observed()
	options.agent.Logger = logger
	s := startStation(t, everesttest.NewBroker(t), options)
	waitUntil(t, "all is acknowledged", func() bool { return s.satellite.agent.Status().Journal == 0 })
	cable.pull()
	for range 7 {
		if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "the agent holds the events", func() bool { return s.satellite.agent.Status().Journal == 7 })
	s.satellite.process.stop()
	if err := receive(t, s.satellite.process.ended, "the agent's end"); err != nil {
		t.Error(err)
	}
	if lost := lossOf(logs); lost != 7 {
		t.Errorf("the agent says that %d events are lost, want 7", lost)
	}
}

// An agent that holds nothing has nothing to tell.
func TestAnAgentThatHoldsNothingTellsOfNoLoss(t *testing.T) {
	t.Parallel()
	var options satelliteOptions
	logger, logs := observed()
	options.agent.Logger = logger
	s := startStation(t, everesttest.NewBroker(t), options)
	waitUntil(t, "all is acknowledged", func() bool { return s.satellite.agent.Status().Journal == 0 })
	s.satellite.process.stop()
	if err := receive(t, s.satellite.process.ended, "the agent's end"); err != nil {
		t.Error(err)
	}
	if lost := lossOf(logs); lost != -1 {
		t.Errorf("the agent says that %d events are lost", lost)
	}
}
