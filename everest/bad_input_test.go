package everest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/program"
)

// A command line, an installation or a file that no release has ends a module at once, with one line and without a
// connection. What may still get better is waited for: see TestWaitsForEvidence.
func TestBadInputEndsAtOnce(t *testing.T) {
	const file = "settings: {}\nactive_modules:\n  one: {module: One}\n"
	for name, test := range map[string]struct {
		library, config string
		arguments       []string
		want            string
	}{
		"arguments of two families":         {"C", "", []string{"--conf", "CONFIG", "--log_config", "x"}, "--conf is for EVerest up to 2024.10"},
		"arguments of A, and a library C":   {"C", file, []string{"--conf", "CONFIG"}, "correct the command line"},
		"arguments of A, and no library":    {"", file, []string{"--conf", "CONFIG"}, "it is not known which release of EVerest this is"},
		"an option that is none":            {"A3", file, []string{"--conf", "CONFIG", "--everest_wire", "E"}, `there is no family "E"`},
		"no configuration file":             {"A3", "", []string{"--conf", "CONFIG"}, "config.yaml"},
		"a configuration that is no object": {"A3", "[a]\n", []string{"--conf", "CONFIG"}, "active_modules"},
		"a configuration without the own":   {"A2", "active_modules: {two: {module: Two}}\n", []string{"--conf", "CONFIG"}, "no module one"},
		"a configuration with two brokers":  {"A1", "settings: {mqtt_broker_host: x, mqtt_broker_socket_path: /x}\n" + strings.TrimPrefix(file, "settings: {}\n"), []string{"--conf", "CONFIG"}, "give one of them"},
		"a user configuration that is none": {"A3", file, []string{"--conf", "USER"}, "user-config"},
		"a module without a manifest":       {"A3", file, []string{"--conf", "CONFIG"}, "manifest.yaml"},
		"shared memory":                     {"D", "", []string{"--log_config", "x", "--framework_transport", "shared_memory"}, "set framework_transport to mqtt"},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := t.TempDir()
			if test.library != "" {
				everest.InstallLibrary(t, prefix, test.library)
			}
			config := filepath.Join(prefix, "config.yaml")
			for i, argument := range test.arguments {
				switch argument {
				case "USER":
					write(t, filepath.Join(prefix, "user-config/config.yaml"), "a: [b")
					fallthrough
				case "CONFIG":
					test.arguments[i] = config
				}
			}
			if test.config != "" {
				write(t, config, test.config)
			}
			options, err := program.ParseOptions(append([]string{"--module", "one", "--prefix", prefix}, test.arguments...), nil)
			if err == nil {
				options.Spawned = new(false)
				options.OpenTransport = func(context.Context, everest.TransportConfig) (everest.Transport, error) {
					t.Error("a connection is opened")
					return nil, errors.New("no")
				}
				_, err = everest.Connect(patient(t), options)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q in one line", err, test.want)
			}
		})
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
