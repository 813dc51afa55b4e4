// Package update knows whether a firmware update of a satellite's board runs, and whether the board is being flashed. A
// board with an update goes down by itself, so its loss is no fault; and it must not be reset, because a reset leaves it
// with half an image.
//
// [Machine] is the rule, a pure value:
//
//   - An update runs from its acceptance, or from a report of its progress, whatever request it is for. EVerest's System
//     goes on with what it has rejected, and a vendor's with what it had before a restart.
//   - A board is being flashed from its report of Installing or InstallRebooting until another report of that request.
//   - An update ends with Installed, InvalidSignature, InstallVerificationFailed, or Idle. DownloadFailed and
//     InstallationFailed end it when the board has used the attempts of the request. EVerest's System reports each of
//     them, and retries of the interface system is their number.
//   - Silence ends it: [AttemptGrace] and the request's interval after a failed attempt, [FlashLimit] while the board is
//     being flashed, [WaitLimit] while it waits, else [SilenceLimit]. A board waits where it has its image and does not
//     install, and until a time of the request. Its next report begins the update anew.
//   - A restart of the board ends it. What goes on after the restart is reported.
//   - For [RestartLimit] after Installed the board may still go down. Its loss is no fault, and a reset does no harm.
//
// EVerest's System resets its board after a signed update, and without a store nothing but that shows that the update has
// succeeded: its report dies with its process, and its boot reason is PowerUp. All of EVerest ends in order then, which a
// power cut does not do.
//
// [Keeper] keeps the machine of an agent on disk, so that a process that restarts alone knows of the update. The
// controller follows the same machine without a file.
package update

import (
	"encoding/json"
	"time"
)

// The limits of silence.
const (
	// AttemptGrace begins after the pause between two attempts. EVerest's scripts take 2 s.
	AttemptGrace = 30 * time.Second
	// SilenceLimit is how long nothing may be heard of an update before the image is written.
	SilenceLimit = 30 * time.Minute
	// WaitLimit is how long a board that waits counts as one that is about to go on. EVerest's System, which does not wait
	// for a permission, takes 2 s.
	WaitLimit = time.Minute
	// FlashLimit is how long a board may write its image without a report. It is the aggregator's default.
	FlashLimit = 2 * time.Hour
	// RestartLimit is how long after Installed a board may go down. EVerest's ResetDelay is some seconds.
	RestartLimit = 5 * time.Minute
	// defaultInterval is the pause between two attempts where the request has none: the aggregator's default.
	defaultInterval = 180 * time.Second
)

// Request is what the machine reads of a FirmwareUpdateRequest. Attempts is 0 and Interval negative where the request
// does not say.
type Request struct {
	ID       int64
	Signed   bool
	Attempts int
	Interval time.Duration
}

// Machine follows the updates of one board. The zero value is a board without an update.
type Machine struct {
	// running: the board works on request. failures are its failed attempts. failed: the last attempt has failed, and the
	// next one has not begun.
	running  bool
	request  Request
	failures int
	failed   bool
	// waiting: the board has reported last that it waits.
	waiting bool
	// flashing: the board has reported that it installs flashID.
	flashing bool
	flashID  int64
	// rebooting: the board has reported InstallRebooting for flashID.
	rebooting bool
	// installed: the board has reported the end of its update, and may restart.
	installed bool
	deadline  time.Time
}

// Running reports whether an update runs: the board must not be reset.
func (m *Machine) Running() bool { return m.running || m.flashing }

// Flashing reports whether the board is being flashed.
func (m *Machine) Flashing() bool { return m.flashing }

// WritesSigned reports whether the board is being flashed for the signed request that it has accepted, and has not said
// that it restarts for that. One that has said so reports its end after the restart.
func (m *Machine) WritesSigned() bool {
	return m.flashing && !m.rebooting && m.running && m.request.Signed && m.flashID == m.request.ID
}

// GoesDown reports whether the loss of the board is no fault.
func (m *Machine) GoesDown() bool { return m.Running() || m.installed }

// Deadline returns when silence ends what is going on. It returns the zero time where nothing is.
func (m *Machine) Deadline() time.Time { return m.deadline }

// Accepted takes it that the board has accepted a request.
func (m *Machine) Accepted(now time.Time, request Request) {
	m.running, m.request, m.failures, m.failed, m.waiting, m.installed = true, request, 0, false, false, false
	m.setDeadline(now)
}

// Reported takes a firmware_update_status of the board. It ignores a status that OCPP does not have.
func (m *Machine) Reported(now time.Time, id int64, status string) {
	flashed := m.flashing && m.flashID == id
	requested := m.running && m.request.ID == id
	switch status {
	case "Idle":
		*m = Machine{}
		return
	case "Installing", "InstallRebooting":
		m.goesOn(id)
		m.rebooting = status == "InstallRebooting" || m.rebooting && m.flashID == id
		m.flashing, m.flashID = true, id
	case "DownloadScheduled", "Downloading", "DownloadPaused", "Downloaded", "SignatureVerified", "InstallScheduled":
		m.goesOn(id)
		m.flashing = m.flashing && !flashed
		m.waiting = m.waits(status)
	case "Installed":
		m.end(id)
		m.installed = (flashed || requested) && !m.Running() || m.installed
	case "InvalidSignature", "InstallVerificationFailed":
		m.end(id)
	case "DownloadFailed", "InstallationFailed":
		m.flashing = m.flashing && !flashed
		if requested {
			m.attemptFailed()
		}
	default:
		return
	}
	m.setDeadline(now)
}

// goesOn takes a sign that the board works on an update.
func (m *Machine) goesOn(id int64) {
	m.installed, m.waiting = false, false
	if m.request.ID != id && !m.running {
		m.request, m.failures = Request{ID: id, Interval: -time.Second}, 0
	}
	m.running = true
	m.failed = m.failed && m.request.ID != id
}

// waits reports whether a board may stay at a status until somebody or a time tells it to go on.
func (m *Machine) waits(status string) bool {
	switch status {
	case "DownloadScheduled", "SignatureVerified", "InstallScheduled":
		return true
	}
	return status == "Downloaded" && !m.request.Signed
}

// end ends the board's work on a request.
func (m *Machine) end(id int64) {
	m.running = m.running && m.request.ID != id
	m.flashing = m.flashing && m.flashID != id
}

func (m *Machine) attemptFailed() {
	if !m.failed {
		m.failures++
	}
	m.failed = true
	m.running = m.request.Attempts <= 0 || m.failures < m.request.Attempts
}

// Passed ends what is going on if the deadline has passed.
func (m *Machine) Passed(now time.Time) {
	if !m.deadline.IsZero() && !now.Before(m.deadline) {
		*m = Machine{request: m.request, failures: m.failures}
	}
}

func (m *Machine) setDeadline(now time.Time) {
	switch {
	case m.flashing:
		m.deadline = now.Add(FlashLimit)
	case m.running && m.failed:
		interval := m.request.Interval
		if interval < 0 {
			interval = defaultInterval
		}
		m.deadline = now.Add(interval + AttemptGrace)
	case m.running && m.waiting:
		m.deadline = now.Add(WaitLimit)
	case m.running:
		m.deadline = now.Add(SilenceLimit)
	case m.installed:
		m.deadline = now.Add(RestartLimit)
	default:
		m.deadline = time.Time{}
	}
}

// maxInterval bounds the pause between two attempts that a board is granted.
const maxInterval = 24 * time.Hour

// ParseRequest reads a FirmwareUpdateRequest. What it cannot read it leaves out: the board has accepted the request.
func ParseRequest(value json.RawMessage) Request {
	var request struct {
		ID        int64  `json:"request_id"`
		Retries   int    `json:"retries"`
		Interval  *int64 `json:"retry_interval_s"`
		Signature string `json:"signature"`
		Signing   string `json:"signing_certificate"`
	}
	_ = json.Unmarshal(value, &request)
	parsed := Request{
		ID: request.ID, Signed: request.Signature != "" || request.Signing != "", Attempts: max(request.Retries, 0), Interval: -time.Second,
	}
	if request.Interval != nil {
		parsed.Interval = time.Duration(min(max(*request.Interval, 0), int64(maxInterval/time.Second))) * time.Second
	}
	return parsed
}

// ParseReport reads a firmware_update_status.
func ParseReport(value json.RawMessage) (id int64, status string, ok bool) {
	var report struct {
		ID     int64  `json:"request_id"`
		Status string `json:"firmware_update_status"`
	}
	err := json.Unmarshal(value, &report)
	return report.ID, report.Status, err == nil && report.Status != ""
}
