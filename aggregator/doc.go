// Package aggregator is the EVerest module SystemAggregator. It makes the boards of a charging station, each with a
// system module of its own, one system for OCPP.
//
//	OCPP backend                      OCPP module of the main board
//	                                     | interface system
//	                                  SystemAggregator --- status socket
//	            +------------------------+---------------------+
//	    system of board 0      system of board 1 ...    log files over FTP, HTTP
//	    (the main board)       (through the link)
//
// A program that is this module needs no more than New and Run; its configuration keys come from EVerest's manager:
//
//	module := aggregator.New(aggregator.Config{Everest: options, Logger: logger})
//	err := module.Run(ctx) // until ctx ends
//
// Installation returns the manifest and the interface that EVerest needs of the module. doc/aggregator.md has the
// configuration and the table of OCPP's requirements.
//
// # Promises
//
//   - One firmware update: the request goes to every board, the worst response is the station's, and the statuses
//     follow OCPP's order. No board installs when one refuses or fails. An update survives the main board's own reboot.
//   - One log file: every board uploads to a receiver in the module, to a location of that request alone. The backend
//     gets one tar.gz with a folder for each board and a manifest.json that names what is missing.
//   - One reset: every satellite, a pause, then the main board. The caller gets its reply at once.
//   - A silent board never blocks the others: it counts as one that refuses, and is named in the log.
//   - No board and no backend can stop the module, fill its disk beyond the configured limits, or make it write outside
//     of its directories. No credential is logged.
//
// # Limits
//
//   - While the main board is down no update, upload or reset of the station proceeds.
//   - An update survives a reboot only with the key state_dir. A log upload does not survive one: its request is lost.
//   - The receiver in the module takes files by FTP and HTTP without TLS. For another protocol a server of its own
//     writes into the directory of the key incoming_uploads_dir.
//   - At most eight types of log are collected at a time; a request for one more is rejected.
//
// # Where things are decided
//
// The decisions are pure machines in internal/firmware, internal/logs and internal/reset. This package carries out
// their actions: one goroutine, the loop, takes every step, and another, the outbox, sends what leaves the module in
// order. Package transfer receives and uploads the files.
package aggregator
