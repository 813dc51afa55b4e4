// Package satellite holds the modules SatelliteAgent and SatelliteController: one charge
// port of a satellite board, tunnelled to the main board.
//
// An [Agent] runs on the satellite board beside its EvseManager, a [Controller] on the
// main board in the EvseManager's place:
//
//	main board                                     satellite board
//	OCPP, Auth ... --> Controller  <--- link --->  Agent --> EvseManager, System ...
//
// Each can replace its C++ counterpart alone, with the configuration that is there. A
// program makes one of them and calls Run: see the examples.
//
// What the pair promises:
//
//   - Every command of the route table reaches the satellite with its arguments
//     unchanged, and its result comes back unchanged. Calls of one command keep their
//     order. Different commands do not wait for each other.
//   - The table is resolved against the board's manifest and EVerest. The configuration
//     key tunnel adds interfaces that are carried by their definitions: doc/tunnel.md.
//   - Every variable and error of the satellite is published on the main board once,
//     unchanged, in the order in which MQTT delivered it on the satellite. Towards a C++
//     module an error and a variable may change places.
//   - Both boards become ready together or not at all. A peer that is lost ends the
//     process with an [*EndError], so that both restart: package handshake has the
//     rules, doc/link.md the functions on the wire.
//   - Two modules of this package negotiate link v2, doc/link-v2.md. Events are then
//     acknowledged, a command runs once, and a lost connection is resumed within the
//     resume window. With on_loss: isolate the main board stays up without its
//     satellite.
//   - With security: mutual-tls both boards prove who they are before anything else,
//     strangers are limited and logged, and one controller holds the agent:
//     doc/security.md. Plain is the default, and logged as such at every start.
//   - Every wait ends: a command after CommandTimeout, a journal at its [Limits].
//
// Behind it, internal/link has the two ends of the link, internal/route the route table,
// and internal/admission who may connect and what a stranger may do.
package satellite
