//go:build linux

package campaign

import (
	"fmt"
	"sync"
)

// Commands is the account of the main board's commands: each must be answered, and executed exactly once. It is safe for
// concurrent use.
type Commands struct {
	mu       sync.Mutex
	calls    map[int]*call
	last     int
	problem  func(string)
	answered map[string]int // the newest number of each kind that was answered

	// Failed were answered with an error; the callers of Abandoned ended.
	Called, Answered, Failed, Abandoned, Executed int
	changed                                       chan struct{}
}

type call struct {
	kind     commandKind
	executed int
	// done is set when the call was answered, failed or abandoned.
	done bool
}

// commandKind is one kind of command that the main board calls over and over.
type commandKind struct {
	name string
	// hasResult is set for a command whose answer proves that it was executed. A command without a result is answered when
	// the satellite is lost, too.
	hasResult bool
	// repeated is set for a command that its caller repeats, so that it may be left out while there is no link.
	repeated bool
}

// The kinds of commands.
var (
	reserve       = commandKind{name: "reserve", hasResult: true}
	setDuration   = commandKind{name: "set_duration_s"}
	enforceLimits = commandKind{name: "enforce_limits", repeated: true}
	uploadLogs    = commandKind{name: "upload_logs", hasResult: true}
)

// NewCommands returns an empty account. It calls problem with a description of each thing that must not happen.
func NewCommands(problem func(string)) *Commands {
	return &Commands{calls: map[int]*call{}, problem: problem, answered: map[string]int{}, changed: make(chan struct{})}
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
	if call.executed > 1 {
		c.problem(fmt.Sprintf("command %d, %s, was executed %d times", number, call.kind.name, call.executed))
	}
}

// Answer records the end of a call, with an answer or with an error. killed is set if a process was killed meanwhile. That
// excuses an error, and an answer to a command without a result that was not executed.
func (c *Commands) Answer(number int, err error, killed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[number]
	call.done = true
	switch {
	case err != nil && !killed:
		c.problem(fmt.Sprintf("command %d, %s: %v", number, call.kind.name, err))
		fallthrough
	case err != nil:
		c.Failed++
		return
	}
	c.Answered++
	if call.executed == 0 && !call.kind.repeated && (call.kind.hasResult || !killed) {
		c.problem(fmt.Sprintf("command %d, %s, was answered and not executed", number, call.kind.name))
	}
	c.answered[call.kind.name] = number
	close(c.changed)
	c.changed = make(chan struct{})
}

// Abandon records that the caller of a command has ended.
func (c *Commands) Abandon(number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[number].done = true
	c.Abandoned++
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
