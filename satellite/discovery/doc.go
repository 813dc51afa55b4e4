// Package discovery finds satellite boards by their serial number, with DNS-SD (RFC 6763) over multicast DNS (RFC
// 6762).
//
//	satellite board                              main board
//	Announce                                     Watcher, Discover
//	  responder: decides what is sent   --->       cache: the records received, by interface
//	  network: sockets, interfaces      <---       conflict: boards with one serial number
//	                                               querySchedule: when to query
//
// [Announce] announces a satellite with the service type _evsatellite._tcp. The TXT record has its serial number,
// module id, version and dialects. [Watcher] follows one serial number, [Discover] lists all satellites. The responder,
// the cache and the schedule have neither a socket nor a clock.
//
// A satellite announces its agent until the context ends:
//
//	err := discovery.Announce(ctx, discovery.Announcement{Serial: "SAT01", Port: 4000, Interfaces: []string{"eth1"}})
//
// A main board looks for it, and connects to the endpoints in their order:
//
//	watcher, err := discovery.NewWatcher(discovery.WatchConfig{Serial: "SAT01", Interfaces: []string{"eth1"}})
//	go watcher.Run(ctx)
//	for {
//		location, changed := watcher.Location()
//		if location.Err() == nil {
//			connect(location.Boards[0].Endpoints())
//		}
//		<-changed // closed when the location is another one
//	}
//
// A connection that fails is a reason to call [Watcher.Query]. It restarts the queries, which otherwise become rarer:
// one each second at first, one each 30 seconds later.
//
// What the package promises:
//   - Nothing is sent or received on other interfaces than the named ones. An interface may be down, without an
//     address, or missing. It is used as soon as it comes up, and a changed address is announced at once.
//   - A satellite that restarts, moves to another address, or disappears without a goodbye is followed.
//   - Two boards with one serial number are a conflict. A [Location] lists both, and the caller decides.
//   - A single board counts as the only one half a second after it was found, a conflict as real after four seconds:
//     Location.Settled.
//   - The port is shared with another resolver of the board, such as avahi. Linux reports changes of interfaces, on
//     other systems they are noticed within two seconds and the port is not shared.
//   - Each function holds sockets and goroutines only while it runs.
//   - What is received is bounded in size and number. Nothing that is received makes a function fail.
//
// Multicast DNS is not authenticated: any machine on the network can announce any serial number. The board that was
// found has to prove its identity, or the network has to be trusted: doc/discovery.md.
package discovery
