package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/durable"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// signedFolder has the certificates that an authority has signed, in its directory: a file for each key.
const signedFolder = "signed"

// signedReport is the JSON of one signed certificate.
type signedReport struct {
	Serial      string               `json:"serial"`
	Role        string               `json:"role"`
	Fingerprint identity.Fingerprint `json:"fingerprint"`
	Expires     time.Time            `json:"expires"`
	// Repeated is set where another key of this serial number is signed, too.
	Repeated bool `json:"repeated_serial,omitempty"`
}

// register keeps a signed certificate with the authority, and points out another key of its serial number.
func (c caSignCommand) register(s *invocation, signed *x509.Certificate) error {
	serial, err := identity.SerialOf(signed)
	if err != nil {
		return err
	}
	folder := filepath.Join(c.Directory, signedFolder)
	if err := durable.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// A serial number has only characters of file names.
	path := filepath.Join(folder, serial+"-"+identity.FingerprintOf(signed).String()+".pem")
	if err := durable.Replace(path, identity.EncodeCertificates([]*x509.Certificate{signed}), 0o600); err != nil {
		return err
	}
	all, err := signedBy(c.Directory, s.now())
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Serial == serial && other.Repeated && other.Fingerprint != identity.FingerprintOf(signed) {
			fmt.Fprintf(s.err, "two keys: the authority has also signed the key %s for %s. After a change of keys or of the board that is right.\n"+
				"Otherwise two boards have one serial number: give each its own. See satkeys ca list %s\n", other.Fingerprint, serial, c.Directory)
		}
	}
	return nil
}

// signedBy returns what an authority has signed and has not expired, by serial number.
func signedBy(directory string, now time.Time) ([]signedReport, error) {
	folder := filepath.Join(directory, signedFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	signed := []signedReport{}
	keys := map[string]int{}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".pem" {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		chain, err := identity.ParseCertificates(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		serial, err := identity.SerialOf(chain[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if chain[0].NotAfter.Before(now) {
			continue
		}
		role := identity.Satellite
		if slices.Contains(chain[0].ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
			role = identity.Controller
		}
		keys[serial]++
		signed = append(signed, signedReport{Serial: serial, Role: role.String(), Fingerprint: identity.FingerprintOf(chain[0]), Expires: chain[0].NotAfter})
	}
	for i := range signed {
		signed[i].Repeated = keys[signed[i].Serial] > 1
	}
	slices.SortStableFunc(signed, func(one, other signedReport) int { return verdict.Compare(one.Serial, other.Serial) })
	return signed, nil
}

type caListCommand struct {
	Directory string `arg:"" help:"Directory of the authority."`
}

func (c caListCommand) Run(s *invocation) error {
	if _, err := identity.LoadAuthority(c.Directory); err != nil {
		return err
	}
	signed, err := signedBy(c.Directory, s.now())
	if err != nil {
		return err
	}
	if s.json {
		return s.report(signed, "")
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERIAL\tROLE\tFINGERPRINT\tEXPIRES\tNOTE")
	for _, one := range signed {
		note := ""
		if one.Repeated {
			note = "one of several keys of this serial number"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", one.Serial, one.Role, one.Fingerprint, day(one.Expires), note)
	}
	return table.Flush()
}
