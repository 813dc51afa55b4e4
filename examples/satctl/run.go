package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/alecthomas/kong"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
)

// The exit statuses.
const (
	exitWell        = 0
	exitNotWorking  = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitNever       = 4
)

// surroundings are what satctl has of its process.
type surroundings struct {
	out, errors io.Writer
	getenv      func(string) string
}

// session is one run of a command.
type session struct {
	ctx context.Context
	surroundings
	*commands
	model *kong.Application
}

// failure is an error with an exit status of its own. Its text may be empty where everything was said already.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

func usage(format string, arguments ...any) error {
	return &failure{exitUsage, fmt.Sprintf(format, arguments...)}
}

// run is the whole program but for the process around it. It returns the exit status.
func run(ctx context.Context, arguments []string, around surroundings) int {
	var line commands
	helped := false
	parser, err := kong.New(&line,
		kong.Name("satctl"),
		kong.Description("Shows how the modules of a charging station's boards are. doc/satctl.md has examples."),
		kong.Writers(around.out, around.errors),
		kong.Exit(func(int) { helped = true }), // kong wants to exit after --help
		kong.UsageOnError(),
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
		fmt.Fprintf(around.errors, "satctl: %v; satctl --help shows what there is\n", err)
		return exitUsage
	}
	s := &session{ctx: ctx, surroundings: around, commands: &line, model: parser.Model}
	err = parsed.Run(s)
	if err != nil && err.Error() != "" {
		fmt.Fprintln(around.errors, "satctl:", err)
	}
	return statusOf(err)
}

// statusOf is the exit status that an error means.
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
