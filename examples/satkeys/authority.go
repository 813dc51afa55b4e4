package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/durable"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// caCommand has the commands for an authority.
type caCommand struct {
	Create caCreateCommand `cmd:"" help:"Create a station's authority."`
	Sign   caSignCommand   `cmd:"" help:"Sign the certificates of boards."`
	List   caListCommand   `cmd:"" help:"List what the authority has signed."`
}

type caCreateCommand struct {
	Directory string             `arg:"" help:"Directory of the authority; keep it off the boards."`
	Name      string             `arg:"" help:"The authority's name, such as the station's serial number."`
	Algorithm identity.Algorithm `enum:"ed25519,p256" default:"ed25519" help:"Kind of the key."`
	Days      int                `default:"10950" help:"Validity in days."`
	Replace   bool               `help:"Overwrite the present key. Every board must then be signed again."`
}

func (c caCreateCommand) Run(s *invocation) error {
	lifetime, err := keyFlags{Days: c.Days}.lifetime()
	if err != nil {
		return err
	}
	authority, err := identity.CreateAuthority(c.Directory, identity.AuthorityOptions{
		Name: c.Name, Algorithm: c.Algorithm, Lifetime: lifetime, Replace: c.Replace, Now: s.now,
	})
	if err != nil {
		return err
	}
	certificate := authority.Certificate
	return s.report(authorityReport{Name: c.Name, Fingerprint: identity.FingerprintOf(certificate), Expires: certificate.NotAfter},
		"made the authority %q in %[2]s, valid until %[3]s\nfingerprint  %[4]s\nsign a board's identity:  satkeys ca sign %[2]s BOARD-DIRECTORY --as satellite\n",
		c.Name, c.Directory, day(certificate.NotAfter), identity.FingerprintOf(certificate))
}

type caSignCommand struct {
	Directory string   `arg:"" help:"Directory of the authority."`
	Board     []string `arg:"" help:"The board: the directory of its identity, or what create --request or show --request wrote: a file, or - for standard input. Several must be directories."`
	As        string   `required:"" enum:"satellite,controller" help:"Role of the board on the link: satellite, or controller for the main board."`
	Days      int      `default:"7300" help:"Validity in days, at most that of the authority."`
	Output    string   `short:"o" help:"File for the certificates of the board and the authority, for satkeys adopt and satkeys trust. Default: standard output."`
}

func (c caSignCommand) Run(s *invocation) error {
	lifetime, err := keyFlags{Days: c.Days}.lifetime()
	if err != nil {
		return err
	}
	authority, err := identity.LoadAuthority(c.Directory)
	if err != nil {
		return err
	}
	role := identity.Satellite
	if c.As == identity.Controller.String() {
		role = identity.Controller
	}
	local := func(board string) bool {
		info, err := os.Stat(board)
		return err == nil && info.IsDir()
	}
	if len(c.Board) > 1 || local(c.Board[0]) {
		for _, board := range c.Board {
			if !local(board) {
				return fmt.Errorf("%w: %s is not a directory: several boards must be directories of their identities", errUsage, board)
			}
		}
		for _, board := range c.Board {
			if err := c.signHere(s, board, authority, role, lifetime); err != nil {
				return fmt.Errorf("%s: %w", board, err)
			}
		}
		return nil
	}
	text, err := s.read(c.Board[0])
	if err != nil {
		return err
	}
	chain, err := identity.ParseCertificates(text)
	if err != nil {
		return err
	}
	signed, err := authority.Sign(chain[0], role, lifetime, s.now())
	if err != nil {
		return err
	}
	if err := c.register(s, signed); err != nil {
		return err
	}
	both := identity.EncodeCertificates([]*x509.Certificate{signed, authority.Certificate})
	if c.Output == "" {
		_, err := s.out.Write(both)
		return err
	}
	// A link that somebody has put there is replaced, not followed.
	if err := durable.Replace(c.Output, both, 0o644); err != nil {
		return err
	}
	return s.report(map[string]any{"file": c.Output, "expires": signed.NotAfter},
		"wrote %[1]s; on the board:  satkeys adopt DIRECTORY %[1]s && satkeys trust DIRECTORY %[1]s --serial PEER\n", c.Output)
}

// signHere signs the prepared or else the present key of a board with a local directory, and makes the board trust the
// authority.
func (c caSignCommand) signHere(s *invocation, board string, authority *identity.Authority, role identity.Role, lifetime time.Duration) error {
	if c.Output != "" {
		return fmt.Errorf("%w: --output is for a board's certificate in a file; %s is a directory", errUsage, board)
	}
	request, err := identity.Request(board, s.now())
	if err != nil {
		return err
	}
	signed, err := authority.Sign(request, role, lifetime, s.now())
	if err != nil {
		return err
	}
	if err := c.register(s, signed); err != nil {
		return err
	}
	adopted, err := identity.Adopt(board, []*x509.Certificate{signed})
	if err != nil {
		return err
	}
	if err := trustAuthority(board, authority.Certificate); err != nil {
		return err
	}
	return s.report(reportOf(board, adopted), "%q vouches for %s as a %s until %s, and %s trusts this authority\n",
		authority.Certificate.Subject.CommonName, adopted.Serial, role, day(adopted.Expires()), adopted.Serial)
}

// trustAuthority makes a board trust an authority. Trust that is limited to some boards stays as it is.
func trustAuthority(directory string, authority *x509.Certificate) error {
	trust, err := identity.LoadTrust(directory)
	if err != nil {
		return err
	}
	trusted := slices.ContainsFunc(trust.Authorities, func(present identity.TrustedAuthority) bool {
		return present.Certificate.Equal(authority)
	})
	if trusted {
		return nil
	}
	if err := trust.TrustAuthority(authority, nil); err != nil {
		return err
	}
	return trust.Save(directory)
}
