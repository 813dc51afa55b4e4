package handshake

import "time"

// ConnID numbers a connection. A [Controller] numbers its [Connect] actions from 1. An agent's shell numbers the
// connections that its server accepts, from 1, and uses no number twice.
type ConnID uint64

// Event is the input of a machine. The set is closed: the types of this file. A machine ignores the events of the other
// role.
type Event interface{ event() }

// Start begins the protocol (both). The agent's shell sends it once it is subscribed to everything that the agent
// collects.
type Start struct{}

// Stop asks for an orderly end, for example after SIGTERM (both).
type Stop struct{}

// BoardReady reports that the own EVerest system is ready (both).
type BoardReady struct{}

// TimerFired reports that a timer expired (both).
type TimerFired struct{ Timer Timer }

// FirmwareAccepted reports that the satellite accepted a firmware update (both). From now on a lost peer is expected.
// The agent's shell sends it before the reply goes out, the controller's when the reply comes in.
type FirmwareAccepted struct{}

// FirmwareFailed reports that an accepted firmware update ended without success (both). A lost peer is no longer
// expected because of the update. A shell that does not watch the update's status never sends this event.
type FirmwareFailed struct{}

// ResetForwarded reports that a reset command goes to the satellite's board (both). The controller's shell sends it
// before the call, because the reply is often lost. The agent's shell sends it after its system was called and before
// the reply goes out. Only the agent uses Conn.
type ResetForwarded struct{ Conn ConnID }

// Connected reports that a connection is established (controller).
type Connected struct{ Conn ConnID }

// ConnectFailed reports that a connection was refused or could not be made (controller). The expiry of the call timer
// is no such event.
type ConnectFailed struct{ Conn ConnID }

// Replied reports a call's reply without an error (controller). Known is the reply of i_am_here: whether the agent
// already knew a controller.
type Replied struct {
	Conn     ConnID
	Function Function
	Known    bool
}

// HelloReplied reports the reply of link_hello (controller): the agent's instance id, and whether the agent has already
// met this controller's instance id and epoch.
type HelloReplied struct {
	Conn       ConnID
	InstanceID uint64
	Known      bool
}

// CallFailed reports that the reply of a call was an error, or a value of the wrong type (controller). A call that ends
// because its connection ended is reported by [Disconnected] alone.
type CallFailed struct {
	Conn     ConnID
	Function Function
}

// Disconnected reports that a connection ended, whichever side closed it (both).
type Disconnected struct{ Conn ConnID }

// Called reports a call by a controller (agent). The machine decides the reply of IAmHere, IAmReady and Exit: the shell
// holds the call until [Reply] names it, or until its connection or the server ends. The shell alone replies to
// Retrieve and Events. It may report fewer calls of Events than come, but several within [Peer.HeartbeatTimeout].
type Called struct {
	Conn     ConnID
	Function Function
}

// HelloCalled reports a call of link_hello (agent). The shell holds the call until [Reply] names it, or until its
// connection or the server ends.
type HelloCalled struct {
	Conn ConnID
	Peer Peer
}

// Peer is a controller's process as it presents itself in link_hello.
type Peer struct {
	// InstanceID is drawn at random by each process, and never 0.
	InstanceID uint64
	// Epoch counts the process's agreements from 1.
	Epoch uint64
	// HeartbeatTimeout is how long the controller may not call before it counts as gone. ResumeWindow is how long it
	// may then take to come back.
	HeartbeatTimeout, ResumeWindow time.Duration
}

func (p Peer) is(other Peer) bool {
	return p.InstanceID != 0 && p.InstanceID == other.InstanceID && p.Epoch == other.Epoch
}

// JournalFull reports that more events were collected than the journal holds (agent).
type JournalFull struct{}

// ResetRefused reports that [ResetSystem] failed (agent).
type ResetRefused struct{}

func (Start) event()            {}
func (Stop) event()             {}
func (BoardReady) event()       {}
func (TimerFired) event()       {}
func (FirmwareAccepted) event() {}
func (FirmwareFailed) event()   {}
func (ResetForwarded) event()   {}
func (Connected) event()        {}
func (ConnectFailed) event()    {}
func (Replied) event()          {}
func (HelloReplied) event()     {}
func (CallFailed) event()       {}
func (Disconnected) event()     {}
func (Called) event()           {}
func (HelloCalled) event()      {}
func (JournalFull) event()      {}
func (ResetRefused) event()     {}
