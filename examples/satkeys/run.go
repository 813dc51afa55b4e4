package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"

	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// The exit statuses.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitExists       = 3
	exitNotConfirmed = 4
)

// commands is the command line.
type commands struct {
	JSON bool `name:"json" short:"j" help:"Write one JSON object for programs."`

	Create  createCommand  `cmd:"" help:"Make a board's key and certificate."`
	Show    showCommand    `cmd:"" help:"Show a board's serial number, fingerprint, end, and whom it trusts."`
	Trust   trustCommand   `cmd:"" help:"Have a board trust a peer or an authority."`
	Untrust untrustCommand `cmd:"" help:"Take a board's trust away."`
	Rotate  rotateCommand  `cmd:"" help:"Prepare a new key, or begin to use it."`
	Adopt   adoptCommand   `cmd:"" help:"Give a board the certificate that an authority has made for its key."`
	CA      caCommand      `cmd:"" name:"ca" help:"Be the authority of a station."`
}

// session is one run of a command.
type session struct {
	in       io.Reader
	out, err io.Writer
	json     bool
	now      func() time.Time
}

// errNotConfirmed and errEnds end with a status of their own.
var (
	errNotConfirmed = errors.New("not confirmed: nothing was changed")
	errEnds         = errors.New("the certificate ends within that time")
	errUsage        = errors.New("wrong command line")
)

// run is the whole program but for the process around it. It returns the exit status.
func run(arguments []string, in io.Reader, out, err io.Writer) int {
	var line commands
	helped := false
	parser, wrong := kong.New(&line,
		kong.Name("satkeys"),
		kong.Description("Makes the identities of boards and says whom a board trusts. doc/security.md has a walk-through."),
		kong.Writers(out, err),
		kong.Exit(func(int) { helped = true }), // kong wants to exit after --help
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if wrong != nil {
		fmt.Fprintln(err, "satkeys:", wrong)
		return exitUsage
	}
	parsed, wrong := parser.Parse(commandline.TwoDashes(parser.Model, arguments))
	if helped {
		return exitDone
	}
	if wrong != nil {
		fmt.Fprintf(err, "satkeys: %v; satkeys --help shows what there is\n", wrong)
		return exitUsage
	}
	failed := parsed.Run(&session{in: in, out: out, err: err, json: line.JSON, now: time.Now})
	if failed != nil {
		fmt.Fprintln(err, "satkeys:", failed)
	}
	switch {
	case failed == nil:
		return exitDone
	case errors.Is(failed, errUsage):
		return exitUsage
	case errors.Is(failed, identity.ErrExists):
		return exitExists
	case errors.Is(failed, errNotConfirmed), errors.Is(failed, errEnds):
		return exitNotConfirmed
	}
	return exitFailed
}

// report writes a result: the object for programs, the text for people.
func (s *session) report(object any, format string, arguments ...any) error {
	if s.json {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(object)
	}
	_, err := fmt.Fprintf(s.out, format, arguments...)
	return err
}
