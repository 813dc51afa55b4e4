package firmware

import (
	"fmt"
	"strings"
)

// ocppOrder judges what a backend hears of firmware updates. It knows OCPP's rules and nothing of the machine: which
// status may follow which (OCPP 2.0.1 L01, L02; test cases TC_L_01, 06, 07, 08, 10, 11), that every status carries the
// id of the latest accepted request, comes at most once, and that nothing follows an end state.
type ocppOrder struct {
	accepted bool
	id       int64
	signed   bool
	heard    []string
	over     bool
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

const ocppEnds = "Installed DownloadFailed InvalidSignature InstallationFailed InstallVerificationFailed"

// what OCPP 1.6 has for a request without id.
const ocpp16Statuses = "Downloading Downloaded Installing Installed DownloadFailed InstallationFailed"

func (o *ocppOrder) answer(id int64, signed bool, answer string) {
	if answer == "Accepted" || answer == "AcceptedCanceled" {
		*o = ocppOrder{accepted: true, id: id, signed: signed}
	}
}

func (o *ocppOrder) hear(id int64, status string) error {
	switch {
	case !o.accepted:
		return fmt.Errorf("%s of request %d before any request was accepted", status, id)
	case id != o.id:
		return fmt.Errorf("%s of request %d after request %d was accepted", status, id, o.id)
	case o.over:
		return fmt.Errorf("%s of request %d after %s", status, id, strings.Join(o.heard, ", "))
	case id == NoRequestID && !has(ocpp16Statuses, status):
		return fmt.Errorf("%s without request id: OCPP 1.6 has no such status", status)
	}
	last := ocppBegin
	for _, earlier := range o.heard {
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
		return fmt.Errorf("%s of request %d after %s", status, id, strings.Join(o.heard, ", "))
	}
	installing := strings.Contains(strings.Join(o.heard, " "), "Installing")
	if last == "InstallRebooting" && (status == "Installing") == installing {
		return fmt.Errorf("%s of request %d after %s", status, id, strings.Join(o.heard, ", "))
	}
	o.heard = append(o.heard, status)
	o.over = has(ocppEnds, status)
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
