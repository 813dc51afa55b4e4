// Package examples holds nothing but the test of the module binaries: as vendors
// install them, and as a manager starts them.
package examples

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

const (
	portManifest = `
description: A charge port.
provides:
  evse: {interface: evse_manager, description: The port.}
  energy_grid: {interface: energy, description: Its energy node.}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`
	authManifest = `
description: Authorisation.
provides:
  main: {interface: auth, description: Authorisation.}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`
)

const agentAddress = "127.0.0.1"

// programs is the folder of the programs under test, which built fills once.
var (
	programs string
	built    = sync.OnceValue(func() error {
		output, err := exec.CommandContext(context.Background(), "go", "build", "-o", programs+string(filepath.Separator), "./agent", "./controller").CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build: %w\n%s", err, output)
		}
		return nil
	})
)

func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	folder, err := os.MkdirTemp("", "examples")
	if err != nil {
		panic(err)
	}
	programs = folder
	status := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		panic(err)
	}
	os.Exit(status)
}

func TestModulesAsAManagerStartsThem(t *testing.T) {
	agentPort := everesttest.FreePort(t)
	agent := installModule(t, "agent", "SatelliteAgent")
	controller := installModule(t, "controller", "SatelliteController")
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	board := everesttest.NewManager(t, everesttest.ManagerConfig{
		Definitions: known,
		Modules: map[string]everesttest.ModuleConfig{
			"connector": {Module: "Port", Manifest: []byte(portManifest)},
			"remote_controller": {
				Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest,
				Config: map[string]any{"port": agentPort, "listen_address": agentAddress},
				Connections: map[string][]everesttest.Connection{
					"evse_manager": {{ModuleID: "connector", ImplementationID: "evse"}},
					"energy":       {{ModuleID: "connector", ImplementationID: "energy_grid"}},
				},
			},
		},
	})
	main := everesttest.NewManager(t, everesttest.ManagerConfig{
		Definitions: known,
		Modules: map[string]everesttest.ModuleConfig{
			"auth": {Module: "Auth", Manifest: []byte(authManifest)},
			"connector_2": {
				Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
				Config:      map[string]any{"hostname": agentAddress, "port": agentPort},
				Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: "auth", ImplementationID: "main"}}},
			},
		},
	})
	arrived := everesttest.NewRecorder(t, main.Options("auth").Broker, "everest/modules/connector_2/impl/evse_manager/var/+")
	port := everesttest.RunModule(t, board.Options("connector"), nil)
	everesttest.RunModule(t, main.Options("auth"), nil)
	agentProcess := start(t, agent, "remote_controller:SatelliteAgent", board.Arguments("remote_controller"))
	controllerProcess := start(t, controller, "connector_2:SatelliteController", main.Arguments("connector_2"))
	everesttest.WaitReady(t, board)
	everesttest.WaitReady(t, main)

	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	defer cancel()
	if err := port.Module.Provides("evse").Publish(ctx, "evse_id", "DE*TST*E1"); err != nil {
		t.Fatal(err)
	}
	if _, err := arrived.WaitTopic(ctx, "everest/modules/connector_2/impl/evse_manager/var/evse_id"); err != nil {
		t.Error(err)
	}

	if err := controllerProcess.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := controllerProcess.wait(); status != 0 {
		t.Errorf("the controller ends with status %d after SIGTERM:\n%s", status, controllerProcess.output.String())
	}
	// The controller has said good-bye, and this board has no system module.
	if status := agentProcess.wait(); status != 1 || !strings.Contains(agentProcess.output.String(), "SatelliteAgent: ") {
		t.Errorf("the agent ends with status %d, want 1 and the reason:\n%s", status, agentProcess.output.String())
	}
}

func TestModulesSayWhatIsWrong(t *testing.T) {
	for folder, module := range map[string]string{"agent": "SatelliteAgent", "controller": "SatelliteController"} {
		program := build(t, folder)
		for _, test := range []struct {
			arguments []string
			want      string
		}{
			{nil, "--module"},
			{[]string{"-install"}, "prefix"},
			{[]string{"-install", "/dev/null"}, "/dev/null"},
			{[]string{"--module", "m", "--mqtt_broker_socket_path", "/no/such/socket"}, "/no/such/socket"},
			{[]string{"--module", "m", "--mqtt_broker_port", "many"}, "many"},
		} {
			process := start(t, program, "m:"+module, test.arguments)
			status, output := process.wait(), process.output.String()
			last := output[strings.LastIndex(strings.TrimSuffix(output, "\n"), "\n")+1:]
			if status != 1 || !strings.HasPrefix(last, module+": ") || !strings.Contains(last, test.want) {
				t.Errorf("%s %v: status %d and output %q, want 1 and a line with %q", module, test.arguments, status, output, test.want)
			}
		}
	}
}

// build returns the program of an example.
func build(t *testing.T, folder string) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programs, folder)
}

// installModule lets the program put itself where a manager finds it.
func installModule(t *testing.T, folder, module string) string {
	t.Helper()
	prefix := t.TempDir()
	if output, err := exec.CommandContext(t.Context(), build(t, folder), "-install", prefix, "-force").CombinedOutput(); err != nil {
		t.Fatalf("%s -install: %v\n%s", folder, err, output)
	}
	return filepath.Join(prefix, "libexec", "everest", "modules", module, module)
}

type process struct {
	command *exec.Cmd
	output  bytes.Buffer
}

func start(t *testing.T, program, name string, arguments []string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), everesttest.Patience)
	process := &process{command: exec.CommandContext(ctx, program, arguments...)}
	process.command.Args[0] = name
	process.command.Stdout, process.command.Stderr = &process.output, &process.output
	if err := process.command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Where the test got to its end the process has ended already.
		cancel()
		_ = process.command.Wait()
	})
	return process
}

// wait returns the exit status.
func (p *process) wait() int {
	// The status says what the error would.
	_ = p.command.Wait()
	return p.command.ProcessState.ExitCode()
}
