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
	attempts  int // how often a board may try, 0 where the request does not say
	boards    []boardUpdate

	announced stage
	published uint32 // bits by Status
	// failure is the first failure of a board; blamed is that board's number plus one.
	failure Status
	blamed  int

	// restored: the module has restarted since the request was accepted, and mostly OCPP too.
	restored bool

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
	// failures is the number of attempts that failed since the board was away last. failed is the failure of the last attempt, 0 once the next one
	// has begun.
	failures int
	failed   Status
	// awaited is why the machine waits for another report of the board, 0 where it does not.
	awaited Awaited
	// booted: the board has started after an update. oldBootReason: its boot reason tells nothing.
	booted, oldBootReason bool
	// permitted: the permission was repeated, and the board has not reported that it installs.
	permitted bool
	// restarted: a satellite has restarted, and reported nothing since.
	restarted bool
	// gone: the board has given this update up, or failed for good.
	gone bool
}

func newUpdate(boards int) update { return update{boards: make([]boardUpdate, boards)} }

func (u *update) start(state updateState, e Requested) {
	boards := u.boards
	clear(boards)
	*u = update{state: state, requestID: e.RequestID, signed: e.Signed, attempts: max(e.Attempts, 0), boards: boards}
}

// record takes a board's report, and reports whether the report changed anything.
func (u *update) record(board int, status Status) bool {
	state := &u.boards[board]
	state.restarted = state.restarted && status == Idle
	state.permitted = state.permitted && advance(stageNone, status, u.signed) == u.imageReady()
	if status.IsFailure() {
		return u.recordFailure(board, status)
	}
	to := advance(state.stage, status, u.signed)
	changed := to != state.stage
	state.stage = to
	if status == InstallRebooting && !state.rebooted {
		state.rebooted, changed = true, true
	}
	switch {
	case status == Idle:
	case state.stage == stageInstalled, state.awaited == AwaitedSign:
		state.failed, state.awaited = 0, 0
	case state.awaited == AwaitedEnd:
		// The boot reason was that of another request.
		state.booted, state.awaited, changed = false, 0, true
	case state.failed != 0:
		state.failed, state.awaited, changed = 0, 0, true
	}
	return changed
}

// recordFailure takes a failure. A download or an installation that failed is final when the board has no attempt left
// (L01.FR.30). EVerest's System reports each attempt.
func (u *update) recordFailure(board int, status Status) bool {
	state := &u.boards[board]
	if u.failure != 0 {
		return false
	}
	if state.failed == 0 {
		state.failures++
	}
	if !status.mayBeTriedAgain() || state.booted || state.stage == stageInstalled || u.attempts > 0 && state.failures >= u.attempts {
		u.fail(board, status)
		return true
	}
	state.failed, state.awaited = status, AwaitedAttempt
	return true
}

// fail ends the update because of a board.
func (u *update) fail(board int, status Status) {
	u.boards[board].gone = true
	if u.failure == 0 {
		u.failure, u.blamed = status, board+1
	}
}

// waitEnded takes it that a board has not reported in the time that it was given.
func (u *update) waitEnded(board int) bool {
	state := &u.boards[board]
	awaited := state.awaited
	state.awaited = 0
	switch awaited {
	case AwaitedAttempt:
		u.fail(board, state.failed)
	case AwaitedEnd:
		state.stage = stageInstalled
	case AwaitedSign:
		u.fail(board, u.lost(board))
	}
	return awaited != 0
}

// hasBooted takes it that a board has started after an update, and reports whether the update did not have that board's
// end. It counts when no report contradicts it in time: a board that has fallen back to its old image may have that boot
// reason too.
func (u *update) hasBooted(board int) bool {
	state := &u.boards[board]
	if u.failure != 0 || state.booted || state.oldBootReason || state.stage == stageInstalled || state.failed == InstallationFailed {
		return false
	}
	state.booted, state.failed, state.awaited = true, 0, AwaitedEnd
	return true
}

// takeUp sets what is awaited of a board after a restart of the main board, or of the module alone.
func (u *update) takeUp(board int, alone bool) {
	state := &u.boards[board]
	switch {
	case u.failure != 0 || state.stage == stageInstalled:
	case state.booted:
		state.awaited = AwaitedEnd
	case state.failed != 0:
		state.awaited = AwaitedAttempt
	case (board == 0 && !alone || state.restarted) && u.mayHaveLost(board):
		state.awaited = AwaitedSign
	}
}

// mayHaveLost reports whether a board that restarts would have to report something. One that waits for its permission has nothing
// to report.
func (u *update) mayHaveLost(board int) bool {
	state := &u.boards[board]
	permitted := u.satellitesPermitted && (board > 0 || u.mainPermitted)
	return u.failure == 0 && !state.booted && state.failed == 0 && state.stage != stageInstalled &&
		(permitted || state.stage < u.imageReady() || state.stage >= stageRebootingToInstall)
}

// lost returns the failure of a board that has lost the update.
func (u *update) lost(board int) Status {
	if u.boards[board].stage < u.imageReady() {
		return DownloadFailed
	}
	return InstallationFailed
}

// trying reports whether a board has failed and may try again.
func (u *update) trying() bool {
	for i := range u.boards {
		if u.boards[i].failed != 0 {
			return true
		}
	}
	return false
}

// abandonedBy records that a board has given this update up for a request that the station refused.
func (u *update) abandonedBy(board int) {
	if u.state == running {
		u.fail(board, u.phase.failure())
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
	case u.restored && !u.allowed && !u.signed && u.requestID != NoRequestID:
		return PhaseNoPermission
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
