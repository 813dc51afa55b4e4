//go:build linux

package campaign

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

// Main runs the command with its arguments, and returns the exit status.
func Main(arguments []string) int {
	if socket := os.Getenv(embeddedBroker); socket != "" {
		fmt.Fprintln(os.Stderr, serveBroker(socket))
		return 1
	}
	flags, err := ParseFlags(arguments, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = runCampaign(ctx, flags, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "campaign:", err)
		return 1
	}
	return 0
}

// build compiles the programs agent and controller into a folder, as doc/deployment.md says.
func build(ctx context.Context, folder string, race bool) error {
	arguments := []string{"build", "-trimpath", "-ldflags", "-s -w", "-tags", "codec.notfastpath", "-o", folder + string(filepath.Separator)}
	environment := append(os.Environ(), "CGO_ENABLED=0")
	if race {
		arguments, environment = append(arguments, "-race"), os.Environ()
	}
	const examples = "github.com/remotechargeport/remotechargeport/examples/"
	command := exec.CommandContext(ctx, "go", append(arguments, examples+"agent", examples+"controller")...)
	command.Env = environment
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go build of agent and controller: %w\n%s", err, output)
	}
	return nil
}
