// Package logs makes the log uploads of several boards one upload of the station, for one log type, as OCPP 2.0.1 N01
// knows it. [Machine] is a pure machine; see package machine for the form of its events and actions.
//
//	upload_logs     ->  Asking      Ask      every board for its file      <- Responded
//	response        <-  Collecting  Wait     for the boards' end statuses  <- Reported, WaitExpired
//	Uploading       <-  Packing     Pack     the archive                   <- Packed
//	                    Uploading   Upload   one attempt                   <- UploadEnded
//	                    Pausing     Pause    before the next attempt       <- PauseEnded
//	end status      <-  Idle        Drop     what is left of the request
//
// The machine promises, for every order of events:
//
//   - A request is accepted when at least one board sends a file, and rejected otherwise. The status Uploading follows the
//     reply, then exactly one end status, all with the request's id.
//   - The machine waits for the end status of every board that accepted, but no longer than the limit.
//   - The boards are asked for a second request while the first one continues. When the second is accepted the first ends
//     with AcceptedCanceled; when it is rejected the first continues (TC_N_36).
//   - After its first failure an upload is tried Retries times more, unless the failure is permanent.
//   - The next request works, whatever happened before.
package logs
