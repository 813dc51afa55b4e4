package everesttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

var (
	// errManagerClosed satisfies errors.Is(err, net.ErrClosed).
	errManagerClosed = fmt.Errorf("everesttest: the manager is closed: %w", net.ErrClosed)
	// ErrNoSpawnedModule reports that all modules of a manager are standalone. EVerest's manager waits for its child
	// processes, so it ends at once if it has none.
	ErrNoSpawnedModule = errors.New("everesttest: all modules are standalone; a manager needs one that it starts itself")
	// ErrPoisoned reports that a manager received a message of a type that the framework does not define. Such a
	// message ends the manager.
	ErrPoisoned = errors.New("everesttest: a message of an unknown type ends the manager")
)

// answerTimeout is how long the manager waits for the broker to take a message. After it the message is given up.
const answerTimeout = 30 * time.Second

// Manager stands in for EVerest's manager. It publishes the start-up topics and sends each module its configuration.
// When all modules are ready, it publishes the global ready. It starts no process: the test starts the modules.
type Manager struct {
	config  ManagerConfig
	prefix  string
	modules map[string]*managedModule
	log     *zap.Logger
	conn    *brokerConn

	ending sync.WaitGroup
	stop   sync.Once
	done   chan struct{}
	cause  error // why the manager ends; set before done is closed

	mu          sync.Mutex
	retained    []string
	ready       map[string]bool
	metadata    map[string][]byte
	globalReady int
	hasAsked    bool // Shutdown was called
	changed     chan struct{}
	userConfig  map[string]map[string]map[string]string
	stored      map[string]storedError // by uuid
}

// StartManager checks the configuration as EVerest's manager does, connects, publishes the start-up topics and starts
// to serve. ctx bounds the start only. An error of the configuration names the module and key in one line.
func StartManager(ctx context.Context, config ManagerConfig) (*Manager, error) {
	if config.Definitions == nil {
		var err error
		if config.Definitions, err = schema.BuiltIn(); err != nil {
			return nil, err
		}
	}
	if _, known := dialects[cmp.Or(config.Family, "C")]; !known {
		return nil, fmt.Errorf("everesttest: there is no manager of family %q, only of %s", config.Family, strings.Join(Families(), ", "))
	}
	config.Settings = config.Settings.withDefaults()
	modules, err := checkConfig(config)
	if err != nil {
		return nil, fmt.Errorf("everesttest: %w", err)
	}
	m := &Manager{
		config: config, modules: modules, prefix: normalPrefix(config.EverestPrefix), log: config.Logger,
		ready: map[string]bool{}, metadata: map[string][]byte{}, changed: make(chan struct{}), done: make(chan struct{}),
		userConfig: map[string]map[string]map[string]string{}, stored: map[string]storedError{},
	}
	if m.log == nil {
		m.log = zap.NewNop()
	}
	m.log = m.log.Named("manager")
	for _, id := range slices.Sorted(maps.Keys(modules)) {
		if m.family() != "B1" && m.family() != "B2" && m.dialect().bare() && len(modules[id].config.Capabilities) > 0 {
			return nil, fmt.Errorf("everesttest: module %s: capabilities: the managers of EVerest 2025.5 to 2025.10 want a text, and their schema a list", id)
		}
	}
	if m.conn, err = dialBroker(ctx, config.Broker, "manager", m.receive); err != nil {
		return nil, err
	}
	if err := m.start(ctx); err != nil {
		m.conn.stop()
		return nil, err
	}
	m.ending.Go(m.end)
	if m.allStandalone() {
		m.finish(ErrNoSpawnedModule)
	}
	return m, nil
}

// start does what EVerest's manager does before it starts its modules, in the same order.
func (m *Manager) start(ctx context.Context) error {
	if m.dialect().configFiles {
		return m.startWithFiles(ctx)
	}
	if err := m.listenForRequests(ctx); err != nil {
		return err
	}
	if err := m.publishStart(ctx); err != nil {
		return err
	}
	for _, id := range m.awaited() {
		if err := m.conn.subscribe(ctx, 2, m.prefix+"modules/"+id+"/metadata", m.prefix+"modules/"+id+"/ready"); err != nil {
			return err
		}
	}
	return nil
}

// publishStart publishes the start-up topics.
func (m *Manager) publishStart(ctx context.Context) error {
	topics, err := m.startTopics()
	if err != nil {
		return err
	}
	for _, topic := range topics {
		m.mu.Lock()
		m.retained = append(m.retained, topic.name)
		m.mu.Unlock()
		if err := m.conn.publish(ctx, topic.name, 2, true, topic.payload); err != nil {
			return err
		}
	}
	return nil
}

// Recover begins anew after the crash of a module: the manager publishes its start-up topics again, and waits for all
// modules. The newest versions of EVerest's manager do so with the option --recover-module-crashes. They start their
// modules again, which here is for the test to do.
func (m *Manager) Recover(ctx context.Context) error {
	m.mu.Lock()
	clear(m.ready)
	m.mu.Unlock()
	return m.publishStart(ctx)
}

// listenForRequests subscribes the requests for configurations.
func (m *Manager) listenForRequests(ctx context.Context) error {
	if m.dialect().configService {
		return m.conn.subscribe(ctx, 2, m.prefix+"config/request")
	}
	for _, id := range m.awaited() {
		if err := m.conn.subscribe(ctx, 2, m.prefix+"modules/"+id+"/get_config"); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the manager end. The first cause counts.
func (m *Manager) finish(cause error) {
	m.stop.Do(func() {
		m.cause = cause
		close(m.done)
	})
}

// end waits for the end of the manager and then disconnects from the broker.
func (m *Manager) end() {
	select {
	case <-m.done:
	case <-m.conn.lost:
		m.finish(errBrokerLost)
	}
	if !errors.Is(m.Err(), errKilled) && !m.dialect().keepsTopics {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		m.clearRetained(ctx)
		cancel()
	}
	m.conn.stop()
}

// clearRetained removes the start-up topics from the broker.
func (m *Manager) clearRetained(ctx context.Context) {
	m.mu.Lock()
	topics := m.retained
	m.retained = nil
	m.mu.Unlock()
	for _, topic := range topics {
		if err := m.conn.publish(ctx, topic, 0, true, nil); err != nil {
			m.log.Warn("a start-up topic stays on the broker", zap.String("topic", topic), zap.Error(err))
			return
		}
	}
}

// awaited returns the ids of the modules that must become ready, sorted.
func (m *Manager) awaited() []string {
	var ids []string
	for id, module := range m.modules {
		if !module.config.Ignored {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *Manager) allStandalone() bool {
	for _, id := range m.awaited() {
		if !m.modules[id].config.Standalone {
			return false
		}
	}
	return true
}

// Ready reports whether all modules are ready now.
func (m *Manager) Ready() bool { return len(m.Missing()) == 0 }

// Missing returns the ids of the modules that are not ready, sorted.
func (m *Manager) Missing() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.missingLocked()
}

func (m *Manager) missingLocked() []string {
	var ids []string
	for _, id := range m.awaited() {
		if !m.ready[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// GlobalReadyCount returns how often the manager has published the global ready. The manager publishes it when all
// modules are ready for the first time, and again after each restart of a module.
func (m *Manager) GlobalReadyCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.globalReady
}

// WaitReady waits until the manager has published that all modules are ready. The error names the missing modules.
func (m *Manager) WaitReady(ctx context.Context) error { return m.WaitGlobalReady(ctx, 1) }

// WaitGlobalReady waits until GlobalReadyCount is at least count. The error names the modules that are not ready.
func (m *Manager) WaitGlobalReady(ctx context.Context, count int) error {
	for {
		m.mu.Lock()
		reached, missing, changed := m.globalReady >= count, m.missingLocked(), m.changed
		m.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-m.done:
			return m.Err()
		case <-ctx.Done():
			return fmt.Errorf("everesttest: not ready: %s: %w", strings.Join(missing, ", "), context.Cause(ctx))
		}
	}
}

// Shutdown asks all modules to end: it publishes the text "true", without an envelope, on the topic shutdown. Newer
// versions of EVerest's manager do so with the option --graceful-shutdown.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.hasAsked = true
	m.mu.Unlock()
	return m.conn.publish(ctx, m.prefix+"shutdown", 2, false, []byte("true"))
}

func (m *Manager) hasShutDown() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hasAsked
}

// Done returns a channel that is closed when the manager begins to end.
func (m *Manager) Done() <-chan struct{} { return m.done }

// Err returns why the manager ends, and nil while it runs.
func (m *Manager) Err() error {
	select {
	case <-m.done:
		return m.cause
	default:
		return nil
	}
}

// errKilled ends a manager without removing its start-up topics.
var errKilled = fmt.Errorf("everesttest: the manager is killed: %w", net.ErrClosed)

// Kill ends the manager without removing its start-up topics from the broker, as SIGTERM ends EVerest's manager.
func (m *Manager) Kill() {
	m.finish(errKilled)
	m.ending.Wait()
}

// Close ends the manager and removes its start-up topics from the broker. It may be called more than once.
func (m *Manager) Close() error {
	m.finish(errManagerClosed)
	m.ending.Wait()
	return nil
}

// Options returns the options with which the module id calls everest.Connect. The module counts as standalone; see
// everest.Options.Spawned.
func (m *Manager) Options(id string) everest.Options {
	spawned := false
	options := everest.Options{
		ModuleID: id, Wire: m.family(), EverestPrefix: m.prefix, InstallPrefix: m.config.Settings.Prefix, Broker: m.config.Broker,
		ExternalPrefix: m.config.ExternalPrefix, Definitions: m.config.Definitions, Spawned: &spawned, Logger: m.config.Logger,
	}
	if m.dialect().configFiles {
		options.ConfigFile, options.Broker, options.EverestPrefix, options.ExternalPrefix = m.configFile(), everest.Broker{}, "", ""
	}
	if module, ok := m.modules[id]; ok {
		options.Manifest = module.config.Manifest
	}
	return options
}

// Arguments returns the arguments with which EVerest's manager would start the module, without the program's name. One
// of them names the family of messages, because the process has no library of EVerest in which the module could find it.
func (m *Manager) Arguments(id string) []string {
	if m.dialect().configFiles {
		return []string{"--prefix", m.config.Settings.Prefix, "--conf", m.configFile(), "--module", id, "--everest_wire", m.family()}
	}
	arguments := []string{
		"--prefix", m.config.Settings.Prefix, "--module", id,
		"--log_config", m.config.Settings.EtcDir + "/default_logging.cfg",
		"--mqtt_everest_prefix", m.prefix, "--mqtt_external_prefix", m.config.ExternalPrefix, "--everest_wire", m.family(),
	}
	if m.config.Broker.SocketPath != "" {
		return append(arguments, "--mqtt_broker_socket_path", m.config.Broker.SocketPath)
	}
	_, address := brokerEndpoint(m.config.Broker)
	host, port, _ := net.SplitHostPort(address)
	return append(arguments, "--mqtt_broker_host", host, "--mqtt_broker_port", port)
}

func (m *Manager) family() string { return cmp.Or(m.config.Family, "C") }

func normalPrefix(prefix string) string {
	if prefix == "" {
		prefix = "everest"
	}
	return strings.TrimSuffix(prefix, "/") + "/"
}
