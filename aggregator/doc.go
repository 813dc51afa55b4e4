// Package aggregator is the EVerest module SystemAggregator. Each board of a charging station has a module with the
// interface system. The aggregator combines these modules: OCPP sees the station as a single system.
//
//	OCPP backend                      OCPP module of the main board
//	                                     | interface system
//	                                  SystemAggregator --- status socket
//	            +------------------------+---------------------+
//	    system of board 0      system of board 1 ...    log files over FTP, HTTP
//	    (the main board)       (through the link)
//
// A program that runs this module calls New and Run. EVerest's manager gives the module its configuration keys:
//
//	module := aggregator.New(aggregator.Config{Everest: options, Logger: logger})
//	err := module.Run(ctx) // until ctx ends
//
// Installation returns the module's files for an EVerest installation: a manifest and an interface. doc/aggregator.md
// has the configuration and the table of OCPP's requirements.
//
// # Promises
//
//   - One firmware update. The module sends the request to every board and returns the worst of their responses. The
//     station's statuses follow OCPP's order. No board installs when one refuses or fails. An update survives the main
//     board's own reboot.
//   - One log file. Every board uploads its file to a receiver in the module, at a URL that is valid for that request
//     only. The backend gets one tar.gz with a folder for each board and a manifest.json that names what is missing. A
//     request for another log type waits until the boards have sent the first.
//   - One reset. The module resets every satellite, waits for a moment, and then resets the main board. The caller gets
//     its reply at once.
//   - A board that does not respond never blocks the others. The module treats that board like one that refuses the
//     request, and logs the board's name.
//   - No board and no backend can stop the module, fill its disk beyond the configured limits, or make it write outside
//     of its directories. No credential is logged.
//
// # Limits
//
//   - While the main board is down no update, upload or reset of the station proceeds.
//   - An update survives a reboot only with the key state_dir. A reboot ends a log upload, and with that key the backend
//     gets UploadFailure.
//   - The receiver in the module receives files by FTP and HTTP without TLS. For other protocols, install a server that
//     writes into the directory of the key incoming_uploads_dir.
//   - At most eight types of log are collected at a time. A request for another type is rejected.
//
// # Where things are decided
//
// Pure state machines in internal/firmware, internal/logs and internal/reset make the decisions. This package carries
// out their actions. One goroutine, the loop, passes all events to the machines. Another goroutine, the outbox,
// publishes statuses and saves the state of an update, in order. Package transfer receives and uploads the files.
package aggregator
