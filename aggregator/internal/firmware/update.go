package firmware

// updateState is the state of one request.
type updateState uint8

const (
	none    updateState = iota
	asked               // the boards have the request, and some have not responded
	running             // the station has accepted the request
)

// update is one request and what its boards have reported.
type update struct {
	state     updateState
	requestID int64
	signed    bool
	boards    []boardUpdate

	announced stage
	published uint32 // bits by Status
	// failure is the first failure of a board; blamed is that board's number plus one.
	failure Status
	blamed  int

	allowed             bool
	satellitesPermitted bool
	mainPermitted       bool

	phase   Phase
	expired bool
}

// boardUpdate is one board's part in a request.
type boardUpdate struct {
	response Response
	stage    stage
	rebooted bool
}

func newUpdate(boards int) update { return update{boards: make([]boardUpdate, boards)} }

func (u *update) start(state updateState, id int64, signed bool) {
	boards := u.boards
	clear(boards)
	*u = update{state: state, requestID: id, signed: signed, boards: boards}
}

// record takes a board's report, and reports whether the report changed anything.
func (u *update) record(board int, status Status) bool {
	state := &u.boards[board]
	if status.IsFailure() {
		if u.failure != 0 {
			return false
		}
		u.failure, u.blamed = status, board+1
		return true
	}
	to := advance(state.stage, status, u.signed)
	changed := to != state.stage
	state.stage = to
	if status == InstallRebooting && !state.rebooted {
		state.rebooted, changed = true, true
	}
	return changed
}

// abandonedBy records that a board has given this update up for a request that the station refused.
func (u *update) abandonedBy(board int) {
	if u.state == running && u.failure == 0 {
		u.failure, u.blamed = u.phase.failure(), board+1
	}
}

func (u *update) slowest() stage {
	slowest := stageInstalled
	for i := range u.boards {
		slowest = min(slowest, u.boards[i].stage)
	}
	return slowest
}

// skips reports whether the update has no such stage.
func (u *update) skips(s stage) bool { return s == stageSignatureVerified && !u.signed }

// imageReady returns the stage at which a board has its image.
func (u *update) imageReady() stage {
	if u.signed {
		return stageSignatureVerified
	}
	return stageDownloaded
}

// installing reports whether a board may have begun to install.
func (u *update) installing() bool {
	if u.state != running {
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

// satellitesDone reports whether a reboot of the main board interrupts no satellite.
func (u *update) satellitesDone() bool {
	for i := 1; i < len(u.boards); i++ {
		if !u.boards[i].done(PhaseSatellites, i) {
			return false
		}
	}
	return true
}

func (u *update) nextPhase() Phase {
	switch {
	case u.mainPermitted:
		return PhaseMain
	case u.satellitesPermitted:
		return PhaseSatellites
	case u.announced < stageDownloaded:
		return PhaseDownload
	case u.signed && u.announced < stageSignatureVerified:
		return PhaseVerify
	case u.announced >= stageRebootingToInstall:
		// The boards have not waited for the permission.
		return PhaseMain
	}
	return PhasePermission
}

// done reports whether the phase no longer waits for the board.
func (b *boardUpdate) done(phase Phase, board int) bool {
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
