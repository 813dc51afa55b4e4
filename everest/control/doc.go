// Package control is the control socket of a module: how a person or a program on the same board sees what it does.
//
// A module serves HTTP/1.1 on a UNIX socket of mode 0600; who may open the file may ask. [Listen] and [Server.Serve] are
// the module's side, [Dial] is the other's, and curl will do as well:
//
//	curl --unix-socket /run/remotechargeport/connector_2.sock http://module/status
//
//	GET  /status  a JSON [Status]
//	GET  /watch   server-sent events, one JSON [Event] each: variables, errors and changes of state as they happen
//	POST /ping    a JSON [Pong]: one round trip to the other board
//	GET  /logs    the module's recent log lines as text, or an archive of all boards' logs
//
// A request that cannot be answered gets {"error": "why, and what to do"} and the status 501 where the module never can, 503
// where it cannot at the moment, 504 where the time was over. What the package promises:
//
//   - The file belongs to a living module: one that a dead process has left behind is replaced, one of a living process
//     is an error, and at its end a module removes its own file and no other.
//   - Whoever asks slowly, or watches and does not read, loses events, which are counted, and never holds the module up.
//     While nobody watches, an event costs one atomic load.
//   - Connections, headers and times are bounded; a request has no body.
//   - A module without a socket has no goroutine of this package.
package control
