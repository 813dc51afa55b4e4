// Command controller is the EVerest module SatelliteController: on the main board
// it stands in for the charge port of one satellite board.
//
// An EVerest manager starts it with the usual arguments. To put the program, its
// manifest and the interface satellite where a manager looks for them:
//
//	go build -o SatelliteController ./examples/controller
//	./SatelliteController -install /usr
//
// With -tunnel powermeter,reservation behind it the manifest offers further
// interfaces to the tunnel: see doc/tunnel.md.
//
// It ends with status 0 only on SIGTERM or SIGINT. Any other end, such as the loss
// of the satellite, has status 1 and a line with the reason: the supervisor must
// start the board afresh then.
package main

import (
	"context"
	"os"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/satellite"
)

func main() { os.Exit(program.Main(os.Args[1:], satellite.ControllerInstallation(), run)) }

func run(ctx context.Context, options everest.Options) error {
	return satellite.NewController(satellite.ControllerConfig{Everest: options}).Run(ctx)
}
