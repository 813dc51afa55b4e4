// Command echomodule is a small, whole EVerest module to copy and change: it has a parameter, answers a command, calls another
// module, publishes a variable and raises an error. echo_test.go tests it without EVerest.
//
//	go build -o EchoModule ./examples/echomodule
//	./EchoModule -install PREFIX
//
// puts program, manifest and interface where the EVerest installed in PREFIX looks for them. Its manager then starts the
// program for every module of its configuration that says "module: EchoModule".
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/remotechargeport/remotechargeport/everest"
)

var (
	//go:embed manifest.yaml
	manifest []byte
	//go:embed echo.yaml
	echoInterface []byte
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "EchoModule:", err)
		stop()
		os.Exit(1)
	}
}

func start(ctx context.Context, arguments []string) error {
	if len(arguments) == 2 && arguments[0] == "-install" {
		program, err := os.Executable()
		if err != nil {
			return err
		}
		installation := everest.Installation{Module: "EchoModule", Manifest: manifest, Interfaces: map[string][]byte{"echo": echoInterface}}
		return installation.Install(arguments[1], program)
	}
	options, err := everest.ParseOptions(arguments, os.Getenv)
	if err != nil {
		return err
	}
	options.Manifest = manifest
	return run(ctx, options)
}

// run is the module. It returns when ctx ends or the module cannot go on.
func run(ctx context.Context, options everest.Options) error {
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	var config struct {
		Greeting string `everest:"greeting"`
	}
	if err := module.DecodeConfig(&config); err != nil {
		return errors.Join(err, module.Close())
	}
	main, next := module.Provides("main"), module.Requires("next")
	var echoed atomic.Int64
	everest.Handle(main, "echo", func(ctx context.Context, arguments struct {
		Text string `json:"text"`
	}) (string, error) {
		if arguments.Text == "" {
			warning := everest.Error{Type: "generic/VendorWarning", SubType: "silence", Message: "nothing to say back", Severity: everest.SeverityLow}
			return "", main.Raise(ctx, warning)
		}
		text := config.Greeting + " " + arguments.Text
		// An optional requirement that is not connected has no connections to range over.
		for _, connection := range next {
			var err error
			if text, err = everest.Call[string](ctx, connection, "echo", map[string]any{"text": text}); err != nil {
				return "", err
			}
		}
		if err := main.Clear(ctx, "generic/VendorWarning", "silence"); err != nil {
			return "", err
		}
		return text, main.Publish(ctx, "echoed", echoed.Add(1))
	})
	return module.Run(ctx)
}
