package satellite

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/admission"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// ControllerConfig configures a Controller. What the zero value means is written
// at each field; only Everest must be given.
type ControllerConfig struct {
	// Everest says who the module is and where its broker is. Where Manifest and
	// Definitions are nil they come from the installation at InstallPrefix, or
	// else are built in.
	Everest everest.Options
	// Logger takes the log; nil takes none.
	Logger *zap.Logger
	// Handshake has the protocol's times.
	Handshake handshake.ControllerConfig
	// CommandTimeout limits a command through the tunnel. Default 290 s: below
	// the 300 s after which EVerest's own callers give up, so that they get an
	// answer.
	CommandTimeout time.Duration
}

// controllerParameters are the module's configuration keys.
type controllerParameters struct {
	Hostname string `everest:"hostname"`
	Port     int    `everest:"port"`
	Dialect  string `everest:"dialect,optional"`
	Tunnel   string `everest:"tunnel,optional"`

	Security          string `everest:"security,optional"`
	IdentityDirectory string `everest:"identity_directory,optional"`
	SatelliteSerial   string `everest:"satellite_serial,optional"`

	OnLoss string `everest:"on_loss,optional"`
	// LinkTimeout and ResumeWindow are 0 where the configuration is older.
	LinkTimeout   int    `everest:"link_timeout_ms,optional"`
	ResumeWindow  int    `everest:"resume_window_s,optional"`
	ControlSocket string `everest:"control_socket,optional"`
	// DiscoveryInterfaces are those on which a serial number is looked for.
	DiscoveryInterfaces string `everest:"discovery_interfaces,optional"`
}

// Controller is the module SatelliteController: it stands in on the main board
// for the charge port of one satellite board. Status may be called at any time
// from any goroutine; Run is called once.
type Controller struct {
	config  ControllerConfig
	log     *zap.Logger
	status  controllerCounters
	states  stateLog
	control *controlled
	// roundTrips are those of the link's heartbeats and pings.
	roundTrips control.RoundTrips

	module      *everest.Module
	definitions *schema.Definitions
	parameters  controllerParameters
	table       route.Table
	sinks       errorSinks
	target      target
	// finder is nil where hostname is no serial number.
	finder     *finder
	loop       *loop
	links      links
	protection *admission.Protection
	dialer     *admission.Dialer
	relay      *relay
	// agreement is the handshake, which only the loop steps.
	agreement *handshake.Controller
	protocol  handshake.ControllerConfig
	identity  uint64
	// session is the number of the agreement that v2 keeps or tries.
	session  atomic.Uint64
	delivery delivery
	// evse is the last answer of get_evse.
	evse atomic.Pointer[json.RawMessage]

	// agreed is closed when both sides have agreed.
	agreed     chan struct{}
	background sync.WaitGroup
	// refusal is why the last attempt made no connection.
	refusal atomic.Pointer[string]
}

// NewController returns a controller that Run starts.
func NewController(config ControllerConfig) *Controller {
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	if config.CommandTimeout <= 0 {
		config.CommandTimeout = defaultCommandTimeout
	}
	seen := newControlled()
	config.Logger = seen.keep(config.Logger, &config.Everest)
	protection := admission.NewProtection(config.Logger)
	config.Logger = everest.LimitRepeats(config.Logger)
	return &Controller{
		config: config, log: config.Logger.Named("controller").With(zap.String("module_id", config.Everest.ModuleID)), control: seen,
		protection: protection, dialer: admission.NewDialer(protection), agreed: make(chan struct{}), identity: newIdentity(),
	}
}

// Run is the module's life: it connects to the broker, holds init until the
// agent has agreed, relays, and returns nil after the context ended and the
// agent was told. Every other return is an error that ends the process:
// *EndError when the protocol of the boards asks for a restart,
// everest.ErrBrokerLost, or what could not be set up.
func (c *Controller) Run(ctx context.Context) error {
	options, manifest, err := moduleOptions(c.config.Everest, controllerModule, controllerManifest, c.config.Logger)
	if err != nil {
		return err
	}
	c.definitions = options.Definitions
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	c.module = module
	if err := module.DecodeConfig(&c.parameters); err != nil {
		return err
	}
	if c.target, err = parseTarget(c.parameters.Hostname, c.parameters.Port); err != nil {
		return err
	}
	if err := c.findBySerial(); err != nil {
		return err
	}
	address := c.address()
	c.status.satellite.Store(&address)
	if err := c.resolve(providedInterfaces(manifest)); err != nil {
		return err
	}
	c.relay = newRelay(&c.table, module, &c.sinks, c.log, &c.status)
	if c.protocol, err = c.parameters.protocol(c.config.Handshake); err != nil {
		return err
	}
	if err := c.secure(); err != nil {
		return err
	}
	c.prepare()
	c.relay.watch = c.control.tell
	c.relay.firmwareFailed = func() { c.loop.post(handshake.FirmwareFailed{}) }

	c.provide()
	c.push()
	module.OnInit(c.initialise)
	module.OnReady(func(ctx context.Context) error {
		c.relay.boardReady(ctx)
		c.loop.post(handshake.BoardReady{})
		return nil
	})
	c.background.Go(c.publishAll)
	if c.finder != nil {
		c.background.Go(c.find)
	}
	c.control.serve(c.parameters.ControlSocket, module, control.Config{Status: c.controlStatus, Ping: c.ping}, c.loop.ended, &c.background, c.log)
	c.background.Go(func() { c.protection.Follow(c.loop.ended, c.trustChanged) })
	defer c.logLoss()
	return runModule(ctx, module, c.loop, func(end handshake.ExitProcess) error {
		return &EndError{Peer: address, Reason: end.Reason}
	}, &c.background)
}

// prepare makes the handshake and the loop that drives it.
func (c *Controller) prepare() {
	c.agreement = handshake.NewController(c.protocol)
	c.loop = newLoop(c.agreement, c.perform, func(state handshake.State) {
		// Who has seen a status and then watches must not be told of an older state.
		c.control.moved(state)
		c.status.state.Store(uint32(state))
		reportLink(c.module, state, "satellite", c.address())
		c.logState(state)
		c.session.Store(c.agreement.Epoch())
		c.links.settle(state, c.agreement.Dialect())
	})
	c.delivery.start()
}

func (c *Controller) address() string { return c.target.String() }

// secure reads the configuration keys of security.
func (c *Controller) secure() error {
	if err := c.dialer.Configure(c.parameters.Hostname, c.parameters.SatelliteSerial, c.parameters.Security); err != nil {
		return err
	}
	return c.protection.Configure(c.parameters.Security, c.parameters.IdentityDirectory)
}

// initialise holds the module's init until the agent has agreed.
func (c *Controller) initialise(ctx context.Context) error {
	c.protection.LogStart("whoever can answer at the satellite's address is taken for it", "at least keep the internal network closed")
	return c.loop.start(ctx, c.agreed)
}

// perform carries out one action of the handshake.
func (c *Controller) perform(action handshake.Action) error {
	switch action := action.(type) {
	case handshake.Connect:
		link := c.links.open(action.Conn)
		c.background.Go(func() { c.connect(link) })
	case handshake.Disconnect:
		c.links.abandon(action.Conn)
	case handshake.Call:
		if link := c.links.of(action.Conn); link != nil {
			c.background.Go(func() { c.call(link, action.Function) })
		}
	case handshake.InitDone:
		if c.agreement.State() != handshake.OutOfService {
			if c.agreement.Dialect() == handshake.Legacy {
				c.refusal.Store(nil)
				c.links.agree(nil)
			}
		}
		close(c.agreed)
	case handshake.Establish:
		c.join(action)
	case handshake.Resume:
		c.resume(action)
	case handshake.Isolate:
		c.isolate(action)
	default:
		return fmt.Errorf("satellite: the controller cannot carry out %v", action)
	}
	return nil
}
