package identity

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world has boards that pin one another and boards that an authority has signed.
type world struct {
	authority, other            *Authority
	pinned, stranger, impostor  Identity
	satellite, controller, fake []*x509.Certificate
	now                         time.Time
}

func newWorld(t *testing.T) *world {
	home := t.TempDir()
	w := &world{now: time.Now()}
	w.authority = must(CreateAuthority(filepath.Join(home, "ca"), AuthorityOptions{Name: "Station 7"}))(t)
	w.other = must(CreateAuthority(filepath.Join(home, "ca2"), AuthorityOptions{Name: "Station 8"}))(t)
	w.pinned = created(t, filepath.Join(home, "pinned"), "PIN01")
	w.stranger = created(t, filepath.Join(home, "stranger"), "STR01")
	w.impostor = created(t, filepath.Join(home, "impostor"), "PIN01")
	signed := func(authority *Authority, name, serial string, role Role) []*x509.Certificate {
		board := created(t, filepath.Join(home, name), serial)
		return []*x509.Certificate{must(authority.Sign(board.Leaf(), role, 10*24*time.Hour, w.now))(t)}
	}
	w.satellite = signed(w.authority, "satellite", "SAT01", Satellite)
	w.controller = signed(w.authority, "controller", "MAIN01", Controller)
	w.fake = signed(w.other, "fake", "SAT01", Satellite)
	return w
}

func TestWhoIsLetIn(t *testing.T) {
	w := newWorld(t)
	pins := Trust{Peers: []Pin{{Serial: "PIN01", Fingerprint: w.pinned.Fingerprint}}}
	renamed := Trust{Peers: []Pin{{Serial: "PIN02", Fingerprint: w.pinned.Fingerprint}}}
	all := Trust{Authorities: []TrustedAuthority{{Certificate: w.authority.Certificate}}}
	some := Trust{Authorities: []TrustedAuthority{{Certificate: w.authority.Certificate, Serials: []string{"SAT02"}}}}
	for _, test := range []struct {
		name   string
		trust  Trust
		chain  []*x509.Certificate
		role   Role
		serial string
		now    time.Time
		want   Reason
	}{
		{"a pinned key", pins, w.pinned.Chain(), Satellite, "", w.now, ""},
		{"a pinned key as a controller", pins, w.pinned.Chain(), Controller, "PIN01", w.now, ""},
		{"a pinned key in 1970", pins, w.pinned.Chain(), Satellite, "", time.Unix(0, 0), ""},
		{"a pinned key in a hundred years", pins, w.pinned.Chain(), Satellite, "", w.now.AddDate(100, 0, 0), ""},
		{"a pinned key of another board than expected", pins, w.pinned.Chain(), Satellite, "PIN02", w.now, WrongSerial},
		{"a pinned key under another name", renamed, w.pinned.Chain(), Satellite, "", w.now, WrongSerial},
		{"a name without the key", pins, w.impostor.Chain(), Satellite, "", w.now, Untrusted},
		{"a stranger", pins, w.stranger.Chain(), Satellite, "", w.now, Untrusted},
		{"anybody where nobody is trusted", Trust{}, w.pinned.Chain(), Satellite, "", w.now, Untrusted},
		{"nobody", pins, nil, Satellite, "", w.now, NoCertificate},
		{"an authority's own certificate", all, []*x509.Certificate{w.authority.Certificate}, Satellite, "", w.now, reasonNoSerial},
		{"a signed satellite", all, w.satellite, Satellite, "SAT01", w.now, ""},
		{"a signed controller", all, w.controller, Controller, "", w.now, ""},
		{"a satellite that would control", all, w.satellite, Controller, "", w.now, WrongRole},
		{"a controller that would be a satellite", all, w.controller, Satellite, "", w.now, WrongRole},
		{"a satellite of another authority", all, w.fake, Satellite, "", w.now, Untrusted},
		{"a signed satellite that is not one of the authority's", some, w.satellite, Satellite, "", w.now, Untrusted},
		{"a stranger at an authority", all, w.stranger.Chain(), Satellite, "", w.now, Untrusted},
		{"a signed satellite after its end", all, w.satellite, Satellite, "", w.now.AddDate(1, 0, 0), Expired},
		{"a signed satellite in 1970", all, w.satellite, Satellite, "", time.Unix(0, 0), ""},
	} {
		peer, err := test.trust.Verify(test.chain, test.role, test.serial, test.now, w.pinned.Leaf().NotBefore)
		var got Reason
		if err != nil {
			got = ReasonOf(err)
			var failed *PeerError
			if !errors.As(err, &failed) || failed.Error() == "" {
				t.Errorf("%s: %v is no PeerError", test.name, err)
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.want)
		}
		if err == nil && (peer.Fingerprint != FingerprintOf(test.chain[0]) || peer.Serial == "") {
			t.Errorf("%s: it is %+v", test.name, peer)
		}
	}
}

func TestTrustIsKept(t *testing.T) {
	w := newWorld(t)
	directory := filepath.Join(t.TempDir(), "board")
	trust := must(LoadTrust(directory))(t)
	for i, want := range []bool{true, false} {
		if added, err := trust.Pin(Pin{Serial: "PIN01", Fingerprint: w.pinned.Fingerprint, Added: w.now.UTC().Truncate(time.Second)}); err != nil || added != want {
			t.Errorf("pin %d: %v, %v", i, added, err)
		}
	}
	if _, err := trust.Pin(Pin{Serial: "PIN02", Fingerprint: w.pinned.Fingerprint}); err == nil {
		t.Error("one key is pinned for two boards")
	}
	if _, err := trust.Pin(Pin{Serial: "PIN01", Fingerprint: w.impostor.Fingerprint}); err != nil {
		t.Errorf("a second key of one board, as rotation needs it: %v", err)
	}
	for range 2 {
		if err := trust.TrustAuthority(w.authority.Certificate, []string{"SAT01"}); err != nil {
			t.Error(err)
		}
	}
	if trust.TrustAuthority(w.stranger.Leaf(), nil) == nil {
		t.Error("a board is trusted as an authority")
	}
	if err := trust.Save(directory); err != nil {
		t.Fatal(err)
	}
	info := must(os.Stat(filepath.Join(directory, "trusted.json")))(t)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("trusted.json has mode %v", info.Mode())
	}
	loaded := must(LoadTrust(directory))(t)
	if diff := cmp.Diff(trust, loaded, cmp.Comparer(func(one, other *x509.Certificate) bool { return one.Equal(other) })); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		name string
		want int
	}{
		{"NOBODY", 0}, {"PIN01", 2}, {"Station 7", 1}, {"PIN01", 0},
	} {
		if got := loaded.Remove(test.name); got != test.want {
			t.Errorf("%d entries were removed for %s, want %d", got, test.name, test.want)
		}
	}
	if got := trust.Remove(w.impostor.Fingerprint.String()); got != 1 || len(trust.Peers) != 1 {
		t.Errorf("%d entries were removed for a fingerprint, %v are left", got, trust.Peers)
	}
}

// A misspelled word beside an authority must not make it vouch for all boards.
func TestAMisspelledWordTrustsNobody(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"serials", "serial"} {
		directory := filepath.Join(t.TempDir(), "board")
		var trust Trust
		if err := trust.TrustAuthority(w.authority.Certificate, []string{"SAT02"}); err != nil {
			t.Fatal(err)
		}
		if err := trust.Save(directory); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(directory, "trusted.json")
		text := strings.Replace(string(must(os.ReadFile(path))(t)), `"serials"`, `"`+name+`"`, 1)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := LoadTrust(directory)
		if (err == nil) != (name == "serials") {
			t.Errorf("%s was read as %+v, %v", name, read, err)
		}
	}
}

// Whoever may put a file in the directory would decide about trust.
func TestTrustInAnOpenDirectory(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "board")
	if err := (Trust{}).Save(directory); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(directory, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadTrust(directory); !errors.Is(err, errPermissions) {
		t.Errorf("error %v, want errPermissions", err)
	}
}

func TestTrustThatCannotBeReadTrustsNobody(t *testing.T) {
	for _, text := range []string{
		"", "{", `{"peers":[{"serial":"A"}]}`, `{"peers":[{"serial":"","fingerprint":"` + strings.Repeat("A", 31) + `B"}]}`,
		`{"peer":[]}`, `{"authorities":[{"certificate":""}]}`, `{"authorities":[{}]}`,
	} {
		directory := t.TempDir()
		if err := os.Chmod(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, "trusted.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if trust, err := LoadTrust(directory); err == nil {
			t.Errorf("%q was read as %+v", text, trust)
		}
	}
}
