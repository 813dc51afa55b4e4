// Package crossing translates the identifiers that mean something else on the other board.
//
// A satellite is configured as a board of its own. Its EvseManager may have the module id and the EVSE number of one on
// the main board. EVerest's modules compare these identifiers: EnergyManager shares the fuse by the uuid of a request,
// Auth and OCPP find an EVSE by its number, and the error history identifies an error by its origin. So the controller
// gives each of them the identifier that it has on the main board:
//
//	satellite                            main board, module id "port_2", mapping EVSE 2
//	energy_flow_request uuid evse   -->  port_2               children's uuid meter --> port_2/meter
//	enforce_limits uuid evse        <--  port_2               any other is answered here
//	get_evse id 1                   -->  2
//	token connectors [1]            -->  [2]
//	error of bsp/board_support      -->  error of port_2/satellite, sub type "bsp/board_support"
//
// The rows are in table.go. A [Translator] applies them for one controller.
//
// What the package promises:
//   - Translating changes the identifiers alone. Every other byte of a value stays. A value without identifiers is
//     returned as it is, without a copy.
//   - Errors stay distinct: two errors of a satellite that differ in type, sub type or origin differ on the main board.
//   - An identifier that cannot be known is left as it is, and reported: [Place.Report].
//   - A Translator may be used from any goroutine. It does no input or output.
//
// The identifiers and who compares them are in doc/identifiers.md. The forms of the values are those of EVerest 2026.02.0.
package crossing
