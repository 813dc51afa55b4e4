// Package ocppframes says what a backend gets from EVerest's OCPP modules: which requests the modules OCPP (1.6) and
// OCPP201 (2.0.1) of EVerest 2026.02.0 send for the variables of the interface system and for errors. A test of a module
// that provides system can so state what an operator sees, without a backend.
//
//	ocpp := ocppframes.New(ocppframes.OCPP201)
//	frames, err := ocpp.Firmware(7, "Installed")
//	// FirmwareStatusNotification {"requestId":7,"status":"Installed"}
//	// SecurityEventNotification {"type":"FirmwareUpdated"}
//
// The package is pure. Members whose value is a time or a text of OCPP's own are left out. What OCPP sends on its own,
// at a transaction or at a trigger of the backend, is not part of it.
package ocppframes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Version is a version of OCPP.
type Version string

// The versions.
const (
	OCPP16  Version = "1.6"
	OCPP201 Version = "2.0.1"
)

// Frame is a request of the charging station to its backend.
type Frame struct {
	Action  string
	Payload map[string]any
}

// String returns the action and the payload as JSON.
func (f Frame) String() string {
	var payload strings.Builder
	encoder := json.NewEncoder(&payload)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(f.Payload); err != nil {
		return fmt.Sprintf("%s %v", f.Action, f.Payload)
	}
	return f.Action + " " + strings.TrimSpace(payload.String())
}

// noRequestID is the request id of a request without one.
const noRequestID = -1

// Module is what an OCPP module remembers between two values of the interface system. It is not safe for concurrent use.
type Module struct {
	version Version
	// firmware and firmwareID are the last ones of a firmware update.
	firmware   string
	firmwareID int64
}

// New returns a module that has sent nothing yet.
func New(version Version) *Module {
	return &Module{version: version, firmware: "Idle", firmwareID: noRequestID}
}

// firmwareStatuses has the statuses of EVerest, and which of them OCPP 1.6 has without the security extension.
var firmwareStatuses = map[string]bool{
	"Downloaded": true, "DownloadFailed": true, "Downloading": true, "Idle": true, "InstallationFailed": true, "Installing": true, "Installed": true,
	"DownloadScheduled": false, "DownloadPaused": false, "InstallRebooting": false, "InstallScheduled": false,
	"InstallVerificationFailed": false, "InvalidSignature": false, "SignatureVerified": false,
}

// Firmware returns the frames for a value of firmware_update_status. It returns an error for a value that the module
// does not take.
func (m *Module) Firmware(requestID int64, status string) ([]Frame, error) {
	short, known := firmwareStatuses[status]
	switch {
	case !known:
		return nil, fmt.Errorf("ocppframes: %q is no status of firmware_update_status", status)
	case m.version == OCPP16 && requestID == noRequestID && !short:
		return nil, nil // logged and dropped
	case m.version == OCPP16 && requestID == noRequestID:
		return []Frame{{"FirmwareStatusNotification", map[string]any{"status": status}}}, nil
	case m.version == OCPP16:
		return withSecurityEvent(Frame{"SignedFirmwareStatusNotification", map[string]any{"status": status, "requestId": requestID}},
			status, map[string]string{"InvalidSignature": "InvalidFirmwareSignature"}), nil
	}
	if m.firmware == status && (requestID == noRequestID || m.firmwareID == requestID) {
		return nil, nil // sent already
	}
	payload := map[string]any{"status": status}
	m.firmware = status
	if requestID != noRequestID {
		m.firmwareID, payload["requestId"] = requestID, requestID
	}
	return withSecurityEvent(Frame{"FirmwareStatusNotification", payload},
		status, map[string]string{"InvalidSignature": "InvalidFirmwareSignature", "Installed": "FirmwareUpdated"}), nil
}

// UpdateAnswered returns the frames after the answer to a signed update: UpdateFirmware has the status itself.
func (m *Module) UpdateAnswered(status string) []Frame {
	if m.version == OCPP201 && (status == "InvalidCertificate" || status == "RevokedCertificate") {
		return []Frame{{"SecurityEventNotification", map[string]any{"type": "InvalidFirmwareSigningCertificate"}}}
	}
	return nil
}

func withSecurityEvent(frame Frame, status string, events map[string]string) []Frame {
	if event, has := events[status]; has {
		return []Frame{frame, {"SecurityEventNotification", map[string]any{"type": event}}}
	}
	return []Frame{frame}
}

// logStatuses are the statuses of EVerest by the version of OCPP that has them.
var (
	diagnosticsStatuses = map[string]string{"Idle": "Idle", "Uploaded": "Uploaded", "UploadFailure": "UploadFailed", "Uploading": "Uploading"}
	logStatuses16       = []string{"BadMessage", "Idle", "NotSupportedOperation", "PermissionDenied", "Uploaded", "UploadFailure", "Uploading"}
	logStatuses201      = append(slices.Clone(logStatuses16), "AcceptedCanceled")
)

// Logs returns the frames for a value of log_status. It returns an error for a value that the module does not take: the
// exception of its handler ends the module from EVerest 2026.02.1 on, and EVerest with it. Before, it is logged.
func (m *Module) Logs(requestID int64, status string) ([]Frame, error) {
	if m.version == OCPP16 && requestID == noRequestID {
		translated, known := diagnosticsStatuses[status]
		if !known {
			return nil, fmt.Errorf("ocppframes: %q is no status of a request without an id, which are %q", status, slices.Sorted(maps.Keys(diagnosticsStatuses)))
		}
		return []Frame{{"DiagnosticsStatusNotification", map[string]any{"status": translated}}}, nil
	}
	statuses := logStatuses201
	if m.version == OCPP16 {
		statuses = logStatuses16
	}
	if !slices.Contains(statuses, status) {
		return nil, fmt.Errorf("ocppframes: %q is no status of a log in OCPP %s, which are %q", status, m.version, statuses)
	}
	return []Frame{{"LogStatusNotification", map[string]any{"status": status, "requestId": requestID}}}, nil
}
