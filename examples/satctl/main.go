// Command satctl shows how the modules SatelliteAgent, SatelliteController and SystemAggregator of a board are. It asks
// their control sockets (package everest/control), so it runs on the board, as the user that the modules run as, or as root:
//
//	satctl status             state, link, latency and counters of all modules of this board, and of the agents behind them
//	satctl watch              variables and errors as they happen
//	satctl ping connector_2   round trips to the other board
//	satctl discover eth0      satellites that announce themselves
//	satctl logs               all boards' log files in one archive
//	satctl serve              a page for browsers on http://127.0.0.1:9477/, and metrics for Prometheus
//
// doc/satctl.md has all commands with their output, and the exit statuses:
//
//	0  all is well
//	1  something does not work: a module is starting or degraded, a ping was lost, nothing was found
//	2  the command line is wrong
//	3  a module cannot be reached
//	4  the module can never do this
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], surroundings{out: os.Stdout, errors: os.Stderr, getenv: os.Getenv})
	stop()
	os.Exit(status)
}
