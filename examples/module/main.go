// Command module is a whole EVerest module to copy and change. It has a parameter, handles a command, calls another
// module, publishes a variable and raises an error. main_test.go tests it without EVerest.
//
//	go build -o EchoModule ./examples/module
//	./EchoModule -install PREFIX
//
// installs the program, its manifest and its interface into the EVerest below PREFIX. EVerest's manager then starts the
// program for each module of its configuration that has "module: EchoModule".
//
// To make it yours: change manifest.yaml and interfaces/, run go generate, and implement the generated Provider.
package main

import (
	"context"
	_ "embed"
	"os"
	"sync/atomic"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/examples/module/echo"
)

//go:generate go run github.com/remotechargeport/remotechargeport/everest/everestgen -interfaces interfaces -out .

var (
	//go:embed manifest.yaml
	manifest []byte
	//go:embed interfaces/echo.yaml
	echoInterface []byte
)

func main() { os.Exit(program.Main(os.Args[1:], installation(), run)) }

func installation() install.Installation {
	return install.Installation{Module: "EchoModule", Manifest: manifest, Interfaces: map[string][]byte{"echo": echoInterface}}
}

// run is the module. It returns when ctx ends or the module cannot work any longer.
func run(ctx context.Context, options everest.Options) error {
	options.Manifest = manifest
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	var config struct {
		Greeting string `everest:"greeting"`
	}
	if err := module.DecodeConfig(&config); err != nil {
		return err
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

// echoer implements echo.Provider.
type echoer struct {
	greeting string
	provided *everest.Provided
	publish  echo.Publisher
	next     []echo.Client
	echoed   atomic.Int64
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
