package satellite

import (
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

// ControllerStatus is a snapshot of a Controller.
type ControllerStatus struct {
	// State is where the handshake stands: handshake.State's text.
	State string
	// Dialect is what is spoken with the satellite, "legacy" or "v2"; empty
	// before both have agreed.
	Dialect string
	// Security is "plain" or "mutual-tls"; empty before the configuration is read.
	Security string
	// PeerFingerprint and PeerSerial name the satellite that has proven who it is
	// last; empty before one has, and where the link is plain.
	PeerFingerprint, PeerSerial string
	// IdentityExpires is the end of this board's certificate, zero where there is
	// none.
	IdentityExpires time.Time
	// RejectedPeers counts the connections that ended in the TLS handshake,
	// because this board did not trust the other one or was not trusted.
	RejectedPeers uint64
	// Resumes counts how often a lost v2 link went on, Isolations how often the
	// port was taken out of service, and GivenUp what the satellite's journal had
	// no room for.
	Resumes, Isolations, GivenUp uint64
	// Backlog is the number of events that came from the satellite and are not
	// published yet.
	Backlog int
	// Satellite is the configured address of the satellite, or its serial number
	// as "serial:ABC123".
	Satellite string
	// Discovery tells of a satellite that is configured by its serial number
	// "found", "not found" or "ambiguous"; else it is empty. Boards are those
	// that announce the serial number, more than one when it is ambiguous.
	Discovery string
	Boards    []discovery.Satellite
	// Connected is true while work functions can be called.
	Connected bool
	// Variables and Errors count what of the satellite was published on the
	// main board, Dropped what could not be.
	Variables, Errors, Dropped uint64
	// LastVariable is when the last variable was published, zero before.
	LastVariable time.Time
	// Commands counts the commands that came for the satellite, and
	// CommandErrors those of them that failed.
	Commands, CommandErrors uint64
	// Pushed counts the main board's variables that reached the satellite.
	Pushed uint64
	// Tunnel are the ids of the interfaces that the configuration key tunnel adds,
	// and Differences what the satellite tunnels otherwise, in words.
	Tunnel, Differences []string
}

// Status returns a snapshot. Before Run it is empty but for the state.
func (c *Controller) Status() ControllerStatus {
	secured := c.dialer.Status()
	status := ControllerStatus{
		State:    handshake.Idle.String(),
		Security: secured.Security, PeerFingerprint: secured.PeerFingerprint, PeerSerial: secured.PeerSerial,
		IdentityExpires: secured.Expires, RejectedPeers: secured.Rejected,
	}
	client := c.link.Load()
	if client == nil {
		return status
	}
	stats := client.Stats()
	status.State, status.Satellite, status.Connected = stats.State.String(), c.target.String(), stats.Connected
	status.Variables, status.Errors, status.Dropped = c.relay.variables.Load(), c.relay.errors.Load(), c.relay.dropped.Load()
	status.Commands, status.CommandErrors = c.forward.commands.Load(), c.forward.commandErrors.Load()
	status.Pushed = c.forward.pushed.Load()
	status.Resumes, status.Isolations, status.GivenUp = stats.Resumes, stats.Isolations, stats.Evicted
	status.Backlog = stats.Backlog
	status.Tunnel, status.Differences = c.table.Extras(), c.table.Differences()
	if stats.Linked {
		status.Dialect = stats.Dialect.String()
	}
	if c.watcher != nil {
		status.Discovery, status.Boards = discoveryStatus(c.watcher)
	}
	if last := c.relay.lastVariable.Load(); last != 0 {
		status.LastVariable = time.Unix(0, last)
	}
	return status
}
