// Package aggregator is the EVerest module SystemAggregator. It makes the boards of a charging station, each with a system
// module of its own, one system for OCPP.
//
//	OCPP backend                      OCPP module of the main board
//	                                     | interface system
//	                                  SystemAggregator --- status socket
//	            +------------------------+---------------------+
//	    system of board 0      system of board 1 ...    log files over FTP, HTTP
//	    (the main board)       (through the link)
//
// New and Run are all of it; doc/aggregator.md has the configuration and the table of OCPP's requirements. What it promises:
//
//   - One firmware update: the request goes to every board, the worst response is the station's, and the statuses follow
//     OCPP's order. No board installs when one refuses or fails. An update survives the main board's own reboot.
//   - One log file: every board uploads to a receiver in the module, to a location of that request alone. The backend gets
//     one tar.gz with a folder for each board and a manifest.json that names what is missing.
//   - One reset: every satellite, a pause, then the main board. The caller gets its reply at once.
//   - A silent board never blocks the others: it counts as one that refuses, and is named in the log.
//   - No board and no backend can stop the module, fill its disk beyond the configured limits, or make it write outside of
//     its directories. No credential is logged.
//
// The limit: while the main board is down no update, upload or reset of the station proceeds.
//
// The decisions are pure machines in internal/firmware, internal/logs and internal/reset. This package carries out their
// actions: one goroutine, the loop, takes every step, and another, the outbox, sends what leaves the module in order.
// Package transfer receives and uploads the files.
package aggregator
