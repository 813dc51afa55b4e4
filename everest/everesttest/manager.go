package everesttest

import (
	"context"
	"errors"
	"fmt"
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
	// ErrManagerClosed is the end of a manager that was closed. It satisfies errors.Is(err, net.ErrClosed).
	ErrManagerClosed = fmt.Errorf("everesttest: the manager is closed: %w", net.ErrClosed)
	// ErrNoSpawnedModule is the end of a manager all of whose modules are standalone: EVerest's waits for its children
	// and ends at once when it has none.
	ErrNoSpawnedModule = errors.New("everesttest: all modules are standalone; a manager needs one that it starts itself")
	// ErrPoisoned is the end of a manager that got a message of a type that the framework does not know.
	ErrPoisoned = errors.New("everesttest: a message of an unknown type ends the manager")
)

// answerTimeout bounds what the manager publishes while it runs.
const answerTimeout = 30 * time.Second

// Manager stands in for EVerest's manager: it publishes the start-up topics, serves the configuration, waits until all
// modules are ready and tells them. It starts no process; who stands up a module tells it apart by ModuleConfig.Standalone.
type Manager struct {
	config  ManagerConfig
	prefix  string
	modules map[string]*managedModule
	log     *zap.Logger
	wire    *wire

	// context ends with the manager; what it publishes on its own is bound to it.
	context context.Context
	cancel  context.CancelCauseFunc
	ending  sync.WaitGroup

	mutex       sync.Mutex
	retained    []string
	ready       map[string]bool
	metadata    map[string][]byte
	globalReady int
	changed     chan struct{}
	userConfig  map[string]map[string]map[string]string
}

// StartManager checks the configuration as EVerest's manager does, connects, publishes the start-up topics and serves from
// then on. ctx bounds the start only. A configuration that does not fit is an error of one line that names the thing.
func StartManager(ctx context.Context, config ManagerConfig) (*Manager, error) {
	if config.Definitions == nil {
		var err error
		if config.Definitions, err = schema.BuiltIn(); err != nil {
			return nil, err
		}
	}
	config.Settings = config.Settings.withDefaults()
	modules, err := checkConfig(config)
	if err != nil {
		return nil, fmt.Errorf("everesttest: %w", err)
	}
	m := &Manager{
		config: config, modules: modules, prefix: normalPrefix(config.EverestPrefix), log: config.Logger,
		ready: map[string]bool{}, metadata: map[string][]byte{}, changed: make(chan struct{}),
		userConfig: map[string]map[string]map[string]string{},
	}
	if m.log == nil {
		m.log = zap.NewNop()
	}
	m.log = m.log.Named("manager")
	// The context outlives StartManager: it is the manager's own life.
	m.context, m.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if m.wire, err = dialWire(ctx, config.Broker, "manager", m.receive); err != nil {
		return nil, err
	}
	if err := m.start(ctx); err != nil {
		m.cancel(err)
		m.wire.stop()
		return nil, err
	}
	m.ending.Go(m.end)
	if m.allStandalone() {
		m.cancel(ErrNoSpawnedModule)
	}
	return m, nil
}

// start does what a manager does before it starts its modules, in the same order.
func (m *Manager) start(ctx context.Context) error {
	if err := m.wire.subscribe(ctx, 2, m.prefix+"config/request"); err != nil {
		return err
	}
	topics, err := m.startTopics()
	if err != nil {
		return err
	}
	for _, topic := range topics {
		m.mutex.Lock()
		m.retained = append(m.retained, topic.name)
		m.mutex.Unlock()
		if err := m.wire.publish(ctx, topic.name, 2, true, topic.payload); err != nil {
			return err
		}
	}
	for _, id := range m.awaited() {
		if err := m.wire.subscribe(ctx, 2, m.prefix+"modules/"+id+"/metadata", m.prefix+"modules/"+id+"/ready"); err != nil {
			return err
		}
	}
	return nil
}

// end waits until the manager ends by whatever reason and leaves the broker.
func (m *Manager) end() {
	select {
	case <-m.context.Done():
	case <-m.wire.lost:
		m.cancel(errBrokerLost)
	}
	if !errors.Is(context.Cause(m.context), errKilled) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(m.context), 5*time.Second)
		m.clearRetained(ctx)
		cancel()
	}
	m.wire.stop()
}

// clearRetained takes the start-up topics off the broker.
func (m *Manager) clearRetained(ctx context.Context) {
	m.mutex.Lock()
	topics := m.retained
	m.retained = nil
	m.mutex.Unlock()
	for _, topic := range topics {
		if err := m.wire.publish(ctx, topic, 0, true, nil); err != nil {
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
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.missing()
}

func (m *Manager) missing() []string {
	var ids []string
	for _, id := range m.awaited() {
		if !m.ready[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// GlobalReadyCount returns how often the manager has told its modules that all are ready: once, and once more for each ready
// of a restarted module.
func (m *Manager) GlobalReadyCount() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.globalReady
}

// WaitReady returns when the manager has told that all modules are ready. The error names the modules that are missing.
func (m *Manager) WaitReady(ctx context.Context) error { return m.WaitGlobalReady(ctx, 1) }

// WaitGlobalReady waits until the manager has told count times that all modules are ready.
func (m *Manager) WaitGlobalReady(ctx context.Context, count int) error {
	for {
		m.mutex.Lock()
		reached, missing, changed := m.globalReady >= count, m.missing(), m.changed
		m.mutex.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-m.context.Done():
			return m.Err()
		case <-ctx.Done():
			return fmt.Errorf("everesttest: not ready: %s: %w", strings.Join(missing, ", "), context.Cause(ctx))
		}
	}
}

// Metadata returns what the module published about itself, nil when it did not.
func (m *Manager) Metadata(id string) []byte {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.metadata[id]
}

// Shutdown asks the modules to end, as newer managers do with their option --graceful-shutdown: the bare text "true".
func (m *Manager) Shutdown(ctx context.Context) error {
	return m.wire.publish(ctx, m.prefix+"shutdown", 2, false, []byte("true"))
}

// Done is closed when the manager has begun to end.
func (m *Manager) Done() <-chan struct{} { return m.context.Done() }

// Err is nil while the manager runs, and then why it does not.
func (m *Manager) Err() error { return context.Cause(m.context) }

// errKilled ends a manager without the time to clear anything.
var errKilled = fmt.Errorf("everesttest: the manager is killed: %w", net.ErrClosed)

// Kill ends the manager as SIGTERM ends EVerest's: the start-up topics that are still there stay on the broker.
func (m *Manager) Kill() {
	m.cancel(errKilled)
	m.ending.Wait()
}

// Close ends the manager and takes its start-up topics off the broker. It may be called more than once.
func (m *Manager) Close() error {
	m.cancel(ErrManagerClosed)
	m.ending.Wait()
	return nil
}

// Options returns what a module needs to connect, ready for everest.Connect. It is taken for standalone, see
// everest.Options.Spawned.
func (m *Manager) Options(id string) everest.Options {
	spawned := false
	options := everest.Options{
		ModuleID: id, EverestPrefix: m.prefix, InstallPrefix: m.config.Settings.Prefix, Broker: m.config.Broker,
		ExternalPrefix: m.config.ExternalPrefix, Definitions: m.config.Definitions, Spawned: &spawned, Logger: m.config.Logger,
	}
	if module, ok := m.modules[id]; ok {
		options.Manifest = module.config.Manifest
	}
	return options
}

// Arguments returns the command line, without the program's name, that EVerest's manager would start the module with.
func (m *Manager) Arguments(id string) []string {
	arguments := []string{
		"--prefix", m.config.Settings.Prefix, "--module", id,
		"--log_config", m.config.Settings.EtcDir + "/default_logging.cfg",
		"--mqtt_everest_prefix", m.prefix, "--mqtt_external_prefix", m.config.ExternalPrefix,
	}
	if m.config.Broker.SocketPath != "" {
		return append(arguments, "--mqtt_broker_socket_path", m.config.Broker.SocketPath)
	}
	_, address := brokerEndpoint(m.config.Broker)
	host, port, _ := net.SplitHostPort(address)
	return append(arguments, "--mqtt_broker_host", host, "--mqtt_broker_port", port)
}

func normalPrefix(prefix string) string {
	if prefix == "" {
		prefix = "everest"
	}
	return strings.TrimSuffix(prefix, "/") + "/"
}
