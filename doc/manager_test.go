package doc

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.yaml.in/yaml/v3"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// TestMain lets the commands of the documentation start EVerest's manager where there is none: this program under the
// name manager. It serves the broker of its configuration too, starts the modules that are installed at the prefix as
// processes, and stands in for EVerest's own.
func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	if filepath.Base(os.Args[0]) != "manager" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := runManager(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func runManager(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	prefix := flags.String("prefix", "/usr", "prefix of the installation")
	file := flags.String("config", "", "configuration file")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	content, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	modules := filepath.Join(*prefix, "libexec/everest/modules")
	stubs := filepath.Join(os.Getenv("REPOSITORY"), "doc/configurations/testdata/manifests")
	config, err := everesttest.ReadConfiguration(content, func(module string) ([]byte, error) {
		installed, err := os.ReadFile(filepath.Join(modules, module, "manifest.yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			return os.ReadFile(filepath.Join(stubs, module+".yaml"))
		}
		return installed, err
	})
	if err != nil {
		return err
	}
	if config.Definitions, err = definitionsOf(config); err != nil {
		return err
	}
	config.Settings.Prefix = *prefix
	broker, err := everesttest.StartBroker(everesttest.BrokerConfig{SocketPath: config.Broker.SocketPath})
	if err != nil {
		return err
	}
	defer broker.Close()
	manager, err := everesttest.StartManager(ctx, config)
	if err != nil {
		return err
	}
	defer manager.Close()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, len(config.Modules))
	var running sync.WaitGroup
	for id, module := range config.Modules {
		program := filepath.Join(modules, module.Module, module.Module)
		if _, err := os.Stat(program); err != nil {
			running.Go(func() { ended <- runStub(ctx, manager.Options(id)) })
			continue
		}
		running.Go(func() { ended <- runProgram(ctx, program, manager.Arguments(id)) })
	}
	go func() {
		if manager.WaitReady(ctx) == nil {
			fmt.Println("manager: all modules are ready")
		}
	}()
	err = <-ended
	if ctx.Err() != nil {
		err = nil
	}
	cancel()
	running.Wait()
	return err
}

func runStub(ctx context.Context, options everest.Options) error {
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	return module.Run(ctx)
}

func runProgram(ctx context.Context, program string, arguments []string) error {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(program), err)
	}
	return nil
}

// definitionsOf are those that this project has; of other interfaces nothing but the name is known.
func definitionsOf(config everesttest.ManagerConfig) (*schema.Definitions, error) {
	known, err := satellite.Definitions()
	if err != nil {
		return nil, err
	}
	for _, module := range config.Modules {
		var manifest struct {
			Provides map[string]struct {
				Interface string `yaml:"interface"`
			} `yaml:"provides"`
		}
		if err := yaml.Unmarshal(module.Manifest, &manifest); err != nil {
			return nil, err
		}
		for _, provided := range manifest.Provides {
			if _, defined := known.Interface(provided.Interface); defined || strings.TrimSpace(provided.Interface) == "" {
				continue
			}
			if known, err = known.WithInterface(provided.Interface, []byte("description: known by name\n")); err != nil {
				return nil, err
			}
		}
	}
	return known, nil
}
