// Command satkeys creates the identities of boards and configures which peers a board trusts (package
// satellite/identity). Four commands make two boards trust each other. create prints the fingerprint for the trust of
// the other board:
//
//	on the satellite:   satkeys create /etc/everest/identity --serial SAT01
//	on the main board:  satkeys create /etc/everest/identity --serial MAIN01
//	on the satellite:   satkeys trust /etc/everest/identity FINGERPRINT --serial MAIN01
//	on the main board:  satkeys trust /etc/everest/identity FINGERPRINT --serial SAT01
//
// The directory is that of the modules' configuration key identity_directory. Running modules follow every change.
// doc/security.md explains each step, also with an authority for a whole station. The exit statuses:
//
//	0  done
//	1  failed; nothing was changed
//	2  the command line is wrong
//	3  a key would have been overwritten: repeat with --replace to do so
//	4  the user did not confirm the peer, or the certificate expires within the days of show --within
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

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
	JSON    bool             `name:"json" short:"j" help:"Write one JSON object for programs."`
	Version kong.VersionFlag `help:"Show the version."`

	Create  createCommand  `cmd:"" help:"Create a board's key and certificate."`
	Show    showCommand    `cmd:"" help:"Show a board's serial number, fingerprint, expiry and trusted peers."`
	Trust   trustCommand   `cmd:"" help:"Make a board trust a peer or an authority."`
	Untrust untrustCommand `cmd:"" help:"Remove a peer or an authority from a board's trust."`
	Rotate  rotateCommand  `cmd:"" help:"Prepare a new key, or start to use it."`
	Adopt   adoptCommand   `cmd:"" help:"Install the certificate that an authority has signed for a board."`
	CA      caCommand      `cmd:"" name:"ca" help:"Create and use the authority of a station."`
}

// invocation is one run of a command.
type invocation struct {
	in       io.Reader
	out, err io.Writer
	json     bool
	now      func() time.Time
}

// These errors have exit statuses of their own.
var (
	errNotConfirmed = errors.New("not confirmed: nothing was changed")
	errEnds         = errors.New("the certificate expires within that time")
	errUsage        = errors.New("wrong command line")
)

// run is the program without its process. It returns the exit status.
func run(arguments []string, in io.Reader, out, err io.Writer) int {
	var line commands
	helped := false
	parser, wrong := kong.New(&line,
		kong.Name("satkeys"),
		kong.Description("Creates the identities of boards and configures which peers they trust. doc/security.md explains each step."),
		kong.Writers(out, err),
		kong.Vars{"version": "satkeys " + everest.Version()},
		kong.Exit(func(int) { helped = true }), // kong exits after --help otherwise
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
		fmt.Fprintf(err, "satkeys: %v; see satkeys --help\n", wrong)
		return exitUsage
	}
	failed := parsed.Run(&invocation{in: in, out: out, err: err, json: line.JSON, now: time.Now})
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

// report writes a result: object as JSON for programs, or the formatted text for people.
func (s *invocation) report(object any, format string, arguments ...any) error {
	if s.json {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(object)
	}
	_, err := fmt.Fprintf(s.out, format, arguments...)
	return err
}
