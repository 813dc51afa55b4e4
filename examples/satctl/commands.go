package main

// commands is satctl's command line.
type commands struct {
	Socket    []string `short:"s" placeholder:"PATH" type:"path" help:"Control socket of a module. May be repeated. Instead of a directory."`
	Directory string   `short:"d" placeholder:"DIR" type:"path" help:"Directory with the modules' control sockets. Default: $$RUNTIME_DIRECTORY, otherwise /run/remotechargeport."`
	JSON      bool     `name:"json" short:"j" help:"Write JSON for programs: one object a line."`

	Status     statusCommand     `cmd:"" help:"Show the modules of this board and the agents behind them."`
	Watch      watchCommand      `cmd:"" help:"Show variables and errors as they happen."`
	Ping       pingCommand       `cmd:"" help:"Measure round trips to a satellite board."`
	Discover   discoverCommand   `cmd:"" help:"Look for satellites that announce themselves."`
	Logs       logsCommand       `cmd:"" help:"Fetch all boards' log files from the aggregator, or the newest log lines of another module."`
	Serve      serveCommand      `cmd:"" help:"Show the modules on a page for browsers, and as metrics for Prometheus."`
	Completion completionCommand `cmd:"" help:"Write a script that completes satctl's command line."`
	Complete   completeCommand   `cmd:"" name:"__complete" hidden:"" passthrough:"" help:"Write what a word may be."`
}
