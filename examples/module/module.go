package main

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/module/echo"
)

// echoer is what the module does: it implements echo.Provider.
type echoer struct {
	greeting string
	provided *everest.Provided
	publish  echo.Publisher
	next     []echo.Client
	echoed   atomic.Int64
}

// run is the module. It returns when ctx ends or the module cannot work any longer.
func run(ctx context.Context, options everest.Options) error {
	options.Manifest = manifest
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
	provided := module.Provides("main")
	e := &echoer{greeting: config.Greeting, provided: provided, publish: echo.NewPublisher(provided)}
	// An optional requirement that is not connected has no connections.
	for _, connection := range module.Requires("next") {
		e.next = append(e.next, echo.NewClient(connection))
	}
	echo.Register(provided, e)
	return module.Run(ctx)
}

// Echo implements echo.Provider.
func (e *echoer) Echo(ctx context.Context, text string) (string, error) {
	if text == "" {
		warning := everest.Error{
			Type: echo.ErrorGenericVendorWarning, SubType: "silence", Message: "nothing to echo", Severity: everest.SeverityLow,
		}
		return "", e.provided.Raise(ctx, warning)
	}
	text = e.greeting + " " + text
	for _, next := range e.next {
		var err error
		if text, err = next.Echo(ctx, text); err != nil {
			return "", err
		}
	}
	if err := e.provided.Clear(ctx, echo.ErrorGenericVendorWarning, "silence"); err != nil {
		return "", err
	}
	return text, e.publish.Echoed(ctx, int(e.echoed.Add(1)))
}
