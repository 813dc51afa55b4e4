package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// join is the line of doc/security.md that each board of a station needs.
func join(t *testing.T, authority, board, serial, role string) (says string) {
	t.Helper()
	request, _ := keys(t, exitDone, "", "create", board, "--serial", serial, "--request")
	signed, says := keys(t, exitDone, request, "ca", "sign", authority, "-", "--as", role)
	keys(t, exitDone, signed, "adopt", board, "-", "--trust")
	return says
}

// An authority for a station of 64 satellite boards. The boards meet over real links.
func TestAuthorityOfAStation(t *testing.T) {
	home := t.TempDir()
	ca, main := filepath.Join(home, "ca"), filepath.Join(home, "main")
	keys(t, exitDone, "", "ca", "create", ca, "Station 7")
	satellites := make([]string, 64)
	for i := range satellites {
		serial := fmt.Sprintf("SAT%d", i+1)
		satellites[i] = filepath.Join(home, serial)
		if says := join(t, ca, satellites[i], serial, "satellite"); says != "" {
			t.Errorf("%s: %s", serial, says)
		}
	}
	join(t, ca, main, "MAIN01", "controller")
	// A board whose turn failed is repeated with all others: no key changes.
	before := report(t, "show", satellites[0]).Fingerprint
	if says := join(t, ca, satellites[0], "SAT1", "satellite"); says != "" || report(t, "show", satellites[0]).Fingerprint != before {
		t.Errorf("repeated: %s", says)
	}
	var listed []signedReport
	out, _ := keys(t, exitDone, "", "ca", "list", ca, "--json")
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) != 65 {
		t.Fatalf("%d boards are listed, %v", len(listed), err)
	}
	for i, one := range listed[1:] {
		if one.Serial != fmt.Sprintf("SAT%d", i+1) || one.Role != "satellite" || one.Repeated {
			t.Errorf("%d. in the list is %+v", i+2, one)
		}
	}
	if listed[0].Serial != "MAIN01" || listed[0].Role != "controller" {
		t.Errorf("the first in the list is %+v", listed[0])
	}
	for _, number := range []int{1, 64} {
		link(t, satellites[number-1], main, fmt.Sprintf("SAT%d", number))
	}
	// The role is in the certificate: a satellite controls no other one.
	one, other := open(t, satellites[0]), open(t, satellites[1])
	if _, err := one.Verify(other.Identity().Chain(), identity.Controller, ""); err == nil {
		t.Error("a satellite takes another one for a main board")
	}
}

func open(t *testing.T, directory string) *identity.Store {
	t.Helper()
	store, err := identity.Open(directory, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

const stubs = `
description: What the modules need beside them.
provides:
  evse: {interface: evse_manager, description: The port.}
  energy_grid: {interface: energy, description: Its energy node.}
  main: {interface: auth, description: Authorisation.}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

// link runs an agent and a controller with the identities in two directories, until both boards are ready.
func link(t *testing.T, satelliteIdentity, mainIdentity, serial string) {
	t.Helper()
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	port := everesttest.FreePort(t)
	others := everesttest.ModuleConfig{Module: "Stubs", Manifest: []byte(stubs)}
	board := everesttest.NewManager(t, everesttest.ManagerConfig{Definitions: known, Modules: map[string]everesttest.ModuleConfig{
		"others": others,
		"remote_controller": {
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest,
			Config: map[string]any{"port": port, "listen_address": "127.0.0.1", "security": "mutual-tls", "identity_directory": satelliteIdentity},
			Connections: map[string][]everesttest.Connection{
				"evse_manager": {{ModuleID: "others", ImplementationID: "evse"}}, "energy": {{ModuleID: "others", ImplementationID: "energy_grid"}},
			},
		},
	}})
	main := everesttest.NewManager(t, everesttest.ManagerConfig{Definitions: known, Modules: map[string]everesttest.ModuleConfig{
		"others": others,
		"connector_2": {
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
			Config: map[string]any{
				"hostname": "127.0.0.1", "port": port, "security": "mutual-tls", "identity_directory": mainIdentity, "satellite_serial": serial,
			},
			Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: "others", ImplementationID: "main"}}},
		},
	}})
	everesttest.RunModule(t, board.Options("others"), nil)
	everesttest.RunModule(t, main.Options("others"), nil)
	agent := satellite.NewAgent(satellite.AgentConfig{Everest: board.Options("remote_controller")})
	controller := satellite.NewController(satellite.ControllerConfig{Everest: main.Options("connector_2")})
	running := []*everesttest.Process{everesttest.Run(t, "agent", agent.Run), everesttest.Run(t, "controller", controller.Run)}
	everesttest.WaitReady(t, board)
	everesttest.WaitReady(t, main)
	if a, c := agent.Status(), controller.Status(); a.PeerSerial != "MAIN01" || c.PeerSerial != serial || c.Security != "mutual-tls" {
		t.Errorf("the agent talks to %q, the controller to %q, by %s", a.PeerSerial, c.PeerSerial, c.Security)
	}
	for _, one := range running {
		if err := one.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// A serial number that is given twice is pointed out when it is signed, and in the list.
func TestAuthorityPointsOutTwoKeysOfOneSerial(t *testing.T) {
	home := t.TempDir()
	ca := filepath.Join(home, "ca")
	keys(t, exitDone, "", "ca", "create", ca, "Station 7")
	join(t, ca, home+"/one", "SAT01", "satellite")
	first := report(t, "show", home+"/one").Fingerprint.String()
	if says := join(t, ca, home+"/two", "SAT01", "satellite"); !strings.Contains(says, "two keys: ") || !strings.Contains(says, first) {
		t.Errorf("the second key: %s", says)
	}
	join(t, ca, home+"/three", "SAT03", "satellite")
	if list, _ := keys(t, exitDone, "", "ca", "list", ca); strings.Count(list, "one of several keys") != 2 || strings.Count(list, "\n") != 4 {
		t.Errorf("the list:\n%s", list)
	}
	keys(t, exitFailed, "", "ca", "list", home+"/nowhere")
}

// What fails on the way of a request changes nothing on the board.
func TestRequestsThatFail(t *testing.T) {
	home := t.TempDir()
	ca, sat := filepath.Join(home, "ca"), filepath.Join(home, "sat")
	keys(t, exitDone, "", "ca", "create", ca, "Station 7")
	request, _ := keys(t, exitDone, "", "create", sat, "--serial", "SAT01", "--request")
	if _, says := keys(t, exitExists, "", "create", sat, "--serial", "SAT02", "--request"); !strings.Contains(says, "that of SAT01, not of SAT02") {
		t.Errorf("another serial number: %s", says)
	}
	keys(t, exitFailed, "", "ca", "sign", ca, "-", "--as", "satellite") // the command before it failed
	keys(t, exitFailed, "", "adopt", sat, "-", "--trust")
	if _, says := keys(t, exitFailed, request, "adopt", sat, "-", "--trust"); !strings.Contains(says, "no certificate of the authority") {
		t.Errorf("a request instead of what was signed: %s", says)
	}
	keys(t, exitUsage, "", "ca", "sign", ca, sat, "-", "--as", "satellite")
	if shown := report(t, "show", sat); shown.SignedBy != "" || len(shown.Authorities) != 0 {
		t.Errorf("the board shows %+v", shown)
	}
	keys(t, exitDone, "", "create", home+"/more", "--serial", "SAT02")
	keys(t, exitDone, "", "ca", "sign", ca, sat, home+"/more", "--as", "satellite") // several directories
	for _, directory := range []string{sat, home + "/more"} {
		if shown := report(t, "show", directory); shown.SignedBy != "Station 7" || len(shown.Authorities) != 1 {
			t.Errorf("%s shows %+v", directory, shown)
		}
	}
}
