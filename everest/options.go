package everest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// MaxPacketSize is the largest MQTT packet, in bytes, that this package sends: modules of EVerest 2026.02.0 and older
// end when they receive a larger one.
const MaxPacketSize = 512_000

// Options identify the module and its broker. The zero value of a field means its default.
// program.ParseOptions fills them from what a manager passes.
type Options struct {
	// ModuleID is the module's id in the manager's configuration. Required.
	ModuleID string
	// InstallPrefix is the prefix of the EVerest installation.
	InstallPrefix string
	// EverestPrefix is the prefix of all framework topics; a slash is appended where it has none. Default "everest/".
	EverestPrefix string
	// ExternalPrefix is put before external topics, as it is. Default empty.
	ExternalPrefix string
	// LogConfig is the path of the framework's log configuration, which package program reads.
	LogConfig string
	// Broker is where the MQTT broker listens.
	Broker Broker
	// Spawned is whether a manager started the process. nil: everest asks the kernel whether the process gets SIGTERM when
	// its parent dies, which a manager arranges. Spawned modules end when the broker is lost, others
	// connect again.
	Spawned *bool
	// Manifest is the module's own manifest.yaml. With it the configuration is checked against what the module needs.
	Manifest []byte
	// Definitions of the interfaces that the module provides and requires. With them commands that leave the module are
	// checked, and everything when the manager's settings ask for validation.
	Definitions *schema.Definitions
	// UncheckedCalls switches the check of commands that leave the module off.
	UncheckedCalls bool
	// CallTimeout bounds the wait for a command's reply. Default 300 s, the framework's.
	CallTimeout time.Duration
	// ConfigTimeout bounds one try of the config service. Default 5 s.
	ConfigTimeout time.Duration
	// ConfigAttempts is how often Connect asks the config service. 0: until its context ends.
	ConfigAttempts int
	// StartDataTimeout is how long Connect waits for the manager's retained start-up topics after the configuration has
	// come; a module that is restarted does without them. Default 300 ms.
	StartDataTimeout time.Duration
	// StopTimeout bounds how long Run waits for handlers, and Close for unsent messages, at the end. Default 2 s.
	StopTimeout time.Duration
	// ReconnectDelay is the first pause of a standalone module between attempts to reach a lost broker; it doubles up
	// to 30 s. Default 500 ms.
	ReconnectDelay time.Duration
	// ReadyReminder is the time after which a standalone module without a global ready says ready again: a manager that has
	// just started may have missed the first one. The pause doubles up to 30 s. Default 1 s.
	ReadyReminder time.Duration
	// QueueMessages and QueueBytes bound what waits for one handler. Default 16384 messages, 64 MiB.
	QueueMessages, QueueBytes int
	// SlowHandler is the age of a waiting message from which on its handler is reported as slow, once. Default 5 s.
	SlowHandler time.Duration
	// OpenTransport makes the connection. nil: MQTT to Broker.
	OpenTransport func(ctx context.Context, config TransportConfig) (Transport, error)
	// Supervisor gets the module's status. nil: none. A module that a manager has started does not use it, because the manager
	// watches the module by other means.
	Supervisor Supervisor
	// Started is called once, on a goroutine of its own, when all modules are ready for the first time. May be nil.
	Started func()
	// Logger takes the module's log. nil: none.
	Logger *zap.Logger
}

// Broker is the address of an MQTT broker: a UNIX socket, or a host and port.
type Broker struct {
	// SocketPath of a UNIX stream socket. When it is set, Host and Port are not used.
	SocketPath string
	// Host, default "localhost".
	Host string
	// Port, default 1883.
	Port int
}

// String is the address as a URL, readable by BrokerFromURL.
func (b Broker) String() string {
	if b.SocketPath != "" {
		return "unix://" + b.SocketPath
	}
	host, port := b.hostPort()
	return "tcp://" + net.JoinHostPort(host, strconv.Itoa(port))
}

func (b Broker) hostPort() (string, int) {
	host, port := b.Host, b.Port
	if host == "" {
		host = "localhost"
	}
	if port == 0 {
		port = 1883
	}
	return host, port
}

// BrokerFromURL reads tcp://host:port, mqtt://host:port or unix:///path. Host and port may be left out.
func BrokerFromURL(text string) (Broker, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return Broker{}, fmt.Errorf("everest: broker URL: %w", err)
	}
	switch parsed.Scheme {
	case "unix":
		path := parsed.Host + parsed.Path
		if path == "" {
			return Broker{}, fmt.Errorf("everest: broker URL %q has no socket path, as in unix:///run/mosquitto.sock", text)
		}
		return Broker{SocketPath: path}, nil
	case "tcp", "mqtt":
	default:
		return Broker{}, fmt.Errorf("everest: broker URL %q: the scheme must be tcp, mqtt or unix", text)
	}
	broker := Broker{Host: parsed.Hostname()}
	if text := parsed.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return Broker{}, fmt.Errorf("everest: broker URL: port %q is not one of 1 to 65535", text)
		}
		broker.Port = int(port)
	}
	return broker, nil
}

// Installed returns the options of a module with Manifest and Definitions filled in where they are nil. They are those of
// the installation at InstallPrefix, which the manager reads too: a manifest that was adapted to its EVerest, and the
// definitions of that release and of a vendor's own interfaces. What the installation does not have, or what cannot be read
// there, is taken from what is built in, and logged. The manifest is returned as it is read.
func (o Options) Installed(module string, builtInManifest []byte, builtInDefinitions func() (*schema.Definitions, error)) (Options, *install.Manifest, error) {
	log := o.Logger
	if log == nil {
		log = zap.NewNop()
	}
	if o.Manifest == nil {
		o.Manifest = manifestOf(o.InstallPrefix, module, builtInManifest, log)
	}
	manifest, err := install.ParseManifest(o.Manifest)
	if err != nil {
		return o, nil, fmt.Errorf("%w (manifest of %s)", err, module)
	}
	if o.Definitions == nil {
		o.Definitions, err = definitionsOf(o.InstallPrefix, manifest, builtInDefinitions, log)
	}
	return o, manifest, err
}

func manifestOf(prefix, module string, builtIn []byte, log *zap.Logger) []byte {
	if prefix == "" {
		return builtIn
	}
	installed, err := install.InstalledManifest(prefix, module)
	if err == nil {
		_, err = install.ParseManifest(installed)
	}
	switch {
	case err == nil:
		return installed
	case errors.Is(err, fs.ErrNotExist):
		log.Debug("no manifest is installed: the built-in one counts", zap.String("prefix", prefix))
	default:
		log.Warn("the installed manifest cannot be read: the built-in one counts", zap.Error(err))
	}
	return builtIn
}

// definitionsOf returns the definitions of the manifest's interfaces.
func definitionsOf(prefix string, manifest *install.Manifest, builtIn func() (*schema.Definitions, error), log *zap.Logger) (*schema.Definitions, error) {
	names := map[string]bool{}
	for _, provided := range manifest.Provides {
		names[provided.Interface] = true
	}
	for _, required := range manifest.Requires {
		names[required.Interface] = true
	}
	installed, err := install.InstalledInterfaces(prefix, slices.Sorted(maps.Keys(names))...)
	if err != nil {
		log.Warn("interface definitions of the installation cannot be read: built-in ones count in their place", zap.Error(err))
	}
	found := len(installed.InterfaceNames())
	log.Debug("interface definitions", zap.Int("installed", found), zap.Int("wanted", len(names)))
	if found == len(names) {
		return installed, nil
	}
	known, err := builtIn()
	if err != nil {
		return nil, err
	}
	return installed.Over(known), nil
}
