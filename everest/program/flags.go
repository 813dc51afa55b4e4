package program

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// Flag is one flag of a module's command line.
type Flag struct {
	// Name is the flag's name without dashes.
	Name string
	// Value names the flag's value in the help text. It is empty for a flag without a value.
	Value string
	// Variable is the environment variable that is used when the flag is absent. It is empty when there is none.
	Variable string
	// Usage explains the flag in one line.
	Usage string
}

// Flags returns the flags that ParseOptions and Main read. The flags listed before "spawned" are the ones that a
// manager passes to every module.
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
		{"everest_wire", "NAME", "EV_WIRE", "family of EVerest's messages: " + strings.Join(wire.Names(), ", ") + "; found out by itself where it is not given"},
		{"conf", "FILE", "EV_CONF_FILE", "configuration file, which only managers of EVerest up to 2024.10 pass"},
		{"install", "DIR", "", "install the module in the EVerest installation with this prefix, and end"},
		{"force", "", "", "after --install DIR: install where no EVerest is, as into an image"},
		{"version", "", "", "print the version and end"},
		{"help", "", "", "print this and end"},
	}
}

// printHelp writes a description of the flags.
func (p program) printHelp(to io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s is a module of EVerest, whose manager starts it.\n\n", p.installation.Module)
	for _, flag := range Flags() {
		fmt.Fprintf(&text, "  %-32s %s\n", strings.TrimSpace("--"+flag.Name+" "+flag.Value), flag.Usage)
		if flag.Variable != "" {
			fmt.Fprintf(&text, "  %-32s or %s in the environment\n", "", flag.Variable)
		}
		if flag.Name != "install" {
			continue
		}
		for _, option := range p.installation.Options {
			fmt.Fprintf(&text, "  %-32s after --install DIR: %s\n", "-"+option.Name+" TEXT", option.Usage)
		}
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// flagsWithoutValue are the flags of EVerest modules that are not followed by a value.
var flagsWithoutValue = map[string]bool{"version": true, "help": true, "h": true, "dontvalidateschema": true, "force": true}

// passedFlags are those beside Flags that some manager passes, or that C++ modules take.
var passedFlags = map[string]bool{"m": true, "config": true, "framework_transport": true, "h": true, "dontvalidateschema": true}

// maxUnknown is how many unknown flags are named.
const maxUnknown = 16

// unknownFlags returns the names of the flags that are neither read nor known to be passed, sorted.
func unknownFlags(args []string) []string {
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(flagsIn(args))) {
		isFlag := func(flag Flag) bool { return flag.Name == name }
		if !passedFlags[name] && !slices.ContainsFunc(Flags(), isFlag) && len(unknown) < maxUnknown {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// readFlags reads flags of the forms --name value, --name=value and -m value. The value of a known flag may be empty or
// start with a dash. An unknown flag takes the next argument only when that argument is not a flag.
func readFlags(args []string) map[string]string {
	flags := map[string]string{}
	for name, value := range flagsIn(args) {
		if value != nil {
			flags[name] = *value
		}
	}
	return flags
}

// flagsIn returns the flags as readFlags does, with nil for one without a value.
func flagsIn(args []string) map[string]*string {
	flags := map[string]*string{}
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag || name == "" {
			continue
		}
		name = strings.TrimPrefix(name, "-")
		if before, value, found := strings.Cut(name, "="); found {
			flags[before] = &value
			continue
		}
		if _, given := flags[name]; !given {
			flags[name] = nil
		}
		if flagsWithoutValue[name] || i+1 == len(args) {
			continue
		}
		if next := args[i+1]; knownFlag(name) || !strings.HasPrefix(next, "-") {
			flags[name] = &next
			i++
		}
	}
	return flags
}

func knownFlag(name string) bool {
	switch name {
	case "module", "m", "prefix", "log_config", "mqtt_everest_prefix", "mqtt_external_prefix",
		"mqtt_broker_host", "mqtt_broker_port", "mqtt_broker_socket_path", "config", "conf", "everest_wire":
		return true
	}
	return false
}
