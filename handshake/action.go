package handshake

import "time"

// Action is what a machine asks its shell to do. The set is closed: the types of this file.
type Action interface{ action() }

// StartTimer starts a timer, or replaces the running one of this kind (both).
type StartTimer struct {
	Timer Timer
	After time.Duration
}

// StopTimer stops a timer; it has no effect on one that does not run (both).
type StopTimer struct{ Timer Timer }

// InitDone ends the module's init: both sides have agreed (both). From here on the controller's shell may call work
// functions, until [Disconnect].
type InitDone struct{}

// ExitProcess ends the module, and no action follows (both). With Status 0 Run returns nil. Otherwise Run returns an
// error with the reason: the process exits with the status, the manager ends the board's EVerest, and the system
// manager restarts it.
type ExitProcess struct {
	Status int
	Reason Reason
}

// Connect makes a new connection, without a timeout of its own (controller). The shell sends [Connected] or
// [ConnectFailed].
type Connect struct{ Conn ConnID }

// Disconnect closes a connection, or abandons the attempt to make it, without waiting for the peer (controller). The
// shell need not send an event for it.
type Disconnect struct{ Conn ConnID }

// Call calls a function (controller). The shell sends [Replied], [HelloReplied], [CallFailed] or [Disconnected]. At
// most one call of each function is open.
type Call struct {
	Conn     ConnID
	Function Function
}

// Establish puts the port in service (controller): the shell may call work functions on the connection until
// [Disconnect]. In v2 it starts from the first event, keeps a call of Events open, and sends [Replied] of it from time
// to time. [InitDone] follows where init has not ended. A legacy link that ends init comes with InitDone alone.
type Establish struct {
	Conn    ConnID
	Dialect Dialect
}

// Resume continues a v2 link on a new connection: the shell repeats the calls that have no reply (controller).
type Resume struct{ Conn ConnID }

// Isolate takes the port out of service until [Establish] (controller). It comes only with the policy [IsolateOnLoss].
type Isolate struct{ Reason Reason }

// OpenServer opens the port with the functions i_am_here, i_am_ready and exit only, and link_hello where v2 is spoken
// (agent).
type OpenServer struct{}

// RegisterWork registers the work functions (agent). They must be callable before the next action is carried out.
type RegisterWork struct{}

// Reply replies to the calls of a function that wait on a connection (agent). Known is the reply of i_am_here and part
// of that of link_hello; the other functions reply nil.
type Reply struct {
	Conn     ConnID
	Function Function
	Known    bool
}

// CloseAfterReply closes a connection once the replies given to it are sent (agent).
type CloseAfterReply struct{ Conn ConnID }

// CloseNow closes a connection at once (agent).
type CloseNow struct{ Conn ConnID }

// StopServer closes the port and every connection, for good (agent). Replies given before are sent first; the shell
// bounds that wait and does not let it block the machine.
type StopServer struct{}

// ResetSystem asks the board's own system for a soft, unscheduled reset (agent). Only an agent that has a system gets
// it. The shell does not wait for the result, and sends [ResetRefused] if that is an error.
type ResetSystem struct{ Reason Reason }

func (StartTimer) action()      {}
func (StopTimer) action()       {}
func (InitDone) action()        {}
func (ExitProcess) action()     {}
func (Connect) action()         {}
func (Disconnect) action()      {}
func (Call) action()            {}
func (Establish) action()       {}
func (Resume) action()          {}
func (Isolate) action()         {}
func (OpenServer) action()      {}
func (RegisterWork) action()    {}
func (Reply) action()           {}
func (CloseAfterReply) action() {}
func (CloseNow) action()        {}
func (StopServer) action()      {}
func (ResetSystem) action()     {}
