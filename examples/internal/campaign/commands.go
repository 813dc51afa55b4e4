//go:build linux

package campaign

import (
	"errors"
	"fmt"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Commands is the account of the main board's commands: each must be answered, and executed exactly once. A command
// without a result may be executed after its answer, in the order of the calls. One with a result may get the negative
// answer while the link is away, and is not executed after that. One that meets a fault of a broker may also fail, or, if
// it has no result, be answered and not executed. What the agent has given to the satellite's broker cannot be taken back: it
// may be executed after its negative answer, if that broker was away. Whatever a command met, it is executed once at most, and
// not after a later one of its kind. It is safe for concurrent use.
type Commands struct {
	mu       sync.Mutex
	calls    map[int]*call
	last     int
	problem  func(string)
	answered map[string]int // the newest number of each kind that was answered
	executed map[string]int // the newest number of each kind that was executed

	// Failed were answered with an error, Refused with the negative answer; the callers of Abandoned ended. LeftOut
	// were answered and not executed, because a broker was away.
	Called, Answered, Refused, Failed, Abandoned, LeftOut, Executed int
	changed                                                         chan struct{}
}

// excuse is what a command met.
type excuse int32

const (
	metNothing    excuse = iota
	metMainBroker        // a fault of a broker, which its modules outlive
	metPortBroker        // the same on the satellite's board
	metKill              // the end of a process
)

type call struct {
	kind     commandKind
	executed int
	// done is set when the call was answered, refused, failed or abandoned, refused where it may not be executed any more.
	done, refused bool
	// owed is set for a command that was answered and is still to be executed, unclear where it may be left out.
	owed, unclear bool
}

// commandKind is one kind of command that the main board calls over and over.
type commandKind struct {
	name string
	// hasResult is set for a command whose answer proves that it was executed. A command without a result is answered
	// before it is executed where the link is away.
	hasResult bool
	// repeated is set for a command of which only the newest call matters, so that it may be left out while there is no
	// link.
	repeated bool
}

// The kinds of commands.
var (
	reserve       = commandKind{name: "reserve", hasResult: true}
	setDuration   = commandKind{name: "set_duration_s"}
	enforceLimits = commandKind{name: "enforce_limits", repeated: true}
	uploadLogs    = commandKind{name: "upload_logs", hasResult: true}
)

func (e excuse) isBroker() bool { return e == metMainBroker || e == metPortBroker }

// NewCommands returns an empty account. It calls problem with a description of each thing that must not happen.
func NewCommands(problem func(string)) *Commands {
	return &Commands{calls: map[int]*call{}, problem: problem, answered: map[string]int{}, executed: map[string]int{}, changed: make(chan struct{})}
}

// Call records a call before it is made, and returns its number.
func (c *Commands) Call(kind commandKind) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.Called++
	c.calls[c.last] = &call{kind: kind}
	return c.last
}

// summary describes the commands until now. One that was left out may be executed still.
func (c *Commands) summary() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%d called, %d answered, %d of them left out because a broker was away, %d refused, %d failed, %d with a caller that ended, %d executed",
		c.Called, c.Answered, c.LeftOut, c.Refused, c.Failed, c.Abandoned, c.Executed)
}

// Execute records that the satellite executes a call.
func (c *Commands) Execute(number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[number]
	if call == nil {
		c.problem(fmt.Sprintf("command %d was executed and never called", number))
		return
	}
	call.executed++
	c.Executed++
	name := call.kind.name
	switch {
	case call.executed > 1:
		c.problem(fmt.Sprintf("command %d, %s, was executed %d times", number, name, call.executed))
	case call.refused:
		c.problem(fmt.Sprintf("command %d, %s, was executed after its negative answer", number, name))
	case number < c.executed[name]:
		c.problem(fmt.Sprintf("command %d, %s, was executed after command %d", number, name, c.executed[name]))
	}
	c.executed[name] = max(c.executed[name], number)
	if call.unclear {
		call.unclear = false
		c.LeftOut--
	}
	if call.owed {
		call.owed = false
		c.signal()
	}
}

func (c *Commands) signal() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Answer records the end of a call, with an answer or with an error. What it met may excuse an error, and an answer to a
// command without a result that was not executed.
func (c *Commands) Answer(number int, err error, met excuse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.signal()
	call := c.calls[number]
	call.done = true
	if err != nil {
		c.Failed++
		// A broker that is away is what the caller's error says, or the one of the satellite's board in an answer.
		if met == metNothing || met.isBroker() && !errors.Is(err, everest.ErrBrokerLost) && !errors.Is(err, everest.ErrNotConnected) && !isAnswer(err) {
			c.problem(fmt.Sprintf("command %d, %s: %v", number, call.kind.name, err))
		}
		return
	}
	c.Answered++
	if call.executed == 0 && !call.kind.repeated {
		if call.kind.hasResult {
			c.problem(fmt.Sprintf("command %d, %s, was answered and not executed", number, call.kind.name))
		}
		if call.owed, call.unclear = met == metNothing, met.isBroker(); call.unclear {
			c.LeftOut++
		}
	}
	c.answered[call.kind.name] = number
}

// isAnswer reports whether an error is the answer of the module that was called.
func isAnswer(err error) bool {
	var answer *everest.CommandError
	return errors.As(err, &answer) && answer.Type != everest.CmdTimeout
}

// Refuse records that a call got the negative answer.
func (c *Commands) Refuse(number int, met excuse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.signal()
	c.Refused++
	c.calls[number].done, c.calls[number].refused = true, met != metPortBroker
}

// Kill records that a process was killed, a broker was away, or an outage that takes longer than the window: what is still
// to be executed may be lost.
func (c *Commands) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		call.owed = false
	}
}

// Paid reports whether every command that was answered has been executed. If not, the channel is closed when one is.
func (c *Commands) Paid() (bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		if call.owed {
			return false, c.changed
		}
	}
	return true, c.changed
}

// Abandon records that the caller of a command has ended.
func (c *Commands) Abandon(number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.signal()
	c.calls[number].done = true
	c.Abandoned++
}

// Ended reports whether each call up to that number has ended. If not, the channel is closed at the next end.
func (c *Commands) Ended(number int) (bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, call := range c.calls {
		if n <= number && !call.done {
			return false, c.changed
		}
	}
	return true, c.changed
}

// Last returns the number of the newest call.
func (c *Commands) Last() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Progress reports whether a call of each kind that was made after the given one was answered. If not, the channel is
// closed at the next answer.
func (c *Commands) Progress(number int, kinds ...commandKind) (bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kind := range kinds {
		if c.answered[kind.name] <= number {
			return false, c.changed
		}
	}
	return true, c.changed
}

// Open returns how many calls have not ended.
func (c *Commands) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := 0
	for _, call := range c.calls {
		if !call.done {
			open++
		}
	}
	return open
}
