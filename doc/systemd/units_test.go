// Package systemd holds nothing but the test of the unit files.
package systemd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/program"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// services are the unit files, with an instance where they are templates.
var services = []struct {
	file, instance string
	module, id     string
}{
	{"evsatellite-agent.service", "evsatellite-agent.service", satellite.AgentInstallation().Module, "remote_controller"},
	{"evsatellite-controller@.service", "evsatellite-controller@connector_2.service", satellite.ControllerInstallation().Module, "%i"},
	{"evsatellite-aggregator.service", "evsatellite-aggregator.service", aggregator.Installation().Module, "system_aggregator"},
}

// page serves the status page. It is no module.
const page = "satctl-serve.service"

// units are all units that systemd-analyze checks, by file and instance.
func units() map[string]string {
	all := map[string]string{page: page}
	for _, service := range services {
		all[service.file] = service.instance
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// settings returns the values of a key in a unit file.
func settings(text, key string) (values []string) {
	for _, match := range regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(text, -1) {
		values = append(values, match[1])
	}
	return values
}

func TestUnitsStartTheModules(t *testing.T) {
	for _, service := range services {
		text := read(t, service.file)
		path := "/usr/libexec/everest/modules/" + service.module + "/" + service.module
		if got := settings(text, "ExecStart"); len(got) != 1 || got[0] != path {
			t.Errorf("%s starts %v, want what -install /usr makes, %s", service.file, got, path)
		}
		environment := map[string]string{}
		for _, assignment := range settings(text, "Environment") {
			name, value, _ := strings.Cut(assignment, "=")
			environment[name] = value
		}
		options, err := program.ParseOptions(nil, func(name string) string { return environment[name] })
		if err != nil {
			t.Errorf("%s: %v", service.file, err)
			continue
		}
		if options.ModuleID != service.id || options.InstallPrefix != "/usr" || options.EverestPrefix != "everest/" ||
			options.LogConfig != "/etc/everest/default_logging.cfg" || options.Broker.String() != "tcp://127.0.0.1:1883" {
			t.Errorf("%s: the environment is read as %+v", service.file, options)
		}
		environment["EV_MQTT_BROKER_SOCKET_PATH"] = "/run/mosquitto.sock"
		options, err = program.ParseOptions(nil, func(name string) string { return environment[name] })
		if err != nil || options.Broker.String() != "unix:///run/mosquitto.sock" {
			t.Errorf("%s: a socket in the environment file is read as %v, %v", service.file, options.Broker, err)
		}
		if seconds := settings(text, "WatchdogSec"); len(seconds) != 1 {
			t.Errorf("%s: WatchdogSec %v", service.file, seconds)
		} else if number, err := strconv.Atoi(seconds[0]); err != nil || number < 20 {
			t.Errorf("%s: WatchdogSec %s is below 20 s, four tries of the manager's config service", service.file, seconds[0])
		}
	}
}

// The hardening is the same everywhere, so that a fix of one unit is one of all.
func TestUnitsAreHardenedAlike(t *testing.T) {
	hardening := func(file string) string {
		_, tail, found := strings.Cut(read(t, file), "\nUMask=")
		if !found {
			t.Fatalf("%s has no UMask", file)
		}
		return regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(tail, "")
	}
	for file := range units() {
		if hardening(file) != hardening(services[0].file) {
			t.Errorf("%s and %s differ from UMask on", file, services[0].file)
		}
	}
}

func TestSocketHasTheDefaultPort(t *testing.T) {
	manifest, err := install.ParseManifest(satellite.AgentInstallation().Manifest)
	if err != nil {
		t.Fatal(err)
	}
	port := string(manifest.Config["port"].Default)
	if got := settings(read(t, "evsatellite-agent.socket"), "ListenStream"); len(got) != 1 || got[0] != port {
		t.Errorf("the socket listens on %v, want the manifest's %s", got, port)
	}
}

// installed copies the units to where systemd-analyze reads them, with a program that is there.
func installed(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("systemd-analyze is missing: install systemd")
		}
		t.Skip("systemd-analyze is not installed")
	}
	directory := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for file, instance := range units() {
		text := regexp.MustCompile(`(?m)^ExecStart=.*$`).ReplaceAllString(read(t, file), "ExecStart="+os.Args[0])
		write(file, text)
		write(instance, text)
	}
	write("evsatellite-agent.socket", read(t, "evsatellite-agent.socket"))
	return directory
}

func TestUnitsVerify(t *testing.T) {
	directory := installed(t)
	for _, instance := range units() {
		verify(t, directory, instance)
	}
	verify(t, directory, "evsatellite-agent.socket")
}

func verify(t *testing.T, directory, unit string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "./"+unit)
	command.Dir = directory
	output, err := command.CombinedOutput()
	var complaints []byte
	for line := range bytes.Lines(output) {
		// Other units of the machine are none of ours.
		if bytes.Contains(line, []byte("evsatellite")) || bytes.Contains(line, []byte(page)) {
			complaints = append(complaints, line...)
		}
	}
	if err != nil || len(complaints) > 0 {
		t.Errorf("systemd-analyze verify %s: %v\n%s", unit, err, output)
	}
}

func TestUnitsAreLittleExposed(t *testing.T) {
	directory := installed(t)
	for _, instance := range units() {
		// The threshold is in tenths; versions of systemd weigh a little differently.
		command := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", "./"+instance)
		command.Dir = directory
		output, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze security %s: %v\n%s", instance, err, output)
			continue
		}
		for line := range strings.Lines(string(output)) {
			if strings.Contains(line, "exposure level") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
}

// The page is served by the user of the modules, from where they have their sockets.
func TestPageReadsTheModulesSockets(t *testing.T) {
	text := read(t, page)
	if got := settings(text, "ExecStart"); len(got) != 1 || got[0] != "/usr/bin/satctl serve --directory /run/remotechargeport" {
		t.Errorf("it starts %v", got)
	}
	for _, service := range services {
		for _, key := range []string{"User", "Group", "RuntimeDirectory", "RuntimeDirectoryPreserve"} {
			if got, want := settings(text, key), settings(read(t, service.file), key); len(got) != 1 || got[0] != want[0] {
				t.Errorf("%s is %v, and that of %s is %v", key, got, service.file, want)
			}
		}
	}
}
