package everest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/internal/configfile"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// Module is one EVerest module. Connect makes a module, and Run operates it until it ends. Its methods are safe for
// concurrent use.
//
// Subscriptions made before Run, or by OnInit functions, are acknowledged before the module is ready. A later
// subscription is sent to the broker as soon as possible. The module may miss messages that are published before the
// broker has received it.
type Module struct {
	options  Options
	wire     wire.Family // set when it is found out
	log      *zap.Logger
	manifest *install.Manifest
	spawned  bool

	router     *router
	dispatcher *dispatcher
	dropped    dropLog
	calls      calls
	config     *moduleConfig
	service    configService
	start      startData
	search     familySearch
	files      *configfile.Config // of a family with ConfigFiles

	link     atomic.Pointer[link]
	identity clientIdentity
	gate     gate
	events   moduleEvents
	ending   ending

	mu       sync.Mutex
	running  bool
	closed   bool
	mistakes []error // of registrations, returned by Run
	onInit   []func(context.Context) error
	onReady  []func(context.Context) error
	provided map[string]*Provided   // written by Connect only
	required map[string][]*Required // written by Connect only

	ended      chan struct{} // closed when Run has returned
	background sync.WaitGroup
	counters   counters
	watchdog   watchdog
	maxPacket  atomic.Int64
	allReady   atomic.Pointer[time.Time] // when the first global ready was there
}

// moduleEvents wakes Run for messages on the runtime's own topics. Each channel holds at most one event.
type moduleEvents struct {
	globalReady    chan struct{}
	managerStarted chan struct{}
	subscribe      chan struct{}
}

type counters struct {
	received, unwanted, published, commands, callsMade atomic.Uint64
}

// Connect connects to the broker, requests the module's configuration from the manager and resolves the requirements. A
// module may be started before its manager, so Connect repeats the request until ctx ends, or Options.ConfigAttempts
// times. The caller must call Run or Close.
func Connect(ctx context.Context, options Options) (*Module, error) {
	m, err := newModule(options)
	if err != nil {
		return nil, err
	}
	if m.spawned {
		if err := keepDescriptorsFromChildren(); err != nil {
			m.log.Warn("inherited descriptors stay open in child processes", zap.Error(err))
		}
	}
	// Handlers run until the module ends, so the end of ctx must not end them.
	handling, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	m.ending.add(cancel)
	if err := m.connect(ctx, handling); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func newModule(options Options) (*Module, error) {
	options.setDefaults()
	if !wire.ValidLevel(options.ModuleID) {
		return nil, fmt.Errorf("everest: module id %q: it must not be empty nor hold a slash, + or #", options.ModuleID)
	}
	if !wire.ValidTopic(options.EverestPrefix) || options.ExternalPrefix != "" && !wire.ValidTopic(options.ExternalPrefix) {
		return nil, fmt.Errorf("everest: topic prefixes %q and %q must not hold + or #", options.EverestPrefix, options.ExternalPrefix)
	}
	m := &Module{
		options:  options,
		log:      LimitRepeats(options.Logger).Named("everest").With(zap.String("module_id", options.ModuleID)),
		spawned:  spawnedByManager(),
		provided: map[string]*Provided{},
		required: map[string][]*Required{},
		ended:    make(chan struct{}),
		ending:   ending{over: make(chan struct{})},
		events: moduleEvents{
			globalReady:    make(chan struct{}, 1),
			managerStarted: make(chan struct{}, 1),
			subscribe:      make(chan struct{}, 1),
		},
	}
	if options.Spawned != nil {
		m.spawned = *options.Spawned
	}
	if m.spawned {
		options.Supervisor = nil
	}
	m.watchdog.start(options.supervisor(), m.log)
	if options.Manifest != nil {
		manifest, err := install.ParseManifest(options.Manifest)
		if err != nil {
			return nil, fmt.Errorf("%w (the own manifest of module %s)", err, options.ModuleID)
		}
		m.manifest = manifest
	}
	m.dropped.log = m.log
	m.dispatcher = &dispatcher{
		fail: m.Fail, log: m.log, slowAfter: options.SlowHandler,
		maxMessages: options.QueueMessages, maxBytes: options.QueueBytes,
	}
	m.calls.pending = map[string]chan wire.Result{}
	m.service = newConfigService()
	m.start = newStartData()
	m.search.set(options, m.spawned)
	m.identity = m.identify()
	return m, nil
}

func (o *Options) setDefaults() {
	o.EverestPrefix = wire.NormalPrefix(o.EverestPrefix)
	setDefault(&o.CallTimeout, 300*time.Second)
	setDefault(&o.ConfigTimeout, 5*time.Second)
	setDefault(&o.StartDataTimeout, 300*time.Millisecond)
	setDefault(&o.StopTimeout, 2*time.Second)
	setDefault(&o.ReconnectDelay, 500*time.Millisecond)
	setDefault(&o.ReadyReminder, time.Second)
	setDefault(&o.SlowHandler, 5*time.Second)
	setDefault(&o.QueueMessages, 16384)
	setDefault(&o.QueueBytes, 64<<20)
	if o.OpenTransport == nil {
		o.OpenTransport = openMQTT
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// ID returns the module's id in the manager's configuration.
func (m *Module) ID() string { return m.options.ModuleID }

// Spawned reports whether a manager started the module.
func (m *Module) Spawned() bool { return m.spawned }

// ManagerID identifies the process that started the module. A module that its manager starts again alone finds the same
// one: the other modules of its board have gone on. It returns an empty string where the system does not tell.
func (m *Module) ManagerID() string {
	if m.options.ManagerID != "" {
		return m.options.ManagerID
	}
	return parentProcess()
}

// Name returns the name of the module's type, such as "EvseManager", from the manager's configuration.
func (m *Module) Name() string { return m.config.name }

// Mapping returns the part of the charging station to which the module is mapped. A nil Mapping means the whole
// station.
func (m *Module) Mapping() *Mapping { return m.config.mapping.Module.clone() }

// MappingOf returns the mapping of a provided implementation. An implementation without its own mapping has the
// module's.
func (m *Module) MappingOf(implementation string) *Mapping {
	return m.config.mapping.of(implementation)
}

// DecodeConfig fills the struct that dst points to from the module's configuration. The tag of a field names its
// parameter, as in `everest:"port"`. With `everest:"port,optional"` the field keeps its value when the parameter is
// missing. Without "optional", DecodeConfig returns an error that names the missing parameter. Fields without a tag
// stay unchanged.
func (m *Module) DecodeConfig(dst any) error {
	return decodeParameters("configuration of module "+m.options.ModuleID, m.config.parameters[ownParameters], dst)
}

// Config returns the module's own configuration: the JSON of each parameter by name. It may hold secrets.
func (m *Module) Config() map[string]json.RawMessage {
	values := map[string]json.RawMessage{}
	for _, parameter := range m.config.parameters[ownParameters] {
		values[parameter.Name] = parameter.Value
	}
	return values
}

// DecodeImplementationConfig fills the struct that dst points to from the configuration of a provided implementation,
// like DecodeConfig.
func (m *Module) DecodeImplementationConfig(implementation string, dst any) error {
	where := "configuration of module " + m.options.ModuleID + ", implementation " + implementation
	parameters, known := m.config.parameters[implementation]
	if !known && implementation != ownParameters {
		return fmt.Errorf("everest: %s: there is no such implementation", where)
	}
	return decodeParameters(where, parameters, dst)
}

// OnInit adds a function that Run calls before the module is ready, when all subscriptions are acknowledged. The
// functions run one after the other, in the order of their registration. A function may block for minutes; commands are
// handled meanwhile. A function that returns an error ends Run. Subscriptions that it makes are acknowledged before the
// module is ready.
//
// Functions should call other modules from OnReady instead, because other modules may not handle commands before the
// global ready.
func (m *Module) OnInit(fn func(ctx context.Context) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onInit = append(m.onInit, fn)
}

// OnReady adds a function that runs in its own goroutine at the first global ready. A function that returns an error
// ends Run.
func (m *Module) OnReady(fn func(ctx context.Context) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onReady = append(m.onReady, fn)
}

// Fail ends Run, which returns err unless another cause came first. It is meant for a module's background goroutines.
func (m *Module) Fail(err error) {
	if err == nil {
		err = errors.New("everest: Fail was called without an error")
	}
	m.ending.end(err)
}

// ending holds the cause of a module's end, and the functions to call with that cause.
type ending struct {
	mu      sync.Mutex
	cause   error         // nil while the module lives
	over    chan struct{} // closed with the cause
	cancels []context.CancelCauseFunc
}

// add registers a function that is called with the cause when the module ends, or at once when it has ended already.
func (e *ending) add(cancel context.CancelCauseFunc) {
	e.mu.Lock()
	e.cancels = append(e.cancels, cancel)
	cause := e.cause
	e.mu.Unlock()
	if cause != nil {
		cancel(cause)
	}
}

// end ends the module. Only the first cause is kept.
func (e *ending) end(cause error) {
	e.mu.Lock()
	if e.cause == nil {
		e.cause = cmp.Or(cause, context.Canceled)
		close(e.over)
	}
	cause = e.cause
	cancels := e.cancels
	e.mu.Unlock()
	for _, cancel := range cancels {
		cancel(cause)
	}
}

func (e *ending) isOver() bool {
	select {
	case <-e.over:
		return true
	default:
		return false
	}
}

func (e *ending) reason() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cause
}

// NewQueue returns a new queue for OnQueue. The name identifies the queue in Stats and in log lines about slow
// handlers.
func (m *Module) NewQueue(name string) *Queue { return m.dispatcher.newQueue(name) }

// mistake records the error of a registration. Run then returns the error.
func (m *Module) mistake(err error) {
	m.mu.Lock()
	running := m.running
	m.mistakes = append(m.mistakes, err)
	m.mu.Unlock()
	if running {
		m.Fail(err)
	}
}
