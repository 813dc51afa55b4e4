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

// statusSocket is the status socket of a module.
type statusSocket struct {
	started time.Time
	logs    *control.LogRing
	events  control.Hub
}

func newStatusSocket() *statusSocket {
	return &statusSocket{started: time.Now(), logs: control.NewLogRing()}
}

// keep returns a logger that also keeps its lines for GET /logs. It does the same to the logger of the module's
// runtime.
func (s *statusSocket) keep(logger *zap.Logger, options *everest.Options) *zap.Logger {
	if options.Logger != nil {
		options.Logger = s.logs.Tee(options.Logger)
	}
	return s.logs.Tee(logger)
}

// serve serves the socket of the configuration until ended is closed. It logs where the socket cannot be opened,
// because a charge port must not go out of service for that.
func (s *statusSocket) serve(key string, module *everest.Module, config control.Config, ended <-chan struct{}, background *sync.WaitGroup, log *zap.Logger) {
	s.events.ModuleID = module.ID()
	s.moved(handshake.Idle)
	config.Path = control.PathOf(key, module.ID(), os.Getenv)
	if config.Path == "" {
		s.logs.Stop()
		return
	}
	config.Events, config.Logger = &s.events, log
	config.Configuration = module.Config
	config.Logs = s.logs.Logs(module.ID() + ".log")
	server, err := control.Listen(config)
	if err != nil {
		s.logs.Stop()
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

// head returns a status with the part that all modules share.
func (s *statusSocket) head(name string, module *everest.Module, state handshake.State) *control.Status {
	now := time.Now()
	status := &control.Status{
		Module: name, ModuleID: module.ID(), Version: everest.Version(), State: state.Name(),
		Started: s.started, UptimeSeconds: time.Since(s.started).Seconds(), Taken: now,
		Everest: control.EverestOf(module.Stats()),
	}
	status.Health, status.Problem = healthOf(state)
	return status
}

// moved sends the watchers a new state.
func (s *statusSocket) moved(state handshake.State) {
	health, _ := healthOf(state)
	s.events.SetState(state.Name(), health)
}

// tell sends the watchers an event of the satellite.
func (s *statusSocket) tell(event link.Event) {
	if !s.events.Watched() {
		return
	}
	switch event.Kind {
	case link.Variable:
		s.events.Publish(control.Event{Kind: control.KindVariable, Interface: event.Interface, Variable: event.Name, Value: event.Value})
	case link.Raised:
		s.events.Publish(control.Event{Kind: control.KindRaised, Error: event.Value})
	case link.Cleared:
		s.events.Publish(control.Event{Kind: control.KindCleared, Error: event.Value})
	}
}
