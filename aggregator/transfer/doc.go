// Package transfer moves log files: a [Receiver] receives the files of the boards, an [Uploader] uploads the station's
// archive to the backend.
//
//	board  -- FTP, HTTP PUT -->  Receiver: one Slot for each board and request
//	                                 |  files on the local disk
//	                             Uploader  -- FTP, FTPS, SFTP, HTTP, HTTPS -->  backend
//
// # Receiver
//
// A slot is the place for the files of one board and one request. The board gets its location:
//
//	receiver, err := transfer.NewReceiver(transfer.ReceiverConfig{Directory: "/var/lib/station/received"})
//	address, err := receiver.Listen(ctx, "ftp", "192.0.2.1:2121")
//	slot, err := receiver.Open("board 1", peers, nil)
//	location, err := slot.Location("ftp://" + address.String()) // for the board's upload_logs
//	slot.Settle(ctx)                                            // once the board reported Uploaded
//	complete, incomplete := slot.Files()
//	slot.Close()                                                // removes the files
//
// The receiver promises:
//
//   - A client can store new files in its slot, rename them there, and do nothing else. It needs the credentials, the
//     path and an address of that slot. Once the slot is closed, the receiver rejects its credentials and its path.
//   - A new file replaces one of the same name that is not complete, and ends the connection of its sender.
//   - The size of a file, the size of all files, the files of a slot, and the connections are bounded. Some disk space
//     always stays free.
//   - [Slot.Files] returns a file as complete only if it has its announced length (HTTP), or if the sender sent another
//     command, such as QUIT, after the receiver's confirmation (FTP).
//   - Close of a slot or the receiver ends every transfer, waits for it, and removes the files.
//
// # Uploader
//
//	location, err := transfer.ParseLocation("sftp://user:password@backend.example/in/")
//	err = transfer.NewUploader(config).Upload(ctx, location, path, "logs.tar.gz", nil)
//
// The uploader promises:
//
//   - An attempt ends when its context ends, when no byte moves for StallTimeout, or after AttemptTimeout.
//   - There is no fallback from TLS to plain text, and no SFTP without a pinned host key.
//   - An [Error] has the status by which OCPP reports the failure. Its text never shows the credentials of a location.
//
// # Limits
//
// The receiver offers no TLS, so a board's file crosses the link between the boards in plain text. Upload makes one
// attempt: its caller decides whether to try again, see [Error].
package transfer
