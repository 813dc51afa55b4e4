package admission

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

func peerOf(serial string, key byte) identity.Peer {
	return identity.Peer{Serial: serial, Fingerprint: identity.Fingerprint{key}}
}

// A serial number that a second key proves may be that of a changed key, or of two boards. Keys in turn are two boards.
func TestTwoKeysOfOneSerialAreLogged(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "identity")
	if _, err := identity.Create(directory, identity.CreateOptions{Serial: "MAIN01"}); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	protection := NewProtection(zap.New(core))
	if err := protection.Configure(MutualTLS, directory); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		peer     identity.Peer
		event    string
		conflict bool
	}{
		{peerOf("SAT01", 1), "", false},
		{peerOf("SAT02", 9), "", false},
		{peerOf("SAT01", 1), "", false},
		{peerOf("SAT01", 2), eventKeyChanged, false},
		{peerOf("SAT01", 2), "", false},
		{peerOf("SAT01", 1), eventSerialRepeated, true},
		{peerOf("SAT01", 2), eventSerialRepeated, true},
		{peerOf("SAT02", 9), "", true},
	} {
		logs.TakeAll()
		protection.accepted("192.0.2.1:4711", step.peer)
		event := ""
		for _, line := range logs.FilterFieldKey("before").All() {
			fields := line.ContextMap()
			event = fields["event"].(string)
			if fields["serial"] != "SAT01" || fields["fingerprint"] != step.peer.Fingerprint.String() || fields["fingerprint"] == fields["before"] {
				t.Errorf("%s: %v", line.Message, fields)
			}
		}
		if event != step.event {
			t.Errorf("%s with key %v: event %q, want %q", step.peer.Serial, step.peer.Fingerprint[0], event, step.event)
		}
		told := protection.status(nil).KeyConflict
		if strings.Contains(told, "Two boards have the serial number SAT01") != step.conflict || strings.Contains(told, "SAT02") {
			t.Errorf("after %s with key %v the status says %q", step.peer.Serial, step.peer.Fingerprint[0], told)
		}
	}
}

// What peers prove takes bounded memory.
func TestFewSerialNumbersAreRemembered(t *testing.T) {
	var serials serialKeys
	for i := range 10 * maxSerials {
		serials.use(peerOf(fmt.Sprint("SAT", i), 1))
		serials.use(peerOf("SAT0", byte(i)))
	}
	if len(serials.known) != maxSerials || len(serials.known["SAT0"].keys) != maxKeys {
		t.Errorf("%d serial numbers, %d keys of one", len(serials.known), len(serials.known["SAT0"].keys))
	}
}
