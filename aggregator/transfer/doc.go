// Package transfer moves log files: a [Receiver] takes the files of the boards, an [Uploader] brings the station's
// archive to the backend.
//
//	board  -- FTP, HTTP PUT -->  Receiver: one Slot a board and request
//	                                 |  files on the own disk
//	                             Uploader  -- FTP, FTPS, SFTP, HTTP, HTTPS -->  backend
//
// The receiver promises:
//
//   - A client can store new files in its slot and nothing else. It needs the credentials, the path and an address of
//     that slot; all of them end with the slot.
//   - A file, all files together, their number, the free disk space and the connections are bounded.
//   - [Slot.Files] returns a file as complete only if its sender saw the confirmation.
//   - Close of a slot or the receiver ends every transfer, waits for it, and removes the files.
//
// The uploader promises:
//
//   - An attempt ends: with its context, when nothing moves for the stall timeout, or at the attempt timeout.
//   - There is no fallback from TLS to plain text, and no SFTP without a pinned host key.
//   - An error has OCPP's status, and never shows a location's credentials.
//
// The limit: the receiver offers no TLS, so a board's file crosses the link between the boards in plain text.
package transfer
