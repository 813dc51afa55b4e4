package handshake

import "time"

// ConnID numbers a connection. A [Controller] numbers its [Connect] actions from 1. An agent's shell numbers the
// connections that its server accepts, from 1, and uses no number twice.
type ConnID uint64

// Event is the input of a machine. Only the types in this file are events. Each comment names in parentheses the role
// that uses the event. A machine ignores the events of the other role.
type Event interface{ event() }

// Start begins the protocol (both). The agent's shell first subscribes to everything that the agent collects, and then
// sends Start.
type Start struct{}

// Stop asks for an orderly end, for example after SIGTERM (both).
type Stop struct{}

// BoardReady reports that EVerest on this board is ready (both).
type BoardReady struct{}

// TimerFired reports that a timer expired (both).
type TimerFired struct{ Timer Timer }

// FirmwareAccepted reports that the satellite accepted a firmware update (both). From now on the machine expects to
// lose its peer, and an agent does not restart its board: what would do so waits for FirmwareEnded. The agent's shell
// sends this event before it sends the reply, and before [Start] if the update runs since an earlier process. The
// controller's shell sends it when the reply arrives.
type FirmwareAccepted struct{}

// FirmwareEnded reports that an accepted firmware update has ended while the board stays up (both): it has failed, or
// nothing is heard of it any more. The machine no longer expects to lose its peer because of the update. A shell must
// send this event some time after each FirmwareAccepted.
type FirmwareEnded struct{}

// ResetForwarded reports that a reset command goes to the satellite's board (both). The controller's shell sends this
// event before the call, because the reply is often lost. The agent's shell calls its board's system, then sends this
// event, and then sends the reply. Only the agent uses Conn.
type ResetForwarded struct{ Conn ConnID }

// Connected reports that a connection is established (controller).
type Connected struct{ Conn ConnID }

// ConnectFailed reports that a connection was refused or could not be made (controller). Refused means that the peer's
// system refused it, because no process listens there. When the call timer expires, the shell sends [TimerFired]
// instead.
type ConnectFailed struct {
	Conn    ConnID
	Refused bool
}

// Replied reports that a call had a reply without an error (controller). For i_am_here, Known reports whether the agent
// already knew a controller.
type Replied struct {
	Conn     ConnID
	Function Function
	Known    bool
}

// HelloReplied reports the reply of link_hello (controller). InstanceID identifies the process of the agent. Known
// reports whether the agent has already accepted this controller's instance id and epoch.
type HelloReplied struct {
	Conn       ConnID
	InstanceID uint64
	Known      bool
}

// CallFailed reports that the reply of a call was an error, or a value of the wrong type (controller). When a call ends
// with its connection, the shell sends only [Disconnected]. Unknown means that the peer has no such function.
type CallFailed struct {
	Conn     ConnID
	Function Function
	Unknown  bool
}

// Disconnected reports that a connection ended, whichever side closed it (both).
type Disconnected struct{ Conn ConnID }

// Called reports a call by a controller (agent). The machine decides about the reply to IAmHere, IAmReady and Exit. The
// shell sends no reply to these functions before a [Reply] for the same function and connection. A call without a Reply
// ends with its connection. The shell itself replies to Retrieve and Events. Not every call of Events has to be
// reported, but several within each [Peer.HeartbeatTimeout]. After [Disconnected] the shell reports no call of that
// connection: its controller may have come back on another one.
type Called struct {
	Conn     ConnID
	Function Function
}

// HelloCalled reports a call of link_hello (agent). The shell sends no reply before a [Reply] for Hello on the same
// connection. A call without a Reply ends with its connection.
type HelloCalled struct {
	Conn ConnID
	Peer Peer
}

// Peer describes a controller's process. The controller sends these values in link_hello.
type Peer struct {
	// InstanceID is a random number that the process chose when it started, never 0.
	InstanceID uint64
	// Epoch counts the process's agreements from 1.
	Epoch uint64
	// HeartbeatTimeout is how long the agent waits for the controller's next call before it closes the connection.
	// KeepLink is how long the agent then keeps the link for the controller: see [ControllerConfig.KeepLink].
	HeartbeatTimeout, KeepLink time.Duration
}

func (p Peer) is(other Peer) bool {
	return p.InstanceID != 0 && p.InstanceID == other.InstanceID && p.Epoch == other.Epoch
}

// JournalFull reports that the journal has no room for another collected event (agent).
type JournalFull struct{}

// ResetRefused reports that [ResetSystem] failed (agent).
type ResetRefused struct{}

// ResetAnswered answers [AskReset] (agent). With neither Allowed nor Taken the agent serves on, and asks again after
// Again, at least 1 s, if the reason lasts.
type ResetAnswered struct {
	// Allowed lets the agent reset its board. Taken means that the shell resets the board by itself.
	Allowed, Taken bool
	Again          time.Duration
}

func (Start) event()            {}
func (Stop) event()             {}
func (BoardReady) event()       {}
func (TimerFired) event()       {}
func (FirmwareAccepted) event() {}
func (FirmwareEnded) event()    {}
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
func (ResetAnswered) event()    {}
