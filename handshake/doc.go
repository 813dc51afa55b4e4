// Package handshake is the start-up and loss-of-peer protocol of the two
// boards of a charging station, as two pure state machines: [Agent] runs on
// the satellite board and serves, [Controller] runs on the main board and
// calls.
//
// A machine is a value without goroutine, clock, socket or logger. Its shell
// tells it what happened and does what it answers:
//
//	for _, action := range machine.Step(event) {
//		switch action := action.(type) { ... }
//	}
//
// What the pair promises, whatever the link does and whoever crashes:
//
//   - No work function is called before both sides agreed on each other:
//     i_am_here answered false, then i_am_ready answered.
//   - Both boards go to ready, or neither: each module's init is held until
//     the agreement, and an agreement of which only one side knows ends in a
//     restart of both.
//   - A side that crashed or lost its memory never joins a peer that has not:
//     both start afresh together.
//   - Something leads out of every state: the peer, a timer, or the own board.
//
// Two Go modules may speak a second dialect, [V2], in which a lost connection is
// resumed instead: see doc/link-v2.md. Both machines then promise besides that
// as long as both processes live, whatever the link does, they come back to
// each other within the resume window; and with [Ledger], [Numbers] and [Inbox]
// the shells promise that no event is lost or comes twice and no command is
// executed twice. A machine speaks v2 only where its configuration says so.
//
// The explorer in this package's tests checks these over every
// interleaving of both machines, a faulty link and crashes of both sides;
// testdata tells the same protocol as readable stories. The functions on the
// wire are described in doc/link.md of this repository.
//
// # What a shell owes a machine
//
// One goroutine calls Step, one event at a time, and carries out the actions
// in the order in which they are returned before the next event. The first
// event is [Start]. A timer has one deadline: [StartTimer] replaces a pending
// one of the same kind, [StopTimer] of one that does not run does nothing,
// and an expiry that was replaced or stopped is never delivered (the
// channels of time.Timer behave so since Go 1.23). After [ExitProcess]
// nothing follows and every further event is ignored. Events of an abandoned
// connection may be delivered at any time: they carry its number and are
// ignored. An event that a state does not expect is ignored too; Step never
// panics.
package handshake
