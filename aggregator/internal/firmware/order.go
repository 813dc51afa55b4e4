package firmware

// stage is a point of OCPP's order of an update (OCPP 2.0.1, L01; test cases TC_L_01, TC_L_06 and TC_L_08). A board is
// at the furthest stage that it has reported. The station is at the stage of its slowest board.
type stage uint8

const (
	stageNone stage = iota
	stageDownloadScheduled
	stageDownloading
	stageDownloadPaused
	stageDownloaded
	stageSignatureVerified
	stageInstallScheduled
	// InstallRebooting has two places in OCPP's order: before Installing and after it.
	stageRebootingToInstall
	stageInstalling
	stageRebootingToFinish
	stageInstalled
)

// stagePoint is how a stage is published.
type stagePoint struct {
	status Status
	// A mandatory stage is published also when the station has passed it; the others only while the station is there.
	mandatory bool
}

var stagePoints = [...]stagePoint{
	stageNone:               {},
	stageDownloadScheduled:  {DownloadScheduled, false},
	stageDownloading:        {Downloading, true},
	stageDownloadPaused:     {DownloadPaused, false},
	stageDownloaded:         {Downloaded, true},
	stageSignatureVerified:  {SignatureVerified, true},
	stageInstallScheduled:   {InstallScheduled, false},
	stageRebootingToInstall: {InstallRebooting, false},
	stageInstalling:         {Installing, true},
	stageRebootingToFinish:  {InstallRebooting, false},
	stageInstalled:          {Installed, true},
}

// reportedStage is the stage of a status that a board reports.
var reportedStage = [...]stage{
	DownloadScheduled:  stageDownloadScheduled,
	Downloading:        stageDownloading,
	DownloadPaused:     stageDownloadPaused,
	Downloaded:         stageDownloaded,
	SignatureVerified:  stageSignatureVerified,
	InstallScheduled:   stageInstallScheduled,
	InstallRebooting:   stageRebootingToInstall,
	Installing:         stageInstalling,
	Installed:          stageInstalled,
	InstallationFailed: stageNone,
}

// advance returns a board's stage after a report. A repeated or earlier status moves no board back: OCPP lets
// Downloading repeat for every attempt.
func advance(from stage, status Status, signed bool) stage {
	if int(status) >= len(reportedStage) {
		return from
	}
	to := reportedStage[status]
	switch {
	case to == stageSignatureVerified && !signed:
		to = stageDownloaded
	case to == stageRebootingToInstall && from >= stageInstalling:
		to = stageRebootingToFinish
	}
	return max(from, to)
}

// withoutRequestID returns the status by which OCPP 1.6 reports an update without request id (-1 in EVerest): its
// FirmwareStatusNotification has seven statuses. 0 means that nothing is published.
func withoutRequestID(status Status) Status {
	switch status {
	case Downloading, Downloaded, Installing, Installed, DownloadFailed, InstallationFailed:
		return status
	case InvalidSignature, InstallVerificationFailed:
		return InstallationFailed
	}
	return 0
}

// placeFailure returns the failure that OCPP's order permits after the announced stage, and the stage up to which the
// mandatory stages come first: DownloadFailed ends a download, InvalidSignature follows Downloaded, the other two
// follow Installing.
func placeFailure(status Status, announced stage, signed bool) (Status, stage) {
	if status == DownloadFailed && announced >= stageDownloaded {
		status = InvalidSignature
	}
	if status == InvalidSignature && (!signed || announced >= stageSignatureVerified) {
		status = InstallVerificationFailed
	}
	switch status {
	case DownloadFailed:
		return status, stageNone
	case InvalidSignature:
		return status, stageDownloaded
	}
	return status, stageInstalling
}
