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

	"github.com/remotechargeport/remotechargeport/satellite/identity"
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
		run := runCampaign
		if flags.All {
			run = runAll
		}
		err = run(ctx, flags, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "campaign:", err)
		return 1
	}
	return 0
}

// build compiles the programs agent and controller into a folder, as doc/deployment.md says. With the race detector it
// compiles them as the tests are, whose packages need not be compiled again then.
func build(ctx context.Context, folder string, race bool) error {
	arguments := []string{"build", "-o", folder + string(filepath.Separator)}
	environment := os.Environ()
	if race {
		arguments = append(arguments, "-race")
	} else {
		arguments, environment = append(arguments, "-trimpath", "-ldflags", "-s -w"), append(environment, "CGO_ENABLED=0")
	}
	const examples = "github.com/remotechargeport/remotechargeport/examples/"
	command := exec.CommandContext(ctx, "go", append(arguments, examples+"agent", examples+"controller")...)
	command.Env = environment
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go build of agent and controller: %w\n%s", err, output)
	}
	return nil
}

// pair creates an identity for each of two boards, in folders named after them, and lets each trust the other alone.
func pair(folder string, boards [2]string) error {
	var made [2]identity.Identity
	for i, board := range boards {
		var err error
		if made[i], err = identity.Create(filepath.Join(folder, board), identity.CreateOptions{Serial: board}); err != nil {
			return err
		}
	}
	for i, board := range boards {
		other := 1 - i
		trust := identity.Trust{Peers: []identity.Pin{{Serial: boards[other], Fingerprint: identity.FingerprintOf(made[other].Leaf())}}}
		if err := trust.Save(filepath.Join(folder, board)); err != nil {
			return err
		}
	}
	return nil
}
