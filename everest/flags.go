package everest

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

// Flag is one flag of a module's command line.
type Flag struct {
	// Name without dashes.
	Name string
	// Value names what follows the flag; empty for a flag without value.
	Value string
	// Variable of the environment that counts where the flag is not given; empty for none.
	Variable string
	// Usage says what it means, in one line.
	Usage string
}

// Flags returns what ParseOptions and Program read. A manager gives those of the upper part to every module that it starts.
func Flags() []Flag {
	return []Flag{
		{"module", "ID", "EV_MODULE", "id of the module in the manager's configuration; required"},
		{"prefix", "DIR", "EV_PREFIX", "prefix of the EVerest installation"},
		{"log_config", "FILE", "EV_LOG_CONF_FILE", "log configuration of EVerest, which says from what level on to log"},
		{"mqtt_everest_prefix", "TEXT", "EV_MQTT_EVEREST_PREFIX", "prefix of EVerest's own topics; everest/ by default"},
		{"mqtt_external_prefix", "TEXT", "EV_MQTT_EXTERNAL_PREFIX", "prefix of external topics; none by default"},
		{"mqtt_broker_socket_path", "PATH", "EV_MQTT_BROKER_SOCKET_PATH", "UNIX socket of the broker; instead of host and port"},
		{"mqtt_broker_host", "HOST", "EV_MQTT_BROKER_HOST", "host of the broker; localhost by default. MQTT_SERVER_ADDRESS overrides it"},
		{"mqtt_broker_port", "PORT", "EV_MQTT_BROKER_PORT", "TCP port of the broker; 1883 by default. MQTT_SERVER_PORT overrides it"},
		{"spawned", "BOOL", "", "whether a manager has started the module, and ends it; found out by itself where it is not given"},
		{"install", "DIR", "", "install the module in the EVerest installation with this prefix, and end"},
		{"version", "", "", "print the version and end"},
		{"help", "", "", "print this and end"},
	}
}

// printHelp writes what the flags are.
func (p Program) printHelp(to io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s is a module of EVerest, whose manager starts it.\n\n", p.Installation.Module)
	for _, flag := range Flags() {
		fmt.Fprintf(&text, "  %-32s %s\n", strings.TrimSpace("--"+flag.Name+" "+flag.Value), flag.Usage)
		if flag.Variable != "" {
			fmt.Fprintf(&text, "  %-32s or %s in the environment\n", "", flag.Variable)
		}
		if flag.Name != "install" {
			continue
		}
		for _, option := range p.Installation.Options {
			fmt.Fprintf(&text, "  %-32s after --install DIR: %s\n", "-"+option.Name+" TEXT", option.Usage)
		}
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// version of the program's main module, as `go version -m` shows it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
