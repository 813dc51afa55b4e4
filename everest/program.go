package everest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/systemd"
)

// Program is a module as a binary that a manager starts, or a person with -install.
type Program struct {
	// Installation is what the binary brings along.
	Installation install.Installation
	// Run is the module's life. Its context ends with SIGTERM or SIGINT; the options come from the command line and have the
	// logger set, and the supervisor when systemd has started the process and wants to be told.
	Run func(ctx context.Context, options Options) error
}

// Main runs the program with its command line, without the program's name. With "-install PREFIX" it installs itself there
// and returns; options of the installation may follow, as in "-install /usr -tunnel powermeter", and what was done is written
// to standard output. "-help" and "-version" print what they say. Otherwise it reads the manager's arguments, logs to standard error from the level on that the framework's
// log configuration asks for, and returns what Run returns. Any error means that the process has to exit with a status
// other than 0:
//
//	if err := program.Main(os.Args[1:]); err != nil {
//		fmt.Fprintln(os.Stderr, err)
//		os.Exit(1)
//	}
func (p Program) Main(arguments []string) error {
	if len(arguments) > 0 {
		switch strings.TrimLeft(arguments[0], "-") {
		case "install":
			return p.install(arguments[1:])
		case "help", "h":
			return p.printHelp(os.Stdout)
		case "version":
			_, err := fmt.Println(p.Installation.Module, version())
			return err
		}
	}
	options, err := ParseOptions(arguments, os.Getenv)
	if err != nil {
		return err
	}
	if options.Logger, err = consoleLogger(options); err != nil {
		return err
	}
	notifier, err := systemd.NewNotifier(options.Logger)
	if err != nil {
		return err
	}
	if notifier != nil {
		options.Supervisor = notifier
	}
	if os.Getenv("GOGC") == "" {
		// A board has less memory to spare than a module needs time for collecting garbage.
		debug.SetGCPercent(50)
	}
	// The start leaves more garbage behind than hours of service.
	options.Started = debug.FreeOSMemory
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return p.Run(ctx, options)
}

func (p Program) install(arguments []string) error {
	prefix, chosen, err := readInstallArguments(p.Installation, arguments)
	if err != nil {
		return err
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := p.Installation.Install(prefix, executable, chosen)
	for _, line := range report {
		fmt.Println(line)
	}
	return err
}

// readArguments reads what follows -install: the prefix, then options.
func readInstallArguments(i install.Installation, arguments []string) (prefix string, chosen map[string]string, err error) {
	usage := "-install wants the prefix of the EVerest installation, such as /usr"
	set := flag.NewFlagSet(i.Module, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, option := range i.Options {
		set.String(option.Name, "", option.Usage)
		usage += ", and takes -" + option.Name + " with " + option.Usage
	}
	if len(arguments) == 0 || arguments[0] == "" || arguments[0][0] == '-' {
		return "", nil, errors.New(usage)
	}
	if err := set.Parse(arguments[1:]); err != nil {
		return "", nil, fmt.Errorf("%w: %s", err, usage)
	}
	if set.NArg() > 0 {
		return "", nil, fmt.Errorf("%q is too much: %s", set.Arg(0), usage)
	}
	chosen = map[string]string{}
	set.Visit(func(given *flag.Flag) { chosen[given.Name] = given.Value.String() })
	return arguments[0], chosen, nil
}

func consoleLogger(options Options) (*zap.Logger, error) {
	level, unreadable := LogLevel(options.LogConfig)
	config := zap.NewDevelopmentConfig()
	config.Development = false
	config.DisableCaller, config.DisableStacktrace = true, true
	config.Level = zap.NewAtomicLevelAt(level)
	// Every line counts when a station has to be understood afterwards.
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
