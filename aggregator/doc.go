// Package aggregator is the EVerest module SystemAggregator: the boards of a charging station, each with a system module
// of its own, look like one system to OCPP. See doc/aggregator.md for the configuration and the table of OCPP's
// requirements.
//
// What it promises:
//
//   - One firmware update: the request goes to every board, the worst answer is the station's, statuses come in OCPP's
//     order and once, the permission to install is passed on when every board is ready, satellites before the main
//     board, and nothing installs when one board refuses or fails. An update survives the main board's own reboot.
//   - One log file: every board uploads to a receiver inside the module, on an unguessable path with credentials of that
//     request and from that board's address only; one tar.gz goes to the backend, with one folder per board and a
//     manifest.json that says what is missing and why.
//   - One reset: every satellite, a pause, then the main board; the caller is answered at once.
//   - A board that is silent never blocks the others; it counts as refusing and is named in the log.
//   - Nothing a board or a backend sends can hang the module, fill its disk beyond the configured limits, or write
//     outside its directories; credentials never reach a log.
//
// FirmwareMerge, LogMerge and ResetPlan decide; they are pure values without clock, goroutine or I/O. Everything around
// them waits for time, boards and networks.
package aggregator
