package program

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// ParseOptions reads the command line that a manager passes to a module. args does not include the program's name. An
// absent flag is read from the environment, for modules that a person starts. The variables are EV_MODULE, EV_PREFIX,
// EV_LOG_CONF_FILE, EV_MQTT_EVEREST_PREFIX, EV_MQTT_EXTERNAL_PREFIX, EV_MQTT_BROKER_SOCKET_PATH, EV_MQTT_BROKER_HOST
// EV_MQTT_BROKER_PORT and EV_WIRE. MQTT_SERVER_ADDRESS and MQTT_SERVER_PORT override host and port, as in C++ modules.
//
// Managers of newer releases can connect modules by shared memory, which they say with --framework_transport or
// EV_FRAMEWORK_TRANSPORT. That is an error.
//
// The flag --spawned, with true or false, sets Options.Spawned. Unknown flags are ignored. getenv is usually os.Getenv;
// nil means an empty environment.
func ParseOptions(args []string, getenv func(string) string) (everest.Options, error) {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	flags := readFlags(args)
	pick := func(variable string, names ...string) string {
		for _, name := range names {
			if value, given := flags[name]; given {
				return value
			}
		}
		return getenv(variable)
	}
	options := everest.Options{
		ModuleID:       pick("EV_MODULE", "module", "m"),
		InstallPrefix:  pick("EV_PREFIX", "prefix"),
		EverestPrefix:  wire.NormalPrefix(pick("EV_MQTT_EVEREST_PREFIX", "mqtt_everest_prefix")),
		ExternalPrefix: pick("EV_MQTT_EXTERNAL_PREFIX", "mqtt_external_prefix"),
		LogConfig:      pick("EV_LOG_CONF_FILE", "log_config"),
		Wire:           pick("EV_WIRE", "everest_wire"),
	}
	var err error
	if options.ConfigFile, err = configFile(flags, getenv); err != nil {
		return everest.Options{}, err
	}
	if options.ModuleID == "" {
		return everest.Options{}, errors.New("everest: no module id: give --module ID, or set EV_MODULE")
	}
	if transport := pick("EV_FRAMEWORK_TRANSPORT", "framework_transport"); transport != "" && !strings.EqualFold(transport, "mqtt") {
		return everest.Options{}, fmt.Errorf("everest: this EVerest connects its modules by %q, and this program speaks only MQTT: set framework_transport to mqtt in the settings of EVerest's configuration", transport)
	}
	if text, given := flags["spawned"]; given {
		spawned, err := strconv.ParseBool(text)
		if err != nil {
			return everest.Options{}, fmt.Errorf("everest: --spawned %q: give true or false", text)
		}
		options.Spawned = &spawned
	}
	options.Broker, err = pickBroker(pick, getenv)
	if options.ConfigFile == "" && options.Broker.SocketPath == "" && err == nil {
		options.Broker.Host, options.Broker.Port = cmp.Or(options.Broker.Host, "localhost"), cmp.Or(options.Broker.Port, 1883)
	}
	return options, err
}

// configFile returns the configuration file that managers of EVerest 2024.3 to 2024.10 pass to their modules. They pass
// neither a log configuration nor a prefix of topics, later ones always do. Beside those --config means nothing, as for
// C++ modules.
func configFile(flags map[string]string, getenv func(string) string) (string, error) {
	later := ""
	for _, name := range []string{"log_config", "mqtt_everest_prefix"} {
		if _, given := flags[name]; given {
			later = name
		}
	}
	file, given := flags["conf"]
	if given && later != "" {
		return "", fmt.Errorf("everest: --conf is for EVerest up to 2024.10 and --%s for later releases: give one of them", later)
	}
	if !given {
		file, given = flags["config"]
	}
	switch {
	case given && later == "":
		return cmp.Or(file, "default"), nil
	case later == "" && getenv("EV_MQTT_EVEREST_PREFIX") == "":
		return getenv("EV_CONF_FILE"), nil
	}
	return "", nil
}

// pickBroker leaves empty what is not given, because a configuration file may give it.
func pickBroker(pick func(variable string, names ...string) string, getenv func(string) string) (everest.Broker, error) {
	broker := everest.Broker{
		SocketPath: pick("EV_MQTT_BROKER_SOCKET_PATH", "mqtt_broker_socket_path"),
		Host:       pick("EV_MQTT_BROKER_HOST", "mqtt_broker_host"),
	}
	if text := pick("EV_MQTT_BROKER_PORT", "mqtt_broker_port"); text != "" {
		port, err := parsePort(text)
		if err != nil {
			return everest.Broker{}, fmt.Errorf("everest: --mqtt_broker_port: %w", err)
		}
		broker.Port = port
	}
	address, portText := getenv("MQTT_SERVER_ADDRESS"), getenv("MQTT_SERVER_PORT")
	if broker.SocketPath != "" && (address != "" || portText != "") {
		return everest.Broker{}, fmt.Errorf("everest: MQTT_SERVER_ADDRESS or MQTT_SERVER_PORT is set together with the broker socket %s: unset one of them",
			broker.SocketPath)
	}
	if address != "" {
		broker.Host = address
	}
	// EVerest ignores a MQTT_SERVER_PORT that is not a number.
	if port, err := parsePort(portText); err == nil {
		broker.Port = port
	}
	if broker.SocketPath != "" {
		return everest.Broker{SocketPath: broker.SocketPath}, nil
	}
	return broker, nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %q is not one of 1 to 65535", text)
	}
	return int(port), nil
}
