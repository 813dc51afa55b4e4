package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// boardModule is a module of a board: how the manager knows it, and its life.
type boardModule struct {
	id     string
	config everesttest.ModuleConfig
	run    func(ctx context.Context, options everest.Options) error
}

// role is what a board has to do beyond running its modules.
type role interface {
	modules() []boardModule
	// background runs beside the modules until the context ends.
	background(ctx context.Context) error
	// obey carries out an order; the board does not wait for it.
	obey(ctx context.Context, do Do) error
}

// RunBoard is the life of one board's process: it does what its first order says
// it is, until the orders end, and returns nil then. Any other end of any part is
// the board's end, as with a real manager.
func RunBoard(ctx context.Context, input io.Reader, output, log io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Reading the standard input cannot be ended; the process ends over it.
	incoming := orders(ctx, input)
	first, ok := <-incoming
	if !ok || first.Board == nil {
		return errors.New("a board gets its configuration from the station that starts it: start the program without -board")
	}
	config := *first.Board
	logger, err := newLogger(log, config.LogLevel)
	if err != nil {
		return err
	}
	broker, closeBroker, err := openBroker(config.Broker)
	if err != nil {
		return err
	}
	defer closeBroker()
	known, err := satellite.Definitions()
	if err != nil {
		return err
	}
	report := NewReporter(output)
	work, err := newRole(config, known, report)
	if err != nil {
		return err
	}
	b := &board{config: config, report: report, logger: logger, broker: broker, definitions: known, role: work, fail: cancel}
	defer reportCost(report, config.Satellite, config.sort(), costEnd)
	return b.run(ctx, incoming)
}

// errOrdersEnded is the end that the station asked for.
var errOrdersEnded = errors.New("told to stop")

func newRole(config BoardConfig, known *schema.Definitions, report *Reporter) (role, error) {
	if config.Satellite > 0 {
		return newSatelliteBoard(config, known, report)
	}
	return newMainBoard(config, known, report)
}

type board struct {
	config      BoardConfig
	report      *Reporter
	logger      *zap.Logger
	broker      everest.Broker
	definitions *schema.Definitions
	role        role
	fail        context.CancelCauseFunc
	running     sync.WaitGroup
}

func (b *board) run(ctx context.Context, incoming <-chan Order) error {
	modules := b.role.modules()
	manager, err := everesttest.StartManager(ctx, everesttest.ManagerConfig{
		Broker:        b.broker,
		EverestPrefix: b.config.EverestPrefix,
		Modules:       configurations(modules),
		Definitions:   b.definitions,
		Logger:        b.logger,
	})
	if err != nil {
		return err
	}
	defer manager.Close()
	// As with a real manager, a module ends with its broker, and the board with it.
	spawned := true
	for _, module := range modules {
		b.start(ctx, "module "+module.id, func(ctx context.Context) error {
			return module.run(ctx, everest.Options{
				ModuleID:      module.id,
				Broker:        b.broker,
				EverestPrefix: b.config.EverestPrefix,
				Spawned:       &spawned,
				Manifest:      module.config.Manifest,
				Definitions:   b.definitions,
				Logger:        b.logger.Named(module.id),
			})
		})
	}
	b.start(ctx, "manager", func(ctx context.Context) error {
		if err := manager.WaitReady(ctx); err != nil {
			return err
		}
		b.report.Report(Report{Kind: KindReady})
		reportCost(b.report, b.config.Satellite, b.config.sort(), costReady)
		return nil
	})
	b.start(ctx, "board", b.role.background)
	b.obey(ctx, incoming)
	b.running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, errOrdersEnded) {
		return cause
	}
	return nil
}

// obey takes orders until they or the context end.
func (b *board) obey(ctx context.Context, incoming <-chan Order) {
	for {
		select {
		case <-ctx.Done():
			return
		case order, ok := <-incoming:
			if !ok {
				b.fail(errOrdersEnded)
				return
			}
			b.start(ctx, string(order.Do), func(ctx context.Context) error { return b.role.obey(ctx, order.Do) })
		}
	}
}

// start runs a part of the board. Its failure is the board's.
func (b *board) start(ctx context.Context, name string, run func(context.Context) error) {
	b.running.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			b.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

func configurations(modules []boardModule) map[string]everesttest.ModuleConfig {
	configs := map[string]everesttest.ModuleConfig{}
	for _, module := range modules {
		configs[module.id] = module.config
	}
	return configs
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
