// Package control serves and reads the status socket of a module. People and programs on the same board use the socket
// to see what the module does.
//
// A module serves HTTP/1.1 on a UNIX socket of mode 0600, so every user that may open the file may send requests.
//
//	GET  /status  a JSON [Status]
//	GET  /watch   server-sent events, one JSON [Event] each: variables, errors and changes of state
//	POST /ping    a JSON [Pong]: one round trip to the other board
//	POST /reset   a JSON [ResetBoard]: the reset of one satellite; ?board=NAME, &type=Hard for another than Soft
//	GET  /config  the module's configuration without secrets, as a JSON object
//	GET  /logs    the module's last log lines as text, or an archive of all boards' logs
//
// A module serves the socket until its context ends:
//
//	events := &control.Hub{ModuleID: "connector_2"}
//	server, err := control.Listen(control.Config{Path: path, Events: events, Status: snapshot})
//	go server.Serve(ctx)
//	events.SetState("Working", control.Healthy)
//	if events.Watched() {
//		events.Publish(control.Event{Kind: control.KindVariable, Interface: "energy", Variable: "limits", Value: value})
//	}
//
// A Go program reads it with a [Client], and curl works as well:
//
//	client := control.Dial(path)
//	status, err := client.Status(ctx)
//	err = client.Watch(ctx, func(event control.Event) { ... })
//
//	curl --unix-socket /run/remotechargeport/connector_2.sock http://module/status
//
// A request that fails gets {"error": "the reason, and what to do"}. The status is 501 where the module can never
// fulfil the request, 503 where it cannot at the moment, 504 after a timeout. A function of the [Config] that returns a
// [Reason] with Never set causes a 501. Any other error causes a 503 or, after a timeout, a 504.
//
// [PathOf] makes the path from the configuration key control_socket, and [Sockets] lists the sockets of a directory.
//
// The package promises:
//
//   - A socket file belongs to a running module. Listen replaces the file of a process that is gone, and fails while
//     another process serves the path. A module that ends removes only its own file.
//   - A client never delays the module. When a watcher reads too slowly, the module drops events for this watcher and
//     sends their number. Without a watcher an event costs one atomic load.
//   - The first event of a watch is the module's current state. Later events of the state report only changes.
//   - Connections, headers, queues and times are bounded. A request has no body.
//   - When Serve returns, no function of the Config runs any more.
//   - A module without a socket runs no goroutine of this package.
package control
