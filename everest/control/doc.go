// Package control has the status socket of a module: it shows people and programs on the same board what the module
// does.
//
// A module serves HTTP/1.1 on a UNIX socket of mode 0600, so every user that may open the file may send requests. A
// module calls [Listen] and [Server.Serve]. A Go program calls [Dial], and curl works as well:
//
//	curl --unix-socket /run/remotechargeport/connector_2.sock http://module/status
//
//	GET  /status  a JSON [Status]
//	GET  /watch   server-sent events, one JSON [Event] each: variables, errors and changes of state
//	POST /ping    a JSON [Pong]: one round trip to the other board
//	GET  /logs    the module's last log lines as text, or an archive of all boards' logs
//
// A request that fails gets {"error": "the reason, and what to do"}. The status is 501 where the module can never
// fulfil the request, 503 where it cannot at the moment, 504 after a timeout.
//
// The package promises:
//
//   - A socket file belongs to a running module. Listen replaces the file of a process that is gone, and fails while
//     another process serves the path. A module that ends removes only its own file.
//   - A client never delays the module. A watcher that reads too slowly loses events, and learns how many. Without a
//     watcher an event costs one atomic load.
//   - Connections, headers, queues and times are bounded. A request has no body.
//   - A module without a socket runs no goroutine of this package.
package control
