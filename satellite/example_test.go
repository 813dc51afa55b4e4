package satellite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/remotechargeport/remotechargeport/everest/program"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/satellite"
)

// The whole of a module binary that an EVerest manager starts on a satellite
// board.
func ExampleAgent() {
	options, err := program.ParseOptions(os.Args[1:], os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	agent := satellite.NewAgent(satellite.AgentConfig{Everest: options, Logger: zap.NewExample()})
	if err := agent.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// The same on the main board.
func ExampleController() {
	options, err := program.ParseOptions(os.Args[1:], os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	controller := satellite.NewController(satellite.ControllerConfig{Everest: options, Logger: zap.NewExample()})
	if err := controller.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// What -install does with the option -tunnel: further interfaces, carried from
// their definitions.
func ExampleAgentInstallation() {
	prefix, err := os.MkdirTemp("", "everest")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(prefix)
	agent := satellite.AgentInstallation()
	// A program installs itself: os.Executable.
	report, err := agent.Install(prefix, os.DevNull, map[string]string{"tunnel": "powermeter,output_meter:powermeter"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.TrimSpace(report[len(report)-1]))

	content, err := install.InstalledManifest(prefix, agent.Module)
	if err != nil {
		log.Fatal(err)
	}
	manifest, err := install.ParseManifest(content)
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{"powermeter", "output_meter"} {
		required := manifest.Requires[id]
		fmt.Println("requirement", id, "of interface", required.Interface, required.MinConnections, "to", required.MaxConnections)
	}
	// Output:
	// tunnel: powermeter,output_meter:powermeter (as chosen)
	// requirement powermeter of interface powermeter 0 to 1
	// requirement output_meter of interface powermeter 0 to 1
}
