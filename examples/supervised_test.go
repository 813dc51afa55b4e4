package examples

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// notifications returns what arrives at a socket as systemd has it.
func notifications(t *testing.T) (path string, told <-chan string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan string, 100_000)
	go func() {
		defer close(messages)
		buffer := make([]byte, 4096)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			messages <- string(buffer[:n])
		}
	}()
	t.Cleanup(func() {
		socket.Close()
		for range messages {
		}
	})
	return path, messages
}

// await returns the first message that has the text in it.
func await(t *testing.T, ctx context.Context, told <-chan string, text string) string {
	t.Helper()
	var heard []string
	for {
		select {
		case message := <-told:
			if strings.Contains(message, text) {
				return message
			}
			heard = append(heard, message)
		case <-ctx.Done():
			t.Fatalf("systemd was not told %q, but %q", text, heard)
		}
	}
}

// TestAgentUnderSystemd starts the agent as its unit files do: with a socket that is open, a watchdog, and a place to tell
// how it fares.
func TestAgentUnderSystemd(t *testing.T) {
	program := build(t, "agent")
	listener, err := net.Listen("tcp", agentAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	passed, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer passed.Close()
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	board := everesttest.NewManager(t, everesttest.ManagerConfig{
		Definitions: known,
		Modules: map[string]everesttest.ModuleConfig{
			"connector": {Module: "Port", Manifest: []byte(portManifest)},
			"remote_controller": {
				Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest, Standalone: true,
				// An address that nobody can open: the passed socket counts.
				Config: map[string]any{"listen_address": "192.0.2.1"},
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
				Config:      map[string]any{"hostname": agentAddress, "port": listener.Addr().(*net.TCPAddr).Port},
				Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: "auth", ImplementationID: "main"}}},
			},
		},
	})
	everesttest.RunModule(t, board.Options("connector"), nil)
	everesttest.RunModule(t, main.Options("auth"), nil)

	socket, told := notifications(t)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), everesttest.Patience)
	defer cancel()
	// Only the process itself knows in advance which one it is.
	arguments := append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, program}, board.Arguments("remote_controller")...)
	command := exec.CommandContext(ctx, "sh", arguments...)
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=400000", "LISTEN_FDS=1")
	command.ExtraFiles = []*os.File{passed}
	agent := &process{command: command}
	command.Stdout, command.Stderr = &agent.output, &agent.output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("the agent:\n%s", agent.output.String())
		}
	})

	await(t, ctx, told, "STATUS=starting; link: Waiting")
	if message := await(t, ctx, told, "WATCHDOG=1"); message != "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=400000" {
		t.Errorf("before it is ready the agent tells %q", message)
	}
	everesttest.Run(t, "controller", satellite.NewController(satellite.ControllerConfig{Everest: main.Options("connector_2")}).Run)
	await(t, ctx, told, "READY=1")
	await(t, ctx, told, "STATUS=running; link: ")
	for range 2 {
		if message := await(t, ctx, told, "WATCHDOG=1"); message != "WATCHDOG=1" {
			t.Errorf("once it is ready the agent tells %q", message)
		}
	}
	everesttest.WaitReady(t, main)
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, told, "STOPPING=1")
	if status := agent.wait(); status != 0 {
		t.Errorf("status %d after SIGTERM", status)
	}
}
