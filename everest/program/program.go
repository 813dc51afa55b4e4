package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/install"
)

// Main runs a module as a program and returns the exit status: 0, or 1 after an error. Main itself writes the error to
// standard error. arguments is the command line without the program's name.
//
// With "-install PREFIX" Main installs the program and returns. Options of the installation may follow, as in "-install
// /usr -tunnel powermeter". Without an EVerest at the prefix that fails, unless -force follows. With "-help" or "-version" Main prints a text and returns.
//
// Otherwise Main reads the options from the manager's command line and calls run. The Logger in the options writes to
// standard error, with the level of EVerest's log configuration. The Supervisor is systemd when systemd started the
// process and asks for notifications. The context ends with SIGTERM or SIGINT.
func Main(arguments []string, installation install.Installation, run func(context.Context, everest.Options) error) (status int) {
	err := program{installation, run}.start(arguments)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", installation.Module, err)
		return 1
	}
	return 0
}

type program struct {
	installation install.Installation
	run          func(context.Context, everest.Options) error
}

func (p program) start(arguments []string) error {
	if len(arguments) > 0 {
		switch strings.TrimLeft(arguments[0], "-") {
		case "install":
			return p.install(arguments[1:])
		case "help", "h":
			return p.printHelp(os.Stdout)
		case "version":
			_, err := fmt.Println(p.installation.Module, everest.Version())
			return err
		}
	}
	if err := p.installation.Err(); err != nil {
		return err
	}
	options, err := ParseOptions(arguments, os.Getenv)
	if err != nil {
		return err
	}
	if options.Logger, err = consoleLogger(options); err != nil {
		return err
	}
	if unknown := unknownFlags(arguments); len(unknown) > 0 {
		options.Logger.Warn("unknown flags are ignored: is this EVerest newer than the module, or a flag mistyped?", zap.Strings("flags", unknown))
	}
	notifier, err := newNotifier(options.Logger)
	if err != nil {
		return err
	}
	if notifier != nil {
		options.Supervisor = notifier
	}
	if os.Getenv("GOGC") == "" {
		// Collecting garbage twice as often costs a module little time and saves memory, which is scarce on a board.
		debug.SetGCPercent(50)
	}
	// The start of a module leaves more garbage than hours of its service.
	options.Started = debug.FreeOSMemory
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = p.run(ctx, options)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		// The end of the context is what was asked for. Newer managers count the modules that end with another status.
		return nil
	}
	return err
}

func (p program) install(arguments []string) error {
	prefix, chosen, force, err := p.parseInstall(arguments)
	if err != nil {
		return err
	}
	if target, err := install.ReadTarget(prefix); err == nil && target == nil && !force {
		return fmt.Errorf("there is no EVerest at %s, which would have interfaces, types and errors in %s: give its prefix. "+
			"For an image that has no EVerest yet add -force, and install again once it has",
			prefix, filepath.Join(prefix, "share", "everest"))
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := p.installation.Install(prefix, executable, chosen)
	for _, line := range report {
		fmt.Println(line)
	}
	return err
}

// parseInstall reads the arguments after -install: the prefix, then options. force is the flag -force.
func (p program) parseInstall(arguments []string) (prefix string, chosen map[string]string, force bool, err error) {
	usage := "-install wants the prefix of the EVerest installation, such as /usr"
	set := flag.NewFlagSet(p.installation.Module, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.BoolVar(&force, "force", false, "")
	usage += ", and takes -force where no EVerest is"
	for _, option := range p.installation.Options {
		set.String(option.Name, "", option.Usage)
		usage += ", and takes -" + option.Name + " with " + option.Usage
	}
	if len(arguments) == 0 || arguments[0] == "" || arguments[0][0] == '-' {
		return "", nil, false, errors.New(usage)
	}
	if err := set.Parse(arguments[1:]); err != nil {
		return "", nil, false, fmt.Errorf("%w: %s", err, usage)
	}
	if set.NArg() > 0 {
		return "", nil, false, fmt.Errorf("unexpected argument %q: %s", set.Arg(0), usage)
	}
	chosen = map[string]string{}
	set.Visit(func(given *flag.Flag) {
		if given.Name != "force" {
			chosen[given.Name] = given.Value.String()
		}
	})
	return arguments[0], chosen, force, nil
}

func consoleLogger(options everest.Options) (*zap.Logger, error) {
	level, unreadable := logLevel(options.LogConfig)
	config := zap.NewDevelopmentConfig()
	config.Development = false
	config.DisableCaller, config.DisableStacktrace = true, true
	config.Level = zap.NewAtomicLevelAt(level)
	// Sampling drops lines that may explain a failure; LimitRepeats bounds repeated ones.
	config.Sampling = nil
	logger, err := config.Build()
	if err != nil {
		return nil, err
	}
	logger = logger.Named(options.ModuleID)
	if unreadable != nil {
		logger.Warn("log level stays at its default", zap.Error(unreadable), zap.Stringer("level", level))
	}
	return logger, nil
}
