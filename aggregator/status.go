package aggregator

import (
	"encoding/json"
	"fmt"
)

// FirmwareStatus is a status of a firmware update, as the variable firmware_update_status of the interface system and
// OCPP's FirmwareStatusNotification name it. The zero value is no status.
type FirmwareStatus uint8

// The statuses of OCPP 2.0.1 (FirmwareStatusEnumType).
const (
	FirmwareIdle FirmwareStatus = iota + 1
	FirmwareDownloadScheduled
	FirmwareDownloading
	FirmwareDownloadPaused
	FirmwareDownloaded
	FirmwareSignatureVerified
	FirmwareInstallScheduled
	FirmwareInstallRebooting
	FirmwareInstalling
	FirmwareInstalled
	FirmwareDownloadFailed
	FirmwareInvalidSignature
	FirmwareInstallVerificationFailed
	FirmwareInstallationFailed
)

var firmwareStatusNames = [...]string{
	FirmwareIdle:                      "Idle",
	FirmwareDownloadScheduled:         "DownloadScheduled",
	FirmwareDownloading:               "Downloading",
	FirmwareDownloadPaused:            "DownloadPaused",
	FirmwareDownloaded:                "Downloaded",
	FirmwareSignatureVerified:         "SignatureVerified",
	FirmwareInstallScheduled:          "InstallScheduled",
	FirmwareInstallRebooting:          "InstallRebooting",
	FirmwareInstalling:                "Installing",
	FirmwareInstalled:                 "Installed",
	FirmwareDownloadFailed:            "DownloadFailed",
	FirmwareInvalidSignature:          "InvalidSignature",
	FirmwareInstallVerificationFailed: "InstallVerificationFailed",
	FirmwareInstallationFailed:        "InstallationFailed",
}

// ParseFirmwareStatus is the status with OCPP's name, and whether there is one.
func ParseFirmwareStatus(name string) (FirmwareStatus, bool) {
	return parseName[FirmwareStatus](firmwareStatusNames[:], name)
}

func (s FirmwareStatus) String() string { return nameOf(firmwareStatusNames[:], s) }

// IsFailure says whether the update is over without success.
func (s FirmwareStatus) IsFailure() bool {
	return s >= FirmwareDownloadFailed && s <= FirmwareInstallationFailed
}

// MarshalText is the status in OCPP's spelling.
func (s FirmwareStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads OCPP's spelling; the empty text is no status.
func (s *FirmwareStatus) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = 0
		return nil
	}
	parsed, ok := ParseFirmwareStatus(string(text))
	if !ok {
		return fmt.Errorf("aggregator: %q is no firmware status of OCPP 2.0.1", text)
	}
	*s = parsed
	return nil
}

// FirmwareAnswer is the answer to update_firmware, in the order of badness that decides which of the boards' answers
// becomes the station's. The zero value is no answer.
type FirmwareAnswer uint8

// The answers of the interface system (UpdateFirmwareResponse).
const (
	UpdateAccepted FirmwareAnswer = iota + 1
	UpdateAcceptedCanceled
	UpdateRejected
	UpdateInvalidCertificate
	UpdateRevokedCertificate
)

var firmwareAnswerNames = [...]string{
	UpdateAccepted:           "Accepted",
	UpdateAcceptedCanceled:   "AcceptedCanceled",
	UpdateRejected:           "Rejected",
	UpdateInvalidCertificate: "InvalidCertificate",
	UpdateRevokedCertificate: "RevokedCertificate",
}

// ParseFirmwareAnswer is the answer with the interface's name, and whether there is one.
func ParseFirmwareAnswer(name string) (FirmwareAnswer, bool) {
	return parseName[FirmwareAnswer](firmwareAnswerNames[:], name)
}

func (a FirmwareAnswer) String() string { return nameOf(firmwareAnswerNames[:], a) }

// Accepts says whether the board that gave the answer works on the request now.
func (a FirmwareAnswer) Accepts() bool { return a == UpdateAccepted || a == UpdateAcceptedCanceled }

// LogStatus is a status of a log upload, as the variable log_status of the interface system and OCPP's
// LogStatusNotification name it. The zero value is no status.
type LogStatus uint8

// The statuses of the interface system (LogStatusEnum).
const (
	LogIdle LogStatus = iota + 1
	LogUploading
	LogUploaded
	LogUploadFailure
	LogBadMessage
	LogPermissionDenied
	LogNotSupportedOperation
	LogAcceptedCanceled
)

var logStatusNames = [...]string{
	LogIdle:                  "Idle",
	LogUploading:             "Uploading",
	LogUploaded:              "Uploaded",
	LogUploadFailure:         "UploadFailure",
	LogBadMessage:            "BadMessage",
	LogPermissionDenied:      "PermissionDenied",
	LogNotSupportedOperation: "NotSupportedOperation",
	LogAcceptedCanceled:      "AcceptedCanceled",
}

// ParseLogStatus is the status with OCPP's name, and whether there is one.
func ParseLogStatus(name string) (LogStatus, bool) {
	return parseName[LogStatus](logStatusNames[:], name)
}

func (s LogStatus) String() string { return nameOf(logStatusNames[:], s) }

// IsFinal says whether nothing more is to come for the request: anything but Idle and Uploading.
func (s LogStatus) IsFinal() bool { return s > LogUploading }

// LogAnswer is the answer to upload_logs. The zero value is no answer.
type LogAnswer uint8

// The answers of the interface system (UploadLogsStatus).
const (
	LogsAccepted LogAnswer = iota + 1
	LogsAcceptedCanceled
	LogsRejected
)

var logAnswerNames = [...]string{
	LogsAccepted:         "Accepted",
	LogsAcceptedCanceled: "AcceptedCanceled",
	LogsRejected:         "Rejected",
}

// ParseLogAnswer is the answer with the interface's name, and whether there is one.
func ParseLogAnswer(name string) (LogAnswer, bool) {
	return parseName[LogAnswer](logAnswerNames[:], name)
}

func (a LogAnswer) String() string { return nameOf(logAnswerNames[:], a) }

// Accepts says whether the board that gave the answer sends a file.
func (a LogAnswer) Accepts() bool { return a == LogsAccepted || a == LogsAcceptedCanceled }

// parseName finds a value by its name; index 0 of every table is unused.
func parseName[T ~uint8](names []string, name string) (T, bool) {
	if name == "" {
		return 0, false
	}
	for i, candidate := range names {
		if candidate == name {
			return T(i), true
		}
	}
	return 0, false
}

func nameOf[T ~uint8](names []string, value T) string {
	if int(value) < len(names) {
		return names[value]
	}
	return fmt.Sprintf("status %d", uint8(value))
}

// firmwareReport and logReport are the payloads of the two variables of the interface system.
type firmwareReport struct {
	RequestID int64  `json:"request_id"`
	Status    string `json:"firmware_update_status"`
}

type logReport struct {
	RequestID int64  `json:"request_id"`
	Status    string `json:"log_status"`
}

// decodeFirmwareReport reads a board's report.
func decodeFirmwareReport(payload json.RawMessage) (id int64, status FirmwareStatus, err error) {
	var report firmwareReport
	if err := json.Unmarshal(payload, &report); err != nil {
		return 0, 0, fmt.Errorf("aggregator: unreadable firmware_update_status: %w", err)
	}
	status, ok := ParseFirmwareStatus(report.Status)
	if !ok {
		return 0, 0, fmt.Errorf("aggregator: unknown firmware_update_status %q", report.Status)
	}
	return report.RequestID, status, nil
}

// decodeLogReport reads a board's report.
func decodeLogReport(payload json.RawMessage) (id int64, status LogStatus, err error) {
	var report logReport
	if err := json.Unmarshal(payload, &report); err != nil {
		return 0, 0, fmt.Errorf("aggregator: unreadable log_status: %w", err)
	}
	status, ok := ParseLogStatus(report.Status)
	if !ok {
		return 0, 0, fmt.Errorf("aggregator: unknown log_status %q", report.Status)
	}
	return report.RequestID, status, nil
}
