package handshake

import (
	"fmt"
	"time"
)

// Action is what a machine tells its shell to do. The set is closed: the
// types of this file.
type Action interface {
	fmt.Stringer
	action()
}

// StartTimer starts a timer or replaces the running one of this kind (both).
type StartTimer struct {
	Timer Timer
	After time.Duration
}

// StopTimer stops a timer; nothing happens if it does not run (both).
type StopTimer struct{ Timer Timer }

// InitDone ends the module's init: both sides have agreed (both). From here
// on the controller's shell may call work functions, until [Disconnect].
type InitDone struct{}

// ExitProcess ends the module, and nothing follows (both). With Status 0 Run
// returns nil, otherwise an error that names the reason: the process exits
// with the status, the manager takes the board's EVerest down and the system
// manager restarts it.
type ExitProcess struct {
	Status int
	Reason Reason
}

// Connect makes a new connection, without a time-out of its own; the shell
// answers [Connected] or [ConnectFailed] (controller).
type Connect struct{ Link Link }

// Disconnect closes a connection or abandons the attempt, without waiting for
// the peer (controller). No event of it need follow.
type Disconnect struct{ Link Link }

// Call calls a function without arguments; the shell answers [Answered],
// [CallFailed] or [LinkLost] (controller). At most one call of each function
// is open.
type Call struct {
	Link     Link
	Function Function
}

// OpenServer opens the port with the functions i_am_here, i_am_ready and exit
// only (agent).
type OpenServer struct{}

// RegisterWork registers the work functions (agent). They must be callable
// before the next action is carried out.
type RegisterWork struct{}

// Answer answers the calls of a function that wait in a session (agent).
// Known is the answer of i_am_here; the other functions are answered nil.
type Answer struct {
	Session  Session
	Function Function
	Known    bool
}

// CloseSession ends a session once the answers given to it are on the wire
// (agent).
type CloseSession struct{ Session Session }

// StopServer closes the port for good and every session (agent). Answers
// given before are sent first; the shell bounds that wait and does not let it
// hold up the machine.
type StopServer struct{}

// ResetSystem asks the board's own system for a soft, unscheduled reset
// (agent). It is given only to an agent that has a system; the shell does not
// wait for its answer, and sends [ResetRefused] if it is an error.
type ResetSystem struct{ Reason Reason }

func (StartTimer) action()   {}
func (StopTimer) action()    {}
func (InitDone) action()     {}
func (ExitProcess) action()  {}
func (Connect) action()      {}
func (Disconnect) action()   {}
func (Call) action()         {}
func (OpenServer) action()   {}
func (RegisterWork) action() {}
func (Answer) action()       {}
func (CloseSession) action() {}
func (StopServer) action()   {}
func (ResetSystem) action()  {}

// String returns the action as one word or a few.
func (a StartTimer) String() string { return fmt.Sprintf("StartTimer %v %v", a.Timer, a.After) }

// String returns the action as one word or a few.
func (a StopTimer) String() string { return fmt.Sprintf("StopTimer %v", a.Timer) }

// String returns the action as one word or a few.
func (InitDone) String() string { return "InitDone" }

// String returns the action as one word or a few.
func (a ExitProcess) String() string { return fmt.Sprintf("ExitProcess %d (%v)", a.Status, a.Reason) }

// String returns the action as one word or a few.
func (a Connect) String() string { return fmt.Sprintf("Connect link=%d", a.Link) }

// String returns the action as one word or a few.
func (a Disconnect) String() string { return fmt.Sprintf("Disconnect link=%d", a.Link) }

// String returns the action as one word or a few.
func (a Call) String() string { return fmt.Sprintf("Call link=%d %v", a.Link, a.Function) }

// String returns the action as one word or a few.
func (OpenServer) String() string { return "OpenServer" }

// String returns the action as one word or a few.
func (RegisterWork) String() string { return "RegisterWork" }

// String returns the action as one word or a few.
func (a Answer) String() string {
	if a.Function == IAmHere {
		return fmt.Sprintf("Answer session=%d %v %v", a.Session, a.Function, a.Known)
	}
	return fmt.Sprintf("Answer session=%d %v", a.Session, a.Function)
}

// String returns the action as one word or a few.
func (a CloseSession) String() string { return fmt.Sprintf("CloseSession session=%d", a.Session) }

// String returns the action as one word or a few.
func (StopServer) String() string { return "StopServer" }

// String returns the action as one word or a few.
func (a ResetSystem) String() string { return fmt.Sprintf("ResetSystem (%v)", a.Reason) }
