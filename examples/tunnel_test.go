package examples

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// The modules of doc/tunnel.md that are not ours.
var tunnelManifests = map[string]string{
	"VendorMeter": `
description: A meter.
provides:
  main: {interface: vendor_meter, description: As the vendor sees it.}
  powermeter: {interface: powermeter, description: As EVerest sees it.}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`,
	"Billing": `
description: Uses the meter.
requires:
  powermeter: {interface: powermeter}
  vendor_meter: {interface: vendor_meter}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`,
	"ChargePort": portManifest,
	"Auth":       authManifest,
}

var fenced = regexp.MustCompile("(?ms)^```(\\w+)\\n(.*?)^```$")

// The example of doc/tunnel.md, from the definition to the first value.
func TestTunnelPage(t *testing.T) {
	page, err := os.ReadFile("../doc/tunnel.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string][]string{}
	for _, block := range fenced.FindAllStringSubmatch(string(page), -1) {
		blocks[block[1]] = append(blocks[block[1]], block[2])
	}
	if len(blocks["yaml"]) != 3 || len(blocks["console"]) != 2 {
		t.Fatalf("the page has %d blocks of YAML and %d of a console, want a definition, two configurations and two commands", len(blocks["yaml"]), len(blocks["console"]))
	}
	vendor := []byte(blocks["yaml"][0])
	agentPort := everesttest.FreePort(t)
	board := startPage(t, pageBoard{
		vendor: vendor, folder: "agent", module: "SatelliteAgent", console: blocks["console"][0], configuration: blocks["yaml"][1],
		config: map[string]any{"port": agentPort, "listen_address": agentAddress},
	})
	main := startPage(t, pageBoard{
		vendor: vendor, folder: "controller", module: "SatelliteController", console: blocks["console"][1], configuration: blocks["yaml"][2],
		config: map[string]any{"port": agentPort},
	})

	taken := make(chan string, 1)
	meter := everesttest.RunModule(t, board.Options("meter"), func(module *everest.Module) {
		module.Provides("main").Handle("set_tariff", func(_ context.Context, arguments everest.Args) (any, error) {
			taken <- string(arguments["tariff"]) + " " + string(arguments["valid_from"])
			return true, nil
		})
	})
	everesttest.RunModule(t, board.Options("evse"), nil)
	everesttest.RunModule(t, main.Options("auth"), nil)
	values, raised := make(chan string, 1), make(chan string, 1)
	billing := everesttest.RunModule(t, main.Options("billing"), func(module *everest.Module) {
		module.Requires("vendor_meter")[0].Subscribe("register", func(_ context.Context, value json.RawMessage) { values <- string(value) })
		module.Requires("vendor_meter")[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
			raised <- event.Error.Type + " of " + event.Error.Origin.ModuleID + ", on the satellite " + event.Error.SubType
		})
	})
	everesttest.WaitReady(t, board)
	everesttest.WaitReady(t, main)

	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	defer cancel()
	var accepted bool
	arguments := map[string]any{"tariff": 2, "valid_from": "2026-11-22T10:43:28Z"}
	if err := billing.Module.Requires("vendor_meter")[0].Call(ctx, "set_tariff", arguments, &accepted); err != nil || !accepted {
		t.Errorf("set_tariff: %v, %v", accepted, err)
	}
	if err := meter.Module.Provides("main").Publish(ctx, "register", 1234.5); err != nil {
		t.Fatal(err)
	}
	if err := meter.Module.Provides("main").Raise(ctx, everest.Error{Type: "generic/VendorError"}); err != nil {
		t.Fatal(err)
	}
	for what, one := range map[string]struct {
		from <-chan string
		want string
	}{
		"the command":  {taken, `2 "2026-11-22T10:43:28Z"`},
		"the variable": {values, "1234.5"},
		"the error":    {raised, "generic/VendorError of satellite_1, on the satellite meter/main"},
	} {
		select {
		case got := <-one.from:
			if got != one.want {
				t.Errorf("%s arrived as %s, want %s", what, got, one.want)
			}
		case <-ctx.Done():
			t.Fatalf("%s did not arrive", what)
		}
	}
}

type pageBoard struct {
	vendor                 []byte
	folder, module         string
	console, configuration string
	config                 map[string]any
}

// startPage makes a board with the files of an EVerest, installs the module as the
// page says, and starts a manager with the page's configuration, and the module.
func startPage(t *testing.T, b pageBoard) *everesttest.Manager {
	t.Helper()
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	prefix := t.TempDir()
	if err := everesttest.WriteInstallation(prefix, known); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(prefix, "share/everest/interfaces/vendor_meter.yaml"), b.vendor, 0o644); err != nil {
		t.Fatal(err)
	}
	b.runConsole(t, prefix)

	all, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	vendor, err := install.InstalledInterfaces(prefix, "vendor_meter")
	if err != nil {
		t.Fatal(err)
	}
	modules, id := b.modules(t, prefix)
	manager := everesttest.NewManager(t, everesttest.ManagerConfig{
		Definitions: vendor.Over(all), Modules: modules, Settings: everesttest.Settings{Prefix: prefix},
	})
	program := filepath.Join(prefix, "libexec/everest/modules", b.module, b.module)
	process := start(t, program, id+":"+b.module, manager.Arguments(id))
	t.Cleanup(func() {
		if t.Failed() {
			process.command.Process.Kill()
			process.wait()
			t.Logf("%s said:\n%s", b.module, process.output.String())
		}
	})
	return manager
}

// runConsole runs the command of a console block and compares what it says.
func (b pageBoard) runConsole(t *testing.T, prefix string) {
	t.Helper()
	line, want, _ := strings.Cut(b.console, "\n")
	words := strings.Fields(strings.TrimPrefix(line, "$ "))
	if words[0] != b.module {
		t.Fatalf("%q does not call %s", line, b.module)
	}
	for i, word := range words {
		if word == "/usr" {
			words[i] = prefix
		}
	}
	output, err := exec.CommandContext(t.Context(), build(t, b.folder), words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, output)
	}
	// How many interfaces an EVerest has is its own matter.
	count := regexp.MustCompile(`has \d+ interfaces`)
	got := count.ReplaceAllString(strings.ReplaceAll(string(output), prefix, "/usr"), "has N interfaces")
	if diff := cmp.Diff(count.ReplaceAllString(want, "has N interfaces"), got); diff != "" {
		t.Errorf("%s says (-page +program):\n%s", line, diff)
	}
}

// modules reads the page's configuration; id is that of the module under test.
func (b pageBoard) modules(t *testing.T, prefix string) (modules map[string]everesttest.ModuleConfig, id string) {
	t.Helper()
	var configuration struct {
		Modules map[string]struct {
			Module      string         `yaml:"module"`
			Config      map[string]any `yaml:"config_module"`
			Connections map[string][]struct {
				ModuleID         string `yaml:"module_id"`
				ImplementationID string `yaml:"implementation_id"`
			} `yaml:"connections"`
		} `yaml:"active_modules"`
	}
	if err := yaml.Unmarshal([]byte(b.configuration), &configuration); err != nil {
		t.Fatal(err)
	}
	modules = map[string]everesttest.ModuleConfig{}
	for name, active := range configuration.Modules {
		module := everesttest.ModuleConfig{Module: active.Module, Config: active.Config, Manifest: []byte(tunnelManifests[active.Module])}
		if active.Module == b.module {
			id = name
			installed, err := install.InstalledManifest(prefix, b.module)
			if err != nil {
				t.Fatal(err)
			}
			module.Manifest = installed
			if module.Config == nil {
				module.Config = map[string]any{}
			}
			for key, value := range b.config {
				module.Config[key] = value
			}
		}
		module.Connections = map[string][]everesttest.Connection{}
		for requirement, connections := range active.Connections {
			for _, to := range connections {
				module.Connections[requirement] = append(module.Connections[requirement], everesttest.Connection{ModuleID: to.ModuleID, ImplementationID: to.ImplementationID})
			}
		}
		modules[name] = module
	}
	return modules, id
}
