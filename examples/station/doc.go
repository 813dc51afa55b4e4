// Command station is a whole charging station on one machine: a main board and
// one or more satellite boards, each an operating system process of its own
// with its own broker, EVerest manager and modules, joined by the modules
// SatelliteController and SatelliteAgent of this repository.
//
//	go run ./examples/station
//	go run ./examples/station -satellites 3 -speed 20 -once
//	go run ./examples/station -kill satellite1@5s
//	go run ./examples/station -flap 5s -once
//
// A satellite's charge port replays a charging session and then a series of
// errors, both recorded from a real EvseManager, and answers commands. The main
// board plays Auth, the energy manager and OCPP: it authorises the session,
// sends limits every second, asks get_evse, and disables and enables the port.
// Beside them a module that subscribes everything sees what arrives.
//
// Each board reports what it published and what it saw. The ledger compares
// both sides: every variable in order and unchanged, every command served with
// the arguments of the call and answered with the answer given, every error
// raised and cleared with its type, sub type and origin. With -once the session
// and the errors are played once, and the exit status tells whether the ledger
// balances.
//
// The process that was started holds no EVerest: it starts itself once more per
// board, as systemd would start EVerest on each of them, restarts a board that
// ends, and shows what they report. doc/station.md tells how to read it.
package main
