package satellite_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// controlSockets has both modules open their control sockets, and returns clients of the agent's and the controller's.
func controlSockets(t *testing.T) (agent, controller *control.Client) {
	t.Helper()
	// t.TempDir's name may be too long for a socket.
	directory, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	t.Setenv("RUNTIME_DIRECTORY", directory)
	agent = control.Dial(filepath.Join(directory, agentID+".sock"))
	controller = control.Dial(filepath.Join(directory, controllerID+".sock"))
	t.Cleanup(agent.Close)
	t.Cleanup(controller.Close)
	return agent, controller
}

// statusOf polls until the status is as wanted.
func statusOf(t *testing.T, client *control.Client, wanted func(*control.Status) bool) *control.Status {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		status, err := client.Status(t.Context())
		if err == nil && wanted(status) {
			return status
		}
		if time.Since(begin) > patience {
			t.Fatalf("the status stays %+v, %v", status, err)
		}
	}
}

func activeErrors(count int) func(*control.Status) bool {
	return func(status *control.Status) bool {
		return status.Link.ActiveErrors != nil && *status.Link.ActiveErrors == count
	}
}

func working(status *control.Status) bool { return status.Health == control.Healthy }

func TestControlSocketsOfBothDialects(t *testing.T) {
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			agent, controller := controlSockets(t)
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect})
			if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
				t.Fatal(err)
			}
			receive(t, s.arrivals, "evse_id")
			if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, nil); err != nil {
				t.Fatal(err)
			}

			status := statusOf(t, controller, func(status *control.Status) bool {
				return working(status) && status.Link.Latency != nil && status.Link.Variables > 0
			})
			if status.Module != "SatelliteController" || status.ModuleID != controllerID || status.State != "Working" || status.Version == "" {
				t.Errorf("head %+v", status)
			}
			link := status.Link
			if link.Role != "controller" || !link.Connected || link.Dialect != dialect || link.PeerAddress != s.satellite.address || link.Commands != 1 {
				t.Errorf("link %+v", link)
			}
			if link.Latency.Last <= 0 || link.Latency.Last > link.Latency.P99 && link.Latency.Samples == 1 {
				t.Errorf("latency %+v", link.Latency)
			}
			if status.Everest.Received == 0 || status.Everest.Published == 0 || len(status.Everest.Queues) == 0 {
				t.Errorf("everest %+v", status.Everest)
			}

			own := statusOf(t, agent, working)
			if own.Module != "SatelliteAgent" || own.Link.Role != "agent" || own.Link.ListenAddress != s.satellite.address ||
				own.Link.Dialect != dialect || own.Link.Collected == 0 || own.Link.Journal == nil || !own.Link.Connected {
				t.Errorf("agent's status %+v, link %+v", own, own.Link)
			}
			switch peer := status.Peer; {
			case dialect == "v2" && (peer.Status == nil || peer.Status.ModuleID != agentID || peer.Status.Link.Collected == 0):
				t.Errorf("the agent as the controller sees it: %+v", peer)
			case dialect == "legacy" && (peer.Status != nil || !strings.Contains(peer.Error, "legacy dialect")):
				t.Errorf("a legacy agent as the controller sees it: %+v", peer)
			}

			pong, err := controller.Ping(t.Context())
			if err != nil || pong.Seconds <= 0 || pong.Dialect != dialect || pong.Peer != s.satellite.address {
				t.Errorf("pong %+v, %v", pong, err)
			}
			if _, err := agent.Ping(t.Context()); !errors.Is(err, control.ErrUnsupported) {
				t.Errorf("ping of an agent: %v", err)
			}
			for _, client := range []*control.Client{agent, controller} {
				var log bytes.Buffer
				name := ""
				err := client.Logs(t.Context(), func(proposed string) (io.Writer, error) { name = proposed; return &log, nil })
				if err != nil || !strings.HasSuffix(client.Path(), strings.TrimSuffix(name, ".log")+".sock") || !strings.Contains(log.String(), "agree") {
					t.Errorf("log %s: %v\n%s", name, err, log.String())
				}
			}
		})
	}
}

// watchAll collects the events of a module until the test ends.
func watchAll(t *testing.T, client *control.Client) <-chan control.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	events := make(chan control.Event, 1000)
	var running sync.WaitGroup
	running.Go(func() {
		_ = client.Watch(ctx, func(event control.Event) {
			events <- event
		})
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return events
}

// linkStatus is the result of get_link_status.
type linkStatus struct {
	Connected       bool
	Since           time.Time
	Serial, Version string
}

func (s *station) linkStatus(t testing.TB) (status linkStatus) {
	t.Helper()
	if err := s.main.required("satellite").Call(t.Context(), "get_link_status", nil, &status); err != nil {
		t.Fatal(err)
	}
	return status
}

// TestLinkStatus: a legacy agent tells no version.
func TestLinkStatus(t *testing.T) {
	for dialect, version := range map[string]string{"v2": everest.Version(), "legacy": ""} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			begin := time.Now().Add(-time.Second)
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect})
			first := s.linkStatus(t)
			if !first.Connected || first.Version != version || first.Serial != "" || first.Since.Before(begin) || first.Since.After(time.Now()) {
				t.Errorf("status %+v", first)
			}
			if second := s.linkStatus(t); second != first {
				t.Errorf("without a change the status becomes %+v", second)
			}
		})
	}
}

func TestVariablesErrorsAndStatesAreWatched(t *testing.T) {
	agent, controller := controlSockets(t)
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{})
	// Until both work, states are what is told.
	statusOf(t, agent, working)
	statusOf(t, controller, working)
	provided := s.satellite.port.module.Provides("evse_manager")
	watchers := []struct {
		client *control.Client
		id     string
		events <-chan control.Event
	}{{agent, agentID, watchAll(t, agent)}, {controller, controllerID, watchAll(t, controller)}}
	for _, watcher := range watchers {
		receive(t, watcher.events, "the state")
	}
	if err := provided.Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
		t.Fatal(err)
	}
	for _, watcher := range watchers {
		got := receive(t, watcher.events, "the variable")
		if got.Interface != "evse_manager" || got.Variable != "evse_id" || string(got.Value) != `"DE*TST*E1"` || got.ModuleID != watcher.id || got.Time.IsZero() {
			t.Errorf("event %+v", got)
		}
	}
	failure := everest.Error{Type: "evse_manager/Inoperative"}
	if err := provided.Raise(t.Context(), failure); err != nil {
		t.Fatal(err)
	}
	for _, watcher := range watchers {
		if event := receive(t, watcher.events, "the error"); event.Kind != control.KindRaised || !bytes.Contains(event.Error, []byte("evse_manager/Inoperative")) {
			t.Errorf("event %+v", event)
		}
		statusOf(t, watcher.client, activeErrors(1))
	}
	if err := provided.Clear(t.Context(), failure.Type, ""); err != nil {
		t.Fatal(err)
	}
	for _, watcher := range watchers {
		if event := receive(t, watcher.events, "the cleared error"); event.Kind != control.KindCleared {
			t.Errorf("event %+v", event)
		}
		statusOf(t, watcher.client, activeErrors(0))
	}
}

func TestALostLinkIsSeen(t *testing.T) {
	_, controller := controlSockets(t)
	s, _ := startCabled(t, satelliteOptions{main: map[string]any{"on_loss": "isolate", "resume_window_s": 1, "link_timeout_ms": 30_000}})
	statusOf(t, controller, working)
	before := s.linkStatus(t)
	states := watchAll(t, controller)
	if event := receive(t, states, "the state at the start"); event.State != "Working" || event.Health != control.Healthy {
		t.Errorf("event %+v", event)
	}
	s.satellite.process.stop()
	receive(t, s.satellite.process.ended, "the agent's end")
	status := statusOf(t, controller, func(status *control.Status) bool { return status.State == "OutOfService" })
	if status.Health != control.Degraded || status.Link.Connected || status.Link.Isolations != 1 || status.Link.Latency != nil {
		t.Errorf("status %+v, link %+v", status, status.Link)
	}
	if !strings.Contains(status.Problem, "out of service") || status.Peer.Status != nil || !strings.Contains(status.Peer.Error, "no link to the satellite at ") {
		t.Errorf("problem %q, peer %+v", status.Problem, status.Peer)
	}
	if after := s.linkStatus(t); after.Connected || !after.Since.After(before.Since) || after.Version != "" {
		t.Errorf("link status %+v, before %+v", after, before)
	}
	var answer *control.AnswerError
	if _, err := controller.Ping(t.Context()); !errors.As(err, &answer) || answer.StatusCode != 503 || !strings.Contains(answer.Text, "out of service") {
		t.Errorf("ping: %v", err)
	}
	for {
		if event := receive(t, states, "the state"); event.State == "OutOfService" && event.Health == control.Degraded {
			return
		}
	}
}

// A pulled cable leaves a connection that does not answer.
func TestAHangingPeerIsNoHangingSocket(t *testing.T) {
	_, controller := controlSockets(t)
	s, link := startCabled(t, satelliteOptions{main: map[string]any{"link_timeout_ms": 60000}})
	statusOf(t, controller, working)
	link.pull()
	status, err := controller.Status(t.Context())
	if err != nil || status.Peer.Status != nil || !strings.Contains(status.Peer.Error, "did not answer in time") || status.Health != control.Healthy {
		t.Errorf("status %+v, peer %+v, %v", status, status.Peer, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := controller.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ping: %v", err)
	}
	link.heal()
	_ = s
}

func TestAnOccupiedControlSocketStopsNoModule(t *testing.T) {
	_, controller := controlSockets(t)
	server, err := control.Listen(control.Config{Path: controller.Path(), Status: func(context.Context) (*control.Status, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{})
	if status := s.main.controller.Status(); !status.Connected {
		t.Errorf("status %+v", status)
	}
}

// Whom the agent keeps out is a reason why nobody has agreed, and the agent tells
// how to be let in where it was refused itself.
func TestAnAgentTellsOfWhoWasRejected(t *testing.T) {
	agent, _ := controlSockets(t)
	p := pair(t)
	own := mustLoad(t, p.satellite)
	p.change(p.controller, func(trust *identity.Trust) { *trust = identity.Trust{} })
	log, security := watched(t)
	s := startSatellite(t, everesttest.NewBroker(t), p.protect(satelliteOptions{agent: satellite.AgentConfig{Logger: log}}))
	status := statusOf(t, agent, func(status *control.Status) bool { return status.State == "Waiting" })
	if strings.Contains(status.Problem, "ejected") {
		t.Errorf("nobody came, and the problem is %q", status.Problem)
	}
	startMainWith(t, everesttest.NewBroker(t), portOf(t, s.address), satellite.ControllerConfig{}, p.protect(satelliteOptions{}).main, nil)
	line := security.wait("peer_rejected", string(identity.RefusedUs))
	remedy, _ := line.ContextMap()["remedy"].(string)
	if !strings.Contains(remedy, "main board") || !strings.Contains(remedy, own.Fingerprint.String()+" --serial SAT01") {
		t.Errorf("the remedy is %q", remedy)
	}
	statusOf(t, agent, func(status *control.Status) bool {
		return status.Link.PeersRejected > 0 && strings.Contains(status.Problem, "rejected")
	})
}
