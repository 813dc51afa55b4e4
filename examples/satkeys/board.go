package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// keyFlags are the flags for a new key.
type keyFlags struct {
	Algorithm identity.Algorithm `enum:"ed25519,p256" default:"ed25519" help:"Kind of the key: ed25519, or p256 for chips that lack it."`
	Days      int                `default:"7300" help:"Validity of the certificate in days."`
}

func (f keyFlags) lifetime() (time.Duration, error) {
	if f.Days < 1 || f.Days > 36500 {
		return 0, fmt.Errorf("%w: --days is %d, must be 1 to 36500", errUsage, f.Days)
	}
	return time.Duration(f.Days) * 24 * time.Hour, nil
}

func (f keyFlags) options(s *invocation) (identity.CreateOptions, error) {
	lifetime, err := f.lifetime()
	return identity.CreateOptions{Algorithm: f.Algorithm, Lifetime: lifetime, Now: s.now}, err
}

// boardReport is the JSON of a board.
type boardReport struct {
	Directory   string               `json:"directory"`
	Serial      string               `json:"serial"`
	Fingerprint identity.Fingerprint `json:"fingerprint"`
	Expires     time.Time            `json:"expires"`
	// SignedBy is the authority. It is empty for a self-signed certificate.
	SignedBy string `json:"signed_by,omitempty"`
	// Next is the prepared key. Peers and Authorities are trusted by the board. Only show sets these fields.
	Next        *identity.Fingerprint `json:"next,omitempty"`
	Peers       []identity.Pin        `json:"peers,omitempty"`
	Authorities []authorityReport     `json:"authorities,omitempty"`
	// Repeated are the serial numbers that several trusted keys have. Only show sets it.
	Repeated []string `json:"repeated_serials,omitempty"`
}

type authorityReport struct {
	Name        string               `json:"name"`
	Fingerprint identity.Fingerprint `json:"fingerprint"`
	Expires     time.Time            `json:"expires"`
	// Serials are the boards that it may sign. Empty means all.
	Serials []string `json:"serials,omitempty"`
}

func reportOf(directory string, board identity.Identity) boardReport {
	report := boardReport{Directory: directory, Serial: board.Serial, Fingerprint: board.Fingerprint, Expires: board.Expires()}
	if leaf := board.Leaf(); leaf.Issuer.String() != leaf.Subject.String() {
		report.SignedBy = leaf.Issuer.CommonName
	}
	return report
}

func day(when time.Time) string { return when.Format(time.DateOnly) }

type createCommand struct {
	Directory string `arg:"" help:"Directory of the board's identity; it is created where it does not exist."`
	Serial    string `required:"" help:"The board's serial number."`
	keyFlags
	Replace bool `help:"Overwrite the present key. The peers must then trust the new one." xor:"present"`
	Request bool `help:"Write the input for satkeys ca sign, as PEM. A present key of this serial number stays." xor:"present"`
}

func (c createCommand) Run(s *invocation) error {
	options, err := c.options(s)
	if err != nil {
		return err
	}
	options.Serial, options.Replace = c.Serial, c.Replace
	board, err := identity.Create(c.Directory, options)
	if c.Request && errors.Is(err, identity.ErrExists) {
		// So a command for many boards can be repeated after one of them has failed.
		if board, err = identity.Load(c.Directory); err == nil && board.Serial != c.Serial {
			err = fmt.Errorf("%w in %s, and it is that of %s, not of %s", identity.ErrExists, c.Directory, board.Serial, c.Serial)
		}
	}
	if err != nil {
		return err
	}
	if c.Request {
		return s.writeRequest(c.Directory)
	}
	return s.report(reportOf(c.Directory, board),
		"made the identity of %[1]s in %[2]s, valid until %[3]s\nfingerprint  %[4]s\nhave the other board trust it:  satkeys trust DIRECTORY %[4]s --serial %[1]s\n",
		board.Serial, c.Directory, day(board.Expires()), board.Fingerprint)
}

type showCommand struct {
	Directory   string `arg:"" help:"Directory of the board's identity."`
	Certificate bool   `help:"Write the certificate alone, as PEM, for the other board's trust." xor:"what"`
	Request     bool   `help:"Write the input for satkeys ca sign, as PEM: for the prepared key, if there is one." xor:"what"`
	Within      int    `help:"End with status 4 when the certificate expires within this number of days."`
}

func (c showCommand) Run(s *invocation) error {
	board, err := identity.Load(c.Directory)
	if err != nil {
		return err
	}
	if c.Certificate {
		_, err := s.out.Write(identity.EncodeCertificates(board.Chain()))
		return err
	}
	if c.Request {
		return s.writeRequest(c.Directory)
	}
	trust, err := identity.LoadTrust(c.Directory)
	if err != nil {
		return fmt.Errorf("%w; a module that runs keeps the trust that it read before: satkeys cannot show that", err)
	}
	report := reportOf(c.Directory, board)
	report.Peers, report.Repeated = trust.Peers, trust.Repeated()
	for _, authority := range trust.Authorities {
		certificate := authority.Certificate
		report.Authorities = append(report.Authorities, authorityReport{
			certificate.Subject.CommonName, identity.FingerprintOf(certificate), certificate.NotAfter, authority.Serials,
		})
	}
	if next, err := identity.LoadNext(c.Directory); err == nil {
		report.Next = &next.Fingerprint
	}
	if err := c.write(s, report); err != nil {
		return err
	}
	if c.Within > 0 && report.Expires.Before(s.now().AddDate(0, 0, c.Within)) {
		return errEnds
	}
	return nil
}

// writeRequest writes the input for satkeys ca sign.
func (s *invocation) writeRequest(directory string) error {
	request, err := identity.Request(directory, s.now())
	if err != nil {
		return err
	}
	_, err = s.out.Write(identity.EncodeCertificates([]*x509.Certificate{request}))
	return err
}

func (c showCommand) write(s *invocation, report boardReport) error {
	if s.json {
		return s.report(report, "")
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "serial\t%s\nfingerprint\t%s\nexpires\t%s\n", report.Serial, report.Fingerprint, day(report.Expires))
	if report.SignedBy != "" {
		fmt.Fprintf(table, "signed by\t%s\n", report.SignedBy)
	}
	if report.Next != nil {
		fmt.Fprintf(table, "next key\t%s\n", report.Next)
	}
	for _, pin := range report.Peers {
		note := ""
		if slices.Contains(report.Repeated, pin.Serial) {
			note = "  (one of several keys of this serial number)"
		}
		fmt.Fprintf(table, "trusts\t%s  %s%s\n", pin.Fingerprint, pin.Serial, note)
	}
	for _, authority := range report.Authorities {
		vouches := "all boards"
		if len(authority.Serials) > 0 {
			vouches = fmt.Sprint(authority.Serials)
		}
		fmt.Fprintf(table, "trusts\t%s  authority %q for %s, until %s\n", authority.Fingerprint, authority.Name, vouches, day(authority.Expires))
	}
	if len(report.Peers)+len(report.Authorities) == 0 {
		fmt.Fprintf(table, "trusts\tnobody yet: satkeys trust %s FINGERPRINT --serial SERIAL\n", report.Directory)
	}
	return table.Flush()
}

type rotateCommand struct {
	Directory string `arg:"" help:"Directory of the board's identity."`
	keyFlags
	Replace bool `help:"Overwrite a prepared key." xor:"how"`
	Finish  bool `help:"Start to use the prepared key, and delete the old one." xor:"how"`
}

func (c rotateCommand) Run(s *invocation) error {
	if c.Finish {
		board, err := identity.Activate(c.Directory)
		if err != nil {
			return err
		}
		return s.report(reportOf(c.Directory, board), "the key %[1]s is in use\ntake the trust in the old one away on the other board:  satkeys untrust DIRECTORY OLD-FINGERPRINT\n",
			board.Fingerprint)
	}
	options, err := c.options(s)
	if err != nil {
		return err
	}
	options.Replace = c.Replace
	next, err := identity.Rotate(c.Directory, options)
	if err != nil {
		return err
	}
	return s.report(reportOf(c.Directory, next),
		"prepared a new key for %[1]s; the old one is still in use\nfingerprint  %[2]s\nfirst have the other board trust it too:  satkeys trust DIRECTORY %[2]s --serial %[1]s\nor have the authority sign it:            satkeys ca sign AUTHORITY-DIRECTORY %[3]s --as ROLE\nthen use it:  satkeys rotate %[3]s --finish\n",
		next.Serial, next.Fingerprint, c.Directory)
}

type adoptCommand struct {
	Directory string `arg:"" help:"Directory of the board's identity."`
	File      string `arg:"" help:"Output of satkeys ca sign; - is standard input."`
	Trust     bool   `help:"Trust the authority in it, too, for all boards and without a question."`
}

func (c adoptCommand) Run(s *invocation) error {
	text, err := s.read(c.File)
	if err != nil {
		return err
	}
	chain, err := identity.ParseCertificates(text)
	if err != nil {
		return err
	}
	authority := slices.IndexFunc(chain, func(one *x509.Certificate) bool { return one.IsCA })
	if c.Trust && (authority < 0 || chain[0].CheckSignatureFrom(chain[authority]) != nil) {
		return fmt.Errorf("%s has no certificate of the authority that has signed the board's: leave --trust out, and run satkeys trust with the authority's", c.File)
	}
	board, err := identity.Adopt(c.Directory, withoutRoots(chain))
	if err != nil {
		return err
	}
	if c.Trust {
		if err := trustAuthority(c.Directory, chain[authority]); err != nil {
			return err
		}
	}
	return s.report(reportOf(c.Directory, board), "%s shows the certificate of %q from now on, valid until %s\n",
		board.Serial, board.Leaf().Issuer.CommonName, day(board.Expires()))
}

// maxInput is how many bytes of standard input are read. Certificates have a few thousand.
const maxInput = 1 << 20

// read returns the content of a file, or of standard input for "-".
func (s *invocation) read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(s.in, maxInput))
	}
	return os.ReadFile(path)
}
