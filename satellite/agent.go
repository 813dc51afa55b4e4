package satellite

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
	"github.com/remotechargeport/remotechargeport/satellite/internal/admission"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
	"github.com/remotechargeport/remotechargeport/satellite/internal/update"
)

// Limits bound an agent's journal.
type Limits = link.Limits

// AgentConfig configures an Agent. Only Everest must be set. The comment of each field describes its zero value.
type AgentConfig struct {
	// Everest names the module and its broker. If Manifest and Definitions are nil, they are read from the installation
	// at InstallPrefix. If the installation lacks them, built-in ones are used.
	Everest everest.Options
	// Logger receives the module's log. Where Logger is nil, Everest.Logger receives it. Where both are nil, nothing is
	// logged.
	Logger *zap.Logger
	// Limits bound the journal, which keeps the events until a controller has them.
	Limits Limits
	// Handshake sets the times of the handshake protocol. Run sets HasSystem and Dialects itself, from the module's
	// connections and configuration.
	Handshake handshake.AgentConfig
	// Listener is a port that is already open, for example from systemd's socket activation. Run closes it. If Listener
	// is nil, Run opens the port in the module's configuration.
	Listener net.Listener
	// CommandTimeout limits how long a command of the main board may take on this board. The default is 290 s. Callers
	// in EVerest wait 300 s, so they receive the error of this timeout before they give up.
	CommandTimeout time.Duration
	// StateDirectory is where the files are that outlive the process. The default is what systemd's StateDirectory gives, in
	// the environment's STATE_DIRECTORY; without that nothing outlives the process.
	StateDirectory string
	// Installation is what the module installs, where a fork has extended it with install.Installation.Extended or has
	// given it another name. The default is AgentInstallation.
	Installation install.Installation
	// Hooks are the functions of a fork: see package hook, which has their rules.
	Hooks hook.Hooks
}

// Agent is the module SatelliteAgent. It serves one satellite board's charge port to the controller on the main board.
// Status may be called at any time from any goroutine. Run is called once.
type Agent struct {
	config     AgentConfig
	log        *zap.Logger
	control    *statusSocket
	parameters agentParameters
	protection *admission.Protection
	admission  *admission.Policy
	states     stateLog

	// board is the satellite board, link the way to the controller; both are nil before Run has read the configuration.
	board *satelliteBoard
	link  atomic.Pointer[link.Server]
	// path is what is suspected of the network between the boards, nil for nothing.
	path atomic.Pointer[string]
	// ends keeps the ends of transactions on disk, nil where there is no state directory.
	ends *keptEnds
	// memory keeps the controller's dialect, and spoken is the one that it keeps, empty before the agreement.
	memory dialectMemory
	spoken string
	// announcement is what DNS-SD announces, nil where the board is not announced.
	announcement *discovery.Announcement
	hooks        *hook.Runner
	changes      stateChanges
	background   sync.WaitGroup
}

// NewAgent returns an agent that Run starts.
func NewAgent(config AgentConfig) *Agent {
	config.Logger = cmp.Or(config.Logger, config.Everest.Logger, zap.NewNop())
	if config.CommandTimeout <= 0 {
		config.CommandTimeout = defaultCommandTimeout
	}
	seen := newStatusSocket()
	config.Logger = seen.keep(config.Logger, &config.Everest)
	// The security log limits its own lines, for each address apart.
	protection := admission.NewProtection(config.Logger)
	config.Logger = everest.LimitRepeats(config.Logger)
	if config.Installation.Module == "" {
		config.Installation = AgentInstallation()
	}
	hooks := hook.NewRunner(config.Hooks, config.Logger)
	return &Agent{
		config: config, log: config.Logger.Named("agent").With(zap.String("module_id", config.Everest.ModuleID)), control: seen,
		protection: protection, admission: admission.NewPolicy(protection), hooks: hooks, changes: stateChanges{hooks: hooks},
	}
}

// Run runs the module. It connects to the broker, opens the port, delays the module's init until a controller has
// agreed, and serves that controller. Run returns nil after the context has ended. If Run returns an error, the process
// must exit. An *EndError means that both boards must restart, and everest.ErrBrokerLost that the broker is lost. Any
// other error is a failure of the module.
func (a *Agent) Run(ctx context.Context) error {
	if a.config.Listener != nil {
		defer a.config.Listener.Close()
	}
	defer a.hooks.Close()
	options, manifest, err := moduleOptions(a.config.Everest, a.config.Installation, a.config.Logger)
	if err != nil {
		return err
	}
	a.hooks.Watch(&options)
	options.UncheckedCalls = true // the board reads the arguments as C++ modules do
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	a.board = newSatelliteBoard(module, &a.changes, a.log)
	if err := module.DecodeConfig(&a.parameters); err != nil {
		return err
	}
	if err := a.board.resolve(requiredInterfaces(manifest), options.Definitions, a.parameters.Tunnel); err != nil {
		return err
	}
	limitPackets(module, &a.board.table, a.parameters.MaxPacket)
	if err := a.configure(); err != nil {
		return err
	}
	place := hook.Place{Module: module, Manifest: manifest, Definitions: options.Definitions}
	if err := registerOwn(ctx, a.hooks, AgentInstallation(), place, a.board.table.Extras()); err != nil {
		return err
	}
	server := a.link.Load()
	a.ends.handOver(server, &a.board.intake)
	a.followUpdates(server)
	a.board.collect(server, a.control.tell)
	a.board.answerOwn(options.Definitions)
	module.OnInit(a.initialise)
	module.OnReady(func(context.Context) error {
		a.board.becomeReady()
		server.BoardReady()
		return nil
	})
	a.control.serve(a.parameters.ControlSocket, module, control.Config{
		Status:   a.controlStatus,
		NoPing:   "an agent cannot call its controller: ping from the main board",
		Manifest: AgentInstallation().Manifest,
	}, server.Ended(), &a.background, a.log)
	a.background.Go(func() { a.protection.Follow(server.Ended(), a.admission.TrustChanged) })
	a.background.Go(func() { a.admission.Remember(server.Ended()) })
	defer a.logLoss()
	err = runModule(ctx, module, server, func(_ context.Context, end handshake.ExitProcess) error {
		return &EndError{Peer: server.Stats().Controller, Reason: end.Reason}
	}, &a.background)
	if ctx.Err() != nil {
		a.board.updates.EndInOrder()
	}
	return err
}

// configure reads the configuration keys and makes the link from them.
func (a *Agent) configure() error {
	protocol := a.config.Handshake
	var err error
	if protocol.Dialects, err = dialectsOf(a.parameters.Dialect); err != nil {
		return err
	}
	protocol.HasSystem = a.board.connected(route.System)
	if err := a.admission.Configure(a.parameters.UnauthenticatedControl); err != nil {
		return err
	}
	if err := a.protection.Configure(a.parameters.Security, a.parameters.IdentityDirectory); err != nil {
		return err
	}
	a.admission.Recall(a.stateFile(".peer"))
	a.ends = newKeptEnds(a.stateFile(".ends.json"), a.log)
	a.memory = dialectMemory{path: a.stateFile(".dialect")}
	legacy, err := a.memory.legacy()
	if err != nil {
		a.log.Warn("it is not known which dialect the controller spoke last", zap.Error(err))
	}
	if a.announcement, err = a.announced(protocol.Dialects); err != nil {
		return err
	}
	var decideReset func(context.Context, everest.Args) link.ResetDecision
	protocol.AsksReset = a.hooks.DecidesResets()
	if protocol.AsksReset || a.hooks.HearsChanges() {
		decideReset = a.decideReset
	}
	a.link.Store(link.NewServer(link.ServerConfig{
		Protocol: protocol, LegacyBefore: legacy, CommandTimeout: a.config.CommandTimeout, Limits: a.config.Limits,
		Routes: a.board.table.Routes(), Logger: a.log, Admission: a.admission,
		SatelliteBoard: link.SatelliteBoard{
			Listen: a.listen, Listening: a.announce,
			Execute: a.board.execute, Publish: a.board.publish, Connected: a.board.connected,
			LegacyFilter: a.board.legacyFilter, Compare: a.board.compare, Reset: a.reset, KeepEnds: a.ends.keeper(),
			DecideReset: decideReset, AskReset: a.askReset,
			Flashing: func() bool { return a.board.updates.Flashing() },
			Status:   a.peerStatus, Fail: a.board.module.Fail, Suspected: a.suspected, Changed: a.changed,
		},
	}))
	return nil
}

// initialise holds the module's init until a controller has agreed: so both boards' EVerest systems become ready
// together.
func (a *Agent) initialise(ctx context.Context) error {
	a.protection.LogStart("whoever reaches the port controls this charge port",
		"at least set listen_address to the address of the internal network and keep that network closed")
	return a.link.Load().Start(ctx)
}

func (a *Agent) stateFile(suffix string) string {
	return stateFile(a.config.StateDirectory, a.board.module.ID(), suffix)
}

// listen returns the listener of the configuration, or opens the configured port.
func (a *Agent) listen() (net.Listener, error) {
	if a.config.Listener != nil {
		return a.config.Listener, nil
	}
	address := net.JoinHostPort(a.parameters.ListenAddress, strconv.Itoa(a.parameters.Port))
	listener, err := a.admission.Listen(address)
	if err != nil {
		return nil, fmt.Errorf("satellite: cannot open the agent's port %s: %w; choose another with the configuration keys port and listen_address", address, err)
	}
	return listener, nil
}

// changed follows each step of the handshake. A caller that has seen a status and then watches must not get an older
// state, so the watchers come first.
func (a *Agent) changed(now link.ServerState) {
	a.control.moved(now.State)
	a.changes.link(now.State)
	stats := a.link.Load().Stats()
	a.board.updates.Heard(stats.Journal.Collected - uint64(stats.Journal.Events))
	reportLink(a.board.module, now.State, "controller", stats.Controller)
	a.logState(now, stats)
	a.remember(stats.Dialect, now.Dialect)
}

// remember keeps the dialect of an agreement for the next process.
func (a *Agent) remember(name string, dialect handshake.Dialect) {
	if name == a.spoken {
		return
	}
	a.spoken = name
	a.background.Go(func() {
		if err := a.memory.remember(dialect); err != nil {
			a.log.Warn("it will not be known at the next start which dialect the controller speaks", zap.Error(err))
		}
	})
}

// followUpdates follows the firmware updates of this board, and hands over the end of one that no controller has.
func (a *Agent) followUpdates(server *link.Server) {
	updates, report := update.NewKeeper(update.Config{
		Path: a.stateFile(".update.json"), Manager: a.board.module.ManagerID(), Logger: a.log,
		Changed: func(running bool) {
			if running {
				server.FirmwareAccepted()
			} else {
				server.FirmwareEnded()
			}
		},
	})
	a.board.updates = updates
	if updates.Running() {
		server.FirmwareAccepted()
	}
	if report != nil {
		server.Record(link.Event{Interface: route.System, Name: "firmware_update_status", Value: report, GivenUpLast: true})
		updates.Recorded(server.Stats().Journal.Collected)
	}
	a.background.Go(func() { updates.Run(server.Ended()) })
}

// logLoss keeps the ends of transactions for the next process, and logs how many other events end with this one. The
// controller may have taken some of them without having acknowledged them.
func (a *Agent) logLoss() {
	server := a.link.Load()
	kept := server.KeepEnds()
	if events := server.Stats().Journal.Events - kept; events > 0 {
		a.log.Warn("events that the controller has not acknowledged are lost with this process", zap.Int("events_lost", events))
	}
}
