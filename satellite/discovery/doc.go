// Package discovery finds satellite boards by their serial number, with DNS-SD (RFC 6763) over multicast DNS (RFC 6762).
//
//	satellite board                              main board
//	Announce                                     Watcher, Discover
//	  responder: decides what is sent   --->       cache: the records received, by interface
//	  network: sockets, interfaces      <---       conflict: boards with one serial number
//	                                               querySchedule: when to query
//
// [Announce] announces a satellite with the service type _evsatellite._tcp. The TXT record has its serial number, module
// id, version and dialects. [Watcher] follows one serial number, [Discover] lists all satellites. The responder, the
// cache and the schedule have neither a socket nor a clock.
//
// What the package promises:
//   - It uses only the named interfaces: it joins, queries, announces on and listens to no other one. An interface may be
//     down, without an address, or missing. It is used as soon as it comes up, and a changed address is announced at once.
//   - A satellite that restarts, moves to another address, or disappears without a goodbye is followed.
//   - Two boards with one serial number are a conflict. The caller gets both and no choice is made: [Location].
//   - Each function holds sockets and goroutines only while it runs.
//   - What is received is bounded in size and number. Nothing that is received makes a function fail.
//
// Multicast DNS is not authenticated: any machine on the network can announce any serial number. The board that was found
// has to prove its identity, or the network has to be trusted: doc/discovery.md.
package discovery
