// Package satellite has the EVerest modules SatelliteAgent and SatelliteController. Together they make one charge port
// of a satellite board available on the main board.
//
// An [Agent] runs on the satellite board beside its EvseManager, a [Controller] on the main board in the EvseManager's
// place:
//
//	main board                                     satellite board
//	OCPP, Auth ... --> Controller  <--- link --->  Agent --> EvseManager, System ...
//
// Each module can replace its C++ counterpart without a change of the other board or of the configuration. A program
// makes one of them and calls Run: see the examples.
//
// What the pair promises:
//
//   - Every command of the route table reaches the satellite with its arguments unchanged, and its result comes back
//     unchanged. Calls of one command keep their order. Different commands do not wait for each other.
//   - The route table is adapted to the interfaces in the board's manifest and to EVerest's definitions of these
//     interfaces. The configuration key tunnel adds further interfaces: see doc/tunnel.md.
//   - Every variable and error of the satellite is published on the main board once, unchanged, in the order in which
//     MQTT delivered it on the satellite. If the other board runs the C++ module, the order between an error and a
//     variable can change.
//   - Both boards become ready together or not at all. When a module loses its C++ peer, Run returns an [*EndError] and
//     both boards restart. Package handshake has the rules, and doc/link.md describes the functions on the wire.
//   - Two modules of this package negotiate link v2, doc/link-v2.md. Events are then acknowledged, a command runs once,
//     and a lost connection is resumed. The main board starts and continues to run without its satellite, unless the
//     configuration key on_loss is restart.
//   - If the configuration key security is mutual-tls, both boards prove their identity before anything else. The agent
//     serves one controller at a time, and limits and logs other connections. See doc/security.md. The default is
//     plain, which is logged at every start.
//   - No command takes longer than CommandTimeout, and the journal never exceeds its [Limits].
//
// The package internal/link implements both ends of the link. The package internal/route has the route table. The
// package internal/admission decides which peers may connect, and limits all others.
package satellite
