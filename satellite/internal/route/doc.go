// Package route holds the route table: what is tunnelled between a satellite board and the main board, and how each
// value of it travels.
//
// A [Route] is one EVerest interface. Its commands go from the main board to the satellite, its variables come back.
// A [Push] is a variable that goes the other way.
//
//	Standard()   the routes of the C++ modules: names of functions, kinds of arguments
//	   |
//	Table.Resolve(manifest, definitions, configuration key tunnel)
//	   |            takes out what this board's EVerest does not have, adds what it has beyond the C++ modules,
//	   v            and appends the interfaces that the operator added
//	Table.Routes()  what this board tunnels
//	   |
//	Table.Compare(the peer's Summary)  what the two boards tunnel differently, for the operator
//
// Adding an interface is adding a row to [Standard], or a name to the configuration key tunnel.
//
// The legacy dialect of the link is typed: [Command] converts arguments and results between JSON and the values of an
// RPC function. Link v2 carries JSON text in both directions, so a result is only checked.
//
// What the package promises:
//   - JSON that crosses keeps its bytes: number forms, the order of keys, unknown keys. One value is changed, the token
//     of an RFID reader ([WithConnectors]), by appending a member.
//   - A value received from the peer is scanned once for being JSON.
//   - A peer's [Summary] is compared within maxDifferences lines.
//   - A Table may be used from any goroutine. Everything else is a pure value.
//
// The package opens no connection and knows neither the agent, the controller nor the link.
package route
