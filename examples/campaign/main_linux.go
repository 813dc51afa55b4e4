package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	if socket := os.Getenv(embeddedBroker); socket != "" {
		fmt.Fprintln(os.Stderr, serveBroker(socket))
		os.Exit(1)
	}
	flags, err := ParseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = runCampaign(ctx, flags, os.Stdout)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "campaign:", err)
		os.Exit(1)
	}
}

// build compiles the modules' programs into a folder, as doc/deployment.md says.
func build(ctx context.Context, folder string, race bool) error {
	for _, name := range []string{"agent", "controller"} {
		arguments := []string{"build", "-trimpath", "-ldflags", "-s -w", "-tags", "codec.notfastpath"}
		environment := append(os.Environ(), "CGO_ENABLED=0")
		if race {
			arguments, environment = append(arguments, "-race"), os.Environ()
		}
		arguments = append(arguments, "-o", filepath.Join(folder, name), "github.com/remotechargeport/remotechargeport/examples/"+name)
		command := exec.CommandContext(ctx, "go", arguments...)
		command.Env = environment
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", name, err, output)
		}
	}
	return nil
}
