package satellite

import "encoding/json"

// firmwareFailed tells whether a value of firmware_update_status ends an update
// without a reboot to come, after which a lost peer is a fault again.
func firmwareFailed(value json.RawMessage) bool {
	var status struct {
		Status string `json:"firmware_update_status"`
	}
	if json.Unmarshal(value, &status) != nil {
		return false
	}
	switch status.Status {
	case "DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature":
		return true
	}
	return false
}

// firmwareIsComing tells whether the answer of update_firmware means that an
// update is under way.
func firmwareIsComing(answer json.RawMessage) bool {
	var status string
	return json.Unmarshal(answer, &status) == nil && (status == "Accepted" || status == "AcceptedCanceled")
}
