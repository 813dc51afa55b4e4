package identity

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func created(t testing.TB, directory, serial string) Identity {
	t.Helper()
	made, err := Create(directory, CreateOptions{Serial: serial})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestNoCertificateIsNotAdopted(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "board")
	created(t, directory, "SAT01")
	if _, err := Adopt(directory, nil); err == nil {
		t.Error("no error")
	}
}

func TestAnIdentityIsItsOwnersAlone(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "new", "board")
	made := created(t, directory, "ABC123")
	for path, want := range map[string]fs.FileMode{directory: 0o700, filepath.Join(directory, "identity.pem"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v, %v", path, info.Mode(), want, err)
		}
	}
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory has %v, %v, want one file", entries, err)
	}
	loaded := must(Load(directory))(t)
	if loaded.Serial != "ABC123" || loaded.Fingerprint != made.Fingerprint || !loaded.Leaf().Equal(made.Leaf()) {
		t.Errorf("loaded %+v, want %+v", loaded, made)
	}
	if serial, err := SerialOf(loaded.Leaf()); serial != "ABC123" || err != nil {
		t.Errorf("the certificate's serial number is %q, %v", serial, err)
	}
	if uri := loaded.Leaf().URIs[0].String(); uri != "urn:remotechargeport:serial:ABC123" {
		t.Errorf("the certificate's URI is %s", uri)
	}
	for path, mode := range map[string]fs.FileMode{
		directory: 0o755, filepath.Join(directory, "identity.pem"): 0o640,
	} {
		before := must(os.Stat(path))(t).Mode()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(directory); !errors.Is(err, errPermissions) {
			t.Errorf("%s with mode %v: %v, want errPermissions", path, mode, err)
		}
		if err := os.Chmod(path, before); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAKeyIsNeverOverwrittenUnasked(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "board")
	first := created(t, directory, "ABC123")
	if _, err := Create(directory, CreateOptions{Serial: "ABC123"}); !errors.Is(err, ErrExists) {
		t.Errorf("a second Create: %v, want ErrExists", err)
	}
	if again := must(Load(directory))(t); again.Fingerprint != first.Fingerprint {
		t.Error("the key was overwritten")
	}
	second := must(Create(directory, CreateOptions{Serial: "ABC124", Replace: true}))(t)
	if again := must(Load(directory))(t); again.Fingerprint != second.Fingerprint || again.Serial != "ABC124" {
		t.Error("the key was not replaced")
	}
	if _, err := Load(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, ErrMissing) {
		t.Errorf("no directory: %v, want ErrMissing", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("an empty directory has an identity")
	}
}

func TestRotationKeepsTheSerialNumber(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "board")
	old := created(t, directory, "ABC123")
	if _, err := Activate(directory); !errors.Is(err, ErrMissing) {
		t.Errorf("Activate without Rotate: %v, want ErrMissing", err)
	}
	next := must(Rotate(directory, CreateOptions{Algorithm: p256}))(t)
	if next.Serial != "ABC123" || next.Fingerprint == old.Fingerprint {
		t.Errorf("prepared %s %s", next.Serial, next.Fingerprint)
	}
	if _, ok := next.Certificate.PrivateKey.(*ecdsa.PrivateKey); !ok {
		t.Errorf("the key is a %T", next.Certificate.PrivateKey)
	}
	if _, err := Rotate(directory, CreateOptions{}); !errors.Is(err, ErrExists) {
		t.Errorf("a second Rotate: %v, want ErrExists", err)
	}
	if present := must(Load(directory))(t); present.Fingerprint != old.Fingerprint {
		t.Error("the key is in use before it was activated")
	}
	must(Activate(directory))(t)
	if present := must(Load(directory))(t); present.Fingerprint != next.Fingerprint {
		t.Error("the key is not in use after it was activated")
	}
	if _, err := LoadNext(directory); !errors.Is(err, ErrMissing) {
		t.Errorf("after Activate: %v, want ErrMissing", err)
	}
}

// A board that makes its key before it knows the time must not have a certificate
// that expired before the board was built.
func TestACertificateMadeIn1970(t *testing.T) {
	made := must(Create(filepath.Join(t.TempDir(), "board"), CreateOptions{
		Serial: "ABC123", Now: func() time.Time { return time.Unix(5, 0) },
	}))(t)
	if begin := made.Leaf().NotBefore; begin.Year() < 2026 {
		t.Errorf("it begins %v", begin)
	}
	if made.Expires().Before(time.Now().Add(10 * 365 * 24 * time.Hour)) {
		t.Errorf("it ends %v", made.Expires())
	}
}

func TestAnAuthoritySignsWhatABoardProves(t *testing.T) {
	home := t.TempDir()
	must(CreateAuthority(filepath.Join(home, "ca"), AuthorityOptions{Name: "Station 7"}))(t)
	if _, err := CreateAuthority(filepath.Join(home, "ca"), AuthorityOptions{Name: "Station 8"}); !errors.Is(err, ErrExists) {
		t.Errorf("a second authority: %v, want ErrExists", err)
	}
	authority := must(LoadAuthority(filepath.Join(home, "ca")))(t)
	board := created(t, filepath.Join(home, "board"), "ABC123")
	other := created(t, filepath.Join(home, "other"), "ABC124")
	signed := must(authority.Sign(board.Leaf(), Satellite, 0, time.Now()))(t)
	adopted := must(Adopt(filepath.Join(home, "board"), []*x509.Certificate{signed}))(t)
	if adopted.Fingerprint != board.Fingerprint || adopted.Serial != "ABC123" || !adopted.Leaf().Equal(signed) {
		t.Errorf("adopted %+v", adopted)
	}
	if _, err := Adopt(filepath.Join(home, "other"), []*x509.Certificate{signed}); err == nil {
		t.Error("a board adopted the certificate of another key")
	}
	if _, err := authority.Sign(signed, Satellite, 0, time.Now()); err == nil {
		t.Error("what an authority has signed proves nothing of the board, and was signed")
	}
	if _, err := authority.Sign(other.Leaf(), anyRole, 0, time.Now()); err == nil {
		t.Error("a certificate for any role was signed")
	}
	if long := must(authority.Sign(other.Leaf(), Controller, 100*365*24*time.Hour, time.Now()))(t); long.NotAfter.After(authority.Certificate.NotAfter) {
		t.Error("a certificate outlives its authority")
	}
}
