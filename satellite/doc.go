// Package satellite holds the modules SatelliteAgent and SatelliteController:
// one charge port of a satellite board, tunnelled to the main board.
//
// [Agent] runs on the satellite board beside its EvseManager, [Controller] on
// the main board in the EvseManager's place. Each can replace its C++
// counterpart alone, with the configuration that is there. What the pair
// promises:
//
//   - Every command of the route table ([Routes]) reaches the satellite with its
//     arguments unchanged, and its result comes back unchanged. Calls of one
//     command keep their order; different commands do not wait for one another.
//   - The table is fitted to the board's manifest and EVerest, and the
//     configuration key tunnel adds interfaces that are carried from their
//     definitions alone: doc/tunnel.md.
//   - Every variable and error of the satellite is published on the main board
//     once, unchanged, in the order in which MQTT delivered it on the satellite,
//     as far as the wire of the C++ modules can say it: an error and a variable
//     keep their order too, unless a C++ controller reads them.
//   - Errors keep type, sub type, origin, uuid and time.
//   - Both boards become ready together or not at all, and a peer that is lost
//     ends the process with an [*EndError], so that both start afresh: package
//     handshake has the rules, doc/link.md the functions on the wire.
//   - Two modules of this package find each other out and speak a dialect of
//     their own, doc/link-v2.md: events are pushed and kept until they are
//     acknowledged, a command runs once, and a link that comes back within the
//     resume window goes on where it was. With on_loss: isolate the main board
//     stays up without its satellite.
//   - With security: mutual-tls both boards prove who they are (package identity)
//     before anything is said, strangers are counted, limited and logged, and the
//     link belongs to one controller: doc/security.md. Plain is the default, and
//     says so at every start.
//   - Nothing waits for ever: a command ends after CommandTimeout, a journal
//     that nobody empties is bounded by [Limits].
//
// Payloads stay bytes: a value is decoded only where the wire asks for another
// form of it.
package satellite
