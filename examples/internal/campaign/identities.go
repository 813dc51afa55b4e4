//go:build linux

package campaign

import (
	"path/filepath"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// pair gives each of the boards a key of its own, in folders named after them, and lets each trust the other alone.
func pair(folder string, boards [2]string) error {
	var made [2]identity.Identity
	for i, board := range boards {
		var err error
		if made[i], err = identity.Create(filepath.Join(folder, board), identity.CreateOptions{Serial: board}); err != nil {
			return err
		}
	}
	for i, board := range boards {
		other := 1 - i
		trust := identity.Trust{Peers: []identity.Pin{{Serial: boards[other], Fingerprint: identity.FingerprintOf(made[other].Leaf())}}}
		if err := trust.Save(filepath.Join(folder, board)); err != nil {
			return err
		}
	}
	return nil
}
