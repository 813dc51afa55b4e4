package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// keys runs a command line and checks its exit status.
func keys(t *testing.T, want int, input string, arguments ...string) (out, err string) {
	t.Helper()
	var output, errors bytes.Buffer
	if status := run(arguments, strings.NewReader(input), &output, &errors); status != want {
		t.Fatalf("satkeys %s: status %d, want %d\n%s%s", strings.Join(arguments, " "), status, want, output.String(), errors.String())
	}
	return output.String(), errors.String()
}

func report(t *testing.T, arguments ...string) boardReport {
	t.Helper()
	out, _ := keys(t, exitDone, "", append(arguments, "-json")...)
	var report boardReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return report
}

// meet reports whether two boards accept each other.
func meet(t *testing.T, satellite, controller string) error {
	t.Helper()
	open := func(directory string) *identity.Store {
		store, err := identity.Open(directory, identity.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	one, other := open(satellite), open(controller)
	if _, err := one.Verify(other.Identity().Chain(), identity.Controller, ""); err != nil {
		return err
	}
	_, err := other.Verify(one.Identity().Chain(), identity.Satellite, "SAT01")
	return err
}

func TestPairing(t *testing.T) {
	sat, main := filepath.Join(t.TempDir(), "sat"), filepath.Join(t.TempDir(), "main")
	ofSat := report(t, "create", sat, "--serial", "SAT01").Fingerprint.String()
	ofMain := report(t, "create", main, "--serial", "MAIN01", "--algorithm", "p256").Fingerprint.String()
	if meet(t, sat, main) == nil {
		t.Error("they trust each other before they were told to")
	}
	keys(t, exitDone, "", "trust", sat, ofMain, "--serial", "MAIN01")
	keys(t, exitDone, "", "trust", main, strings.ToLower(ofSat), "--serial", "SAT01")
	if err := meet(t, sat, main); err != nil {
		t.Error(err)
	}
	shown := report(t, "show", sat)
	if shown.Serial != "SAT01" || len(shown.Peers) != 1 || shown.Peers[0].Fingerprint.String() != ofMain || shown.SignedBy != "" {
		t.Errorf("shown: %+v", shown)
	}
	text, _ := keys(t, exitDone, "", "show", sat)
	for _, want := range []string{"SAT01", ofSat, ofMain, "MAIN01", shown.Expires.Format(time.DateOnly)} {
		if !strings.Contains(text, want) {
			t.Errorf("show does not tell %s:\n%s", want, text)
		}
	}
	keys(t, exitDone, "", "untrust", sat, "MAIN01")
	if meet(t, sat, main) == nil {
		t.Error("they trust each other after they were told not to")
	}
	keys(t, exitFailed, "", "untrust", sat, "MAIN01")
}

// show and a running module say the same about trust, also where its file was removed.
func TestShowSaysWhatAModuleTrusts(t *testing.T) {
	sat := filepath.Join(t.TempDir(), "sat")
	own := report(t, "create", sat, "--serial", "SAT01").Fingerprint.String()
	module, err := identity.Open(sat, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	agree := func(want int) {
		t.Helper()
		if shown, trusted := report(t, "show", sat).Peers, module.Trust().Peers; len(shown) != want || len(trusted) != want {
			t.Errorf("shown %v, trusted %v, want %d", shown, trusted, want)
		}
	}
	agree(0)
	keys(t, exitDone, "", "trust", sat, own, "--serial", "SAT01")
	agree(1)
	if err := os.Remove(filepath.Join(sat, "trusted.json")); err != nil {
		t.Fatal(err)
	}
	agree(0)
	keys(t, exitDone, "", "trust", sat, own, "--serial", "SAT01")
	agree(1)
	if err := os.Chmod(filepath.Join(sat, "trusted.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, says := keys(t, exitFailed, "", "show", sat)
	for _, want := range []string{"trusted.json has mode 0644", "chmod 0600 ", "keeps the trust that it read before"} {
		if !strings.Contains(says, want) {
			t.Errorf("show says %q, want %q in it", says, want)
		}
	}
	if peers := module.Trust().Peers; len(peers) != 1 {
		t.Errorf("the module trusts %v", peers)
	}
}

// The certificates may be written where others may write, such as /tmp: a link that waits there is not followed.
func TestSignFollowsNoLink(t *testing.T) {
	home := t.TempDir()
	sat, ca, request, target, output := home+"/sat", home+"/ca", home+"/request.pem", home+"/target", home+"/signed.pem"
	keys(t, exitDone, "", "create", sat, "--serial", "SAT01")
	keys(t, exitDone, "", "ca", "create", ca, "Station 7")
	text, _ := keys(t, exitDone, "", "show", sat, "--request")
	for path, content := range map[string]string{request: text, target: "precious"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(target, output); err != nil {
		t.Fatal(err)
	}
	keys(t, exitDone, "", "ca", "sign", ca, request, "--as", "satellite", "--output", output)
	if content, err := os.ReadFile(target); err != nil || string(content) != "precious" {
		t.Errorf("the target of the link is %q, %v", content, err)
	}
	keys(t, exitDone, "", "adopt", sat, output)
	if info, err := os.Lstat(output); err != nil || info.Mode() != 0o644 {
		t.Errorf("the output is %v, %v", info.Mode(), err)
	}
}

func TestRotation(t *testing.T) {
	sat, main := filepath.Join(t.TempDir(), "sat"), filepath.Join(t.TempDir(), "main")
	old := report(t, "create", sat, "--serial", "SAT01").Fingerprint.String()
	keys(t, exitDone, "", "trust", sat, report(t, "create", main, "--serial", "MAIN01").Fingerprint.String(), "--serial", "MAIN01")
	keys(t, exitDone, "", "trust", main, old, "--serial", "SAT01")
	works := func() {
		t.Helper()
		if err := meet(t, sat, main); err != nil {
			t.Error(err)
		}
	}
	keys(t, exitFailed, "", "rotate", sat, "--finish")
	next := report(t, "rotate", sat).Fingerprint.String()
	keys(t, exitExists, "", "rotate", sat)
	if shown := report(t, "show", sat); shown.Next == nil || shown.Next.String() != next {
		t.Errorf("shown: %+v", shown)
	}
	works()
	keys(t, exitDone, "", "trust", main, next, "--serial", "SAT01")
	works()
	keys(t, exitDone, "", "rotate", sat, "--finish")
	works()
	keys(t, exitDone, "", "untrust", main, old)
	works()
}

func TestAuthority(t *testing.T) {
	home := t.TempDir()
	sat, main, ca := filepath.Join(home, "sat"), filepath.Join(home, "main"), filepath.Join(home, "ca")
	keys(t, exitDone, "", "create", sat, "--serial", "SAT01")
	keys(t, exitDone, "", "create", main, "--serial", "MAIN01")
	keys(t, exitDone, "", "ca", "create", ca, "Station 7")
	keys(t, exitExists, "", "ca", "create", ca, "Station 7")
	// The directory of the satellite is local, that of the main board is not.
	keys(t, exitDone, "", "ca", "sign", ca, sat, "--as", "satellite")
	request, signed := filepath.Join(home, "main.pem"), filepath.Join(home, "signed.pem")
	text, _ := keys(t, exitDone, "", "show", main, "--request")
	if err := os.WriteFile(request, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	keys(t, exitDone, "", "ca", "sign", ca, request, "--as", "controller", "--output", signed)
	keys(t, exitDone, "", "adopt", main, signed)
	keys(t, exitDone, "yes\n", "trust", main, signed, "--serial", "SAT01")
	if err := meet(t, sat, main); err != nil {
		t.Error(err)
	}
	shown := report(t, "show", main)
	if shown.SignedBy != "Station 7" || len(shown.Authorities) != 1 || shown.Authorities[0].Serials[0] != "SAT01" {
		t.Errorf("shown: %+v", shown)
	}
	// Signing again does not extend the trust.
	keys(t, exitDone, "", "ca", "sign", ca, main, "--as", "controller")
	if shown := report(t, "show", main); len(shown.Authorities) != 1 || len(shown.Authorities[0].Serials) != 1 {
		t.Errorf("shown after signing again: %+v", shown.Authorities)
	}
	// A renewal: the new key is signed before it is used.
	keys(t, exitDone, "", "rotate", sat)
	keys(t, exitDone, "", "ca", "sign", ca, sat, "--as", "satellite")
	keys(t, exitDone, "", "rotate", sat, "--finish")
	if err := meet(t, sat, main); err != nil {
		t.Error(err)
	}
}

func TestTrustIsConfirmed(t *testing.T) {
	home := t.TempDir()
	sat, main, file := filepath.Join(home, "sat"), filepath.Join(home, "main"), filepath.Join(home, "main.pem")
	keys(t, exitDone, "", "create", sat, "--serial", "SAT01")
	fingerprint := report(t, "create", main, "--serial", "MAIN01").Fingerprint.String()
	text, _ := keys(t, exitDone, "", "show", main, "--certificate")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"", "\n", "no\n", "yess\n"} {
		if _, shown := keys(t, exitNotConfirmed, answer, "trust", sat, file); !strings.Contains(shown, fingerprint) || !strings.Contains(shown, "MAIN01") {
			t.Errorf("it asks without showing the fingerprint: %s", shown)
		}
	}
	if shown := report(t, "show", sat); len(shown.Peers) != 0 {
		t.Errorf("trusted: %+v", shown.Peers)
	}
	keys(t, exitFailed, "", "trust", sat, file, "--serial", "MAIN02", "--yes")
	keys(t, exitDone, "yes\n", "trust", sat, file)
	keys(t, exitDone, "", "trust", sat, file, "--yes")
	if shown := report(t, "show", sat); len(shown.Peers) != 1 {
		t.Errorf("trusted: %+v", shown.Peers)
	}
}

func TestRejectedCommands(t *testing.T) {
	home := t.TempDir()
	sat := filepath.Join(home, "sat")
	before := report(t, "create", sat, "--serial", "SAT01", "--days", "20").Fingerprint
	for _, test := range []struct {
		status    int
		arguments string
		says      string
	}{
		{exitUsage, "", "create"},
		{exitUsage, "create " + sat, "--serial"},
		{exitUsage, "frob " + sat, "frob"},
		{exitUsage, "create " + sat + " --serial A --algorithm rsa", "rsa"},
		{exitUsage, "create " + sat + " --serial A --days 0", "--days"},
		{exitUsage, "trust " + sat + " no-such-file", "no-such-file"},
		{exitUsage, "trust " + sat + " " + before.String(), "--serial"},
		{exitUsage, "ca sign " + home + " " + sat + " --as king", "king"},
		{exitExists, "create " + sat + " --serial SAT01", "identity.pem"},
		{exitFailed, "create " + sat + "2 --serial A/B", "A/B"},
		{exitFailed, "show " + home + "/nowhere", "nowhere"},
		{exitFailed, "ca sign " + home + "/nowhere " + sat + " --as satellite", "nowhere"},
		{exitNotConfirmed, "show " + sat + " --within 30", "expires"},
		{exitDone, "show " + sat + " --within 10", ""},
	} {
		_, says := keys(t, test.status, "", strings.Fields(test.arguments)...)
		if !strings.Contains(says, test.says) {
			t.Errorf("satkeys %s says %q, want %q in it", test.arguments, says, test.says)
		}
	}
	if after := report(t, "show", sat); after.Fingerprint != before {
		t.Error("the key was overwritten")
	}
	replaced := report(t, "create", sat, "--serial", "SAT01", "--replace")
	if replaced.Fingerprint == before {
		t.Error("the key was not overwritten")
	}
}
