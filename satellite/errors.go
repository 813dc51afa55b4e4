package satellite

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// EndError says why the protocol of the two boards ends a module: the process
// has to exit with a status other than 0, so that the board's EVerest goes down
// and is started afresh together with the other board's.
type EndError struct {
	// Peer is the other board, as an address.
	Peer   string
	Reason handshake.Reason
}

// Error names the peer and the reason.
func (e *EndError) Error() string {
	if e.Peer == "" {
		return fmt.Sprintf("satellite: this board must restart: %v", e.Reason)
	}
	return fmt.Sprintf("satellite: this board must restart: %v (peer %s)", e.Reason, e.Peer)
}
