package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFingerprintNamesTheKey(t *testing.T) {
	made := created(t, t.TempDir()+"/board", "ABC123")
	hash := sha256.Sum256(made.Leaf().RawSubjectPublicKeyInfo)
	want := base32.StdEncoding.EncodeToString(hash[:20])
	if got := made.Fingerprint.String(); strings.ReplaceAll(got, "-", "")[:32] != want || len(got) != 44 {
		t.Errorf("fingerprint %s, want %s and check characters in groups of four", got, want)
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

// Every change of one or two characters is found, and with it every exchange of two characters. So is every exchange of
// two groups, and every change within four neighbours. Each case draws one of these errors.
func TestMistypedFingerprintsAreRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var key Fingerprint
		copy(key[:], rapid.SliceOfN(rapid.Byte(), len(key), len(key)).Draw(t, "bytes"))
		right := strings.ReplaceAll(key.String(), "-", "")
		wrong := []byte(right)
		at := func(name string, below int) int { return rapid.IntRange(0, below-1).Draw(t, name) }
		switch at("error", 5) {
		case 0: // one character
			wrong[at("place", len(wrong))] = alphabet[at("character", 32)]
		case 1: // two characters
			wrong[at("place", len(wrong))] = alphabet[at("character", 32)]
			wrong[at("other place", len(wrong))] = alphabet[at("other character", 32)]
		case 2: // two characters are exchanged, also across groups
			one, other := at("place", len(wrong)), at("other place", len(wrong))
			wrong[one], wrong[other] = wrong[other], wrong[one]
		case 3: // two groups are exchanged
			one, other := at("group", 9)*4, at("other group", 9)*4
			copy(wrong[one:], right[other:other+4])
			copy(wrong[other:], right[one:one+4])
		case 4: // four neighbours, such as one that is lost and another one that is typed twice
			for i, place := 0, at("place", len(wrong)-3); i < 4; i++ {
				wrong[place+i] = alphabet[at("character", 32)]
			}
		}
		read, err := ParseFingerprint(string(wrong))
		switch {
		case string(wrong) == right:
			if err != nil || read != key {
				t.Errorf("%s was read as %v, %v", wrong, read, err)
			}
		case !errors.Is(err, ErrMistyped) || !strings.Contains(err.Error(), "check characters") || read != Fingerprint{}:
			t.Errorf("%s instead of %s was read as %v, %v", wrong, right, read, err)
		}
	})
}

// Two characters: all of them, at all places. The code is linear, so two errors pass only where each alone changes the
// check characters alike.
func TestNoTwoWrongCharactersPass(t *testing.T) {
	const length = keyCharacters + checkCharacters
	seen := map[[checkCharacters]int]string{{}: "no error"}
	for place := range length {
		for _, char := range alphabet[1:] {
			text := bytes.Repeat([]byte("A"), length)
			text[place] = byte(char)
			var change [checkCharacters]int
			for i, want := range check(string(text[:keyCharacters])) {
				change[i] = strings.IndexRune(alphabet, want) ^ strings.IndexByte(alphabet, text[keyCharacters+i])
			}
			if other := seen[change]; other != "" {
				t.Fatalf("%s changes the check characters as %s does", text, other)
			}
			seen[change] = string(text)
		}
	}
}

// Files, databases and scripts have fingerprints of the form without check characters.
func TestTheOlderFormIsRead(t *testing.T) {
	want := Fingerprint{1, 2, 3, 250}
	older := want.String()[:39]
	for text, checks := range map[string]bool{want.String(): true, older: false, strings.ToLower(older): false} {
		if got, checked, err := ReadFingerprint(text); err != nil || got != want || checked != checks {
			t.Errorf("%q was read as %v, %v, %v", text, got, checked, err)
		}
	}
	// The check characters of the bytes 0 to 19 must not change: they are in people's databases.
	var counted Fingerprint
	for i := range counted {
		counted[i] = byte(i)
	}
	if got, want := counted.String(), "AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4IB-CEQT-X5X3"; got != want {
		t.Errorf("the fingerprint of the bytes 0 to 19 is %s, want %s", got, want)
	}
}

func TestWhatIsNoFingerprint(t *testing.T) {
	good := Fingerprint{1, 2, 3}.String()
	for _, text := range []string{"", "AAAA", good[:len(good)-1], good[:37], good + "-AAAA", strings.Replace(good, "A", "9", 1), strings.Replace(good, "A", "Ä", 1), "SAT01"} {
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
