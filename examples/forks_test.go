package examples

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// maxFork is how many lines a whole fork has at most.
const maxFork = 40

// forks are the Examples that are whole forks, by the file that has them.
var forks = map[string]string{
	"lamp":     "../satellite/example_fork_test.go",
	"watchdog": "../satellite/example_watchdog_test.go",
	"changes":  "../satellite/example_changes_test.go",
	"nightly":  "../aggregator/example_fork_test.go",
}

// forkOf returns the program that godoc shows for the only Example of a file.
func forkOf(t *testing.T, name string) []byte {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := doc.Examples(file)
	if len(found) != 1 || found[0].Play == nil {
		t.Fatalf("%s has %d Examples, want one that is a whole program", name, len(found))
	}
	play := found[0].Play
	for _, declared := range play.Decls {
		if function, ok := declared.(*ast.FuncDecl); ok {
			function.Doc = nil
		}
	}
	var program bytes.Buffer
	if err := format.Node(&program, fset, play); err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(program.Bytes(), []byte("\n")); lines > maxFork {
		t.Errorf("%s has %d lines as a program, want %d at most", name, lines, maxFork)
	}
	return program.Bytes()
}

// builtForks is the folder of the forks' programs. It builds them as a vendor does, in a module outside of the checkout
// that requires this one: so they need nothing that is not exported.
var builtForks = sync.OnceValues(func() (folder string, err error) {
	folder = filepath.Join(programs, "forks")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	const own = "github.com/remotechargeport/remotechargeport"
	checkout, err := filepath.Abs("..")
	if err != nil {
		return "", err
	}
	requirements, err := os.ReadFile("../go.mod")
	if err != nil {
		return "", err
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		return "", err
	}
	// The checkout's versions of all others, so that nothing is fetched.
	module := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(string(requirements), "module example.org/acme")
	module += fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %s\n", own, own, checkout)
	for name, content := range map[string][]byte{"go.mod": []byte(module), "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return "", err
		}
	}
	for name := range forks {
		program, err := os.ReadFile(filepath.Join(programs, name+".go"))
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(filepath.Join(folder, name), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, name, "main.go"), program, 0o644); err != nil {
			return "", err
		}
	}
	command := exec.Command("go", "build", "-mod=mod", "-o", folder+"/bin/", "./...")
	command.Dir = folder
	command.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build of the forks: %w\n%s", err, output)
	}
	return folder + "/bin", nil
})

// installFork builds a fork, lets it install itself, and returns the installed program and its manifest.
func installFork(t *testing.T, name, module string) (program string, manifest []byte, prefix string) {
	t.Helper()
	for other, file := range forks {
		if err := os.WriteFile(filepath.Join(programs, other+".go"), forkOf(t, file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	folder, err := builtForks()
	if err != nil {
		t.Fatal(err)
	}
	prefix = t.TempDir()
	if output, err := exec.CommandContext(t.Context(), filepath.Join(folder, name), "-install", prefix, "-force").CombinedOutput(); err != nil {
		t.Fatalf("-install: %v\n%s", err, output)
	}
	if manifest, err = install.InstalledManifest(prefix, module); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(prefix, "libexec", "everest", "modules", module, module), manifest, prefix
}

// forkBoard is a satellite board whose agent is a fork, and a main board with the controller.
type forkBoard struct {
	board  *everesttest.Manager
	system chan string
	lamp   *everest.Required
	lit    chan string
	main   *everest.Module
	agent  *process
}

const lampUser = `
description: A module that uses the lamp.
requires:
  lamp: {interface: acme_lamp, min_connections: 0}
provides:
  system: {interface: system, description: The system of the board.}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

// startForkBoard starts the installed program of a fork as a manager does, with its whole station.
func startForkBoard(t *testing.T, program string, manifest []byte, prefix string, keys map[string]any) *forkBoard {
	t.Helper()
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	lamp, err := schema.LoadInterfaces(os.DirFS(filepath.Join(prefix, "share", "everest")), "acme_lamp")
	if err != nil {
		t.Fatal(err)
	}
	known = lamp.Over(known)
	agentPort := everesttest.FreePort(t)
	config := map[string]any{"port": agentPort, "listen_address": agentAddress}
	for key, value := range keys {
		config[key] = value
	}
	user := map[string][]everesttest.Connection{}
	if len(keys) > 0 {
		user["lamp"] = []everesttest.Connection{{ModuleID: "agent", ImplementationID: "acme_lamp"}}
	}
	b := &forkBoard{system: make(chan string, 100), lit: make(chan string, 100)}
	b.board = everesttest.NewManager(t, everesttest.ManagerConfig{
		Definitions: known,
		Modules: map[string]everesttest.ModuleConfig{
			"connector": {Module: "Port", Manifest: []byte(portManifest)},
			"user":      {Module: "User", Manifest: []byte(lampUser), Connections: user},
			"agent": {
				Module: "SatelliteAgent", Manifest: manifest, Config: config,
				Connections: map[string][]everesttest.Connection{
					"evse_manager": {{ModuleID: "connector", ImplementationID: "evse"}},
					"energy":       {{ModuleID: "connector", ImplementationID: "energy_grid"}},
					"system":       {{ModuleID: "user", ImplementationID: "system"}},
				},
			},
		},
	})
	everesttest.RunModule(t, b.board.Options("connector"), nil)
	everesttest.RunModule(t, b.board.Options("user"), func(m *everest.Module) {
		for _, command := range []string{"reset", "is_reset_allowed"} {
			m.Provides("system").Handle(command, func(context.Context, everest.Args) (any, error) {
				b.system <- command
				if command == "reset" {
					return nil, nil
				}
				return true, nil
			})
		}
		for _, b.lamp = range m.Requires("lamp") {
			b.lamp.Subscribe("lit_s", func(_ context.Context, value json.RawMessage) { b.lit <- string(value) })
		}
	})
	main := everesttest.NewManager(t, everesttest.ManagerConfig{
		Definitions: known,
		Modules: map[string]everesttest.ModuleConfig{
			"auth": {
				Module: "Auth", Manifest: []byte(strings.Replace(authManifest, "provides:", "requires:\n  system: {interface: system}\nprovides:", 1)),
				Connections: map[string][]everesttest.Connection{"system": {{ModuleID: "connector_2", ImplementationID: "system"}}},
			},
			"connector_2": {
				Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
				Config:      map[string]any{"hostname": agentAddress, "port": agentPort},
				Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: "auth", ImplementationID: "main"}}},
			},
		},
	})
	b.main = everesttest.RunModule(t, main.Options("auth"), nil).Module
	b.agent = start(t, program, "agent:SatelliteAgent", b.board.Arguments("agent"))
	start(t, installModule(t, "controller", "SatelliteController"), "connector_2:SatelliteController", main.Arguments("connector_2"))
	everesttest.WaitReady(t, b.board)
	everesttest.WaitReady(t, main)
	return b
}

// stop ends the agent in order.
func (b *forkBoard) stop(t *testing.T) {
	t.Helper()
	if err := b.agent.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := b.agent.wait(); status != 0 {
		t.Errorf("the agent ends with status %d after SIGTERM:\n%s", status, b.agent.output.String())
	}
}

// TestForkFromItsExampleAlone: a fork with an own command, key and reset policy is what godoc shows, and nothing more.
func TestForkFromItsExampleAlone(t *testing.T) {
	program, manifest, prefix := installFork(t, "lamp", "SatelliteAgent")
	b := startForkBoard(t, program, manifest, prefix, map[string]any{"acme_lamp_s": 7})
	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	defer cancel()
	if err := b.lamp.Call(ctx, "light", nil, nil); err != nil {
		t.Errorf("the fork's own command: %v", err)
	}
	select {
	case seconds := <-b.lit:
		if seconds != "7" {
			t.Errorf("the lamp is lit for %s s, want the 7 of the configuration", seconds)
		}
	case <-ctx.Done():
		t.Error("the fork's own variable did not come")
	}
	reset := func(kind string) {
		t.Helper()
		if err := b.main.Requires("system")[0].Call(ctx, "reset", map[string]any{"type": kind, "scheduled": false}, nil); err != nil {
			t.Errorf("reset %s: %v", kind, err)
		}
	}
	reset("Soft") // it is postponed
	if err := b.main.Requires("system")[0].Call(ctx, "is_reset_allowed", map[string]any{"type": "Soft"}, nil); err != nil {
		t.Error(err)
	}
	if command := <-b.system; command != "is_reset_allowed" {
		t.Errorf("the board's system got %s, though its reset is postponed", command)
	}
	reset("Hard")
	select {
	case command := <-b.system:
		if command != "reset" {
			t.Errorf("the board's system got %s, want reset", command)
		}
	case <-ctx.Done():
		t.Error("the hard reset did not come")
	}
}

// TestForkThatFeedsAWatchdog: under a manager, and its end in order stops the watchdog.
func TestForkThatFeedsAWatchdog(t *testing.T) {
	device := filepath.Join(t.TempDir(), "watchdog")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ACME_WATCHDOG", device)
	program, manifest, prefix := installFork(t, "watchdog", "SatelliteAgent")
	b := startForkBoard(t, program, manifest, prefix, nil)
	var fed []byte
	for begin := time.Now(); len(fed) == 0 && time.Since(begin) < everesttest.Patience; time.Sleep(50 * time.Millisecond) {
		var err error
		if fed, err = os.ReadFile(device); err != nil {
			t.Fatal(err)
		}
	}
	b.stop(t)
	fed, err := os.ReadFile(device)
	if err != nil || len(fed) < 2 || !bytes.HasSuffix(fed, []byte{0, 'V'}) {
		t.Errorf("the watchdog got %q, %v, want zeros and a V", fed, err)
	}
	if output := b.agent.output.String(); !strings.Contains(output, "link is up") {
		t.Errorf("the fork did not tell of its link:\n%s", output)
	}
}

// TestForksThatOnlyStart: the other Examples install themselves, and what they add is in the manifest.
func TestForksThatOnlyStart(t *testing.T) {
	_, manifest, _ := installFork(t, "nightly", aggregator.Installation().Module)
	parsed, err := install.ParseManifest(manifest)
	if err != nil || string(parsed.Config["acme_reset_hour"].Default) != "3" {
		t.Errorf("the key of the fork is %+v, %v", parsed.Config["acme_reset_hour"], err)
	}
	_, manifest, _ = installFork(t, "changes", "SatelliteController")
	if !bytes.Equal(manifest, satellite.ControllerInstallation().Manifest) {
		t.Error("a fork that adds nothing has another manifest")
	}
	program, _, _ := installFork(t, "changes", "SatelliteController")
	process := start(t, program, "m:SatelliteController", []string{"--module", "m", "--mqtt_broker_socket_path", "/no/such/socket"})
	if status := process.wait(); status != 1 || !strings.Contains(process.output.String(), "/no/such/socket") {
		t.Errorf("status %d and output %q", status, process.output.String())
	}
}
