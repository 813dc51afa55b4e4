package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

type trustCommand struct {
	Directory string   `arg:"" help:"Directory of the identity of the board that shall trust the peer."`
	Peer      string   `arg:"" help:"The peer's fingerprint, or a file with its certificate or that of an authority."`
	Serial    []string `help:"Serial number of the peer. For an authority: a board that it may sign; may be repeated; default: all boards."`
	Yes       bool     `short:"y" help:"Do not ask for confirmation of the certificate in the file, or of a fingerprint without check characters."`
}

// trustReport is the JSON of a trusted peer or authority.
type trustReport struct {
	Directory   string               `json:"directory"`
	Serial      string               `json:"serial,omitempty"`
	Authority   string               `json:"authority,omitempty"`
	Serials     []string             `json:"serials,omitempty"`
	Fingerprint identity.Fingerprint `json:"fingerprint"`
	// Added is false for a peer that was trusted before.
	Added bool `json:"added"`
}

func (c trustCommand) Run(s *invocation) error {
	trust, err := identity.LoadTrust(c.Directory)
	if err != nil {
		return err
	}
	fingerprint, checked, malformed := identity.ReadFingerprint(c.Peer)
	if malformed == nil {
		if len(c.Serial) != 1 {
			return fmt.Errorf("%w: a fingerprint needs one --serial, the peer's", errUsage)
		}
		if !checked {
			if err := c.confirm(s, fmt.Sprintf("This fingerprint lacks the last group, whose characters find a mistyped one.\nWith that group it is\nfingerprint  %s\n", fingerprint)); err != nil {
				return err
			}
		}
		return c.pin(s, trust, identity.Pin{Serial: c.Serial[0], Fingerprint: fingerprint})
	}
	text, unreadable := os.ReadFile(c.Peer)
	switch {
	case errors.Is(unreadable, os.ErrNotExist) && errors.Is(malformed, identity.ErrMistyped):
		return fmt.Errorf("%w: %w", errUsage, malformed)
	case errors.Is(unreadable, os.ErrNotExist):
		return fmt.Errorf("%w: there is no such file, and %w", errUsage, malformed)
	}
	if unreadable != nil {
		return unreadable
	}
	chain, err := identity.ParseCertificates(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Peer, err)
	}
	for _, certificate := range chain {
		if certificate.IsCA {
			return c.authority(s, trust, certificate)
		}
	}
	serial, err := identity.SerialOf(chain[0])
	if err != nil {
		return err
	}
	if len(c.Serial) > 0 && (len(c.Serial) > 1 || c.Serial[0] != serial) {
		return fmt.Errorf("the certificate in %s is that of %s, not of %s", c.Peer, serial, strings.Join(c.Serial, ", "))
	}
	fingerprint = identity.FingerprintOf(chain[0])
	if err := c.confirm(s, fmt.Sprintf("peer         %s\nfingerprint  %s\n", serial, fingerprint)); err != nil {
		return err
	}
	return c.pin(s, trust, identity.Pin{Serial: serial, Fingerprint: fingerprint})
}

func (c trustCommand) pin(s *invocation, trust identity.Trust, pin identity.Pin) error {
	pin.Added = s.now().UTC()
	added, err := trust.Pin(pin)
	if err != nil {
		return err
	}
	if added {
		if err := trust.Save(c.Directory); err != nil {
			return err
		}
	}
	if slices.Contains(trust.Repeated(), pin.Serial) {
		fmt.Fprintf(s.err, "two keys: this board now trusts several keys of %s. While that board changes its key that is right: then untrust the old one.\n"+
			"Otherwise two boards have one serial number: give each its own. See satkeys show %s\n", pin.Serial, c.Directory)
	}
	return s.report(trustReport{Directory: c.Directory, Serial: pin.Serial, Fingerprint: pin.Fingerprint, Added: added},
		"%s trusts %s  %s\n", c.Directory, pin.Serial, pin.Fingerprint)
}

func (c trustCommand) authority(s *invocation, trust identity.Trust, certificate *x509.Certificate) error {
	name, fingerprint := certificate.Subject.CommonName, identity.FingerprintOf(certificate)
	boards := "all boards"
	if len(c.Serial) > 0 {
		boards = strings.Join(c.Serial, ", ")
	}
	if err := c.confirm(s, fmt.Sprintf("authority    %s\nfingerprint  %s\nvouches for  %s\n", name, fingerprint, boards)); err != nil {
		return err
	}
	if err := trust.TrustAuthority(certificate, c.Serial); err != nil {
		return err
	}
	if err := trust.Save(c.Directory); err != nil {
		return err
	}
	return s.report(trustReport{Directory: c.Directory, Authority: name, Serials: c.Serial, Fingerprint: fingerprint, Added: true},
		"%s trusts the authority %q for %s\n", c.Directory, name, boards)
}

// confirm asks the user for confirmation on standard error, so that standard output has only the result.
func (c trustCommand) confirm(s *invocation, what string) error {
	fmt.Fprint(s.err, what)
	if c.Yes {
		return nil
	}
	fmt.Fprint(s.err, "compare the fingerprint with what satkeys shows where it was made. Trust it? [yes/no] ")
	answer, _ := bufio.NewReader(s.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errNotConfirmed
}

type untrustCommand struct {
	Directory string `arg:"" help:"Directory of the identity of the board."`
	Peer      string `arg:"" help:"The peer's serial number or fingerprint, or an authority's name or fingerprint."`
}

func (c untrustCommand) Run(s *invocation) error {
	trust, err := identity.LoadTrust(c.Directory)
	if err != nil {
		return err
	}
	removed := trust.Remove(c.Peer)
	if _, err := identity.ParseFingerprint(c.Peer); removed == 0 && errors.Is(err, identity.ErrMistyped) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if removed == 0 {
		return fmt.Errorf("%s does not trust %s: see satkeys show %s", c.Directory, c.Peer, c.Directory)
	}
	if err := trust.Save(c.Directory); err != nil {
		return err
	}
	return s.report(map[string]any{"directory": c.Directory, "removed": removed},
		"%s no longer trusts %s (%d removed); its link is closed within ten seconds\n", c.Directory, c.Peer, removed)
}

// withoutRoots returns a chain without root certificates, which the other board must trust by itself.
func withoutRoots(chain []*x509.Certificate) []*x509.Certificate {
	var kept []*x509.Certificate
	for i, certificate := range chain {
		if i == 0 || !bytes.Equal(certificate.RawIssuer, certificate.RawSubject) {
			kept = append(kept, certificate)
		}
	}
	return kept
}
