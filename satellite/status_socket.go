package satellite

import (
	"context"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// statusSocket is what a module of this package has of package control.
type statusSocket struct {
	started time.Time
	logs    *control.LogRing
	events  control.Hub
}

func newStatusSocket() *statusSocket {
	return &statusSocket{started: time.Now(), logs: control.NewLogRing()}
}

// uptime is how long the module has been running, whatever is done to the board's
// clock meanwhile: one without a battery starts in 1970.
func (c *statusSocket) uptime() time.Duration { return time.Since(c.started) }

// keep has everything that the module and its runtime log kept for GET /logs.
func (c *statusSocket) keep(logger *zap.Logger, options *everest.Options) *zap.Logger {
	if options.Logger != nil {
		options.Logger = c.logs.Tee(options.Logger)
	}
	return c.logs.Tee(logger)
}

// serve serves the socket that the configuration asks for until ended is closed. A socket that cannot be had is logged:
// a charge port does not go out of service for it.
func (c *statusSocket) serve(key string, module *everest.Module, config control.Config, ended <-chan struct{}, background *sync.WaitGroup, log *zap.Logger) {
	c.events.ModuleID = module.ID()
	c.moved(handshake.Idle)
	config.Path = control.PathOf(key, module.ID(), os.Getenv)
	if config.Path == "" {
		c.logs.Stop()
		return
	}
	config.Events, config.Logger = &c.events, log
	config.Logs = c.logs.Logs(module.ID() + ".log")
	server, err := control.Listen(config)
	if err != nil {
		c.logs.Stop()
		log.Error("the module runs without its control socket", zap.Error(err))
		return
	}
	log.Info("serving the control socket", zap.String("path", config.Path))
	ctx, cancel := context.WithCancel(context.Background())
	background.Go(func() {
		defer cancel()
		<-ended
	})
	background.Go(func() {
		if err := server.Serve(ctx); err != nil {
			log.Error("the control socket failed", zap.Error(err))
		}
	})
}

// head fills the part of a status that all modules share.
func (c *statusSocket) head(name string, module *everest.Module, state handshake.State) *control.Status {
	now := time.Now()
	status := &control.Status{
		Module: name, ModuleID: module.ID(), Version: everest.Version(), State: state.String(),
		Started: c.started, UptimeSeconds: c.uptime().Seconds(), Taken: now,
		Everest: control.EverestOf(module.Stats()),
	}
	status.Health, status.Problem = healthOf(state)
	return status
}

// moved tells the watchers of a new state.
func (c *statusSocket) moved(state handshake.State) {
	health, _ := healthOf(state)
	c.events.Moved(state.String(), health)
}

// tell sends the watchers an event of the satellite.
func (c *statusSocket) tell(event link.Event) {
	if !c.events.Watched() {
		return
	}
	switch event.Kind {
	case link.Variable:
		c.events.Publish(control.Event{Kind: control.KindVariable, Interface: event.Interface, Variable: event.Name, Value: event.Value})
	case link.Raised:
		c.events.Publish(control.Event{Kind: control.KindRaised, Error: event.Value})
	case link.Cleared:
		c.events.Publish(control.Event{Kind: control.KindCleared, Error: event.Value})
	}
}

// healthOf says what a state of the handshake means to a person.
func healthOf(state handshake.State) (control.Health, string) {
	switch state {
	case handshake.Working:
		return control.Healthy, ""
	case handshake.Idle:
		return control.Starting, "the board's EVerest has not started the module yet"
	case handshake.Waiting, handshake.Met:
		return control.Starting, "no controller has agreed yet: is the main board up, and does its controller's hostname and port name this board?"
	case handshake.Connecting, handshake.Announcing, handshake.Agreeing, handshake.Pausing, handshake.Greeting:
		return control.Starting, "the agent has not agreed yet"
	case handshake.Agreed:
		return control.Starting, "both boards have agreed; the other modules of this board are not ready yet"
	case handshake.Resuming:
		return control.Degraded, "the link is lost and may still be resumed"
	case handshake.OutOfService:
		return control.Degraded, "the satellite is lost: its port is out of service until it is back"
	case handshake.Parted:
		return control.Degraded, "the satellite has left as expected: this board is about to restart"
	case handshake.Leaving, handshake.Resetting, handshake.Ended:
		return control.Degraded, "the module is about to end"
	}
	return control.Degraded, "the state is not one that this version knows"
}
