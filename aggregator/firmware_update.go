package aggregator

// firmwareUpdate is what the merge knows of one request.
type firmwareUpdate struct {
	active    bool
	requestID int64
	signed    bool
	boards    []boardUpdate

	told      stage
	published uint32
	// failure is the first failure of a board, blamed that board's number plus one.
	failure FirmwareStatus
	blamed  int

	allowed             bool
	satellitesPermitted bool
	mainPermitted       bool

	phase   FirmwarePhase
	expired bool
}

// boardUpdate is what the merge knows of one board's part in a request.
type boardUpdate struct {
	answer   FirmwareAnswer
	stage    stage
	rebooted bool
}

func newFirmwareUpdate(boards int) firmwareUpdate {
	return firmwareUpdate{boards: make([]boardUpdate, boards)}
}

func (u *firmwareUpdate) start(id int64, signed bool) {
	boards := u.boards
	clear(boards)
	*u = firmwareUpdate{active: true, requestID: id, signed: signed, boards: boards}
}

// record takes a board's report and says whether it changed anything.
func (u *firmwareUpdate) record(board int, status FirmwareStatus) bool {
	state := &u.boards[board]
	if status.IsFailure() {
		if u.failure != 0 {
			return false
		}
		u.failure, u.blamed = status, board+1
		return true
	}
	if status == FirmwareInstallRebooting && !state.rebooted {
		state.rebooted = true
		state.stage = advance(state.stage, status, u.signed)
		return true
	}
	to := advance(state.stage, status, u.signed)
	changed := to != state.stage
	state.stage = to
	return changed
}

// abandonedBy notes that a board has given this update up for another one that the station refused.
func (u *firmwareUpdate) abandonedBy(board int) {
	if !u.active || u.failure != 0 {
		return
	}
	u.failure, u.blamed = phaseFailure(u.phase), board+1
}

func (u *firmwareUpdate) slowest() stage {
	slowest := stageInstalled
	for i := range u.boards {
		slowest = min(slowest, u.boards[i].stage)
	}
	return slowest
}

func (u *firmwareUpdate) imageReady() stage {
	if u.signed {
		return stageSignatureVerified
	}
	return stageDownloaded
}

// mayInstall: the backend permits it, and every board has its image.
func (u *firmwareUpdate) mayInstall() bool {
	return u.allowed && u.failure == 0 && !u.expired && u.slowest() >= u.imageReady()
}

// installing: a board may have begun to change what it runs.
func (u *firmwareUpdate) installing() bool {
	if !u.active {
		return false
	}
	if u.satellitesPermitted {
		return true
	}
	for i := range u.boards {
		if u.boards[i].stage >= stageRebootingToInstall {
			return true
		}
	}
	return false
}

// satellitesDone: none of the satellites is cut off from anything when the main board goes down.
func (u *firmwareUpdate) satellitesDone() bool {
	for i := 1; i < len(u.boards); i++ {
		if !u.boards[i].rebooted && u.boards[i].stage != stageInstalled {
			return false
		}
	}
	return true
}

func (u *firmwareUpdate) phaseNow() FirmwarePhase {
	switch {
	case u.mainPermitted:
		return PhaseMain
	case u.satellitesPermitted:
		return PhaseSatellites
	case u.told < stageDownloaded:
		return PhaseDownload
	case u.signed && u.told < stageSignatureVerified:
		return PhaseVerify
	case u.told >= stageRebootingToInstall:
		// The boards have not waited for the permission.
		return PhaseMain
	}
	return 0
}

// done says whether the phase does not wait for this board any more.
func (b *boardUpdate) done(phase FirmwarePhase, board int) bool {
	switch phase {
	case PhaseDownload:
		return b.stage >= stageDownloaded
	case PhaseVerify:
		return b.stage >= stageSignatureVerified
	case PhaseSatellites:
		return board == 0 || b.rebooted || b.stage == stageInstalled
	}
	return b.stage == stageInstalled
}
