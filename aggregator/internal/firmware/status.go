package firmware

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine"
)

// NoRequestID is the request id of a request without one, such as OCPP 1.6's UpdateFirmware.
const NoRequestID int64 = -1

// Status is a status of an update, as the variable firmware_update_status of the interface system and OCPP's
// FirmwareStatusNotification name it. The zero value is no status.
type Status uint8

// The statuses of OCPP 2.0.1 (FirmwareStatusEnumType).
const (
	Idle Status = iota + 1
	DownloadScheduled
	Downloading
	DownloadPaused
	Downloaded
	SignatureVerified
	InstallScheduled
	InstallRebooting
	Installing
	Installed
	DownloadFailed
	InvalidSignature
	InstallVerificationFailed
	InstallationFailed
)

var statusNames = [...]string{
	Idle:                      "Idle",
	DownloadScheduled:         "DownloadScheduled",
	Downloading:               "Downloading",
	DownloadPaused:            "DownloadPaused",
	Downloaded:                "Downloaded",
	SignatureVerified:         "SignatureVerified",
	InstallScheduled:          "InstallScheduled",
	InstallRebooting:          "InstallRebooting",
	Installing:                "Installing",
	Installed:                 "Installed",
	DownloadFailed:            "DownloadFailed",
	InvalidSignature:          "InvalidSignature",
	InstallVerificationFailed: "InstallVerificationFailed",
	InstallationFailed:        "InstallationFailed",
}

// ParseStatus returns the status with OCPP's name, and whether there is one.
func ParseStatus(name string) (Status, bool) {
	return machine.ParseName[Status](statusNames[:], name)
}

// Name returns the name of the status on the wire.
func (s Status) Name() string { return machine.NameOf(statusNames[:], s) }

func (s Status) String() string { return s.Name() }

// IsFailure reports whether the update ended without success.
func (s Status) IsFailure() bool { return s >= DownloadFailed && s <= InstallationFailed }

// mayBeTriedAgain reports whether a board may go on after the failure: the other failures are of the image.
func (s Status) mayBeTriedAgain() bool { return s == DownloadFailed || s == InstallationFailed }

// MarshalText returns the status in OCPP's spelling.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.Name()), nil }

// UnmarshalText reads OCPP's spelling; the empty text is no status.
func (s *Status) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = 0
		return nil
	}
	parsed, ok := ParseStatus(string(text))
	if !ok {
		return fmt.Errorf("firmware: %q is not a firmware status of OCPP 2.0.1", text)
	}
	*s = parsed
	return nil
}

// Response is the result of update_firmware. The order is that of badness: the worst of the boards' responses becomes
// the station's. The zero value is no response.
type Response uint8

// The responses of the interface system (UpdateFirmwareResponse).
const (
	ResponseAccepted Response = iota + 1
	ResponseAcceptedCanceled
	ResponseRejected
	ResponseInvalidCertificate
	ResponseRevokedCertificate
)

var responseNames = [...]string{
	ResponseAccepted:           "Accepted",
	ResponseAcceptedCanceled:   "AcceptedCanceled",
	ResponseRejected:           "Rejected",
	ResponseInvalidCertificate: "InvalidCertificate",
	ResponseRevokedCertificate: "RevokedCertificate",
}

// ParseResponse returns the response with the interface's name, and whether there is one.
func ParseResponse(name string) (Response, bool) {
	return machine.ParseName[Response](responseNames[:], name)
}

// Name returns the name of the response on the wire.
func (r Response) Name() string { return machine.NameOf(responseNames[:], r) }

func (r Response) String() string { return r.Name() }

// Accepts reports whether the board works on the request now.
func (r Response) Accepts() bool { return r == ResponseAccepted || r == ResponseAcceptedCanceled }

// Phase is a part of an update.
type Phase uint8

// The phases. In PhasePermission the boards wait for the backend's permission, without a limit: it may wait for the end
// of a transaction.
const (
	PhasePermission Phase = iota
	PhaseDownload
	PhaseVerify
	PhaseSatellites
	PhaseMain
	// PhaseNoPermission: the boards wait for a permission that EVerest's OCPP201 does not give. After a restart it takes the
	// status SignatureVerified for the one that it has to permit, whatever the update.
	PhaseNoPermission
)

var phaseNames = [...]string{
	PhasePermission: "permission",
	PhaseDownload:   "download",
	PhaseVerify:     "verification",
	PhaseSatellites: "installation on the satellites",
	PhaseMain:       "installation on the main board",

	PhaseNoPermission: "permission after a restart",
}

func (p Phase) String() string { return machine.NameOf(phaseNames[:], p) }

// failure returns the status with which an update fails when a board is silent in the phase.
func (p Phase) failure() Status {
	switch p {
	case PhaseDownload:
		return DownloadFailed
	case PhaseVerify:
		return InvalidSignature
	}
	return InstallationFailed
}

// Awaited is why a board is given time for another report.
type Awaited uint8

const (
	// AwaitedAttempt: an attempt has failed, and the board may try again.
	AwaitedAttempt Awaited = iota + 1
	// AwaitedEnd: the board has started after an update. Its report would say more.
	AwaitedEnd
	// AwaitedSign: the board has restarted in the middle of its update. It may have lost the update.
	AwaitedSign
)

var awaitedNames = [...]string{
	AwaitedAttempt: "the next attempt",
	AwaitedEnd:     "the report of its end",
	AwaitedSign:    "a sign that it has not lost its update",
}

func (a Awaited) String() string { return machine.NameOf(awaitedNames[:], a) }
