package satellite_test

import (
	"cmp"
	"context"
	"log"
	"os"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// A fork that feeds the board's hardware watchdog, also under EVerest's manager, and follows what changes. The variable
// ACME_WATCHDOG of the environment replaces /dev/watchdog.
func ExampleAgent_watchdog() {
	os.Exit(program.Main(os.Args[1:], satellite.AgentInstallation(), fed))
}

func fed(ctx context.Context, options everest.Options) error {
	device, err := os.OpenFile(cmp.Or(os.Getenv("ACME_WATCHDOG"), "/dev/watchdog"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	hooks := hook.Hooks{
		Alive: func() { device.Write([]byte{0}) }, // without it the board is reset
		Changed: func(change hook.Change) {
			log.Printf("%s is %s %s", change.Kind, change.State, change.Text)
		},
	}
	err = satellite.NewAgent(satellite.AgentConfig{Everest: options, Hooks: hooks}).Run(ctx)
	if err == nil {
		device.Write([]byte{'V'}) // an end in order stops the watchdog
	}
	return err
}
