// Package everest makes a Go process an EVerest module: it speaks MQTT with the manager and the other modules as the
// C++ framework does, in the wire family of the releases 2025.12 and 2026.02.0 and of main (package everest/wire, doc/wire-everest.md).
//
// What it promises:
//
//   - Connect asks the manager's config service until it answers; Run awaits the acknowledgement of every subscription
//     before it says ready, and calls OnReady handlers once, on the first global ready.
//   - Messages of one topic are handled in their order, different topics in parallel; a Queue puts several subscriptions
//     into one line, in the order in which the broker delivered them. Results of commands never wait behind handlers,
//     so a handler may call any module that is not itself waiting for that handler.
//   - Payloads stay bytes: what a module relays keeps its number forms and the order of its keys.
//   - What goes out fits EVerest: exactly-once delivery with at most 16 unacknowledged messages, nothing above
//     MaxPacketSize, no command whose arguments contradict a known interface definition, no incomplete error object.
//   - What comes in and cannot be read is logged and dropped. Memory is bounded: a handler that is stuck until its queue
//     is full ends the module with an error that names it.
//   - Nothing polls, nothing is global, every goroutine ends before Run and Close return, as far as handlers let it.
//
// A module reads its Options from the command line that the manager gives it, connects, registers what it provides and
// what it wants to hear, and runs; the example shows all of it. Package everesttest stands up a broker and a
// manager for tests, package everest/schema holds the interface definitions of an EVerest release.
package everest
