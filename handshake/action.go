package handshake

import "time"

// Action is what a machine asks its shell to do. Only the types in this file are actions. Each comment names in
// parentheses the role that returns the action.
type Action interface{ action() }

// StartTimer starts a timer, or replaces the running one of this kind (both).
type StartTimer struct {
	Timer Timer
	After time.Duration
}

// StopTimer stops a timer; it has no effect on one that does not run (both).
type StopTimer struct{ Timer Timer }

// InitDone ends the module's init (both). A machine returns InitDone once: when both sides have agreed, or after
// [Isolate] if no satellite came within [ControllerConfig.InitTimeout]. After an agreement the controller's shell may
// call work functions until [Disconnect].
type InitDone struct{}

// ExitProcess ends the module, and no action follows (both). With Status 0 Run returns nil. With another Status, Run
// returns an error with the reason, and the process exits with that status. The manager then ends the board's EVerest,
// and the system manager restarts EVerest.
type ExitProcess struct {
	Status int
	Reason Reason
}

// Connect makes a new connection, without a timeout of its own (controller). The shell sends [Connected] or
// [ConnectFailed].
type Connect struct{ Conn ConnID }

// Disconnect closes a connection, or abandons the attempt to make it, without waiting for the peer (controller). No
// event has to follow this action.
type Disconnect struct{ Conn ConnID }

// Call calls a function (controller). The shell sends [Replied], [HelloReplied], [CallFailed] or [Disconnected]. At
// most one call of each function is open.
type Call struct {
	Conn     ConnID
	Function Function
}

// Establish puts the port in service (controller): the shell may call work functions on the connection until
// [Disconnect]. In v2 the shell asks for the agent's events from number 1, and keeps one call of Events open. It sends
// [Replied] for Events several times within each [ControllerConfig.HeartbeatTimeout]. If init has not ended yet,
// [InitDone] follows Establish on a v2 link, and replaces Establish on a legacy link.
type Establish struct {
	Conn    ConnID
	Dialect Dialect
}

// Resume continues a v2 link on a new connection, and puts the port in service again if it was isolated (controller).
// The shell repeats the calls that have no reply.
type Resume struct{ Conn ConnID }

// Isolate takes the port out of service until [Establish] or [Resume] (controller). The shell answers every call
// negatively that waits for the link, and must not repeat it after Resume. The shell keeps the link's position in the
// events for Resume. A controller with the policy [RestartOnLoss] returns this action only before [InitDone].
type Isolate struct{ Reason Reason }

// OpenServer opens the port (agent). The port has the functions i_am_here, i_am_ready and exit. It also has link_hello
// if [AgentConfig.Dialects] includes v2.
type OpenServer struct{}

// RegisterWork registers the work functions (agent). They must be callable before the next action is carried out.
type RegisterWork struct{}

// Reply sends the reply to each call of Function that waits on Conn (agent). Known is the reply to i_am_here and a part
// of the reply to link_hello. The reply to any other function is nil.
type Reply struct {
	Conn     ConnID
	Function Function
	Known    bool
}

// CloseAfterReply closes a connection after the shell has sent the replies that are due on it (agent).
type CloseAfterReply struct{ Conn ConnID }

// CloseNow closes a connection at once (agent).
type CloseNow struct{ Conn ConnID }

// StopServer closes the port and every connection, for good (agent). The shell first sends the replies of earlier
// actions, within a limited time. The shell continues to pass events to Step while it does this.
type StopServer struct{}

// AskReset asks the shell whether the board may be reset for a reason (agent). The shell sends [ResetAnswered] once. Only
// an agent with [AgentConfig.AsksReset] returns this action, and not again before the answer.
type AskReset struct{ Reason Reason }

// ResetSystem asks the board's own system for a soft, unscheduled reset (agent). Only an agent with
// [AgentConfig.HasSystem] returns this action. The shell does not wait for the result. If the result is an error, the
// shell sends [ResetRefused].
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
func (AskReset) action()        {}
func (ResetSystem) action()     {}
