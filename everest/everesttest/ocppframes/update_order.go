package ocppframes

import (
	"fmt"
	"slices"
	"strings"
)

// UpdateOrder judges what a backend hears of firmware updates. It knows OCPP's rules and nothing of a station: which
// status may follow which (OCPP 2.0.1 L01, L02; test cases TC_L_01, 06, 07, 08, 10, 11), that every status carries the
// id of the latest accepted request, comes at most once, and that nothing follows an end state. The zero value is a
// backend that has requested nothing.
type UpdateOrder struct {
	// Accepted: a request was accepted. ID is the latest such request, Heard are its statuses, and Over means that the
	// last of them is an end state.
	Accepted bool
	ID       int64
	Heard    []string
	Over     bool
	// Restarted is set by the caller when the charging station has restarted since the last status. OCPP then needs the
	// status for which it permits the installation once more.
	Restarted bool
	// Refused: the latest request was without id and refused, which DownloadFailed may tell.
	Refused bool

	signed bool
}

const ocppBegin = ""

// ocppFollowers: what may follow a status. S is a signed update only, U an unsigned one only.
var ocppFollowers = map[string]string{
	ocppBegin:           "DownloadScheduled Downloading DownloadFailed",
	"DownloadScheduled": "Downloading DownloadFailed",
	"Downloading":       "DownloadPaused Downloaded DownloadFailed",
	"DownloadPaused":    "Downloaded DownloadFailed",
	"Downloaded":        "S:SignatureVerified S:InvalidSignature U:InstallScheduled U:InstallRebooting U:Installing",
	"SignatureVerified": "InstallScheduled InstallRebooting Installing",
	"InstallScheduled":  "InstallRebooting Installing",
	"InstallRebooting":  "Installing Installed InstallationFailed InstallVerificationFailed",
	"Installing":        "InstallRebooting Installed InstallationFailed InstallVerificationFailed",
}

// UpdateEnds are the end states of an update, separated by spaces.
const UpdateEnds = "Installed DownloadFailed InvalidSignature InstallationFailed InstallVerificationFailed"

// what OCPP 1.6 has for a request without id.
const ocpp16Statuses = "Downloading Downloaded Installing Installed DownloadFailed InstallationFailed"

// Answer takes the answer to a request: a status of UpdateFirmware, or that of the interface system for OCPP 1.6.
func (o *UpdateOrder) Answer(id int64, signed bool, answer string) {
	o.Refused = id == noRequestID && !(o.Accepted && !o.Over && o.ID == id)
	if answer == "Accepted" || answer == "AcceptedCanceled" {
		*o = UpdateOrder{Accepted: true, ID: id, signed: signed}
	}
}

// Hear takes a status, and returns an error for one that OCPP does not allow.
func (o *UpdateOrder) Hear(id int64, status string) error {
	switch {
	case o.Refused && id == noRequestID && status == "DownloadFailed":
		o.Refused = false // OCPP 1.6 has no other way to refuse an update
		return nil
	case !o.Accepted:
		return fmt.Errorf("%s of request %d before any request was accepted", status, id)
	case id != o.ID:
		return fmt.Errorf("%s of request %d after request %d was accepted", status, id, o.ID)
	case o.Over:
		return fmt.Errorf("%s of request %d after %s", status, id, strings.Join(o.Heard, ", "))
	case id == noRequestID && !has(ocpp16Statuses, status):
		return fmt.Errorf("%s without request id: OCPP 1.6 has no such status", status)
	}
	ready := map[bool]string{true: "SignatureVerified", false: "Downloaded"}[o.signed]
	if o.Restarted && status == ready && slices.Contains(o.Heard, ready) && !slices.Contains(o.Heard, "Installing") {
		o.Restarted = false // once more, for a permission
		return nil
	}
	o.Restarted = false
	last := ocppBegin
	for _, earlier := range o.Heard {
		if earlier == status {
			return fmt.Errorf("%s of request %d twice", status, id)
		}
		last = earlier
	}
	prefix := "U:"
	if o.signed {
		prefix = "S:"
	}
	if !has(ocppFollowers[last], status) && !has(ocppFollowers[last], prefix+status) {
		return fmt.Errorf("%s of request %d after %s", status, id, strings.Join(o.Heard, ", "))
	}
	installing := strings.Contains(strings.Join(o.Heard, " "), "Installing")
	if last == "InstallRebooting" && (status == "Installing") == installing {
		return fmt.Errorf("%s of request %d after %s", status, id, strings.Join(o.Heard, ", "))
	}
	o.Heard = append(o.Heard, status)
	o.Over = has(UpdateEnds, status)
	return nil
}

func has(words, word string) bool {
	for _, candidate := range strings.Fields(words) {
		if candidate == word {
			return true
		}
	}
	return false
}
