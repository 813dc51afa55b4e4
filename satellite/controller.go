package satellite

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
	"github.com/remotechargeport/remotechargeport/satellite/internal/admission"
	"github.com/remotechargeport/remotechargeport/satellite/internal/crossing"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
	"github.com/remotechargeport/remotechargeport/satellite/internal/update"
)

// ControllerConfig configures a Controller. Only Everest must be set. The comment of each field describes its zero
// value.
type ControllerConfig struct {
	// Everest names the module and its broker. If Manifest and Definitions are nil, they are read from the installation
	// at InstallPrefix. If the installation lacks them, built-in ones are used.
	Everest everest.Options
	// Logger receives the module's log. Where Logger is nil, Everest.Logger receives it. Where both are nil, nothing is
	// logged.
	Logger *zap.Logger
	// Handshake sets the times of the handshake protocol. Run sets Dialects, LossPolicy, LegacyBefore and InstallingBefore
	// itself, from the module's configuration and state. A HeartbeatTimeout, ResumeWindow, OutageLimit or InitTimeout of 0 also comes from the
	// configuration.
	Handshake handshake.ControllerConfig
	// CommandTimeout limits how long a command through the tunnel may take. The default is 290 s. Callers in EVerest
	// wait 300 s, so they receive the error of this timeout before they give up.
	CommandTimeout time.Duration
	// EventRate is how many events of the satellite are relayed a second in the long run, beyond 12 000 at once. Each 4 KiB of
	// a value count as one more. The default is 500; a charge port publishes up to 40. What is beyond waits at the satellite.
	EventRate int
	// StateDirectory is where the files are that outlive the process. The default is what systemd's StateDirectory gives, in
	// the environment's STATE_DIRECTORY; without that nothing outlives the process.
	StateDirectory string
	// Installation is what the module installs, where a fork has extended it with install.Installation.Extended or has
	// given it another name. The default is ControllerInstallation.
	Installation install.Installation
	// Hooks are the functions of a fork: see package hook, which has their rules.
	Hooks hook.Hooks
}

// Controller is the module SatelliteController. On the main board it takes the place of one satellite board's charge
// port. Status may be called at any time from any goroutine. Run is called once.
type Controller struct {
	config     ControllerConfig
	log        *zap.Logger
	control    *statusSocket
	parameters controllerParameters
	protection *admission.Protection
	dialer     *admission.Dialer
	states     stateLog
	start      startWait
	// refusal is why there is no connection, as it was logged last.
	refusal atomic.Pointer[refusal]
	// turn is the last change between a link and none.
	turn atomic.Pointer[linkTurn]
	// path is what is suspected of the network between the boards, nil for nothing.
	path atomic.Pointer[string]

	module *everest.Module
	table  route.Table
	target target
	// translator translates the satellite's identifiers.
	translator *crossing.Translator
	// watcher and finder are nil where hostname is not a serial number.
	watcher *discovery.Watcher
	finder  boardFinder
	sinks   errorSinks
	relay   *eventRelay
	forward *commandForwarder
	memory  dialectMemory
	updates *update.Keeper
	evse    *evse
	// outage is the fault of a port that is out of service. outOfService belongs to the link's loop.
	outage       *fault
	outOfService bool
	// waited: the agreement had to wait for the end of an installation. It belongs to the link's loop.
	waited bool
	// link is the way to the satellite. It is set when everything above is.
	link       atomic.Pointer[link.Client]
	hooks      *hook.Runner
	changes    stateChanges
	background sync.WaitGroup
}

// NewController returns a controller that Run starts.
func NewController(config ControllerConfig) *Controller {
	config.Logger = cmp.Or(config.Logger, config.Everest.Logger, zap.NewNop())
	if config.CommandTimeout <= 0 {
		config.CommandTimeout = defaultCommandTimeout
	}
	seen := newStatusSocket()
	config.Logger = seen.keep(config.Logger, &config.Everest)
	protection := admission.NewProtection(config.Logger)
	config.Logger = everest.LimitRepeats(config.Logger)
	if config.Installation.Module == "" {
		config.Installation = ControllerInstallation()
	}
	hooks := hook.NewRunner(config.Hooks, config.Logger)
	return &Controller{
		config: config, log: config.Logger.Named("controller").With(zap.String("module_id", config.Everest.ModuleID)), control: seen,
		protection: protection, dialer: admission.NewDialer(protection), hooks: hooks, changes: stateChanges{hooks: hooks},
	}
}

// Run runs the module. It connects to the broker, delays the module's init until the agent has agreed, then forwards
// commands and relays events. When the context ends, Run calls the function exit of a connected agent, and returns nil.
// If Run returns an error, the process must exit. An *EndError means that both boards must restart, and
// everest.ErrBrokerLost that the broker is lost. Any other error is a failure of the module.
func (c *Controller) Run(ctx context.Context) error {
	defer c.hooks.Close()
	options, manifest, err := moduleOptions(c.config.Everest, c.config.Installation, c.config.Logger)
	if err != nil {
		return err
	}
	c.hooks.Watch(&options)
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	c.module = module
	if err := module.DecodeConfig(&c.parameters); err != nil {
		return err
	}
	if err := c.configure(providedInterfaces(manifest), options.Definitions); err != nil {
		return err
	}
	client := c.link.Load()
	c.forward.provide()
	c.provideSatellite(options.Definitions)
	c.forward.push()
	place := hook.Place{Module: module, Manifest: manifest, Definitions: options.Definitions}
	if err := registerOwn(ctx, c.hooks, ControllerInstallation(), place, c.table.Extras()); err != nil {
		return err
	}
	module.OnInit(c.initialise)
	module.OnReady(func(context.Context) error {
		client.BoardReady()
		return nil
	})
	if c.finder != nil {
		c.background.Go(func() { c.finder.run(client.Ended()) })
	}
	c.background.Go(func() { c.evse.run(client.Ended()) })
	c.background.Go(func() { c.updates.Run(client.Ended()) })
	c.control.serve(c.parameters.ControlSocket, module, control.Config{
		Status: c.controlStatus, Ping: c.ping, Manifest: ControllerInstallation().Manifest,
	}, client.Ended(), &c.background, c.log)
	c.background.Go(func() { c.protection.Follow(client.Ended(), c.trustChanged) })
	defer c.logLoss()
	return runModule(ctx, module, client, func(ctx context.Context, end handshake.ExitProcess) error {
		c.awaitRestart(ctx, end.Reason)
		return &EndError{Peer: c.target.String(), Reason: end.Reason}
	}, &c.background)
}

// configure reads the configuration keys and makes the link from them.
func (c *Controller) configure(interfaces map[string]string, definitions *schema.Definitions) (err error) {
	if c.target, err = parseTarget(c.parameters.Hostname, c.parameters.Port); err != nil {
		return err
	}
	if c.watcher, err = newWatcher(c.target, c.parameters.DiscoveryInterfaces, c.parameters.Security == admission.MutualTLS, c.config.Logger); err != nil {
		return err
	}
	if c.translator, err = c.newTranslator(); err != nil {
		return err
	}
	if err := c.resolve(interfaces, definitions); err != nil {
		return err
	}
	limitPackets(c.module, &c.table, c.parameters.MaxPacket)
	protocol, err := c.parameters.protocol(c.config.Handshake)
	if err != nil {
		return err
	}
	c.memory = dialectMemory{path: stateFile(c.config.StateDirectory, c.module.ID(), ".dialect")}
	legacy, err := c.memory.legacy()
	if err != nil {
		c.log.Warn("it is not known which dialect the satellite spoke last", zap.Error(err))
	}
	protocol.LegacyBefore = protocol.LegacyBefore || legacy
	c.updates = update.NewFollower(stateFile(c.config.StateDirectory, c.module.ID(), ".update.json"), c.log, func(expected bool) {
		if expected {
			c.link.Load().FirmwareAccepted()
		} else {
			c.link.Load().FirmwareEnded()
		}
	})
	if c.waited = c.updates.Flashing(); c.waited {
		c.log.Warn("the satellite was being flashed when an earlier process heard of it last: a C++ agent, whose board an agreement resets, is asked for one after that",
			zap.String("satellite", c.target.String()))
	}
	protocol.InstallingBefore = c.waited
	if err := c.dialer.Configure(c.parameters.Hostname, c.parameters.SatelliteSerial, c.parameters.Security); err != nil {
		return err
	}
	if err := c.protection.Configure(c.parameters.Security, c.parameters.IdentityDirectory); err != nil {
		return err
	}
	c.relay = newEventRelay(&c.table, c.module, c.translator, &c.sinks, c.config.EventRate, c.log)
	client := link.NewClient(link.ClientConfig{
		Protocol: protocol, CommandTimeout: c.config.CommandTimeout, Routes: c.table.Routes(),
		CommandWait: time.Duration(c.parameters.CommandWait) * time.Millisecond, Peer: c.target.String(), Logger: c.log,
		MainBoard: link.MainBoard{
			Dial: c.dial, Connected: c.dialer.Recognise, NotConnected: c.refused, Disconnected: c.disconnected,
			Suspected: c.suspected, Compare: c.compare, Publish: c.relay.event, Acknowledged: c.module.Acknowledged,
			Unreadable: c.relay.unreadable, Polled: c.polled,
			Established: c.established, Isolated: c.isolated, Changed: c.changed(protocol.ResumeWindow),
		},
	})
	c.dialer.Segment = client.Segment
	if c.parameters.checksValues() {
		c.relay.check = newValueCheck(&c.table, definitions, c.log)
	}
	c.relay.updates = c.updates
	c.relay.watch = func(event link.Event) {
		c.control.tell(event)
		c.changes.progress(event)
	}
	c.forward = &commandForwarder{
		log: c.log, module: c.module, satellite: c.target.String(), definitions: definitions, table: &c.table, translator: c.translator,
		check: c.relay.check, link: client, updates: c.updates,
	}
	c.evse = c.newEVSE(protocol, client)
	c.relay.publish, c.relay.errorsChanged, c.forward.evse = c.evse.relay, c.evse.errorsChanged, c.evse
	c.outage = &fault{
		board: c.module.ID(), provided: c.module.Provides(route.Satellite), addTask: client.AddTask,
		raiseFailed: func(err error) { c.log.Error("cannot raise the communication fault", zap.Error(err)) },
		clearFailed: func(err error) { c.log.Error("cannot clear the communication fault", zap.Error(err)) },
	}
	if c.watcher != nil {
		c.finder = c.newFinder(client)
	}
	c.link.Store(client)
	return nil
}

// newFinder returns what finds the satellite by its serial number.
func (c *Controller) newFinder(client *link.Client) boardFinder {
	announced := &finder{
		watcher: c.watcher, serial: c.target.serial, satellite: c.target.String(), log: c.log, dial: c.dialer.Dial, refused: c.refused,
		canResume: client.CanResume, fault: c.ambiguity(client),
	}
	if !c.protection.IsMutual() {
		return announced
	}
	return &verifiedFinder{
		finder: announced, isStanding: func() bool { return client.Stats().Connected }, changed: make(chan struct{}, 1),
	}
}

// ambiguity returns the fault of a serial number that several boards announce.
func (c *Controller) ambiguity(client *link.Client) *fault {
	return &fault{
		subType: duplicateSerial, board: c.module.ID(), provided: c.module.Provides(route.Satellite), addTask: client.AddTask,
		raiseFailed: func(err error) { c.log.Error("cannot raise the fault of an ambiguous satellite", zap.Error(err)) },
		clearFailed: func(err error) { c.log.Error("cannot clear the fault of an ambiguous satellite", zap.Error(err)) },
	}
}

// initialise holds the module's init until the agent has agreed.
func (c *Controller) initialise(ctx context.Context) error {
	c.protection.LogStart("whoever can answer at the satellite's address is taken for it", "at least keep the internal network closed")
	c.logIdentities()
	return c.awaitSatellite(ctx)
}

// provideSatellite handles the commands of the implementation `satellite`.
func (c *Controller) provideSatellite(definitions *schema.Definitions) {
	satellite := c.module.Provides(route.Satellite)
	satellite.Handle("get_local_endpoint_address", func(context.Context, everest.Args) (any, error) {
		return c.localAddress(), nil
	})
	satellite.Handle("get_remote_endpoint_address", func(context.Context, everest.Args) (any, error) {
		return c.remoteAddress(), nil
	})
	satellite.Handle("is_connected", func(context.Context, everest.Args) (any, error) {
		return c.link.Load().Stats().Connected, nil
	})
	// The interface that the C++ modules install has no such command.
	if declared, known := definitions.Interface(route.Satellite); known && declared.Commands["get_link_status"] != nil {
		satellite.Handle("get_link_status", func(ctx context.Context, _ everest.Args) (any, error) { return c.linkStatus(ctx), nil })
	}
}

// localAddress returns the IP address of this board on the network towards the satellite. It is empty before the first
// connection.
func (c *Controller) localAddress() string {
	conn := c.link.Load().Conn()
	if conn == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		return conn.LocalAddr().String()
	}
	return host
}

// remoteAddress returns where the satellite is: the configured name or address. For a serial number it is the address
// of the connection, else of the announcement, and empty as long as neither is known.
func (c *Controller) remoteAddress() string {
	if c.watcher == nil {
		return c.target.host
	}
	if conn := c.link.Load().Conn(); conn != nil {
		if address, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			return address.Addr().Unmap().String()
		}
	}
	if address := c.finder.address(); address.IsValid() {
		return address.String()
	}
	return ""
}

// trustChanged closes the connection of a satellite that is not trusted any more.
func (c *Controller) trustChanged() {
	if conn := c.link.Load().Conn(); conn != nil {
		c.dialer.Recognise(conn)
	}
}

// logLoss logs which events end with this process.
func (c *Controller) logLoss() {
	if events := c.link.Load().Stats().Backlog; events > 0 {
		c.log.Warn("events of the satellite that are not published are lost with this process", zap.Int("events_lost", events))
	}
}
