package everest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing/fstest"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// In a station the definitions of EVerest's own interfaces are in package everest/schema.
var greeterDefinitions = fstest.MapFS{"interfaces/greeter.yaml": {Data: []byte(`
description: Greets whoever comes
cmds:
  greet:
    description: Say something nice
    arguments:
      name: {description: Who comes, type: string}
    result: {description: What was said, type: string}
vars:
  greeted: {description: Who was greeted, type: string}
`)}}

const greeterManifest = `
description: Greets
provides:
  main: {interface: greeter, description: The greeting}
config:
  greeting: {type: string, description: What to say first, default: hello}
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [you]}
`

const visitorManifest = `
description: Is greeted
requires:
  host: {interface: greeter}
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [you]}
`

// runGreeter is a whole module.
func runGreeter(ctx context.Context, options everest.Options) error {
	options.Manifest = []byte(greeterManifest)
	m, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer m.Close()
	var config struct {
		Greeting string `everest:"greeting"`
	}
	if err := m.DecodeConfig(&config); err != nil {
		return err
	}
	main := m.Provides("main")
	everest.Handle(main, "greet", func(ctx context.Context, arguments struct {
		Name string `json:"name"`
	}) (string, error) {
		if err := main.Publish(ctx, "greeted", arguments.Name); err != nil {
			return "", err
		}
		return config.Greeting + " " + arguments.Name, nil
	})
	return m.Run(ctx)
}

// runVisitor calls the greeter and hears what it publishes.
func runVisitor(ctx context.Context, options everest.Options, done func()) error {
	options.Manifest = []byte(visitorManifest)
	m, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer m.Close()
	host := m.Requires("host")[0]
	heard := make(chan string, 1)
	everest.Subscribe(host, "greeted", func(_ context.Context, name string) { heard <- name })
	m.OnReady(func(ctx context.Context) error {
		text, err := everest.Call[string](ctx, host, "greet", map[string]string{"name": "Ada"})
		if err != nil {
			return err
		}
		fmt.Println(text)
		fmt.Println("greeted:", <-heard)
		done()
		return nil
	})
	return m.Run(ctx)
}

// Two modules on a broker and a manager in the same process. In a station a module's main function is
//
//	options, err := program.ParseOptions(os.Args[1:], os.Getenv)
//
// and a call of something like runGreeter.
func Example() {
	ctx, done := context.WithCancel(context.Background())
	defer done()
	definitions, err := schema.LoadYAML(greeterDefinitions)
	if err != nil {
		fmt.Println(err)
		return
	}
	broker, err := everesttest.StartBroker(everesttest.BrokerConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	manager, err := everesttest.StartManager(ctx, everesttest.ManagerConfig{
		Broker:      broker.Address(),
		Definitions: definitions,
		Modules: map[string]everesttest.ModuleConfig{
			"greeter": {Module: "Greeter", Manifest: []byte(greeterManifest), Config: map[string]any{"greeting": "good morning"}},
			"visitor": {Module: "Visitor", Manifest: []byte(visitorManifest), Connections: map[string][]everesttest.Connection{
				"host": {{ModuleID: "greeter", ImplementationID: "main"}},
			}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	ended := make(chan error, 2)
	// Each of the two is a process of its own in a station.
	go func() { ended <- runGreeter(ctx, manager.Options("greeter")) }()
	go func() { ended <- runVisitor(ctx, manager.Options("visitor"), done) }()
	fmt.Println(<-ended)
	<-ended
	// Output:
	// good morning Ada
	// greeted: Ada
	// context canceled
}

// What a module's main function does.
func ExampleParseOptions() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	run := func() error {
		options, err := program.ParseOptions(os.Args[1:], os.Getenv)
		if err != nil {
			return err
		}
		m, err := everest.Connect(ctx, options)
		if err != nil {
			return err
		}
		return m.Run(ctx)
	}
	main := func() {
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	_ = main
}

func ExampleProvided_Raise() {
	var ctx context.Context
	var implementation *everest.Provided
	raise := func() error {
		return implementation.Raise(ctx, everest.Error{
			Type: "evse_manager/MREC4OverCurrentFailure", SubType: "phase 1", Message: "40 A measured, 32 A allowed", Severity: everest.SeverityHigh,
		})
	}
	clear := func() error { return implementation.Clear(ctx, "evse_manager/MREC4OverCurrentFailure", "phase 1") }
	_, _ = raise, clear
}

func ExampleOnQueue() {
	var m *everest.Module
	register := func() {
		// Session events and errors of a charge port in one line, in the order in which they happened.
		line := m.NewQueue("charge port")
		for _, port := range m.Requires("charge_port") {
			port.Subscribe("session_event", handleEvent, everest.OnQueue(line))
			port.SubscribeErrors(handleError, everest.OnQueue(line))
		}
	}
	_ = register
}

func handleEvent(context.Context, json.RawMessage) {}

func handleError(context.Context, everest.ErrorEvent) {}

// Two releases of an interface are compared by what they mean.
func ExampleDefinitions_Digest() {
	newer := fstest.MapFS{"interfaces/greeter.yaml": {Data: []byte(`
description: Greets whoever comes, and says good-bye
cmds:
  greet:
    description: Say something nicer
    arguments:
      name: {description: Who comes, type: string}
    result: {description: What was said, type: string}
  part:
    description: Say good-bye
vars:
  greeted: {description: Who was greeted, type: array, items: {description: Who, type: string}}
`)}}
	one, err := schema.LoadInterfaces(greeterDefinitions, "greeter")
	if err != nil {
		fmt.Println(err)
	}
	two, err := schema.LoadInterfaces(newer, "greeter")
	if err != nil {
		fmt.Println(err)
	}
	old := one.Digest("greeter")
	for _, member := range []string{"command greet", "command part", "variable greeted"} {
		digest := two.Digest("greeter")[member]
		before, known := old[member]
		fmt.Println(member, "known:", known, "the same:", digest == before)
	}
	// Output:
	// command greet known: true the same: true
	// command part known: false the same: false
	// variable greeted known: true the same: false
}
