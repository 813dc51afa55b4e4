package everest

import (
	"cmp"
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
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// MaxPacketSize is the size in bytes of the largest MQTT packet that this package sends, unless Module.SetMaxPacketSize
// has set another size. Modules of EVerest 2026.02.1 and older end when they receive a larger packet. For later releases
// only MQTT has a bound.
const MaxPacketSize = 512_000

// SetMaxPacketSize sets the size in bytes of the largest MQTT packet that the module sends. It is for EVerest systems
// whose modules all take larger packets than MaxPacketSize. 0 means MaxPacketSize.
func (m *Module) SetMaxPacketSize(size int) { m.maxPacket.Store(int64(size)) }

func (m *Module) maxPacketSize() int {
	size := MaxPacketSize
	if m.wire.Has(wire.LargePackets) {
		size = maxMQTTPacket
	}
	return cmp.Or(int(m.maxPacket.Load()), size)
}

// maxMQTTPacket is the size of the largest packet of MQTT: a fixed header of five bytes and 2^28-1 more.
const maxMQTTPacket = 5 + 1<<28 - 1

// Options identifies the module and its broker. The zero value of a field selects its default. program.ParseOptions
// makes Options from the command line that a manager passes to a module.
type Options struct {
	// ModuleID is the module's id in the manager's configuration. It is required.
	ModuleID string
	// InstallPrefix is the prefix of the EVerest installation.
	InstallPrefix string
	// EverestPrefix is the prefix of all framework topics. A missing slash at its end is added. The default is
	// "everest/".
	EverestPrefix string
	// ExternalPrefix is put before external topics, without a slash between them. The default is empty.
	ExternalPrefix string
	// LogConfig is the path of the framework's log configuration, which package program reads.
	LogConfig string
	// Broker is the address of the MQTT broker.
	Broker Broker
	// Wire is the name of a family of EVerest's messages, such as "C"; see wire.Families. When it is empty, Connect finds
	// out the family before it publishes anything. It needs the installation at InstallPrefix for that, or the start of
	// a manager. A family that the package does not have is an error.
	Wire string
	// ConfigFile is the configuration file that managers of EVerest 2024.3 to 2024.10 pass to their modules. The module
	// reads its configuration and the broker's address from it. Broker overrides the address.
	ConfigFile string
	// Spawned is true for a module that a manager started, and false for a standalone module. When the broker is lost,
	// a spawned module ends and a standalone module connects again. With nil, Connect asks the kernel whether the
	// process gets SIGTERM when its parent dies, because a manager arranges that for its modules.
	Spawned *bool
	// ManagerID identifies the run of the manager that started the module. The default is read from the parent process.
	ManagerID string
	// Manifest is the module's own manifest.yaml. When it is set, Connect checks the configuration against it.
	Manifest []byte
	// Definitions defines the interfaces that the module provides and requires. When set, the arguments of calls to
	// other modules are checked. Everything else is checked only when the manager's settings ask for validation.
	Definitions *schema.Definitions
	// UncheckedCalls disables the check of calls to other modules, unless the manager's settings ask for validation.
	UncheckedCalls bool
	// CallTimeout bounds the wait for a command's reply. The default is the framework's, 300 s.
	CallTimeout time.Duration
	// ConfigTimeout bounds the wait for one response of the manager's config service. The default is 5 s.
	ConfigTimeout time.Duration
	// ConfigAttempts bounds how many times Connect requests the configuration. With 0 it tries until its context ends.
	ConfigAttempts int
	// StartDataTimeout bounds how long Connect waits for the manager's retained start-up topics, after it received the
	// configuration. A module that is restarted alone continues without these topics. The default is 300 ms.
	StartDataTimeout time.Duration
	// StopTimeout bounds how long Run and Close wait at the end: first for handlers, then for OnInit and OnReady
	// functions, then for unsent messages. The default is 2 s for each.
	StopTimeout time.Duration
	// ReconnectDelay is how long a standalone module waits after its first failed attempt to reach a lost broker. The
	// delay doubles up to 30 s. The default is 500 ms.
	ReconnectDelay time.Duration
	// ReadyReminder is the time after which a standalone module sends ready again, unless a global ready has arrived. A
	// manager that has just started may have missed the first one. The time doubles up to 30 s. The default is 1 s.
	ReadyReminder time.Duration
	// QueueMessages and QueueBytes bound the messages that wait in one queue. A full queue ends the module with
	// ErrQueueFull. The defaults are 16384 messages and 64 MiB.
	QueueMessages, QueueBytes int
	// SlowHandler is the age of a waiting message, or the run time of a handler, at which a queue is logged as slow. It
	// is logged once until the queue is empty again. The default is 5 s.
	SlowHandler time.Duration
	// OpenTransport opens the connection to the broker. The default is MQTT 3.1.1 to Broker.
	OpenTransport func(ctx context.Context, config TransportConfig) (Transport, error)
	// Supervisor receives the module's status; nil means none. It is not used for a module that a manager started,
	// because the manager itself watches its modules.
	Supervisor Supervisor
	// Alive is called about once in an AliveInterval while all loops of the module run, also in a module that a manager
	// started. One of the module's loops calls it, so it must return at once. Nil, or an AliveInterval of 0, means no calls.
	Alive         func()
	AliveInterval time.Duration
	// Started is called once in its own goroutine, at the first global ready. It may be nil.
	Started func()
	// Observer is for tests.
	Observer Observer
	// Logger receives the module's log. A nil Logger discards the log.
	Logger *zap.Logger
}

// Broker is the address of an MQTT broker: a UNIX socket, or a host and port.
type Broker struct {
	// SocketPath is the path of a UNIX stream socket. When it is set, Host and Port are not used.
	SocketPath string
	// Host is a name or an address. The default is "localhost".
	Host string
	// Port is a TCP port. The default is 1883.
	Port int
}

// String returns the address as a URL that BrokerFromURL accepts.
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

// Installed sets Manifest and Definitions where they are nil, and returns the options and the parsed manifest. It reads
// both from the installation at InstallPrefix, because the manager reads the files there. They may have been adapted to
// another release of EVerest, or to a vendor's interfaces. Installed takes the built-in manifest or definitions when
// the installation lacks them. It does so too when they cannot be read, and logs the error. An interface of the manifest
// that Definitions lacks is the built-in one.
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
	wanted := interfacesOf(manifest)
	if o.Definitions == nil {
		o.Definitions = definitionsOf(o.InstallPrefix, wanted, log)
	}
	if !slices.ContainsFunc(wanted, func(name string) bool { _, known := o.Definitions.Interface(name); return !known }) {
		return o, manifest, nil
	}
	known, err := builtInDefinitions()
	if err == nil {
		o.Definitions = o.Definitions.Over(known)
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

// interfacesOf returns the names of the manifest's interfaces.
func interfacesOf(manifest *install.Manifest) []string {
	names := map[string]bool{}
	for _, provided := range manifest.Provides {
		names[provided.Interface] = true
	}
	for _, required := range manifest.Requires {
		names[required.Interface] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// definitionsOf returns the definitions of these interfaces that the installation has.
func definitionsOf(prefix string, wanted []string, log *zap.Logger) *schema.Definitions {
	installed, err := install.InstalledInterfaces(prefix, wanted...)
	if err != nil {
		log.Warn("interface definitions of the installation cannot be read: built-in ones count in their place", zap.Error(err))
	}
	log.Debug("interface definitions", zap.Int("installed", len(installed.InterfaceNames())), zap.Int("wanted", len(wanted)))
	return installed
}

// Observer receives what a module does and other modules do not see. It is for tests: package everesttest sets it to
// find mistakes that leave no message. Its functions may be nil. They may be called from several goroutines, and must
// not block.
type Observer struct {
	// Registered is called once, before the module says ready for the first time.
	Registered func(Registrations)
	// Refused is called with the error of a check that kept a message of this module from being sent: a value, arguments
	// or a result that do not fit the definitions, an undeclared error type, or a message that is too large. The method
	// that was called returns the same error.
	Refused func(error)
}

// Registrations lists what a module has registered.
type Registrations struct {
	// Commands has the commands with a handler, by the id of the implementation that provides them. Every provided
	// implementation has an entry.
	Commands map[string][]string
	// Variables has the subscribed variables, by the id of the requirement.
	Variables map[string][]string
}

// tellRegistrations calls Observer.Registered.
func (m *Module) tellRegistrations() {
	if m.options.Observer.Registered == nil {
		return
	}
	told := Registrations{Commands: map[string][]string{}, Variables: map[string][]string{}}
	for id, p := range m.provided {
		p.mu.Lock()
		told.Commands[id] = []string{}
		for command := range p.handlers {
			told.Commands[id] = append(told.Commands[id], command)
		}
		p.mu.Unlock()
		slices.Sort(told.Commands[id])
	}
	for requirement, connections := range m.required {
		for _, r := range connections {
			r.mu.Lock()
			told.Variables[requirement] = append(told.Variables[requirement], r.variables...)
			r.mu.Unlock()
		}
		slices.Sort(told.Variables[requirement])
		told.Variables[requirement] = slices.Compact(told.Variables[requirement])
	}
	m.options.Observer.Registered(told)
}

// refused returns err. It calls Observer.Refused where err is that of a check.
func (m *Module) refused(err error) error {
	if err == nil || m.options.Observer.Refused == nil {
		return err
	}
	_, mismatch := errors.AsType[*schema.Error](err)
	if mismatch || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrUnknownErrorType) {
		m.options.Observer.Refused(err)
	}
	return err
}
