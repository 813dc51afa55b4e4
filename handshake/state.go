package handshake

import "fmt"

// State is where a machine stands. Both roles share the set; the comments
// name the role that uses a state.
type State uint8

const (
	// Idle: not started (both).
	Idle State = iota
	// Waiting: the port is open, nobody has announced itself yet (agent).
	Waiting
	// Met: i_am_here was answered false and the work functions are
	// registered; i_am_ready has not come yet (agent).
	Met
	// Connecting: a connection is being made (controller).
	Connecting
	// Announcing: i_am_here is unanswered (controller).
	Announcing
	// Agreeing: i_am_ready is unanswered (controller).
	Agreeing
	// Pausing: waits before the next connection (controller).
	Pausing
	// Agreed: both sides agreed, the module's init has ended, the own board
	// is not ready yet (both).
	Agreed
	// Working: the own board is ready and the link is watched (both).
	Working
	// Parted: the link ended and its end was expected; the own board is
	// about to restart (controller).
	Parted
	// Leaving: exit is unanswered (controller).
	Leaving
	// Resetting: the server has ended and the own board is to restart (agent).
	Resetting
	// Greeting: link_hello is unanswered (controller).
	Greeting
	// Resuming: agreed in v2, and the connection is gone: the controller makes
	// a new one, the agent waits for it (both).
	Resuming
	// OutOfService: the port is isolated and the controller waits for a
	// satellite (controller).
	OutOfService
	// Ended: the process is to end (both).
	Ended
)

var stateNames = [...]string{
	"Idle", "Waiting", "Met", "Connecting", "Announcing", "Agreeing", "Pausing",
	"Agreed", "Working", "Parted", "Leaving", "Resetting", "Greeting", "Resuming", "OutOfService", "Ended",
}

// String returns the constant's name.
func (s State) String() string { return name(stateNames[:], int(s), "State") }

// Function is an RPC function that the protocol itself uses.
type Function uint8

const (
	// IAmHere is i_am_here: the controller announces itself.
	IAmHere Function = iota + 1
	// IAmReady is i_am_ready: both agree.
	IAmReady
	// Retrieve is retrieve_vars_and_errors: the poll that shows both sides
	// that the other is alive.
	Retrieve
	// Exit is exit: the controller says good-bye.
	Exit
	// Hello is link_hello: the controller greets in v2.
	Hello
	// Events is link_events: the open call that pushes events in v2 and shows
	// both sides that the other is alive.
	Events
)

var functionNames = [...]string{"", "i_am_here", "i_am_ready", "retrieve_vars_and_errors", "exit", "link_hello", "link_events"}

// String returns the function's name on the wire.
func (f Function) String() string { return name(functionNames[:], int(f), "Function") }

// Timer is a kind of timer. At most one of each kind runs.
type Timer uint8

const (
	// CallTimer limits a connection attempt, i_am_here and i_am_ready (controller).
	CallTimer Timer = iota + 1
	// RetryTimer is the pause before the next connection (controller).
	RetryTimer
	// PollTimer is the pause between an answer and the next poll (controller).
	PollTimer
	// AnswerTimer limits the wait for a poll's answer, or that of link_events
	// (controller).
	AnswerTimer
	// GoodbyeTimer limits the wait for the answer to exit (controller).
	GoodbyeTimer
	// ExpectTimer ends the expectation that a reset which was passed on ends
	// the link (controller).
	ExpectTimer
	// AbsenceTimer limits how long the own board goes on without a peer
	// whose departure was expected (controller).
	AbsenceTimer
	// SilenceTimer is the watchdog that every poll, or call of link_events,
	// rearms (agent).
	SilenceTimer
	// ResumeTimer is the window in which a v2 link may be resumed (both).
	ResumeTimer
	// HoldTimer limits how long an absent satellite holds the station's start
	// (controller).
	HoldTimer
	// ResetTimer is the pause between an answer and the reset that follows
	// it (agent).
	ResetTimer
	// PatienceTimer limits the wait for a reset of the own board (agent).
	PatienceTimer
)

var timerNames = [...]string{
	"", "CallTimer", "RetryTimer", "PollTimer", "AnswerTimer", "GoodbyeTimer",
	"ExpectTimer", "AbsenceTimer", "SilenceTimer", "ResumeTimer", "HoldTimer", "ResetTimer", "PatienceTimer",
}

// String returns the constant's name.
func (t Timer) String() string { return name(timerNames[:], int(t), "Timer") }

// Reason says why a machine resets its board or ends its process. It is for
// the log and for the caller of Run.
type Reason uint8

const (
	// Stopped: the shell asked for an orderly end.
	Stopped Reason = iota + 1
	// ConnectionLost: the connection ended and nobody expected it.
	ConnectionLost
	// PeerSilent: no answer within [ControllerConfig.AnswerTimeout], or no
	// poll within [AgentConfig.Silence].
	PeerSilent
	// CallRefused: the peer answered a poll with an error.
	CallRefused
	// PeerAbsent: the peer left as expected and the own board was not
	// restarted within [ControllerConfig.Absence].
	PeerAbsent
	// PeerLeft: the controller called exit.
	PeerLeft
	// PeerRestarted: a controller announced itself to an agent that knew one
	// already.
	PeerRestarted
	// ResetRequested: the controller passed a reset on.
	ResetRequested
	// JournalOverflow: nobody fetched the collected events.
	JournalOverflow
	// ResetFailed: the own board refused a reset or did not carry it out.
	ResetFailed
)

var reasonNames = [...]string{
	"", "stopped", "connection lost", "peer silent", "call refused", "peer absent",
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
