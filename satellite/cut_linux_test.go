package satellite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// limitsOf are limits for the satellite's EVSE. They hold longer than any outage of a test.
func limitsOf(current int) map[string]json.RawMessage {
	return map[string]json.RawMessage{"value": json.RawMessage(fmt.Sprintf(
		`{"limits_root_side":{"ac_max_current_A":{"source":"test","value":%d}},"schedule":[],"uuid":%q,"valid_for":600}`, current, controllerID))}
}

// satelliteAddress is the address of the satellite in a namespace of its own. Without it the cable is cut: packets go
// nowhere, and no connection is told.
const satelliteAddress = "10.98.0.2"

func plug(t testing.TB)   { setAddress(t, "add") }
func unplug(t testing.TB) { setAddress(t, "del") }

func setAddress(t testing.TB, verb string) {
	t.Helper()
	command := exec.CommandContext(context.Background(), "ip", "address", verb, satelliteAddress+"/32", "dev", "lo")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", command, err, output)
	}
}

// startAway starts a station whose satellite has its own address.
func startAway(t *testing.T, dialect string) *station {
	plug(t)
	return startStation(t, everesttest.NewBroker(t), satelliteOptions{
		dialect: dialect, keys: map[string]any{"listen_address": satelliteAddress},
		main: map[string]any{"dialect": dialect, "hostname": satelliteAddress, "identities": "verbatim"},
	})
}

// A cut cable tells nobody. The modules that call one EVSE after the other must not notice it at the others, whatever
// the satellite speaks: EVerest's EnergyManager sets limits each second, and an EVSE without them stops after 11 s.
func TestACutCableIsNotNoticedByTheOtherEVSEs(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, dialect := range []string{"legacy", "v2"} {
		t.Run(dialect, func(t *testing.T) {
			s := startAway(t, dialect)
			unplug(t)
			var gaps []time.Duration
			last := time.Now()
			for round := range 4 {
				for name, arguments := range map[string]any{"energy.enforce_limits": limitsOf(round), "evse_manager.withdraw_authorization": nil} {
					id, command, _ := strings.Cut(name, ".")
					if err := s.main.required(id).Call(t.Context(), command, arguments, nil); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				// Here the caller comes to the local EVSE.
				now := time.Now()
				gaps, last = append(gaps, now.Sub(last)), now
				// TCP gives the connection up after 20 s, and tries again ever less often: a short outage leaves a busy machine
				// the most time.
				time.Sleep(250 * time.Millisecond)
			}
			t.Logf("the local EVSE had to wait %v", gaps)
			// A busy machine takes its time. The exact bound is that of TestACutCableHoldsUpNobody; a caller that waits for the
			// link waits for 20 s or more.
			if gap := slices.Max(gaps); gap > 10*time.Second {
				t.Errorf("limits of the local EVSE came %v apart", gap)
			}
			// Who asks gets the negative result. TCP itself would close the connection after 20 s.
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			paused := true
			if err := s.main.required("evse_manager").Call(ctx, "pause_charging", nil, &paused); err != nil || paused {
				t.Errorf("pause_charging returned %v, %v", paused, err)
			}
			plug(t)
			// The newest limits and one withdrawal for each round are executed, and nothing that was refused.
			var executed []string
			for len(executed) < 6 {
				call := receive(t, s.satellite.port.calls, "a command")
				executed = append(executed, call.Command)
				if call.Command == "pause_charging" {
					t.Error("a command was executed after its negative answer")
				}
				if slices.Contains(executed, "enforce_limits") && len(slices.DeleteFunc(slices.Clone(executed), func(name string) bool { return name != "withdraw_authorization" })) == 4 {
					break
				}
			}
			t.Logf("executed %v", executed)
			unplug(t)
		})
	}
}

// A C++ agent that cannot be reached while it is asked to update its firmware must not do so later: the link ends.
func TestACutCableDuringAnUpdateRequest(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	s := startAway(t, "legacy")
	declared, _ := definitions(t).Interface("system")
	arguments := sampler{t, definitions(t)}.arguments(declared.Commands["update_firmware"])
	unplug(t)
	var status string
	if err := s.main.required("system").Call(t.Context(), "update_firmware", arguments, &status); err != nil || status != "Rejected" {
		t.Errorf("update_firmware returned %q, %v", status, err)
	}
	expectEnd(t, s.main.process, handshake.ConnectionLost)
	plug(t)
	s.satellite.process.stop()
	receive(t, s.satellite.process.ended, "the agent's end")
	if calls := drain(s.satellite.system.calls); len(calls) > 0 {
		t.Errorf("the satellite's system was called: %v", calls)
	}
}
