// Package satellite holds the modules SatelliteAgent and SatelliteController: one charge port of a satellite board,
// tunnelled to the main board.
//
// An [Agent] runs on the satellite board beside its EvseManager, a [Controller] on the main board in the EvseManager's
// place:
//
//	main board                                     satellite board
//	OCPP, Auth ... --> Controller  <--- link --->  Agent --> EvseManager, System ...
//
// Either module can replace its C++ counterpart alone and keeps its configuration. A program makes one of them and
// calls Run: see the examples.
//
// What the pair promises:
//
//   - Every command of the route table reaches the satellite with its arguments unchanged, and its result comes back
//     unchanged. Calls of one command keep their order. Different commands do not wait for each other.
//   - The route table follows the board's manifest and the interface definitions of its EVerest. The configuration key
//     tunnel adds further interfaces: see doc/tunnel.md.
//   - Every variable and error of the satellite is published on the main board once, unchanged, in the order in which
//     MQTT delivered it on the satellite. With a C++ module on the other board an error may overtake a variable, or the
//     reverse.
//   - Both boards become ready together or not at all. A module that loses its peer ends with an [*EndError], so that
//     both boards restart. Package handshake has the rules, and doc/link.md the functions on the wire.
//   - Two modules of this package negotiate link v2, doc/link-v2.md. Events are then acknowledged, a command runs once,
//     and a lost connection is resumed within the resume window. Where the configuration key on_loss is isolate, the
//     main board stays up without its satellite.
//   - Where the configuration key security is mutual-tls, both boards first prove their identity. Connections of
//     strangers are limited and logged, and the agent serves one controller: see doc/security.md. The default is plain,
//     which every start logs.
//   - A command ends after CommandTimeout at the latest. [Limits] bound the journal.
//
// Package internal/link has the two ends of the link, and internal/route the route table. Package internal/admission
// decides who may connect, and what a stranger may do.
package satellite
