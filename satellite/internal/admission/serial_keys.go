package admission

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

const (
	// maxSerials is how many serial numbers are remembered. Further ones are not looked at.
	maxSerials = 256
	// maxKeys is how many keys of a serial number are remembered. The oldest one is forgotten then.
	maxKeys = 4
)

// serialKeys remembers the keys with which peers have proven each serial number, since the start. A board has one key,
// and another one after a change. A serial number whose keys come in turn is that of two boards. The zero value is
// ready to use.
type serialKeys struct {
	mu    sync.Mutex
	known map[string]*keysOfSerial
}

type keysOfSerial struct {
	// keys are in the order of their last use, the newest one last.
	keys []identity.Fingerprint
	// alternate is set once a key came back after another one.
	alternate bool
}

// use remembers that a peer has proven itself. It returns the key that the serial number had before, where that is
// another one. inTurn reports whether the peer's key was used before that one.
func (s *serialKeys) use(peer identity.Peer) (before *identity.Fingerprint, inTurn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.known[peer.Serial]
	if of == nil {
		if s.known == nil {
			s.known = make(map[string]*keysOfSerial)
		}
		if len(s.known) < maxSerials {
			s.known[peer.Serial] = &keysOfSerial{keys: []identity.Fingerprint{peer.Fingerprint}}
		}
		return nil, false
	}
	last := of.keys[len(of.keys)-1]
	if last == peer.Fingerprint {
		return nil, false
	}
	if at := slices.Index(of.keys, peer.Fingerprint); at >= 0 {
		of.keys = slices.Delete(of.keys, at, at+1)
		of.alternate, inTurn = true, true
	}
	if of.keys = append(of.keys, peer.Fingerprint); len(of.keys) > maxKeys {
		of.keys = slices.Delete(of.keys, 0, 1)
	}
	return &last, inTurn
}

// conflicts returns a sentence for each serial number whose keys come in turn.
func (s *serialKeys) conflicts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sentences []string
	for serial, of := range s.known {
		if of.alternate {
			sentences = append(sentences, fmt.Sprintf("Two boards have the serial number %s: they prove it in turn with the keys %s. Give each its own with satkeys create.",
				serial, textsOf(of.keys)))
		}
	}
	slices.Sort(sentences)
	return sentences
}

// repeated returns a sentence for the serial numbers that several trusted keys have, empty where there is none.
func repeated(trust identity.Trust, directory string) string {
	serials := trust.Repeated()
	if len(serials) == 0 {
		return ""
	}
	return fmt.Sprintf("This board trusts several keys of %s. After a change of keys untrust the old one with satkeys untrust. "+
		"Otherwise two boards have one serial number: give each its own. satkeys show %s lists them.", strings.Join(serials, ", "), directory)
}

func textsOf(keys []identity.Fingerprint) string {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = key.String()
	}
	return strings.Join(texts, ", ")
}
