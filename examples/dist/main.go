// Command dist builds the programs for boards: static, stripped, without paths of the building machine, and with the
// build tags of doc/deployment.md. Equal sources give equal bytes.
//
//	go run ./examples/dist -o dist
//
// writes dist/linux-amd64, dist/linux-arm64, dist/linux-armv7 and dist/SHA256SUMS for `sha256sum -c`. Each folder has its
// own SHA256SUMS, so that it can be checked where it is copied to. The programs have the version of the checkout.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("dist", flag.ContinueOnError)
	flags.SetOutput(errs)
	directory := flags.String("o", "dist", "`directory` to build into")
	chosen := flags.String("targets", "amd64,arm64,armv7", "processors to build for, separated by commas")
	if commandline.Version(flags, arguments, out) {
		return nil
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; see -h", flags.Arg(0))
	}
	var wanted []target
	for name := range strings.SplitSeq(*chosen, ",") {
		target, known := targetNamed(name)
		if !known {
			return fmt.Errorf("unknown target %q: choose from amd64, arm64 and armv7", name)
		}
		wanted = append(wanted, target)
	}
	built, err := buildAll(ctx, *directory, wanted, errs)
	if err != nil {
		return err
	}
	if err := writeSums(*directory, built); err != nil {
		return err
	}
	return printSizes(out, built, wanted)
}
