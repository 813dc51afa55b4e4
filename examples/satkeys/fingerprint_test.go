package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// A mistyped fingerprint is refused, and the error says that it is one. The key behind it is never trusted.
func TestMistypedFingerprintIsRefused(t *testing.T) {
	sat := filepath.Join(t.TempDir(), "sat")
	own := report(t, "create", sat, "--serial", "SAT01").Fingerprint.String()
	other := "A"
	if own[0] == 'A' {
		other = "B"
	}
	for _, mistyped := range []string{other + own[1:], own[5:9] + "-" + own[:4] + own[9:]} {
		if strings.HasPrefix(own, mistyped[:9]) {
			continue // both groups are equal
		}
		for _, arguments := range [][]string{{"trust", sat, mistyped, "--serial", "SAT02"}, {"untrust", sat, mistyped}} {
			_, says := keys(t, exitUsage, "yes\n", arguments...)
			for _, want := range []string{"mistyped", "check characters", mistyped, "satkeys show"} {
				if !strings.Contains(says, want) {
					t.Errorf("%v says %q, want %q in it", arguments, says, want)
				}
			}
		}
	}
	if _, says := keys(t, exitUsage, "", "trust", sat, own[:42], "--serial", "SAT02"); !strings.Contains(says, "34 characters") {
		t.Errorf("a fingerprint that lacks two characters: %s", says)
	}
	if shown := report(t, "show", sat); len(shown.Peers) != 0 {
		t.Errorf("trusted: %v", shown.Peers)
	}
}

// A fingerprint from a database may lack the check characters: a person confirms it, or a script.
func TestOlderFingerprintIsConfirmed(t *testing.T) {
	sat := filepath.Join(t.TempDir(), "sat")
	own := report(t, "create", sat, "--serial", "SAT01").Fingerprint.String()
	if _, says := keys(t, exitNotConfirmed, "no\n", "trust", sat, own[:39], "--serial", "SAT02"); !strings.Contains(says, own) {
		t.Errorf("it asks without the check characters: %s", says)
	}
	if shown := report(t, "show", sat); len(shown.Peers) != 0 {
		t.Errorf("trusted: %v", shown.Peers)
	}
	keys(t, exitDone, "", "trust", sat, own[:39], "--serial", "SAT02", "--yes")
	if shown := report(t, "show", sat); len(shown.Peers) != 1 || shown.Peers[0].Fingerprint.String() != own {
		t.Errorf("trusted: %v", shown.Peers)
	}
	keys(t, exitDone, "", "untrust", sat, own[:39])
}

// The file of trusted peers has the form that software of earlier releases reads, and is read in both.
func TestTrustedFileHasTheOlderForm(t *testing.T) {
	sat := filepath.Join(t.TempDir(), "sat")
	own := report(t, "create", sat, "--serial", "SAT01").Fingerprint.String()
	keys(t, exitDone, "", "trust", sat, own, "--serial", "SAT02")
	path := filepath.Join(sat, "trusted.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var written struct {
		Peers []struct{ Serial, Fingerprint, Added string }
	}
	if err := json.Unmarshal(content, &written); err != nil || len(written.Peers) != 1 || written.Peers[0].Fingerprint != own[:39] ||
		written.Peers[0].Serial != "SAT02" || written.Peers[0].Added == "" {
		t.Fatalf("%s: %v, want the fingerprint %s", content, err, own[:39])
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), own[:39], own, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if trust, err := identity.LoadTrust(sat); err != nil || trust.Peers[0].Fingerprint.String() != own {
		t.Errorf("with check characters the file is read as %v, %v", trust, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), own[:39], own[:40]+"AAAA", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.LoadTrust(sat); err == nil || !strings.Contains(err.Error(), "mistyped") {
		t.Errorf("with wrong check characters: %v", err)
	}
}

// Two keys of one serial number are right during a change of keys, and otherwise two boards: satkeys points at them.
func TestTwoKeysOfOneSerialArePointedOut(t *testing.T) {
	home := t.TempDir()
	sat, main := filepath.Join(home, "sat"), filepath.Join(home, "main")
	keys(t, exitDone, "", "create", main, "--serial", "MAIN01")
	first := report(t, "create", sat, "--serial", "SAT01").Fingerprint.String()
	second := report(t, "create", sat+"2", "--serial", "SAT01").Fingerprint.String()
	trust := func(key, serial string) string {
		_, says := keys(t, exitDone, "", "trust", main, key, "--serial", serial)
		return says
	}
	third := report(t, "create", sat+"3", "--serial", "SAT03").Fingerprint.String()
	if says := trust(first, "SAT01") + trust(third, "SAT03"); says != "" {
		t.Errorf("one key of each serial number: %s", says)
	}
	if shown, _ := keys(t, exitDone, "", "show", main); strings.Contains(shown, "several") {
		t.Errorf("one key of each serial number:\n%s", shown)
	}
	if says := trust(second, "SAT01"); !strings.Contains(says, "several keys of SAT01") || !strings.Contains(says, "untrust the old one") {
		t.Errorf("the second key: %s", says)
	}
	if shown, _ := keys(t, exitDone, "", "show", main); strings.Count(shown, "one of several keys of this serial number") != 2 {
		t.Errorf("show:\n%s", shown)
	}
	if shown := report(t, "show", main); len(shown.Repeated) != 1 || shown.Repeated[0] != "SAT01" {
		t.Errorf("show --json: %v", shown.Repeated)
	}
	keys(t, exitDone, "", "untrust", main, first)
	if shown := report(t, "show", main); len(shown.Repeated) != 0 {
		t.Errorf("after untrust: %v", shown.Repeated)
	}
}
