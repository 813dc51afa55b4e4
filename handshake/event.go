package handshake

import "fmt"

// Link numbers the connections of a [Controller], from 1, in the order of its
// [Connect] actions.
type Link uint64

// Session numbers the connections that an [Agent]'s server accepted. The
// shell chooses the numbers; none is used for two sessions of one server.
type Session uint64

// Event is what a shell tells a machine. The set is closed: the types of this
// file. Events of the other role are ignored.
type Event interface {
	fmt.Stringer
	event()
}

// Start begins the protocol (both). The agent's shell sends it once
// everything that the agent collects is subscribed.
type Start struct{}

// Stop asks for an orderly end (both): SIGTERM, or the context of Run ended.
type Stop struct{}

// BoardReady says that the own EVerest system is ready (both).
type BoardReady struct{}

// TimerFired says that a timer ran out (both).
type TimerFired struct{ Timer Timer }

// FirmwareAccepted says that the satellite accepted a firmware update: from
// now on a lost peer is expected (both). The agent's shell sends it before
// the answer goes out, the controller's when the answer comes in.
type FirmwareAccepted struct{}

// FirmwareFailed says that an accepted firmware update came to a final status
// other than success: a lost peer is no longer expected because of it (both).
// A shell that does not watch the status never sends it.
type FirmwareFailed struct{}

// ResetPassedOn says that a reset command goes to the satellite's board
// (both). The controller's shell sends it before it sends the call, since the
// answer is often lost; the agent's when its system was told, before the
// answer goes out. Session is the agent's only.
type ResetPassedOn struct{ Session Session }

// Connected says that a connection stands (controller).
type Connected struct{ Link Link }

// ConnectFailed says that a connection was refused or could not be made, for
// any reason but CallTimer (controller).
type ConnectFailed struct{ Link Link }

// Answered says that a call was answered without an error (controller). Known
// is the answer of i_am_here: true if the agent already knew a controller.
type Answered struct {
	Link     Link
	Function Function
	Known    bool
}

// CallFailed says that the peer answered a call with an error, or with a
// value of the wrong type (controller). A call that ends because its
// connection did is a [LinkLost].
type CallFailed struct {
	Link     Link
	Function Function
}

// LinkLost says that a connection ended (controller).
type LinkLost struct{ Link Link }

// Called says that a controller called a function (agent). Of i_am_here,
// i_am_ready and exit the machine decides the answer: the shell holds the
// call until [Answer] names it, or until its session or the server ends.
// Retrieve and Events are answered by the shell alone; Events may be told of
// less often than it is called, but several times within [Peer].Silence.
type Called struct {
	Session  Session
	Function Function
}

// SessionEnded says that a session ended, whoever ended it (agent).
type SessionEnded struct{ Session Session }

// JournalFull says that more was collected than the journal holds (agent).
type JournalFull struct{}

// ResetRefused says that [ResetSystem] could not be carried out (agent).
type ResetRefused struct{}

func (Start) event()            {}
func (Stop) event()             {}
func (BoardReady) event()       {}
func (TimerFired) event()       {}
func (FirmwareAccepted) event() {}
func (FirmwareFailed) event()   {}
func (ResetPassedOn) event()    {}
func (Connected) event()        {}
func (ConnectFailed) event()    {}
func (Answered) event()         {}
func (CallFailed) event()       {}
func (LinkLost) event()         {}
func (Called) event()           {}
func (SessionEnded) event()     {}
func (JournalFull) event()      {}
func (ResetRefused) event()     {}

// String returns the event as one word or a few.
func (Start) String() string { return "Start" }

// String returns the event as one word or a few.
func (Stop) String() string { return "Stop" }

// String returns the event as one word or a few.
func (BoardReady) String() string { return "BoardReady" }

// String returns the event as one word or a few.
func (e TimerFired) String() string { return fmt.Sprintf("TimerFired %v", e.Timer) }

// String returns the event as one word or a few.
func (FirmwareAccepted) String() string { return "FirmwareAccepted" }

// String returns the event as one word or a few.
func (FirmwareFailed) String() string { return "FirmwareFailed" }

// String returns the event as one word or a few.
func (e ResetPassedOn) String() string {
	if e.Session == 0 {
		return "ResetPassedOn"
	}
	return fmt.Sprintf("ResetPassedOn session=%d", e.Session)
}

// String returns the event as one word or a few.
func (e Connected) String() string { return fmt.Sprintf("Connected link=%d", e.Link) }

// String returns the event as one word or a few.
func (e ConnectFailed) String() string { return fmt.Sprintf("ConnectFailed link=%d", e.Link) }

// String returns the event as one word or a few.
func (e Answered) String() string {
	if e.Function == IAmHere {
		return fmt.Sprintf("Answered link=%d %v %v", e.Link, e.Function, e.Known)
	}
	return fmt.Sprintf("Answered link=%d %v", e.Link, e.Function)
}

// String returns the event as one word or a few.
func (e CallFailed) String() string { return fmt.Sprintf("CallFailed link=%d %v", e.Link, e.Function) }

// String returns the event as one word or a few.
func (e LinkLost) String() string { return fmt.Sprintf("LinkLost link=%d", e.Link) }

// String returns the event as one word or a few.
func (e Called) String() string { return fmt.Sprintf("Called session=%d %v", e.Session, e.Function) }

// String returns the event as one word or a few.
func (e SessionEnded) String() string { return fmt.Sprintf("SessionEnded session=%d", e.Session) }

// String returns the event as one word or a few.
func (JournalFull) String() string { return "JournalFull" }

// String returns the event as one word or a few.
func (ResetRefused) String() string { return "ResetRefused" }
