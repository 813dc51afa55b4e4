package satellite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
	"github.com/remotechargeport/remotechargeport/satellite/internal/admission"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// AgentConfig configures an Agent. What the zero value means is written at each
// field; only Everest must be given.
type AgentConfig struct {
	// Everest says who the module is and where its broker is. Where Manifest and
	// Definitions are nil they come from the installation at InstallPrefix, or
	// else are built in.
	Everest everest.Options
	// Logger takes the log; nil takes none.
	Logger *zap.Logger
	// Limits bound the journal of events that no controller has taken.
	Limits Limits
	// Handshake has the protocol's times. HasSystem is found out from the
	// module's connections.
	Handshake handshake.AgentConfig
	// Listener is taken instead of opening the port that the module's
	// configuration says, where somebody else has opened it, as systemd's socket
	// activation does. Run closes it. nil opens the port.
	Listener net.Listener
	// CommandTimeout limits a command on this board that the main board asked
	// for. Default 290 s: below the 300 s after which EVerest's own callers give
	// up, so that they get an answer.
	CommandTimeout time.Duration
}

// agentParameters are the module's configuration keys.
type agentParameters struct {
	Port          int    `everest:"port"`
	ListenAddress string `everest:"listen_address"`
	Dialect       string `everest:"dialect,optional"`
	ControlSocket string `everest:"control_socket,optional"`
	Tunnel        string `everest:"tunnel,optional"`

	Security               string `everest:"security,optional"`
	IdentityDirectory      string `everest:"identity_directory,optional"`
	UnauthenticatedControl string `everest:"unauthenticated_control,optional"`
	// AnnounceInterfaces are those on which the board is announced.
	AnnounceInterfaces string `everest:"announce_interfaces,optional"`
	Serial             string `everest:"serial,optional"`
}

// Agent is the module SatelliteAgent: it serves one satellite board's charge
// port to the controller on the main board. Status may be called at any time
// from any goroutine; Run is called once.
type Agent struct {
	config  AgentConfig
	log     *zap.Logger
	status  agentCounters
	states  stateLog
	control *controlled

	module     *everest.Module
	parameters agentParameters
	table      route.Table
	server     *rpc.Server
	loop       *loop

	protection *admission.Protection
	admission  *admission.Policy

	// agreement is the handshake, which only the loop steps.
	agreement *handshake.Agent
	dialects  handshake.Dialects
	v2        agentLink
	// notice is what is announced by DNS-SD, nil where the board is not.
	notice *discovery.Announcement
	// life ends with the protocol: commands of v2 outlive their connection.
	life context.Context

	journalLock sync.Mutex
	journal     *Journal
	// appended is closed at the next event; nil while nobody waits for it.
	appended chan struct{}
	// delivered is the last event that was handed over in v2.
	delivered uint64
	active    activeErrors

	// met is closed when both sides have agreed, ready when this board is.
	met, ready chan struct{}
	readyOnce  sync.Once
	sessions   sessions
	// background are the goroutines that actions have started.
	background sync.WaitGroup
}

// NewAgent returns an agent that Run starts.
func NewAgent(config AgentConfig) *Agent {
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	if config.CommandTimeout <= 0 {
		config.CommandTimeout = defaultCommandTimeout
	}
	seen := newControlled()
	config.Logger = seen.keep(config.Logger, &config.Everest)
	// It limits itself, each stranger apart.
	protection := admission.NewProtection(config.Logger)
	config.Logger = everest.LimitRepeats(config.Logger)
	return &Agent{
		config: config, log: config.Logger.Named("agent").With(zap.String("module_id", config.Everest.ModuleID)), control: seen,
		protection: protection, admission: admission.NewPolicy(protection),
		journal: NewJournal(config.Limits),
		met:     make(chan struct{}), ready: make(chan struct{}),
		v2: agentLink{identity: newIdentity()},
	}
}

// Run is the module's life: it connects to the broker, opens the port, holds
// init until a controller has come, serves, and returns nil after the context
// ended. Every other return is an error that ends the process: *EndError when
// the protocol of the boards asks for a restart, everest.ErrBrokerLost, or what
// could not be set up.
func (a *Agent) Run(ctx context.Context) error {
	if a.config.Listener != nil {
		defer a.config.Listener.Close()
	}
	options, manifest, err := moduleOptions(a.config.Everest, agentModule, agentManifest, a.config.Logger)
	if err != nil {
		return err
	}
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	a.module = module
	if err := module.DecodeConfig(&a.parameters); err != nil {
		return err
	}
	if a.dialects, err = dialectsOf(a.parameters.Dialect); err != nil {
		return err
	}
	if err := a.resolve(requiredInterfaces(manifest), options.Definitions); err != nil {
		return err
	}
	if err := a.secure(); err != nil {
		return err
	}
	if a.notice, err = a.announcement(); err != nil {
		return err
	}
	a.prepare(a.connected(route.System))
	a.collect()
	a.answerOwn(options.Definitions)
	module.OnInit(a.initialise)
	module.OnReady(func(context.Context) error {
		// A standalone module becomes ready again after its broker was lost.
		a.readyOnce.Do(func() { close(a.ready) })
		a.loop.post(handshake.BoardReady{})
		return nil
	})
	a.background.Go(a.limitLife())
	a.control.serve(a.parameters.ControlSocket, module, control.Config{
		Status: a.controlStatus,
		NoPing: "an agent cannot call its controller: ping from the main board",
	}, a.loop.ended, &a.background, a.log)
	a.background.Go(func() { a.protection.Follow(a.loop.ended, a.admission.TrustChanged) })
	defer a.logLoss()
	return runModule(ctx, module, a.loop, func(end handshake.ExitProcess) error {
		return &EndError{Peer: a.status.controllerAddress(), Reason: end.Reason}
	}, &a.background)
}

// secure reads the configuration keys of security.
func (a *Agent) secure() error {
	if err := a.admission.Configure(a.parameters.UnauthenticatedControl); err != nil {
		return err
	}
	return a.protection.Configure(a.parameters.Security, a.parameters.IdentityDirectory)
}

// prepare makes the handshake and the loop that drives it.
func (a *Agent) prepare(hasSystem bool) {
	protocol := a.config.Handshake
	protocol.Dialects = a.dialects
	protocol.HasSystem = hasSystem
	a.agreement = handshake.NewAgent(protocol)
	a.loop = newLoop(a.agreement, a.perform, func(state handshake.State) {
		// Who has seen a status and then watches must not be told of an older state.
		a.control.moved(state)
		a.status.state.Store(uint32(state))
		reportLink(a.module, state, "controller", a.status.controllerAddress())
		a.logState(state)
		a.v2.settle(a.agreement)
		a.sessions.release()
	})
}

// limitLife makes life, and returns what ends it with the loop.
func (a *Agent) limitLife() func() {
	life, end := context.WithCancel(context.Background())
	a.life = life
	return func() {
		<-a.loop.ended
		end()
	}
}

// agreed reports whether a controller and this agent have agreed.
func (a *Agent) agreed() bool {
	select {
	case <-a.met:
		return true
	default:
		return false
	}
}

// initialise holds the module's init until a controller has come and both have
// agreed: so both boards' EVerest systems become ready together.
func (a *Agent) initialise(ctx context.Context) error {
	a.protection.LogStart("whoever reaches the port controls this charge port",
		"at least set listen_address to the address of the internal network and keep that network closed")
	return a.loop.start(ctx, a.met)
}

// perform carries out one action of the handshake.
func (a *Agent) perform(action handshake.Action) error {
	switch action := action.(type) {
	case handshake.OpenServer:
		return a.openServer()
	case handshake.RegisterWork:
		if a.agreement.Dialect() == handshake.V2 {
			return a.bindV2()
		}
		return a.bindWork()
	case handshake.Reply:
		if action.Function == handshake.Hello && action.Known {
			a.resumed()
		}
		a.sessions.answer(action)
	case handshake.CloseNow:
		a.log.Debug("connection dropped", zap.String("controller", a.status.controllerAddress()))
		a.sessions.closeNow(action.Conn)
	case handshake.CloseAfterReply:
		a.sessions.closeAfterReply(action.Conn)
	case handshake.InitDone:
		dialect := a.agreement.Dialect()
		a.status.dialect.Store(ptr(dialect.String()))
		if dialect == handshake.V2 {
			a.journalLock.Lock()
			a.journal.SpeaksV2()
			a.journalLock.Unlock()
			a.recordActive()
		}
		close(a.met)
	case handshake.StopServer:
		a.background.Go(a.stopServer)
	case handshake.ResetSystem:
		a.log.Info("asking this board's system for a reset", zap.Stringer("reason", action.Reason))
		a.background.Go(a.resetSystem)
	default:
		return fmt.Errorf("satellite: the agent cannot carry out %v", action)
	}
	return nil
}

func (a *Agent) openServer() error {
	listener, err := a.listen()
	if err != nil {
		return err
	}
	a.status.listenAddress.Store(ptr(listener.Addr().String()))
	config := rpc.ServerConfig{
		Order:  rpc.OrderPerMethod,
		Logger: a.log,
		OnSession: func(session *rpc.Session) {
			if a.admission.Admit(session, a.agreed()) {
				a.sessions.begin(session)
			}
		},
		OnSessionEnd: func(session *rpc.Session, _ error) {
			a.admission.Leave(session)
			if a.sessions.number(session) != 0 {
				a.loop.post(handshake.Disconnected{Conn: a.sessions.end(session)})
			}
		},
	}
	a.admission.ProtectServer(&config)
	a.server = rpc.NewServer(config)
	if err := a.bindSynchronisation(); err != nil {
		listener.Close()
		return err
	}
	if a.notice != nil {
		a.background.Go(a.announce)
	}
	a.background.Go(func() {
		if err := a.server.Serve(context.Background(), listener); err != nil && !errors.Is(err, net.ErrClosed) {
			a.module.Fail(fmt.Errorf("satellite: the agent's port failed: %w", err))
		}
	})
	return nil
}

// listen takes the listener that was passed, or opens the configured port.
func (a *Agent) listen() (net.Listener, error) {
	if a.config.Listener != nil {
		return a.config.Listener, nil
	}
	address := net.JoinHostPort(a.parameters.ListenAddress, strconv.Itoa(a.parameters.Port))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("satellite: cannot open the agent's port %s: %w; choose another with the configuration keys port and listen_address", address, err)
	}
	return listener, nil
}

// stopServer lets answers that were given out first, but not for longer than a
// peer that does not read may take.
func (a *Agent) stopServer() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		a.server.Close()
	}
}

// resetSystem asks for the reset that restarts this board, and this process
// with it.
func (a *Agent) resetSystem() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := a.required(route.System)[0].Call(ctx, "reset", map[string]any{"type": "Soft", "scheduled": false}, nil)
	switch {
	case errors.Is(err, net.ErrClosed):
		// EVerest's System ends itself instead of answering, and the manager then ends this module.
		a.log.Info("this board goes down with the reset", zap.Error(err))
	case err != nil:
		a.log.Error("this board's system did not take the reset", zap.Error(err))
		a.loop.post(handshake.ResetRefused{})
	}
}
