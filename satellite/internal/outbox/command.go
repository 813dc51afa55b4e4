package outbox

import (
	"time"

	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// Command is what an Outbox knows of a command.
type Command struct {
	Interface, Name string
	Rule            route.Away
	// Result reports whether the caller waits for a result.
	Result bool
	// Subject tells apart the calls of a Newest command that do not replace each other.
	Subject string
	// Cancels is the name of a command of the interface whose waiting calls are dropped.
	Cancels string
	// Expires is when the command must not be sent any more, zero for never.
	Expires time.Time
	// SentOnce marks a command that must not be sent again where its connection was lost.
	SentOnce bool
	// Size is what the command counts for MaxBytes.
	Size int
}

// Verdict is what becomes of a new command.
type Verdict uint8

// The verdicts.
const (
	// Send: the caller sends the command.
	Send Verdict = iota + 1
	// Keep: Next returns the command when it is due.
	Keep
	// Refuse: the command is never sent.
	Refuse
)

// Fate is why a command is not delivered.
type Fate uint8

// The fates.
const (
	// Replaced: a newer call of a Newest command came.
	Replaced Fate = iota + 1
	// Cancelled: a later command took it back.
	Cancelled
	// Expired: its validity ran out.
	Expired
	// Overflowed: the outbox was full.
	Overflowed
	// Disconnected: its connection ended before the reply, and the link cannot be resumed. It may have been executed.
	Disconnected
	// Refused: the link is away, and it must not be delivered later.
	Refused
	// GivenUp: its caller has the negative result.
	GivenUp
	// Discarded: the link was given up.
	Discarded
)

// Dropped is a command that is not delivered.
type Dropped[T any] struct {
	Value T
	Fate  Fate
}

// ID names a command in its Outbox.
type ID uint64
