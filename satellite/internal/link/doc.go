// Package link is the relation of two boards: the agent's end and the controller's
// end of one link, in two dialects.
//
// A [Client] is the controller's end, a [Server] the agent's. Each drives a machine of
// package handshake with a loop, and owns what that machine decides about:
//
//	main board                                        satellite board
//
//	Client.Call -> sender -> dialect:  legacyClient -- rpc -> legacyServer -> work.execute -> Execute
//	Client.Push   (outbox)             or v2Client            or v2Server     (executor)      Publish
//
//	Publish <- queue <- dialect.events  <- rpc --   retrieve, events <- journal <- Server.Record
//
// There is one way for a command and one for an event. The two dialects differ only
// where bytes are written and read: wire_legacy.go, wire_v2.go and wire_errors.go.
//
// A command: Client.Call gives it to the link's sender. What goes out, and when, is
// decided by package outbox: a command without a result waits there for a link that is
// away, and its caller does not. The dialect writes the arguments. On the agent the dialect reads them and calls
// work.execute. That asks the policy, has the board carry the command out, and posts to
// the handshake what follows. In v2 the executor does so once for each number.
//
// An event: Server.Record numbers it and keeps it in the journal. The dialect hands over
// what the controller asks for. On the controller an answer stays encoded as a batch
// in the queue until its events are published, one after the other.
//
// What the package promises, in both dialects where not said otherwise:
//   - Every event is published in the order in which it was recorded. In v2 each is
//     published once, also when the connection is lost in between. In legacy an answer
//     that is lost on its way takes its events along.
//   - In v2 a command is executed once, and its first outcome is that of every
//     repetition. It outlives the connection on which it came.
//   - A reset is replied to although the board goes down before its system replies.
//   - Reading an answer costs no more memory than its bytes. One that is larger than
//     what was asked for ends the link, and the loss policy applies.
//   - A full journal evicts values that newer ones replace, then the oldest events,
//     each in a time that does not depend on how many are kept.
//   - A path that swallows long packets loses, doubles and reorders nothing. On Linux both ends make their packets
//     smaller: path.go decides about new connections, watch.go about those that stand.
//   - A link that connects without progress is lost after its window. Its port returns to service with progress alone.
//   - A peer of an older release is understood: testdata/wire-v2.txt has its bytes.
//   - Run returns when no goroutine of the link is left.
//
// What it does not promise: an event that is not published when the process ends, or not
// acknowledged, is lost with it. Both modules log how many those are. The ends of
// transactions outlive the agent's process where the board keeps them: journal_ends.go.
//
// The package knows neither the agent nor the controller. They hand it what it needs:
// [MainBoard], [SatelliteBoard] and [Admission].
package link
