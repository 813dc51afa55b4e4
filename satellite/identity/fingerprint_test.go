package identity

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFingerprintNamesTheKey(t *testing.T) {
	made := created(t, t.TempDir()+"/board", "ABC123")
	hash := sha256.Sum256(made.Leaf().RawSubjectPublicKeyInfo)
	want := base32.StdEncoding.EncodeToString(hash[:20])
	if got := made.Fingerprint.String(); strings.ReplaceAll(got, "-", "") != want || len(got) != 39 {
		t.Errorf("fingerprint %s, want %s in groups of four", got, want)
	}
}

func TestFingerprintsAreReadBackHoweverTheyAreTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want Fingerprint
		copy(want[:], rapid.SliceOfN(rapid.Byte(), len(want), len(want)).Draw(t, "bytes"))
		text := want.String()
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 1:
			text = strings.ToLower(text)
		case 2:
			text = " " + strings.ReplaceAll(text, "-", " ") + "\n"
		case 3:
			text = strings.NewReplacer("O", "0", "I", "1", "B", "8", "-", "").Replace(text)
		}
		if got, err := ParseFingerprint(text); err != nil || got != want {
			t.Errorf("%q was read as %v, %v, want %v", text, got, err, want)
		}
	})
}

func TestWhatIsNoFingerprint(t *testing.T) {
	good := Fingerprint{1, 2, 3}.String()
	for _, text := range []string{"", "AAAA", good[:len(good)-1], good + "-AAAA", strings.Replace(good, "A", "9", 1), "SAT01"} {
		if read, err := ParseFingerprint(text); err == nil {
			t.Errorf("%q was read as %v", text, read)
		}
	}
}

func TestSerialNumbers(t *testing.T) {
	for _, good := range []string{"A", "ABC123", "de-tst_0.1", strings.Repeat("9", 64)} {
		if err := CheckSerial(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "A B", "A/B", "ä", "a:b", "a\n", strings.Repeat("9", 65)} {
		if CheckSerial(bad) == nil {
			t.Errorf("the serial number %q is good", bad)
		}
	}
}
