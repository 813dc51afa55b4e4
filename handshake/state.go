package handshake

import "fmt"

// State is the state of a machine. [Agent] and [Controller] use the same set of states. Each comment names in
// parentheses the role that uses the state.
type State uint8

const (
	// Idle: not started (both).
	Idle State = iota
	// Waiting: the port is open, and no controller has called i_am_here (agent).
	Waiting
	// Met: the agent has accepted a controller's i_am_here and registered the work functions, and waits for i_am_ready
	// (agent).
	Met
	// Connecting: a connection is being made (controller).
	Connecting
	// Announcing: i_am_here has no reply yet (controller).
	Announcing
	// Agreeing: i_am_ready has no reply yet (controller).
	Agreeing
	// Pausing: waiting before the next connection (controller).
	Pausing
	// Agreed: both sides have agreed and the module's init has ended, but this board is not ready yet (both).
	Agreed
	// Working: this board is ready, and the machine watches the heartbeats of its peer (both).
	Working
	// Parted: the link ended as expected. This board is about to restart, or the satellite comes back (controller).
	Parted
	// Leaving: exit has no reply yet (controller).
	Leaving
	// Resetting: the agent has closed its port and waits for the reset of its board (agent).
	Resetting
	// Greeting: link_hello has no reply yet (controller).
	Greeting
	// Resuming: the v2 link has lost its connection. The controller makes a new connection, and the agent waits for it
	// (both).
	Resuming
	// OutOfService: the port is isolated, and the controller waits for the satellite (controller).
	OutOfService
	// Ended: the machine has returned [ExitProcess] (both).
	Ended
)

var stateNames = [...]string{
	"Idle", "Waiting", "Met", "Connecting", "Announcing", "Agreeing", "Pausing",
	"Agreed", "Working", "Parted", "Leaving", "Resetting", "Greeting", "Resuming", "OutOfService", "Ended",
}

// Name returns the constant's name. The JSON of the status socket has the same name.
func (s State) Name() string { return name(stateNames[:], int(s), "State") }

// String returns Name.
func (s State) String() string { return s.Name() }

// Function is an RPC function that the protocol itself uses. Only the shell knows the function's name on the wire.
type Function uint8

const (
	// IAmHere announces the controller.
	IAmHere Function = iota + 1
	// IAmReady completes the agreement: both sides end their init.
	IAmReady
	// Retrieve is the legacy poll for events. It is the heartbeat of the legacy link, in both directions.
	Retrieve
	// Exit ends the link before the controller stops.
	Exit
	// Hello asks for v2.
	Hello
	// Events is the open call by which v2 carries events. It is the heartbeat of v2, in both directions.
	Events
)

var functionNames = [...]string{"", "IAmHere", "IAmReady", "Retrieve", "Exit", "Hello", "Events"}

// String returns the constant's name, which is not the name on the wire.
func (f Function) String() string { return name(functionNames[:], int(f), "Function") }

// Timer is a kind of timer. At most one of each kind runs.
type Timer uint8

const (
	// callTimer limits a connection attempt, Hello, IAmHere and IAmReady (controller).
	callTimer Timer = iota + 1
	// retryTimer is the pause before the next connection (controller).
	retryTimer
	// pollTimer is the pause between a reply and the next poll (controller).
	pollTimer
	// replyTimer limits the wait for the reply of Retrieve or Events (controller).
	replyTimer
	// exitTimer limits the wait for the reply of Exit (controller).
	exitTimer
	// resetWindowTimer ends the expectation that a forwarded reset ends the link (controller).
	resetWindowTimer
	// absenceTimer limits how long this board continues without a peer whose absence is expected (controller).
	absenceTimer
	// heartbeatTimer is restarted by each Retrieve or Events (agent).
	heartbeatTimer
	// resumeTimer is the window in which a v2 link may be resumed (controller), or the time for which the link is kept
	// (agent).
	resumeTimer
	// drainTimer is the time after a resumption in which a full journal is no sign of a lost controller (agent).
	drainTimer
	// initTimer limits how long an absent satellite delays the station's start (controller).
	initTimer
	// oneStepTimer is how long i_am_ready waits for an i_am_here (agent).
	oneStepTimer
	// resetDelayTimer is the pause between a reply and the reset after it (agent).
	resetDelayTimer
	// resetTimer limits the wait for a reset of this board (agent).
	resetTimer
	// askTimer is the pause before the shell is asked again for a reset (agent).
	askTimer
)

var timerNames = [...]string{
	"", "call", "retry", "poll", "reply", "exit", "reset window",
	"absence", "heartbeat", "resume", "drain", "init", "one step", "reset delay", "reset", "ask",
}

// String returns the timer's name.
func (t Timer) String() string { return name(timerNames[:], int(t), "Timer") }

// WatchesPeer reports whether the timer ends a connection whose peer does not answer or call in time. A shell may put it
// off for a limited time while bytes of the connection arrive or are acknowledged.
func (t Timer) WatchesPeer() bool { return t == replyTimer || t == heartbeatTimer || t == callTimer }

// Varies reports whether the timer is a pause before the next connection. The shell adds a random part to it, so that
// boards that failed together do not return together.
func (t Timer) Varies() bool { return t == retryTimer }

// Reason is why a machine resets its board or ends its process. The shell logs it and returns it from Run.
type Reason uint8

const (
	// Stopped: the shell asked for an orderly end.
	Stopped Reason = iota + 1
	// ConnectionLost: the connection ended unexpectedly.
	ConnectionLost
	// HeartbeatTimeout: no reply within [ControllerConfig.ReplyTimeout], or no call within the agent's heartbeat
	// timeout.
	HeartbeatTimeout
	// CallRefused: the reply of a poll was an error.
	CallRefused
	// PeerAbsent: the satellite did not come back within [ControllerConfig.Absence] after an expected loss, or did not
	// come within [ControllerConfig.InitTimeout].
	PeerAbsent
	// PeerLeft: the controller called exit.
	PeerLeft
	// PeerRestarted: the agent was already linked to a controller when another one called i_am_here, or the agent no
	// longer knows this controller.
	PeerRestarted
	// ResetRequested: the controller forwarded a reset.
	ResetRequested
	// JournalOverflow: the journal was full, because no controller fetched its events.
	JournalOverflow
	// ResetFailed: this board refused a reset or did not carry it out.
	ResetFailed
)

var reasonNames = [...]string{
	"", "stopped", "connection lost", "heartbeat timeout", "call refused", "peer absent",
	"peer left", "peer restarted", "reset requested", "journal overflow", "reset failed",
}

// String returns the reason in lower-case words.
func (r Reason) String() string { return name(reasonNames[:], int(r), "Reason") }

func name(names []string, i int, set string) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", set, i)
}
