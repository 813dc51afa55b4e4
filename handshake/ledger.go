package handshake

// Verdict is what a [Ledger] says about a command that came.
type Verdict uint8

const (
	// Execute: it came for the first time. The shell executes it, once.
	Execute Verdict = iota + 1
	// Running: it is being executed; its result is to be waited for.
	Running
	// Finished: it has been executed and its result is remembered.
	Finished
	// Forgotten: its result was acknowledged, or it was cancelled before it
	// came. It is not executed.
	Forgotten
	// Refused: too many results are remembered. It may be asked for again.
	Refused
)

// String returns the constant's name.
func (v Verdict) String() string {
	return name([]string{"", "Execute", "Running", "Finished", "Forgotten", "Refused"}, int(v), "Verdict")
}

// Bounds of what a ledger remembers.
const (
	maxResults     = 4096
	maxResultBytes = 8 << 20
)

// Ledger is the agent's memory of numbered commands: it lets each be executed
// once, however often it comes, and keeps the results until the controller does
// not want them any more. It is a pure value without lock. The zero value is
// empty.
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

// Begin tells what to do about a command; the result is that of a Finished one.
func (l *Ledger[R]) Begin(number uint64) (R, Verdict) {
	var none R
	entry, known := l.entries[number]
	switch {
	case number < l.floor, number == 0, entry.cancelled:
		return none, Forgotten
	case entry.finished:
		return entry.result, Finished
	case known:
		return none, Running
	case len(l.entries) >= maxResults, l.bytes >= maxResultBytes:
		return none, Refused
	}
	if l.entries == nil {
		l.entries = make(map[uint64]ledgerEntry[R])
	}
	l.entries[number] = ledgerEntry[R]{}
	return none, Execute
}

// Finish remembers a result of so many bytes. One that nobody wants any more
// is dropped.
func (l *Ledger[R]) Finish(number uint64, result R, size int) {
	if entry, known := l.entries[number]; known && !entry.finished {
		l.entries[number] = ledgerEntry[R]{finished: true, result: result, size: size}
		l.bytes += size
	}
}

// Cancel keeps a command that has not come yet from being executed.
func (l *Ledger[R]) Cancel(number uint64) {
	if _, known := l.entries[number]; known || number < l.floor || len(l.entries) >= maxResults {
		return
	}
	if l.entries == nil {
		l.entries = make(map[uint64]ledgerEntry[R])
	}
	l.entries[number] = ledgerEntry[R]{cancelled: true}
}

// Acknowledge forgets every command below the floor, which never falls.
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

// Len returns how many commands are remembered.
func (l *Ledger[R]) Len() int { return len(l.entries) }

// Numbers gives the controller's commands their numbers, from 1, and knows the
// floor: the lowest one whose result is still wanted. It is a pure value without
// lock. The zero value is ready.
type Numbers struct {
	last uint64
	open map[uint64]bool
}

// Next returns the number of a new command.
func (n *Numbers) Next() uint64 {
	if n.open == nil {
		n.open = make(map[uint64]bool)
	}
	n.last++
	n.open[n.last] = true
	return n.last
}

// Done says that a command's result came, or that nobody waits for it.
func (n *Numbers) Done(number uint64) { delete(n.open, number) }

// Floor returns the lowest number whose result is wanted, or the next one.
func (n *Numbers) Floor() uint64 {
	floor := n.last + 1
	for number := range n.open {
		floor = min(floor, number)
	}
	return floor
}

// Inbox is how far the controller has come in the agent's numbered events. It
// is a pure value without lock. The zero value has seen none.
type Inbox struct{ received, published uint64 }

// Accept tells whether an event is new.
func (i *Inbox) Accept(number uint64) bool {
	if number <= i.received {
		return false
	}
	i.received = number
	return true
}

// Published says that everything up to the number has gone on.
func (i *Inbox) Published(number uint64) { i.published = max(i.published, number) }

// Progress returns the numbers of the last event that was received, and up to
// which all have gone on.
func (i *Inbox) Progress() (received, published uint64) { return i.received, i.published }
