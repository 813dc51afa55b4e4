package satellite

import (
	"sync/atomic"
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

type controllerCounters struct {
	// finder is the controller's, for whoever asks before it runs.
	finder                     atomic.Pointer[finder]
	state                      atomic.Uint32
	satellite                  atomic.Pointer[string]
	variables, errors, dropped atomic.Uint64
	lastVariable               atomic.Int64
	commands, commandErrors    atomic.Uint64
	pushed                     atomic.Uint64

	resumes, isolations, givenUp atomic.Uint64
}

// Status returns a snapshot.
func (c *Controller) Status() ControllerStatus {
	secured := c.dialer.Status()
	status := ControllerStatus{
		Security: secured.Security, PeerFingerprint: secured.PeerFingerprint, PeerSerial: secured.PeerSerial,
		IdentityExpires: secured.Expires, RejectedPeers: secured.Rejected,
		State:     handshake.State(c.status.state.Load()).String(),
		Satellite: text(&c.status.satellite),
		Connected: c.links.working() != nil,
		Variables: c.status.variables.Load(), Errors: c.status.errors.Load(), Dropped: c.status.dropped.Load(),
		Commands: c.status.commands.Load(), CommandErrors: c.status.commandErrors.Load(),
		Pushed:  c.status.pushed.Load(),
		Resumes: c.status.resumes.Load(), Isolations: c.status.isolations.Load(), GivenUp: c.status.givenUp.Load(),
		Backlog: c.delivery.len(),
		Tunnel:  c.table.Extras(), Differences: c.table.Differences(),
	}
	if dialect, known := c.links.speaks(); known {
		status.Dialect = dialect.String()
	}
	if finder := c.status.finder.Load(); finder != nil {
		status.Discovery, status.Boards = finder.status()
	}
	if last := c.status.lastVariable.Load(); last != 0 {
		status.LastVariable = time.Unix(0, last)
	}
	return status
}
