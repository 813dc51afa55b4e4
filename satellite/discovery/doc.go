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
// Call [Watcher.Query] when a connection fails. A watcher sends queries one second apart at first, and later 30 seconds
// apart. Query makes the watcher start again with one second.
//
// What the package promises:
//   - The package sends and receives only on the named interfaces. An interface may be down, without an address, or
//     missing. It is used as soon as it comes up, and a changed address is announced at once.
//   - A [Watcher] notices when a satellite restarts, moves to another address, or disappears without a goodbye.
//   - Two boards with one serial number are a conflict. A [Location] lists both, and the caller decides.
//   - Where the boards prove their serial number to the caller ([WatchConfig.Verified]), a sender changes only what it
//     announced itself. The caller tries all boards of a [Location].
//   - Location.Settled reports whether the number of boards is reliable. It becomes true 1.12 s after a single board was
//     found, and four seconds after a conflict was found.
//   - An announcement is kept for two minutes after it was received last, whatever its TTL, or until its goodbye.
//   - On Linux the port is shared with other resolvers on the board, such as avahi, and interface changes are noticed
//     at once. On other systems the port is not shared, and interface changes are noticed within two seconds.
//   - Each function holds sockets and goroutines only while it runs.
//   - A Watcher keeps records of its serial number, and few others. Their number is bounded. No received packet makes a
//     function fail.
//
// Multicast DNS is not authenticated: any machine on the network can announce any serial number. The board that was
// found has to prove its identity, or the network has to be trusted: doc/discovery.md.
package discovery
