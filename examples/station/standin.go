package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// standIn is the life of a module that stands in for one of EVerest's: setUp
// registers what it provides and hears.
func standIn(setUp func(module *everest.Module) error) func(context.Context, everest.Options) error {
	return func(ctx context.Context, options everest.Options) error {
		module, err := everest.Connect(ctx, options)
		if err != nil {
			return err
		}
		defer module.Close()
		if err := setUp(module); err != nil {
			return err
		}
		return module.Run(ctx)
	}
}

// subscribeAll subscribes every variable of the connected interface.
func subscribeAll(known *everest.Definitions, required *everest.Required, queue *everest.Queue, arrived func(variable string, value json.RawMessage)) error {
	definition, ok := known.Interface(required.Interface())
	if !ok {
		return fmt.Errorf("interface %s is not defined", required.Interface())
	}
	for _, variable := range definition.Variables {
		required.Subscribe(variable.Name, func(_ context.Context, value json.RawMessage) {
			arrived(variable.Name, value)
		}, everest.OnQueue(queue))
	}
	return nil
}

// newLogger writes one line per entry, none dropped.
func newLogger(to io.Writer, level string) (*zap.Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	encoding := zap.NewDevelopmentEncoderConfig()
	encoding.TimeKey = zapcore.OmitKey
	encoding.CallerKey = zapcore.OmitKey
	encoding.StacktraceKey = zapcore.OmitKey
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(zapcore.AddSync(to)), parsed)), nil
}

//go:embed manifests
var standInManifests embed.FS

// standInConfig configures a stand-in by its module's name. Every name that is
// used has its manifest among the embedded ones.
func standInConfig(module string, mapping *everesttest.ModuleMapping, connections map[string][]everesttest.Connection) everesttest.ModuleConfig {
	manifest, err := standInManifests.ReadFile("manifests/" + module + ".yaml")
	if err != nil {
		// The manager says that the module has no manifest.
		manifest = nil
	}
	return everesttest.ModuleConfig{Module: module, Manifest: manifest, Mapping: mapping, Connections: connections}
}

// withStatus runs a module of the link and reports its status whenever that has
// changed.
func withStatus(ctx context.Context, report *Reporter, satellite int, name string, run func(context.Context) error, status func() Status) error {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() {
		var last Status
		for sleepUntil(watching, time.Now().Add(statusInterval)) == nil {
			if now := status(); now != last {
				report.Report(Report{Kind: KindStatus, Satellite: satellite, Name: name, Status: &now})
				last = now
			}
		}
	})
	return run(ctx)
}
