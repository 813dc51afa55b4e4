// Package board runs a board as EVerest does: a broker, a manager and its modules,
// which end together.
package board

import (
	"context"
	"fmt"
	"os"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Module is a module of a board: its part of the manager's configuration, and its
// life, which ends with the context.
type Module struct {
	ID     string
	Config everesttest.ModuleConfig
	Run    func(ctx context.Context, options everest.Options) error
}

// Config configures a board.
type Config struct {
	// Broker is the URL of an MQTT broker; empty starts an embedded one.
	Broker string
	// EverestPrefix is the prefix of the board's topics; empty for EVerest's default.
	EverestPrefix string
	// Family is the family of EVerest's messages; empty for that of EVerest 2026.02.
	Family      string
	Modules     []Module
	Definitions *schema.Definitions
	// Logger is named after each module for its log.
	Logger *zap.Logger
	// Ready is called once every module is ready.
	Ready func()
	// Beside run beside the modules. An error of any of them ends the board.
	Beside []func(context.Context) error
}

// Run runs a board until ctx ends, and returns nil then. It returns the error of
// the first part that fails before, after all parts have ended.
func Run(ctx context.Context, config Config) error {
	broker, closeBroker, err := openBroker(config.Broker)
	if err != nil {
		return err
	}
	defer closeBroker()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	modules := map[string]everesttest.ModuleConfig{}
	for _, module := range config.Modules {
		modules[module.ID] = module.Config
	}
	// The managers of the oldest families write files for their modules.
	prefix, err := os.MkdirTemp("", "board")
	if err != nil {
		return err
	}
	defer os.RemoveAll(prefix)
	manager, err := everesttest.StartManager(ctx, everesttest.ManagerConfig{
		Settings: everesttest.Settings{Prefix: prefix},
		Broker:   broker, EverestPrefix: config.EverestPrefix, Family: config.Family, Modules: modules, Definitions: config.Definitions, Logger: config.Logger,
	})
	if err != nil {
		return err
	}
	defer manager.Close()
	var running sync.WaitGroup
	var failed error
	var once sync.Once
	start := func(part func(context.Context) error) {
		running.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				once.Do(func() { failed = err })
				end(err)
			}
		})
	}
	for _, module := range config.Modules {
		start(func(ctx context.Context) error {
			options := manager.Options(module.ID)
			options.Logger = config.Logger.Named(module.ID)
			// As with a real manager, a module ends with its broker, and the board with it.
			options.Spawned = new(true)
			options.ManagerID = prefix // its name is of this run
			if err := module.Run(ctx, options); err != nil {
				return fmt.Errorf("module %s: %w", module.ID, err)
			}
			return nil
		})
	}
	start(func(ctx context.Context) error {
		if err := manager.WaitReady(ctx); err != nil {
			return fmt.Errorf("manager: %w", err)
		}
		config.Ready()
		return nil
	})
	for _, part := range config.Beside {
		start(part)
	}
	running.Wait()
	return failed
}

func openBroker(url string) (everest.Broker, func(), error) {
	if url != "" {
		broker, err := everest.BrokerFromURL(url)
		return broker, func() {}, err
	}
	embedded, err := everesttest.StartBroker(everesttest.BrokerConfig{})
	if err != nil {
		return everest.Broker{}, nil, err
	}
	return embedded.Address(), func() { _ = embedded.Close() }, nil
}

// To connects a requirement to one implementation of a module.
func To(module, implementation string) []everesttest.Connection {
	return []everesttest.Connection{{ModuleID: module, ImplementationID: implementation}}
}
