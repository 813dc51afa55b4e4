// Command agent is the EVerest module SatelliteAgent: on a satellite board it
// offers the charge port to the SatelliteController of the main board.
//
// An EVerest manager starts it with the usual arguments. To put the program, its
// manifest and the interface satellite where a manager looks for them:
//
//	go build -o SatelliteAgent ./examples/agent
//	./SatelliteAgent -install /usr
//
// With -tunnel powermeter,reservation behind it the manifest offers further
// interfaces to the tunnel: see doc/tunnel.md.
//
// It ends with status 0 only on SIGTERM or SIGINT. Any other end, such as the loss
// of the controller, has status 1 and a line with the reason: the supervisor must
// start the board afresh then.
package main

import (
	"context"
	"os"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/satellite"
)

func main() { os.Exit(program.Main(os.Args[1:], satellite.AgentInstallation(), run)) }

func run(ctx context.Context, options everest.Options) error {
	// nil unless a socket unit of systemd holds the port open.
	listener, err := program.Listener()
	if err != nil {
		return err
	}
	return satellite.NewAgent(satellite.AgentConfig{Everest: options, Listener: listener}).Run(ctx)
}
