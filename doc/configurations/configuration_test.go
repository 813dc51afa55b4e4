// Package configurations holds nothing but the test of the configuration files.
package configurations

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// own are the modules of this project.
func own() map[string]install.Installation {
	all := map[string]install.Installation{}
	for _, installation := range []install.Installation{satellite.AgentInstallation(), satellite.ControllerInstallation(), aggregator.Installation()} {
		all[installation.Module] = installation
	}
	return all
}

// manifestOf is that of the module itself, or what is known of EVerest's: testdata has the names of implementations,
// requirements and configuration keys that the files here use.
func manifestOf(t *testing.T, module string) []byte {
	t.Helper()
	if installation, known := own()[module]; known {
		return installation.Manifest
	}
	manifest, err := os.ReadFile("testdata/manifests/" + module + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

func load(t *testing.T, name string) map[string]everesttest.ModuleConfig {
	t.Helper()
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	read, err := everesttest.ReadConfiguration(file, func(module string) ([]byte, error) { return manifestOf(t, module), nil })
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return read.Modules
}

// definitions are EVerest's as far as this module has them. Of the others nothing but the name is known, which is enough to
// compare the two ends of a connection.
func definitions(t *testing.T) *schema.Definitions {
	t.Helper()
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := fs.Glob(os.DirFS("testdata/manifests"), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range manifests {
		manifest, err := install.ParseManifest(manifestOf(t, strings.TrimSuffix(name, ".yaml")))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, provided := range manifest.Provides {
			if _, defined := known.Interface(provided.Interface); defined {
				continue
			}
			if known, err = known.WithInterface(provided.Interface, []byte("description: known by name\n")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return known
}

// idOf returns the one module id of a module.
func idOf(t *testing.T, modules map[string]everesttest.ModuleConfig, module string) string {
	t.Helper()
	found := ""
	for id, config := range modules {
		if config.Module == module {
			if found != "" {
				t.Fatalf("%s and %s are both %s", found, id, module)
			}
			found = id
		}
	}
	if found == "" {
		t.Fatalf("there is no %s", module)
	}
	return found
}

func TestFilesFitTheirManifestsAndEachOther(t *testing.T) {
	for _, kind := range []string{"ac", "dc"} {
		t.Run(kind, func(t *testing.T) {
			main, board := load(t, "main-"+kind+".yaml"), load(t, "satellite-"+kind+".yaml")
			controller, agent := main[idOf(t, main, "SatelliteController")], board[idOf(t, board, "SatelliteAgent")]
			if controller.Config["hostname"] != agent.Config["listen_address"] || controller.Config["port"] != agent.Config["port"] {
				t.Errorf("the controller goes to %v, the agent is at %v", controller.Config, agent.Config)
			}
			checkOrder(t, main)
			for requirement := range mustParse(t, agent.Manifest).Requires {
				_, connected := agent.Connections[requirement]
				// What a board of this kind has not.
				absent := requirement == "display_message" || requirement == "ocpp_data_transfer" || requirement == "iso15118_extensions" && kind == "ac"
				if connected == absent {
					t.Errorf("requirement %s of the agent: connected %t", requirement, connected)
				}
			}
		})
	}
}

func mustParse(t *testing.T, manifest []byte) *install.Manifest {
	t.Helper()
	parsed, err := install.ParseManifest(manifest)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// checkOrder holds what EVerest's manager cannot know: every module sees the ports and boards in the same order.
func checkOrder(t *testing.T, main map[string]everesttest.ModuleConfig) {
	t.Helper()
	ports := main["auth"].Connections["evse_manager"]
	for _, id := range []string{"ocpp", "api"} {
		if !slices.Equal(main[id].Connections["evse_manager"], ports) {
			t.Errorf("%s has the ports %v, auth %v", id, main[id].Connections["evse_manager"], ports)
		}
	}
	for index, port := range ports {
		mapping := main[port.ModuleID].Mapping
		if mapping == nil || mapping.Module.EVSE != index+1 {
			t.Errorf("port %d of auth is %s, mapped to %+v", index+1, port.ModuleID, mapping)
		}
	}
	// OCPP of 2026.02.0 ends in its init where it cannot tell the EVSE of a sink. 0 is the grid connection point.
	for index, sink := range main["ocpp"].Connections["evse_energy_sink"] {
		mapping := main[sink.ModuleID].Mapping
		if mapping == nil || mapping.Module.EVSE != index {
			t.Errorf("sink %d of OCPP's limits is %s, mapped to %+v", index, sink.ModuleID, mapping)
		}
	}
	connections := main[idOf(t, main, "SystemAggregator")].Connections
	var systems, satellites []string
	for _, connection := range connections["system"][1:] {
		systems = append(systems, connection.ModuleID)
	}
	for _, connection := range connections["satellite"] {
		satellites = append(satellites, connection.ModuleID)
	}
	if first := connections["system"][0].ModuleID; main[first].Module != "System" || !slices.Equal(systems, satellites) {
		t.Errorf("the aggregator's systems are %s and %v, its satellites %v", first, systems, satellites)
	}
}

// A whole station of two boards starts from the files: this project's modules are the real ones, and EVerest's are stood in
// for by modules that do nothing.
func TestStationStarts(t *testing.T) {
	for _, kind := range []string{"ac", "dc"} {
		t.Run(kind, func(t *testing.T) {
			main, board := load(t, "main-"+kind+".yaml"), load(t, "satellite-"+kind+".yaml")
			port := everesttest.FreePort(t)
			controller, agent := main[idOf(t, main, "SatelliteController")], board[idOf(t, board, "SatelliteAgent")]
			controller.Config["hostname"], agent.Config["listen_address"] = "127.0.0.1", "127.0.0.1"
			controller.Config["port"], agent.Config["port"] = port, port
			systemAggregator := main[idOf(t, main, "SystemAggregator")]
			systemAggregator.Config["upload_url_template"] = fmt.Sprintf("ftp://{my-ip}:%d/", everesttest.FreePort(t))
			systemAggregator.Config["incoming_uploads_dir"], systemAggregator.Config["state_dir"] = t.TempDir(), t.TempDir()
			known := definitions(t)
			boards := []*everesttest.Manager{startBoard(t, known, board), startBoard(t, known, main)}
			for _, manager := range boards {
				everesttest.WaitReady(t, manager)
			}
		})
	}
}

func startBoard(t *testing.T, known *schema.Definitions, modules map[string]everesttest.ModuleConfig) *everesttest.Manager {
	t.Helper()
	manager := everesttest.NewManager(t, everesttest.ManagerConfig{Definitions: known, Modules: modules})
	for _, id := range slices.Sorted(maps.Keys(modules)) {
		options := manager.Options(id)
		switch modules[id].Module {
		case "SatelliteAgent":
			// It ends with an error when the controller has said good-bye: the board restarts then.
			agent := everesttest.Run(t, id, satellite.NewAgent(satellite.AgentConfig{Everest: options}).Run)
			t.Cleanup(func() { _ = agent.Stop() })
		case "SatelliteController":
			everesttest.Run(t, id, satellite.NewController(satellite.ControllerConfig{Everest: options}).Run)
		case "SystemAggregator":
			everesttest.Run(t, id, aggregator.New(aggregator.Config{Everest: options}).Run)
		default:
			everesttest.RunModule(t, options, nil)
		}
	}
	return manager
}

// TestSystemKeepsItsBootReason: without a store EVerest's System cannot tell after its boot that it was updated.
func TestSystemKeepsItsBootReason(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		modules := load(t, name)
		if system := modules["system"]; len(system.Connections["store"]) != 1 || modules[system.Connections["store"][0].ModuleID].Module != "PersistentStore" {
			t.Errorf("%s: System has no store: %v", name, system.Connections)
		}
	}
}

// TestAddressesAreQuoted: EVerest's managers take an address without quotes for a number, and refuse the configuration.
func TestAddressesAreQuoted(t *testing.T) {
	t.Parallel()
	bare := regexp.MustCompile(`(?m)^\s+\w+:\s+\d+(\.\d+){3}\b.*$`)
	looked := 0
	for _, pattern := range []string{"*.yaml", "../*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range bare.FindAllString(string(text), -1) {
				t.Errorf("%s: the address has no quotes: %s", name, line)
			}
			looked++
		}
	}
	if looked < 10 {
		t.Errorf("only %d files were looked at", looked)
	}
}
