// Command aggregator is the EVerest module SystemAggregator: on the main board it makes the boards of a charging station
// look like one system to OCPP.
//
// An EVerest manager starts it with the usual arguments. To put the program, its manifest and the interface satellite
// where a manager looks for them:
//
//	go build -o SystemAggregator ./examples/aggregator
//	./SystemAggregator -install /usr
//
// With -satellites 200 behind it the manifest allows 200 satellite boards instead of 64.
//
// It ends with status 0 only on SIGTERM or SIGINT. Any other end has status 1 and a line with the reason.
package main

import (
	"context"
	"os"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/program"
)

func main() { os.Exit(program.Main(os.Args[1:], aggregator.Installation(), run)) }

func run(ctx context.Context, options everest.Options) error {
	return aggregator.New(aggregator.Config{Everest: options}).Run(ctx)
}
