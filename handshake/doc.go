// Package handshake is the protocol by which the two boards of a charging station start together and handle the loss of
// each other. It is two pure state machines: [Agent] runs on the satellite board and serves, [Controller] runs on the
// main board and calls.
//
// A machine is a value without goroutine, clock, socket or logger. The code around a machine is called its shell and
// owns all of these. The shell passes each event to Step and carries out the returned actions in order. The machines go
// through these states:
//
//	controller            the link             agent
//	Connecting        ---- connect ----------> Waiting
//	Greeting          ---- link_hello -------> Waiting     where v2 is spoken
//	Announcing        ---- i_am_here --------> Met         work functions exist
//	Agreeing          ---- i_am_ready -------> Agreed      init ends
//	Agreed            <--- heartbeats -------> Agreed      the board is not ready
//	Working           <--- heartbeats -------> Working
//	Resuming          ---- link_hello -------> Resuming    v2, connection lost
//	OutOfService      ---- link_hello -------> Resuming    the same, after the window, with IsolateOnLoss
//	OutOfService      ---- connect ...         Resetting   peer lost for good
//	Parted            ---- connect ...         Resetting   peer lost as expected
//
// The pair promises, whatever the network does and whichever board crashes:
//
//   - No work function is called before both sides have agreed.
//   - Both boards become ready, or neither, unless [IsolateOnLoss] lets the main board start alone. If only one board
//     knows of the agreement, both boards restart.
//   - A link does not survive the restart of one process. Both boards restart, unless the main board agrees anew with the
//     restarted satellite: under [IsolateOnLoss], and after a loss that was expected because of an update or a reset.
//   - Only [Ended] is final. A machine leaves every other state at an event of the peer, of a timer or of its own
//     board.
//   - In v2, connections that bring no reply to Events do not prolong the resume window.
//   - In v2, two living processes find each other again within the resume window, and under [IsolateOnLoss] as long as
//     the agent keeps the link. Shells that use [Ledger], [Sequence], [Inbox] and [Lease] lose no event, publish no event
//     twice, and execute no command twice or after its negative answer.
//
// The limit: on a legacy link a lost connection restarts both boards. The tests of this package check the promises in
// every interleaving of both machines, with a faulty link and crashes. The files in testdata show the protocol as
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
// is [Start]. [StartTimer] replaces a pending timer of the same kind. The shell never sends [TimerFired] for a timer
// that was replaced or stopped. After [ExitProcess] every event is ignored. The shell may send events of an abandoned
// connection at any time. A machine recognises them by their connection's number and ignores them. A machine also
// ignores an event that its state does not expect; Step never panics.
package handshake
