package satellite_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// everestWith makes an EVerest installation with the built-in and the vendor's
// interfaces, but without some.
func everestWith(t *testing.T, known *schema.Definitions, without ...string) string {
	t.Helper()
	prefix := t.TempDir()
	var names []string
	for _, name := range known.InterfaceNames() {
		if name != "satellite" && !slices.Contains(without, name) {
			names = append(names, name)
		}
	}
	if err := everesttest.WriteInstallation(prefix, known, names...); err != nil {
		t.Fatal(err)
	}
	return prefix
}

func installReport(t *testing.T, prefix string, installation install.Installation, chosen map[string]string) (string, error) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!"), 0o700); err != nil {
		t.Fatal(err)
	}
	report, err := installation.Install(prefix, program, chosen)
	return strings.ReplaceAll(strings.Join(report, "\n"), prefix, "PREFIX"), err
}

func TestInstallationFollowsEVerest(t *testing.T) {
	t.Parallel()
	older := []string{"uk_random_delay", "iso15118_extensions", "dc_external_derate"}
	for _, installation := range []install.Installation{satellite.AgentInstallation(), satellite.ControllerInstallation()} {
		t.Run(installation.Module, func(t *testing.T) {
			full := installed(t, everestWith(t, definitions(t)), installation, nil)
			if string(full) != string(installation.Manifest) {
				t.Errorf("in a full EVerest the manifest changes:\n%s", cmp.Diff(string(installation.Manifest), string(full)))
			}
			prefix := everestWith(t, definitions(t), older...)
			manifest, err := install.ParseManifest(installed(t, prefix, installation, nil))
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range older {
				_, required := manifest.Requires[id]
				_, provided := manifest.Provides[id]
				if required || provided {
					t.Errorf("%s is in the manifest, but not in this EVerest", id)
				}
			}
			whole, err := install.ParseManifest(installation.Manifest)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(whole.Config, manifest.Config); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if want, got := len(whole.Requires)+len(whole.Provides)-len(older), len(manifest.Requires)+len(manifest.Provides); got != want {
				t.Errorf("the manifest has %d requirements and implementations, want %d", got, want)
			}
		})
	}
}

func TestInstallationOfATunnel(t *testing.T) {
	t.Parallel()
	agent, prefix := satellite.AgentInstallation(), everestWith(t, definitions(t), "uk_random_delay")
	report, err := installReport(t, prefix, agent, map[string]string{"tunnel": "powermeter, second_meter:vendor_meter"})
	if err != nil {
		t.Fatal(err)
	}
	if want := `          left out: requirement uk_random_delay (this EVerest has no interface uk_random_delay)
          tunnel: powermeter,second_meter:vendor_meter (as chosen)`; !strings.HasSuffix(report, want) {
		t.Errorf("report\n%s\nwant it to end with\n%s", report, want)
	}
	first := tunnelOf(t, prefix, agent)
	if diff := cmp.Diff(map[string]string{"powermeter": "powermeter", "second_meter": "vendor_meter"}, first); diff != "" {
		t.Errorf("requirements (-want +got):\n%s", diff)
	}
	// A new release is installed without the option.
	report, err = installReport(t, prefix, agent, nil)
	if err != nil || !strings.Contains(report, "tunnel: powermeter,second_meter:vendor_meter (as before)") || strings.Contains(report, "wrote") {
		t.Errorf("the second time, error %v:\n%s", err, report)
	}
	// The vendor takes his interface away.
	if err := os.Remove(filepath.Join(prefix, "share/everest/interfaces/vendor_meter.yaml")); err != nil {
		t.Fatal(err)
	}
	report, err = installReport(t, prefix, agent, nil)
	if err != nil || !strings.Contains(report, "left out: tunnel second_meter:vendor_meter (this EVerest has no interface vendor_meter any more)") {
		t.Errorf("without the vendor's interface, error %v:\n%s", err, report)
	}
	if diff := cmp.Diff(map[string]string{"powermeter": "powermeter"}, tunnelOf(t, prefix, agent)); diff != "" {
		t.Errorf("requirements (-want +got):\n%s", diff)
	}
	if _, err := installReport(t, prefix, agent, map[string]string{"tunnel": "vendor_meter"}); err == nil || !strings.Contains(err.Error(), "this EVerest has no interface vendor_meter in share/everest/interfaces: put its definition there first") {
		t.Errorf("an interface that is not there: %v", err)
	}
	if _, err := installReport(t, prefix, agent, map[string]string{"tunnel": "energy"}); err == nil || !strings.Contains(err.Error(), `"energy" is tunnelled or used already`) {
		t.Errorf("an interface that is tunnelled anyway: %v", err)
	}
	// None is a choice too.
	if _, err := installReport(t, prefix, agent, map[string]string{"tunnel": ""}); err != nil {
		t.Fatal(err)
	}
	if got := tunnelOf(t, prefix, agent); len(got) > 0 {
		t.Errorf("requirements that nobody asked for: %v", got)
	}
}

// tunnelOf returns what the installed manifest has beyond the built-in one, and
// checks that the key tunnel says the same.
func tunnelOf(t *testing.T, prefix string, installation install.Installation) map[string]string {
	t.Helper()
	content, err := install.InstalledManifest(prefix, installation.Module)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := install.ParseManifest(content)
	if err != nil {
		t.Fatal(err)
	}
	builtIn, err := install.ParseManifest(installation.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	added := map[string]string{}
	for id, required := range manifest.Requires {
		if _, known := builtIn.Requires[id]; !known {
			added[id] = required.Interface
			if required.MinConnections != 0 || required.MaxConnections != 1 {
				t.Errorf("requirement %s wants %d to %d connections", id, required.MinConnections, required.MaxConnections)
			}
		}
	}
	var key string
	if err := json.Unmarshal(manifest.Config["tunnel"].Default, &key); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(added, idsOf(key)); diff != "" {
		t.Errorf("the key tunnel is %q (-requirements +key):\n%s", key, diff)
	}
	return added
}

// From the installation alone: two boards of different releases of EVerest, with a
// vendor's interface that nobody has built in.
func TestStationFromInstallations(t *testing.T) {
	t.Parallel()
	older := extraSide{tunnel: "vendor_meter", prefix: everestWith(t, definitions(t), "uk_random_delay", "iso15118_extensions", "dc_external_derate")}
	newer := extraSide{tunnel: "vendor_meter", prefix: everestWith(t, definitions(t))}
	withoutMembers(t, older.prefix, "evse_manager", map[string][]string{"cmds": {"force_unlock", "update_allowed_energy_transfer_modes"}, "vars": {"hlc_session_failed"}})
	s := startExtraStation(t, extraOptions{agent: older, main: newer, requires: []string{"uk_random_delay", "iso15118_extensions"}})
	for _, call := range []struct{ id, command, arguments, want string }{
		{"vendor_meter", "lock", `{"on":true}`, `true`},
		{"evse_manager", "pause_charging", `{}`, `true`},
		// What the older EVerest does not have is answered in the negative.
		{"evse_manager", "force_unlock", `{"connector_id":1}`, `false`},
		{"evse_manager", "update_allowed_energy_transfer_modes", `{"allowed_energy_transfer_modes":["DC"]}`, `"IncompatibleEnergyTransfer"`},
		{"uk_random_delay", "enable", `{}`, `null`},
	} {
		result, err := s.call(call.id, call.command, json.RawMessage(call.arguments))
		if err != nil || string(result) != call.want {
			t.Errorf("%s.%s answered %s, %v, want %s", call.id, call.command, result, err, call.want)
		}
	}
	var reached []string
	for _, call := range drain(s.port.calls) {
		reached = append(reached, call.Command)
	}
	if diff := cmp.Diff([]string{"lock", "pause_charging"}, reached); diff != "" {
		t.Errorf("commands that reached the satellite (-want +got):\n%s", diff)
	}
	if err := s.port.module.Provides("vendor_meter").Publish(t.Context(), "counter", 7); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, s.arrivals, "the counter"); got != (arrival{"vendor_meter", "counter", "7"}) {
		t.Errorf("arrived: %v", got)
	}
	want := []string{
		"dc_external_derate: the satellite does not have it",
		"evse_manager: command force_unlock is unknown to the satellite",
		"evse_manager: command update_allowed_energy_transfer_modes is unknown to the satellite",
		"evse_manager: variable hlc_session_failed is unknown to the satellite",
		"iso15118_extensions: the satellite does not have it",
		"uk_random_delay: the satellite does not have it",
	}
	if diff := cmp.Diff(want, s.controller.Status().Differences); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}

// withoutMembers makes an installed interface one of an older release.
func withoutMembers(t *testing.T, prefix, name string, members map[string][]string) {
	t.Helper()
	path := filepath.Join(prefix, "share/everest/interfaces", name+".yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	for section, gone := range members {
		var declared map[string]json.RawMessage
		if err := json.Unmarshal(file[section], &declared); err != nil {
			t.Fatal(err)
		}
		for _, member := range gone {
			delete(declared, member)
		}
		if file[section], err = json.Marshal(declared); err != nil {
			t.Fatal(err)
		}
	}
	if content, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
