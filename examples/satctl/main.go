// Command satctl shows the state of the modules SatelliteAgent, SatelliteController and SystemAggregator of a board. It
// reads their status sockets (package everest/control), so it must run on the board, as the user of the modules or as
// root:
//
//	satctl status             state, link, latency and counters of all modules of this board, and of the agents behind them
//	satctl events             sessions, errors, cuts and restarts of the last day
//	satctl watch              variables and errors as they happen
//	satctl ping connector_2   round trips to the other board
//	satctl discover eth0      satellites that announce themselves
//	satctl logs               all boards' log files in one archive
//	satctl bugreport          one archive for somebody who looks for a fault
//	satctl reset connector_2  the reset of one satellite board
//	satctl serve              a page for browsers on http://127.0.0.1:9477/, and metrics for Prometheus
//
// doc/satctl.md has all commands with their output, and the exit statuses:
//
//	0  everything works
//	1  something does not work: a module is starting or degraded, a ping was lost, nothing was found
//	2  the command line is wrong
//	3  a module cannot be reached
//	4  the module can never do this
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], surroundings{
		out: os.Stdout, errors: os.Stderr, getenv: os.Getenv, coloured: terminal.IsTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "",
		progressEvery: 5 * time.Second,
	})
	stop()
	os.Exit(status)
}

// commands is the command line.
type commands struct {
	Socket    []string         `short:"s" placeholder:"PATH" type:"path" help:"Status socket of a module. May be repeated. Instead of a directory."`
	Directory string           `short:"d" placeholder:"DIR" type:"path" help:"Directory with the modules' status sockets. Default: $$RUNTIME_DIRECTORY, otherwise /run/remotechargeport."`
	JSON      bool             `name:"json" short:"j" help:"Write JSON for programs: one object a line."`
	Version   kong.VersionFlag `help:"Show the version."`

	Status     statusCommand     `cmd:"" help:"Show the modules of this board and the agents behind them."`
	Events     eventsCommand     `cmd:"" help:"Show the last day's events that satctl serve has kept."`
	Watch      watchCommand      `cmd:"" help:"Show variables and errors as they happen."`
	Ping       pingCommand       `cmd:"" help:"Measure round trips to a satellite board."`
	Discover   discoverCommand   `cmd:"" help:"Find satellites that announce themselves."`
	Logs       logsCommand       `cmd:"" help:"Fetch all boards' log files from the aggregator, or the newest log lines of another module."`
	Bugreport  bugreportCommand  `cmd:"" help:"Write one archive for somebody who looks for a fault: status, logs, versions and configuration."`
	Reset      resetCommand      `cmd:"" help:"Reset one satellite board."`
	Serve      serveCommand      `cmd:"" help:"Show the modules on a page for browsers, and as metrics for Prometheus."`
	Completion completionCommand `cmd:"" help:"Write a script that completes satctl's command line."`
	Complete   completeCommand   `cmd:"" name:"__complete" hidden:"" passthrough:"" help:"Write the candidates for a word."`
}

// The exit statuses.
const (
	exitWell        = 0
	exitNotWorking  = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitNever       = 4
)

// surroundings are the parts of the process that satctl uses.
type surroundings struct {
	out, errors io.Writer
	getenv      func(string) string
	// coloured: out is a terminal that shows colours.
	coloured bool
	// progressEvery is how often a long command says how far it is, 0 for never.
	progressEvery time.Duration
}

// invocation is one run of a command.
type invocation struct {
	surroundings
	*commands
	model *kong.Application
	// raw is the output for log files, which may be archives.
	raw io.Writer
}

// failure is an error with an exit status. Its text is empty where the output already has the reason.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

func usage(format string, arguments ...any) error {
	return &failure{exitUsage, fmt.Sprintf(format, arguments...)}
}

// run is the program without its process. It returns the exit status.
func run(ctx context.Context, arguments []string, around surroundings) int {
	var line commands
	helped := false
	parser, err := kong.New(&line,
		kong.Name("satctl"),
		kong.Description("Shows the state of the modules of a charging station's boards. doc/satctl.md has examples."),
		kong.Writers(around.out, around.errors),
		kong.Vars{"version": "satctl " + everest.Version()},
		kong.Exit(func(int) { helped = true }), // kong exits after --help otherwise
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(around.errors, "satctl:", err)
		return exitUsage
	}
	parsed, err := parser.Parse(commandline.TwoDashes(parser.Model, arguments))
	if helped {
		return exitWell
	}
	if err != nil {
		fmt.Fprintf(around.errors, "satctl: %v; see satctl --help\n", err)
		return exitUsage
	}
	s := &invocation{surroundings: around, commands: &line, model: parser.Model, raw: around.out}
	// What the modules and the boards behind them say is of foreign origin.
	s.out, s.errors = terminal.Escaped(around.out), terminal.Escaped(around.errors)
	err = parsed.Run(s)
	if err != nil && err.Error() != "" {
		text := strings.ReplaceAll(err.Error(), "\n", "; ") // of several modules
		fmt.Fprintln(s.errors, "satctl:", terminal.Text(text))
	}
	return statusOf(err)
}

// statusOf returns the exit status for an error.
func statusOf(err error) int {
	var own *failure
	var answer *control.AnswerError
	switch {
	case err == nil:
		return exitWell
	case errors.As(err, &own):
		return own.status
	case errors.Is(err, control.ErrUnsupported):
		return exitNever
	case errors.As(err, &answer) && answer.StatusCode != http.StatusNotFound:
		return exitNotWorking
	}
	return exitUnreachable
}
