package logs

import "github.com/remotechargeport/remotechargeport/aggregator/internal/machine"

// NoRequestID is the request id of a request without one, such as OCPP 1.6's GetDiagnostics.
const NoRequestID int64 = -1

// Status is a status of a log upload, as the variable log_status of the interface system and OCPP's
// LogStatusNotification name it. The zero value is no status.
type Status uint8

// The statuses of the interface system (LogStatusEnum).
const (
	StatusIdle Status = iota + 1
	StatusUploading
	Uploaded
	UploadFailure
	BadMessage
	PermissionDenied
	NotSupportedOperation
	AcceptedCanceled
)

var statusNames = [...]string{
	StatusIdle:            "Idle",
	StatusUploading:       "Uploading",
	Uploaded:              "Uploaded",
	UploadFailure:         "UploadFailure",
	BadMessage:            "BadMessage",
	PermissionDenied:      "PermissionDenied",
	NotSupportedOperation: "NotSupportedOperation",
	AcceptedCanceled:      "AcceptedCanceled",
}

// ParseStatus returns the status with OCPP's name, and whether there is one.
func ParseStatus(name string) (Status, bool) {
	return machine.ParseName[Status](statusNames[:], name)
}

// Name returns the name of the status on the wire.
func (s Status) Name() string { return machine.NameOf(statusNames[:], s) }

func (s Status) String() string { return s.Name() }

// IsFinal reports whether no further status follows: every status but Idle and Uploading.
func (s Status) IsFinal() bool { return s > StatusUploading }

// Response is the status of a response to upload_logs. The zero value is no response.
type Response uint8

// The responses of the interface system (UploadLogsStatus).
const (
	ResponseAccepted Response = iota + 1
	ResponseAcceptedCanceled
	ResponseRejected
)

var responseNames = [...]string{
	ResponseAccepted:         "Accepted",
	ResponseAcceptedCanceled: "AcceptedCanceled",
	ResponseRejected:         "Rejected",
}

// ParseResponse returns the response with the interface's name, and whether there is one.
func ParseResponse(name string) (Response, bool) {
	return machine.ParseName[Response](responseNames[:], name)
}

// Name returns the name of the response on the wire.
func (r Response) Name() string { return machine.NameOf(responseNames[:], r) }

func (r Response) String() string { return r.Name() }

// Accepts reports whether the board sends a file.
func (r Response) Accepts() bool { return r == ResponseAccepted || r == ResponseAcceptedCanceled }

// State is the state of one request.
type State uint8

// The states, in the order of a request that succeeds at its second attempt.
const (
	Idle State = iota
	// Queued: accepted, while the boards work for another log type.
	Queued
	Asking
	Collecting
	Packing
	Uploading
	Pausing
)
