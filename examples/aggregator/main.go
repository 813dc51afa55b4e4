// Command aggregator is the EVerest module SystemAggregator: on the main board it makes the boards of a charging station
// look like one system to OCPP.
//
// An EVerest manager starts it with the usual arguments. To put the program, its manifest and the interface satellite
// where a manager looks for them:
//
//	go build -o SystemAggregator ./examples/aggregator
//	./SystemAggregator -install /usr
//
// It ends with status 0 only when it is told to, by SIGTERM or SIGINT. Any other end has status 1 and a line that says
// why.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "SystemAggregator:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) > 0 && strings.TrimLeft(arguments[0], "-") == "install" {
		return install(arguments[1:])
	}
	options, err := everest.ParseOptions(arguments, os.Getenv)
	if err != nil {
		return err
	}
	logger, err := newLogger(options)
	if err != nil {
		return err
	}
	options.Logger = logger
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return aggregator.New(aggregator.Config{Everest: options, Logger: logger}).Run(ctx)
}

func install(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("-install wants one argument, the prefix of the EVerest installation, such as /usr")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return aggregator.Installation().Install(arguments[0], program)
}

// newLogger logs to the console, as every EVerest module does, from the level on that the manager's log configuration
// asks for.
func newLogger(options everest.Options) (*zap.Logger, error) {
	level, unreadable := everest.LogLevel(options.LogConfig)
	config := zap.NewDevelopmentConfig()
	config.Development = false
	config.DisableCaller, config.DisableStacktrace = true, true
	config.Level = zap.NewAtomicLevelAt(level)
	// Every line counts when a station has to be understood afterwards.
	config.Sampling = nil
	logger, err := config.Build()
	if err != nil {
		return nil, err
	}
	logger = logger.Named(options.ModuleID)
	if unreadable != nil {
		logger.Warn("log level stays at its default", zap.Error(unreadable), zap.Stringer("level", level))
	}
	return logger, nil
}
