package handshake

// Verdict is what to do with a numbered command.
type Verdict uint8

const (
	// Execute: the command came for the first time. The shell executes it, once.
	Execute Verdict = iota + 1
	// Running: the command is being executed. The shell waits for its result.
	Running
	// Finished: the command was executed, and the ledger has its result.
	Finished
	// Forgotten: the result was acknowledged. The command is not executed.
	Forgotten
	// Cancelled: the command was cancelled before it came. It is not executed.
	Cancelled
	// Refused: the ledger is full. The command may be sent again.
	Refused
)

// A ledger refuses new commands while it holds maxResults commands or results of maxResultBytes in all.
const (
	maxResults     = 4096
	maxResultBytes = 8 << 20
)

// Ledger is the agent's record of numbered commands. Each command is executed once, however often it comes. The ledger
// keeps a command's result until the controller acknowledges the command. It is a pure value, not safe for concurrent
// use. The zero value is empty.
type Ledger[R any] struct {
	floor   uint64
	bytes   int
	entries map[uint64]ledgerEntry[R]
}

type ledgerEntry[R any] struct {
	finished, cancelled bool
	result              R
	size                int
}

// Begin returns what to do with a command, and the result of a Finished one.
func (l *Ledger[R]) Begin(number uint64) (R, Verdict) {
	var none R
	entry, known := l.entries[number]
	switch {
	case number < l.floor, number == 0:
		return none, Forgotten
	case entry.cancelled:
		return none, Cancelled
	case entry.finished:
		return entry.result, Finished
	case known:
		return none, Running
	case len(l.entries) >= maxResults, l.bytes >= maxResultBytes:
		return none, Refused
	}
	l.set(number, ledgerEntry[R]{})
	return none, Execute
}

// Finish records the result of a command. size is the result's length in bytes. If the controller has acknowledged the
// command meanwhile, Finish drops the result.
func (l *Ledger[R]) Finish(number uint64, result R, size int) {
	if entry, known := l.entries[number]; known && !entry.finished {
		l.set(number, ledgerEntry[R]{finished: true, result: result, size: size})
		l.bytes += size
	}
}

// Cancel prevents the execution of a command that has not come yet. It does not affect a command that has begun.
func (l *Ledger[R]) Cancel(number uint64) {
	if _, known := l.entries[number]; !known && number >= l.floor && len(l.entries) < maxResults {
		l.set(number, ledgerEntry[R]{cancelled: true})
	}
}

// Acknowledge forgets every command with a number below floor. A floor below an earlier one has no effect.
func (l *Ledger[R]) Acknowledge(floor uint64) {
	if floor <= l.floor {
		return
	}
	l.floor = floor
	for number, entry := range l.entries {
		if number < floor {
			l.bytes -= entry.size
			delete(l.entries, number)
		}
	}
}

func (l *Ledger[R]) set(number uint64, entry ledgerEntry[R]) {
	if l.entries == nil {
		l.entries = make(map[uint64]ledgerEntry[R])
	}
	l.entries[number] = entry
}

// Sequence numbers the controller's commands from 1. It also records which commands still wait for a result. It is a
// pure value, not safe for concurrent use. The zero value is ready.
type Sequence struct {
	last uint64
	open map[uint64]bool
}

// Next returns the number of a new command.
func (s *Sequence) Next() uint64 {
	if s.open == nil {
		s.open = make(map[uint64]bool)
	}
	s.last++
	s.open[s.last] = true
	return s.last
}

// Done records that a command's result has come or is no longer wanted.
func (s *Sequence) Done(number uint64) { delete(s.open, number) }

// Floor returns the lowest number whose result is still wanted. If there is none, it returns the number of the next
// command.
func (s *Sequence) Floor() uint64 {
	floor := s.last + 1
	for number := range s.open {
		floor = min(floor, number)
	}
	return floor
}

// Inbox is the controller's position in the agent's numbered events. It is a pure value, not safe for concurrent use.
// The zero value is the position before the first event.
type Inbox struct{ received, published uint64 }

// Accept records an event as received, and reports whether it is new.
func (i *Inbox) Accept(number uint64) bool {
	if number <= i.received {
		return false
	}
	i.received = number
	return true
}

// Published records that every event up to the number was published.
func (i *Inbox) Published(number uint64) { i.published = max(i.published, number) }

// Position returns the number of the last event received, and the number up to which all were published.
func (i *Inbox) Position() (received, published uint64) { return i.received, i.published }
