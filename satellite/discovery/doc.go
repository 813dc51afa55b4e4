// Package discovery finds satellite boards by their serial number, with DNS-SD
// (RFC 6763) over multicast DNS (RFC 6762). What it promises:
//
//   - [Announce] tells the network where a satellite is: service type
//     _evsatellite._tcp, with serial number, module id, version and dialects in
//     the TXT record. [Watcher] follows one serial number; [Discover] lists all
//     satellites.
//   - Only the interfaces that are named are used: no other one is joined,
//     asked, told or listened to. They may be down, without an address, or not
//     there at all yet; they are taken up as they come, and a change of an
//     address is announced at once.
//   - A satellite that restarts, moves to another address, or goes away without
//     a good-bye is followed. Two boards with one serial number are reported as
//     such, never chosen from: [Location].
//   - Nothing runs that was not called: each function holds its sockets and
//     goroutines while it runs and has ended them when it returns.
//   - What is heard is bounded in size and number, and nothing that is heard
//     makes these functions fail.
//
// Multicast DNS is not authenticated: whoever is on the link can announce any
// serial number. What an announcement leads to has to prove who it is, or the
// link has to be trusted: doc/discovery.md.
//
// The parts: message.go and reader.go read and write packets; book.go and board.go fold
// records into where a serial number is, speaker.go decides what an announcing
// board sends: both without sockets and clock; network.go owns sockets and
// interfaces.
package discovery
