package aggregator

// stage is a point of OCPP's order of an update (OCPP 2.0.1, L01; test cases TC_L_01, TC_L_06 and TC_L_08). A board is
// at the furthest stage that it has reported; the station is where its slowest board is.
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

// stagePoint says how a stage is told to the backend.
type stagePoint struct {
	status FirmwareStatus
	// mandatory stages are told whenever the station has passed them; the others only while the station is there.
	mandatory bool
}

var stagePoints = [...]stagePoint{
	stageNone:               {},
	stageDownloadScheduled:  {FirmwareDownloadScheduled, false},
	stageDownloading:        {FirmwareDownloading, true},
	stageDownloadPaused:     {FirmwareDownloadPaused, false},
	stageDownloaded:         {FirmwareDownloaded, true},
	stageSignatureVerified:  {FirmwareSignatureVerified, true},
	stageInstallScheduled:   {FirmwareInstallScheduled, false},
	stageRebootingToInstall: {FirmwareInstallRebooting, false},
	stageInstalling:         {FirmwareInstalling, true},
	stageRebootingToFinish:  {FirmwareInstallRebooting, false},
	stageInstalled:          {FirmwareInstalled, true},
}

// advance is where a board is after a report. A repeated or earlier status moves nobody back: OCPP lets Downloading
// repeat for every attempt.
func advance(from stage, status FirmwareStatus, signed bool) stage {
	to := from
	switch status {
	case FirmwareDownloadScheduled:
		to = stageDownloadScheduled
	case FirmwareDownloading:
		to = stageDownloading
	case FirmwareDownloadPaused:
		to = stageDownloadPaused
	case FirmwareDownloaded:
		to = stageDownloaded
	case FirmwareSignatureVerified:
		to = stageSignatureVerified
		if !signed {
			to = stageDownloaded
		}
	case FirmwareInstallScheduled:
		to = stageInstallScheduled
	case FirmwareInstallRebooting:
		to = stageRebootingToInstall
		if from >= stageInstalling {
			to = stageRebootingToFinish
		}
	case FirmwareInstalling:
		to = stageInstalling
	case FirmwareInstalled:
		to = stageInstalled
	}
	return max(from, to)
}

// withoutRequestID says what OCPP 1.6 knows of a status: a request without id (-1 in EVerest) is reported with its
// FirmwareStatusNotification, which has seven statuses only. 0: nothing is sent.
func withoutRequestID(status FirmwareStatus) FirmwareStatus {
	switch status {
	case FirmwareDownloading, FirmwareDownloaded, FirmwareInstalling, FirmwareInstalled,
		FirmwareDownloadFailed, FirmwareInstallationFailed:
		return status
	case FirmwareInvalidSignature, FirmwareInstallVerificationFailed:
		return FirmwareInstallationFailed
	}
	return 0
}

// placeFailure is the failure as OCPP's order permits it when the backend has been told of told, and the stage up to
// which it must be told first: DownloadFailed ends a download, InvalidSignature follows Downloaded, the other two
// follow Installing.
func placeFailure(status FirmwareStatus, told stage, signed bool) (FirmwareStatus, stage) {
	if status == FirmwareDownloadFailed && told >= stageDownloaded {
		status = FirmwareInvalidSignature
	}
	if status == FirmwareInvalidSignature && (!signed || told >= stageSignatureVerified) {
		status = FirmwareInstallVerificationFailed
	}
	switch status {
	case FirmwareDownloadFailed:
		return status, stageNone
	case FirmwareInvalidSignature:
		return status, stageDownloaded
	}
	return status, stageInstalling
}
