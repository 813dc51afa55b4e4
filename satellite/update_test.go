package satellite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// updated is a station whose satellite has accepted an update.
type updated struct {
	t *testing.T
	*station
	port     int
	agentLog *observer.ObservedLogs
	// published gets what the new main boards hear of the update.
	published chan string
}

const updateOf7 = `{"request_id":7,"location":"https://example.org/f","retries":1}`

func startUpdated(t *testing.T, dialect string) *updated {
	t.Helper()
	u := &updated{t: t, port: everesttest.FreePort(t), published: make(chan string, 100)}
	log, logs := observed()
	u.agentLog = logs
	u.station = startStation(t, everesttest.NewBroker(t), satelliteOptions{
		port: u.port, dialect: dialect, main: map[string]any{"on_loss": "restart"}, agent: satellite.AgentConfig{Logger: log},
	})
	var answer string
	if err := u.main.required("system").Call(t.Context(), "update_firmware", map[string]any{"firmware_update_request": json.RawMessage(updateOf7)}, &answer); err != nil || answer != "Accepted" {
		t.Fatalf("update_firmware returned %q, %v", answer, err)
	}
	receive(t, u.satellite.system.calls, "the update")
	return u
}

// says has the satellite's System report, and waits until its agent has the report.
func (u *updated) says(status string) {
	u.t.Helper()
	before := u.satellite.agent.Status().Collected
	if err := u.satellite.system.module.Provides("system").Publish(u.t.Context(), "firmware_update_status", json.RawMessage(statusOf7(status))); err != nil {
		u.t.Fatal(err)
	}
	waitUntil(u.t, "the agent has the report", func() bool { return u.satellite.agent.Status().Collected > before })
}

func statusOf7(status string) string {
	return fmt.Sprintf(`{"firmware_update_status":%q,"request_id":7}`, status)
}

// restartMain ends the main board and starts it again.
func (u *updated) restartMain() {
	u.t.Helper()
	u.main.process.stop()
	receive(u.t, u.main.process.ended, "the end of the main board")
	config := satellite.ControllerConfig{Handshake: handshake.ControllerConfig{Retry: 20 * time.Millisecond}}
	u.main = startMainWith(u.t, everesttest.NewBroker(u.t), u.port, config, map[string]any{"on_loss": "restart"}, func(main *standIn) {
		main.module.Requires("system")[0].Subscribe("firmware_update_status", func(_ context.Context, value json.RawMessage) { u.published <- string(value) })
	})
}

// restartSatellite ends the satellite's modules and starts them again.
func (u *updated) restartSatellite() {
	u.t.Helper()
	u.satellite.process.stop()
	receive(u.t, u.satellite.process.ended, "the agent's end")
	u.satellite = startSatellite(u.t, everesttest.NewBroker(u.t), satelliteOptions{port: u.port})
}

// expectWaiting waits until the agent has sent a new controller away, again and again, and checks that nobody has reset
// the board.
func (u *updated) expectWaiting() {
	u.t.Helper()
	waitUntil(u.t, "the new main board is sent away", func() bool {
		return u.agentLog.FilterMessageSnippet("it waits until the firmware update").Len() > 0
	})
	waitUntil(u.t, "the new main board tries again", func() bool { return u.main.controller.Status().State == "Pausing" })
	if calls := drain(u.satellite.system.calls); len(calls) > 0 {
		u.t.Errorf("called while the board is updated: %v", calls)
	}
}

// A main board that restarts while its satellite is being updated waits for the end. It then agrees with the satellite,
// and hears how the update has ended.
func TestAnUpdatedSatelliteIsNotResetByItsMainBoard(t *testing.T) {
	for _, dialect := range []string{"v2", "legacy"} {
		for _, phase := range [][]string{nil, {"Downloading"}, {"Downloading", "Downloaded", "Installing"}} {
			t.Run(fmt.Sprintf("%s, %v", dialect, phase), func(t *testing.T) {
				t.Setenv("STATE_DIRECTORY", t.TempDir())
				u := startUpdated(t, dialect)
				for _, status := range phase {
					u.says(status)
				}
				u.restartMain()
				u.expectWaiting()
				u.says("InstallationFailed")
				u.satellite.expectReset(t)
				u.restartSatellite()
				u.satellite.waitReady()
				u.main.waitReady()
				if got := receive(t, u.published, "the end of the update"); got != statusOf7("InstallationFailed") {
					t.Errorf("the main board hears %s", got)
				}
			})
		}
	}
}

// A C++ agent resets its board when a new main board announces itself. A controller's process that restarts while such a
// board is being flashed waits for its end, of which it hears, or until another process of the agent is there.
func TestAFlashedLegacySatelliteIsNotResetByItsMainBoard(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"the board restarts", "the installation fails"} {
		t.Run(end, func(t *testing.T) {
			greeting := readExchanges(t, "startup.jsonl")[:2]
			agent := startScriptedAgent(t, append(greeting, greeting...))
			agent.tells = make(chan string, 1)
			var fresh atomic.Bool
			agent.lacks = func(function string) bool { return strings.HasPrefix(function, "retrieve_vars") && fresh.Load() }
			says := func(status string) {
				agent.tells <- `{"errors":[],"vars":[{"interface":"system","var":"firmware_update_status","value":` + statusOf7(status) + `}]}`
			}
			announced := func() {
				t.Helper()
				for _, want := range []string{link.FunctionIAmHere, link.FunctionIAmReady} {
					if got := receive(t, agent.asked, want); got.function != want {
						t.Fatalf("the agent is asked %s, want %s", got.function, want)
					}
					fresh.Store(false)
				}
			}
			directory, published := t.TempDir(), make(chan string, 10)
			begin := func() *mainBoard {
				config := satellite.ControllerConfig{StateDirectory: directory, Handshake: handshake.ControllerConfig{Retry: 20 * time.Millisecond}}
				return startMainWith(t, everesttest.NewBroker(t), agent.listener.Addr().(*net.TCPAddr).Port, config, map[string]any{}, func(main *standIn) {
					main.module.Requires("system")[0].Subscribe("firmware_update_status", func(_ context.Context, value json.RawMessage) { published <- string(value) })
				})
			}
			first := begin()
			announced()
			first.waitReady()
			says("Installing")
			if got := receive(t, published, "the status"); got != statusOf7("Installing") {
				t.Fatal(got)
			}
			first.process.stop()
			receive(t, first.process.ended, "the end of the main board")
			before := agent.polls.Load()
			second := begin()
			waitUntil(t, "the agent is polled", func() bool { return agent.polls.Load() > before+3 })
			if len(agent.asked) > 0 {
				t.Fatalf("while the board is flashed the agent is asked %+v", <-agent.asked)
			}
			if end == "the board restarts" {
				fresh.Store(true)
			} else {
				says("InstallVerificationFailed")
			}
			announced()
			second.waitReady()
			if end == "the installation fails" {
				if got := receive(t, published, "the end"); got != statusOf7("InstallVerificationFailed") {
					t.Errorf("the main board hears %s", got)
				}
			}
			waitUntil(t, "nothing is kept any more", func() bool {
				kept, err := filepath.Glob(filepath.Join(directory, "*.update.json"))
				return err == nil && len(kept) == 0
			})
		})
	}
}

// Once the update has come to its end and the board has restarted for it, the main board agrees with the new process.
func TestAnUpdatedSatelliteJoinsItsNewMainBoard(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("STATE_DIRECTORY", directory)
	u := startUpdated(t, "auto")
	u.says("Installing")
	u.restartMain()
	u.expectWaiting()
	// The board restarts, and EVerest's manager with it, before System has reported anything.
	u.satellite.process.stop()
	receive(t, u.satellite.process.ended, "the agent's end")
	file := filepath.Join(directory, agentID+".update.json")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(content), `"manager":"`, `"manager":"before `, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	u.satellite = startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: u.port})
	u.satellite.waitReady()
	u.main.waitReady()
	u.restartMain() // and this one no longer waits
	u.satellite.expectReset(t)
}

// The agent alone restarts in the middle of the installation. Its next process knows of it.
func TestAnUpdateOutlivesTheAgent(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	u := startUpdated(t, "auto")
	u.says("Installing")
	log, logs := observed()
	u.agentLog = logs
	u.satellite.process.stop()
	receive(t, u.satellite.process.ended, "the agent's end")
	u.satellite = startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: u.port, agent: satellite.AgentConfig{Logger: log}})
	u.satellite.waitReady() // the main board, which expects the loss, agrees anew
	u.restartMain()
	u.expectWaiting()
	u.says("InstallationFailed")
	u.satellite.expectReset(t)
}

// Whoever asks, a board that is being flashed is not reset, and says that before it is asked to.
func TestAFlashedSatelliteRefusesAReset(t *testing.T) {
	t.Parallel()
	u := startUpdated(t, "auto")
	allowed := func() (allowed bool) {
		t.Helper()
		if err := u.main.required("system").Call(t.Context(), "is_reset_allowed", map[string]any{"type": "Soft"}, &allowed); err != nil {
			t.Fatal(err)
		}
		return allowed
	}
	u.says("Installing")
	if allowed() {
		t.Error("a reset is allowed while the board is flashed")
	}
	if err := u.main.required("system").Call(t.Context(), "reset", hardReset, nil); err != nil {
		t.Errorf("reset: %v", err)
	}
	if calls := drain(u.satellite.system.calls); len(calls) > 0 {
		t.Errorf("System was called: %v", calls)
	}
	u.says("InstallationFailed")
	if !allowed() {
		t.Error("no reset is allowed after the installation")
	}
	receive(t, u.satellite.system.calls, "the question")
	if err := u.main.required("system").Call(t.Context(), "reset", hardReset, nil); err != nil {
		t.Errorf("reset: %v", err)
	}
	if got := receive(t, u.satellite.system.calls, "the reset"); got.Command != "reset" {
		t.Errorf("System was called: %v", got)
	}
}
