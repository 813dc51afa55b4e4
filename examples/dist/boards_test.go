package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// settle must include a garbage collection after the start for a memory figure that compares: 3 s. No check depends on
// it.
var settle = flag.Duration("dist.settle", 0, "how long an agent idles before its memory is reported")

const stubs = `
description: What the modules need beside them.
provides:
  evse: {interface: evse_manager, description: The port.}
  energy_grid: {interface: energy, description: Its energy node.}
  main: {interface: auth, description: Authorisation.}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

// TestAgentsOfAllBoards runs the agent of every target: it installs itself and connects to a controller. Agents of
// other processors run under qemu-user.
func TestAgentsOfAllBoards(t *testing.T) {
	for _, target := range targets {
		t.Run(target.name, func(t *testing.T) {
			var emulator []string
			if target.name != native(t).name {
				emulator = []string{emulatorOf(t, target)}
			}
			only(t, "SatelliteAgent")
			directory := t.TempDir()
			dist(t, directory, "-targets", target.name)
			program := filepath.Join(directory, "linux-"+target.name, "SatelliteAgent")
			checkBoardProgram(t, program)

			prefix := t.TempDir()
			install := append(slices.Clip(emulator), program, "-install", prefix, "-force")
			command := exec.CommandContext(t.Context(), install[0], install[1:]...)
			if output, err := command.CombinedOutput(); err != nil {
				t.Fatalf("-install: %v\n%s", err, output)
			}
			installed := filepath.Join(prefix, "libexec", "everest", "modules", "SatelliteAgent", "SatelliteAgent")
			if fileSize(t, installed) != fileSize(t, program) {
				t.Errorf("-install has written %d bytes, want %d", fileSize(t, installed), fileSize(t, program))
			}
			runWithController(t, append(slices.Clip(emulator), installed), len(emulator) == 0)
		})
	}
}

// emulatorOf returns the emulator for a target. Without one it skips the test, or fails it in CI.
func emulatorOf(t *testing.T, target target) string {
	t.Helper()
	name := map[string]string{"armv7": "qemu-arm", "arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}[target.name]
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%v: install qemu-user", err)
	}
	t.Skipf("%v: install qemu-user to run what is built for %s", err, target.name)
	return ""
}

// runWithController runs the agent as a manager starts it, beside a controller, until both boards are ready. With
// measure it logs the memory of the agent's process.
func runWithController(t *testing.T, agent []string, measure bool) {
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	port := everesttest.FreePort(t)
	board := everesttest.NewManager(t, everesttest.ManagerConfig{
		Definitions: known,
		Modules: map[string]everesttest.ModuleConfig{
			"others": {Module: "Stubs", Manifest: []byte(stubs)},
			"remote_controller": {
				Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest,
				Config: map[string]any{"port": port, "listen_address": "127.0.0.1"},
				Connections: map[string][]everesttest.Connection{
					"evse_manager": {{ModuleID: "others", ImplementationID: "evse"}},
					"energy":       {{ModuleID: "others", ImplementationID: "energy_grid"}},
				},
			},
		},
	})
	main := everesttest.NewManager(t, everesttest.ManagerConfig{
		Definitions: known,
		Modules: map[string]everesttest.ModuleConfig{
			"others": {Module: "Stubs", Manifest: []byte(stubs)},
			"connector_2": {
				Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
				Config:      map[string]any{"hostname": "127.0.0.1", "port": port},
				Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: "others", ImplementationID: "main"}}},
			},
		},
	})
	everesttest.RunModule(t, board.Options("others"), nil)
	everesttest.RunModule(t, main.Options("others"), nil)

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, agent[0], append(agent[1:], board.Arguments("remote_controller")...)...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = everesttest.Patience
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("the agent:\n%s", output.String())
		}
	})
	controller := satellite.NewController(satellite.ControllerConfig{Everest: main.Options("connector_2")})
	running := everesttest.Run(t, "controller", controller.Run)
	everesttest.WaitReady(t, board)
	everesttest.WaitReady(t, main)
	if measure {
		t.Logf("resident after %v of idling: %.1f MiB", *settle, resident(t, command.Process.Pid))
	}
	if err := running.Stop(); err != nil {
		t.Errorf("controller: %v", err)
	}
}

func resident(t *testing.T, process int) float64 {
	t.Helper()
	time.Sleep(*settle)
	status, err := os.ReadFile("/proc/" + strconv.Itoa(process) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if match == nil {
		t.Fatalf("no VmRSS in:\n%s", status)
	}
	kibibytes, err := strconv.Atoi(strings.TrimSpace(string(match[1])))
	if err != nil {
		t.Fatal(err)
	}
	return float64(kibibytes) / 1024
}
