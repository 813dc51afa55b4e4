// Package handshake is the protocol by which the two boards of a charging station start together and handle the loss of
// each other. It is two pure state machines: [Agent] runs on the satellite board and serves, [Controller] runs on the
// main board and calls.
//
// A machine is a value without goroutine, clock, socket or logger. Its shell owns those, passes each event to Step, and
// carries out the actions in order:
//
//	controller            the link             agent
//	Connecting        ---- connect ----------> Waiting
//	Greeting          ---- link_hello -------> Waiting     where v2 is spoken
//	Announcing        ---- i_am_here --------> Met         work functions exist
//	Agreeing          ---- i_am_ready -------> Agreed      init ends
//	Agreed            <--- heartbeats -------> Agreed      the board is not ready
//	Working           <--- heartbeats -------> Working
//	Resuming          ---- link_hello -------> Resuming    v2, connection lost
//	OutOfService      ---- connect ...         Resetting   peer lost for good
//
// The pair promises, whatever the network does and whichever board crashes:
//
//   - No work function is called before both sides have agreed.
//   - Both boards become ready, or neither. An agreement that only one side knows ends in a restart of both.
//   - A process that restarted never joins a peer that did not: both restart.
//   - Every state is left by the peer, by a timer or by the own board.
//   - In v2, two living processes find each other again within the resume window. With [Ledger], [Sequence] and [Inbox]
//     their shells lose and repeat no event and execute no command twice.
//
// The limit: on a legacy link a lost connection restarts both boards. The explorer in this package's tests checks the
// promises over every interleaving of both machines, a faulty link and crashes; testdata shows the protocol as
// transcripts. The wire is described in doc/link.md and doc/link-v2.md of this repository.
//
// # Duties of a shell
//
//	for event := range events {
//		for _, action := range agent.Step(event) {
//			switch action := action.(type) {
//			case handshake.StartTimer: // start it; send TimerFired when it expires
//			case handshake.Reply: // reply to the calls that wait
//			case handshake.ExitProcess: // end
//			}
//		}
//	}
//
// One goroutine calls Step with one event at a time, and carries out all actions before the next event. The first event
// is [Start]. [StartTimer] replaces a pending timer of the same kind; the expiry of a timer that was replaced or
// stopped is never delivered. After [ExitProcess] every event is ignored. Events of an abandoned connection may be
// delivered at any time: a machine ignores them by their number. A machine also ignores an event that its state does
// not expect; Step never panics.
package handshake
