// Package everest makes a Go process an EVerest module. The module exchanges the same MQTT messages with the manager
// and other modules as a C++ module. Connect finds out which release of EVerest it is, and speaks its messages; see
// doc/wire-everest.md.
//
//	m, err := everest.Connect(ctx, options)          // broker, manager's configuration, requirements
//	m.Provides("main").Handle("ring", ring)          // commands of an implementation
//	m.Requires("bell")[0].Subscribe("rung", heard)   // variables of another module
//	err = m.Run(ctx)                                 // subscribes, is ready, serves until something ends it
//
// The life of a module, with the messages between the module and its manager:
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
// [Handle], [Call] and [Subscribe] encode and decode Go types. The methods with the same names leave the JSON to the
// caller. [Provided.Raise] raises an error, and [Required.SubscribeErrors] receives the errors of another module.
//
// When the connection to the broker ends, Run of a module that the manager started returns ErrBrokerLost, because
// EVerest ends with its broker. A module that a person or systemd started connects again and requests its
// configuration. If that has changed, Run returns ErrConfigChanged.
//
// What it promises:
//
//   - Run awaits the acknowledgement of every subscription before the module is ready. OnReady functions run once, on
//     the first global ready.
//   - Messages of one topic are handled in their order, different topics in parallel. A Queue handles the messages of
//     several subscriptions in the order in which the broker delivered them.
//   - A handler may call commands, because replies are processed while handlers run. Two handlers must not wait for
//     each other.
//   - A relayed value or error keeps the number formats, the order of keys and the unknown keys of its JSON.
//   - Messages are sent with exactly-once delivery, at most 16 of them unacknowledged. A packet above MaxPacketSize or
//     a command whose arguments contradict its definition is not sent. Error objects are complete.
//   - Received messages that cannot be read are logged and dropped. Queues are bounded. When one is full because its
//     handler is too slow, the module ends with an error that names the handler.
//   - No goroutine polls. Run and Close return after all goroutines have ended, except handlers and OnInit or OnReady
//     functions that exceed [Options.StopTimeout].
//
// Related packages: schema checks values against interface definitions. install writes a module into an installation.
// program has a main function. control serves a status socket. everestgen generates typed bindings. everesttest runs a
// module in a test.
package everest
