package satellite_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// An outage beyond the window takes the port out of service, and no process ends. The link is resumed afterwards: what
// the satellite published meanwhile arrives in order, the fault is cleared, and the port is in service.
func TestAnOutageIsNotARestart(t *testing.T) {
	t.Parallel()
	s, cable := startCabled(t, satelliteOptions{main: map[string]any{"on_loss": "isolate", "resume_window_s": 1, "link_timeout_ms": 20_000}})
	s.works(t, "DE*TST*E1")
	cable.takeOut()
	if got := receive(t, s.arrivals, "the fault"); got.Variable != "generic/CommunicationFault/" || got.Value[:4] != "true" {
		t.Errorf("arrived: %v, want the communication fault", got)
	}
	const events = 20
	for i := range events {
		if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", fmt.Sprint("DE*TST*O", i)); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "the agent keeps the events", func() bool { return s.satellite.agent.Status().Journal >= events })
	var result json.RawMessage
	if err := s.main.required("evse_manager").Call(t.Context(), "pause_charging", nil, &result); err != nil || string(result) != "false" {
		t.Errorf("pause_charging answered %s, %v, want false", result, err)
	}
	if state := s.satellite.agent.Status().State; state != "Resuming" {
		t.Errorf("the agent's state is %s in the outage", state)
	}
	cable.heal()
	cleared := false
	for next := 0; next < events || !cleared; {
		got := receive(t, s.arrivals, "the events of the outage")
		switch {
		case got.Variable == "generic/CommunicationFault/":
			cleared = got.Value[:5] == "false"
		case got.Variable != "evse_id": // what the main board is told of its EVSE: occupancy_test.go
		case got.Value != fmt.Sprintf(`"DE*TST*O%d"`, next):
			t.Fatalf("arrived: %v, want event %d", got, next)
		default:
			next++
		}
	}
	s.works(t, "DE*TST*E2")
	if status := s.main.controller.Status(); status.State != "Working" || status.Isolations != 1 || status.Resumes == 0 || status.GivenUp != 0 {
		t.Errorf("the controller's status is %+v", status)
	}
	for len(s.satellite.system.calls) > 0 {
		if call := <-s.satellite.system.calls; call.Command == "reset" {
			t.Error("the satellite reset its board")
		}
	}
}

// A satellite that is reset alone takes its main board along under no policy: its new agent is joined at once.
func TestASatelliteThatIsResetAloneIsJoined(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		for _, onLoss := range []string{"restart", "isolate"} {
			if dialect == "legacy" && onLoss == "isolate" {
				continue // isolation needs v2
			}
			t.Run(dialect+", "+onLoss, func(t *testing.T) {
				t.Parallel()
				controller := satellite.ControllerConfig{Handshake: handshake.ControllerConfig{Retry: 50 * time.Millisecond}}
				s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
					main: map[string]any{"on_loss": onLoss, "dialect": dialect}, controller: controller,
				})
				if err := s.main.required("system").Call(t.Context(), "reset", hardReset, nil); err != nil {
					t.Fatal(err)
				}
				receive(t, s.satellite.system.calls, "the reset")
				waitUntil(t, "the satellite has left", func() bool { return !s.main.controller.Status().Connected })
				s.satellite.process.stop()
				receive(t, s.satellite.process.ended, "the end of the old agent")
				agent := satellite.NewAgent(satellite.AgentConfig{Everest: s.satellite.manager.Options(agentID)})
				s.satellite.run(agent.Run)
				waitUntil(t, "the new agent is joined", func() bool {
					status := s.main.controller.Status()
					return status.State == "Working" && status.Connected
				})
				for len(s.arrivals) > 0 {
					<-s.arrivals
				}
				s.satellite.agent = agent
				s.works(t, "DE*TST*E3")
				select {
				case err := <-s.main.process.ended:
					t.Errorf("the main board's module ended: %v", err)
				default:
				}
			})
		}
	}
}

// An absent satellite holds a station no longer than its start is bounded. It is joined when it comes.
func TestAnAbsentSatelliteDoesNotHoldTheStation(t *testing.T) {
	t.Parallel()
	for _, keys := range []map[string]any{
		{"on_loss": "isolate"}, {"on_loss": "restart"}, {"on_loss": "restart", "dialect": "legacy"},
	} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			t.Parallel()
			port := everesttest.FreePort(t)
			s := &station{arrivals: make(chan arrival, 100)}
			config := satellite.ControllerConfig{Handshake: handshake.ControllerConfig{InitTimeout: 100 * time.Millisecond, Retry: 50 * time.Millisecond}}
			s.main = startMainWith(t, everesttest.NewBroker(t), port, config, keys, s.listen)
			s.main.waitReady()
			var evse struct{ ID int }
			if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, &evse); err != nil || evse.ID != 2 {
				t.Errorf("get_evse answered %+v, %v, want the EVSE of the mapping", evse, err)
			}
			board := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: port})
			board.waitReady()
			waitUntil(t, "the port is in service", func() bool { return s.main.controller.Status().Connected })
			if err := s.main.required("evse_manager").Call(t.Context(), "pause_charging", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// The dialect of the satellite outlives the controller's process where there is a state directory.
func TestTheDialectOutlivesTheController(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("STATE_DIRECTORY", directory)
	for _, dialect := range []string{"legacy", "v2"} {
		startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect, main: map[string]any{"on_loss": "auto"}})
		waitUntil(t, "the dialect "+dialect+" is remembered", func() bool {
			content, err := os.ReadFile(filepath.Join(directory, controllerID+".dialect"))
			return err == nil && string(content) == dialect+"\n"
		})
	}
}
