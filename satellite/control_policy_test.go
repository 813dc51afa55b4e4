package satellite_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// controlled are the commands that the policy is about.
func controlled(t *testing.T) map[string]route.Command {
	commands := map[string]route.Command{}
	for _, r := range route.Standard() {
		for _, command := range r.Commands {
			if command.Privileged {
				commands[command.Name] = command
			}
		}
	}
	var names []string
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"allow_firmware_installation", "reset", "update_firmware", "upload_logs"}; !slices.Equal(names, want) {
		t.Errorf("commands of control: %v, want %v", names, want)
	}
	return commands
}

// What resets or updates the board is refused on a link that is not authenticated,
// where the policy says so, with the negative answer of its row; everything else
// works.
func TestControlIsRefusedOnAPlainLink(t *testing.T) {
	t.Parallel()
	negative := map[string]string{
		"allow_firmware_installation": "null", "reset": "null", "update_firmware": `"Rejected"`, "upload_logs": `{"upload_logs_status":"Rejected"}`,
	}
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			log, security := watched(t)
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
				dialect: dialect, main: map[string]any{"dialect": dialect}, agent: satellite.AgentConfig{Logger: log},
				keys: map[string]any{"unauthenticated_control": "refuse"},
			})
			samples := sampler{t, definitions(t)}
			declared, _ := samples.definitions.Interface("system")
			for name, command := range controlled(t) {
				var result json.RawMessage
				if err := s.main.required("system").Call(t.Context(), name, samples.arguments(declared.Commands[name]), &result); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if string(result) != negative[name] {
					t.Errorf("%s answered %s, want %s", name, result, negative[name])
				}
				waitUntil(t, "the line of "+name, func() bool {
					return slices.ContainsFunc(security.of("control_refused", ""), func(entry logged) bool {
						return entry.ContextMap()["function"] == command.Function
					})
				})
			}
			var allowed bool
			if err := s.main.required("system").Call(t.Context(), "is_reset_allowed", map[string]any{"type": "Soft"}, &allowed); err != nil {
				t.Error(err)
			}
			if call := receive(t, s.satellite.system.calls, "is_reset_allowed"); call.Command != "is_reset_allowed" {
				t.Errorf("%s reached the board's system", call.Command)
			}
			s.works(t, "DE*TST*E1")
		})
	}
}

// A stranger at a plain port cannot restart the board while its controller is
// there, where the policy is refuse.
func TestAStrangerCannotRestartAPlainBoard(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			log, security := watched(t)
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
				dialect: dialect, main: map[string]any{"dialect": dialect}, agent: satellite.AgentConfig{Logger: log},
				keys: map[string]any{"unauthenticated_control": "refuse"},
			})
			s.works(t, "DE*TST*E1")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for _, function := range []string{"i_am_here", "exit"} {
				client, err := rpc.Dial(ctx, s.satellite.address, rpc.Config{InsecurePlaintext: true})
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if err := client.Call(ctx, function, nil); function == "i_am_here" && dialect == "legacy" && (err == nil || errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("%s: %v", function, err)
				}
			}
			security.wait("control_refused", "")
			s.works(t, "DE*TST*E2")
			select {
			case err := <-s.satellite.process.ended:
				t.Errorf("the agent ended: %v", err)
			case call := <-s.satellite.system.calls:
				t.Errorf("the board's system was asked to %s", call.Command)
			case <-time.After(time.Second):
			}
		})
	}
}

// An authenticated controller may do everything, whatever the policy.
func TestControlIsAllowedOnAProtectedLink(t *testing.T) {
	t.Parallel()
	log, security := watched(t)
	s := startStation(t, everesttest.NewBroker(t), pair(t).protect(satelliteOptions{
		agent: satellite.AgentConfig{Logger: log}, keys: map[string]any{"unauthenticated_control": "refuse"},
	}))
	samples := sampler{t, definitions(t)}
	declared, _ := samples.definitions.Interface("system")
	for name := range controlled(t) {
		if name == "reset" {
			continue // it ends the link
		}
		if err := s.main.required("system").Call(t.Context(), name, samples.arguments(declared.Commands[name]), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if call := receive(t, s.satellite.system.calls, name); call.Command != name {
			t.Errorf("%s reached the board's system, want %s", call.Command, name)
		}
	}
	if refused := security.of("control_refused", ""); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
}

// By default a plain link may do everything, and each such call is logged.
func TestControlOnAPlainLinkIsLogged(t *testing.T) {
	t.Parallel()
	log, security := watched(t)
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{agent: satellite.AgentConfig{Logger: log}})
	security.wait("link_plain", "")
	if err := s.main.required("system").Call(t.Context(), "allow_firmware_installation", nil, nil); err != nil {
		t.Error(err)
	}
	if function := security.wait("control_unauthenticated", "").ContextMap()["function"]; function != "system_allow_firmware_installation" {
		t.Errorf("the line names %v", function)
	}
	if status := s.satellite.agent.Status(); status.Security != "plain" || status.PeerSerial != "" || !status.IdentityExpires.IsZero() {
		t.Errorf("status %+v", status)
	}
}
