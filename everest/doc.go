// Package everest makes a Go process an EVerest module. It speaks MQTT with the manager and the other modules as the
// C++ framework does, in the wire family of the releases 2025.12 to 2026.02 (package everest/wire,
// doc/wire-everest.md).
//
//	m, err := everest.Connect(ctx, options)          // broker, manager's configuration, requirements
//	m.Provides("main").Handle("ring", ring)          // commands of an implementation
//	m.Requires("bell")[0].Subscribe("rung", heard)   // variables of another module
//	err = m.Run(ctx)                                 // subscribes, is ready, serves until something ends it
//
// The life of a module, beside what its manager does:
//
//	module                                       manager
//	Connect   asks for its configuration   --->  config service
//	          registers handlers
//	Run       subscribes, runs OnInit
//	          publishes that it is ready   --->
//	          runs OnReady                 <---  all modules are ready
//	          calls, publishes, handles
//	          returns nil                  <---  shutdown
//
// [Handle], [Call] and [Subscribe] encode and decode Go types. The methods of the same name have the JSON text. Errors
// are raised with [Provided.Raise], and heard with [Required.SubscribeErrors].
//
// A module that a manager has started ends with ErrBrokerLost when its connection ends, because EVerest goes down with
// its broker. One that a person or systemd has started connects again and repeats the handshake. It ends with
// ErrConfigChanged where the manager has another configuration for it by then.
//
// What it promises:
//
//   - Run awaits the acknowledgement of every subscription before the module is ready. OnReady functions run once, on
//     the first global ready.
//   - Messages of one topic are handled in their order, different topics in parallel. A Queue handles the messages of
//     several subscriptions in the order in which the broker delivered them.
//   - Results of commands do not wait for handlers. A handler may call any module that is not itself waiting for that
//     handler.
//   - Payloads stay bytes: relayed values and errors keep their number forms, the order of keys and unknown keys.
//   - Sent messages fit EVerest: exactly-once delivery with at most 16 unacknowledged messages, no packet above
//     MaxPacketSize, no command whose arguments contradict a known definition, no incomplete error object.
//   - Received messages that cannot be read are logged and dropped. Memory is bounded: a handler that does not return
//     until its queue is full ends the module with an error that names the handler.
//   - Nothing polls, and every goroutine ends before Run and Close return, as far as handlers allow it.
//
// Packages beside it: schema has interface definitions and checks, install the manifest and the installation, program a
// main function, control a status socket, everestgen typed bindings, everesttest a broker and a manager for tests.
package everest
