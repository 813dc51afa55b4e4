// Command reference writes doc/reference.md: every configuration key of the modules from their manifests, every flag from
// its definition.
//
//	go generate ./examples/reference
//
// A test fails when the file is not what this program writes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

//go:generate go run -tags codec.notfastpath . -o ../../doc/reference.md

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("reference", flag.ContinueOnError)
	flags.SetOutput(errs)
	path := flags.String("o", "", "`file` to write (default: standard output)")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	text, err := page(ctx)
	if err != nil {
		return err
	}
	if *path != "" {
		return os.WriteFile(*path, []byte(text), 0o644)
	}
	_, err = io.WriteString(out, text)
	return err
}
