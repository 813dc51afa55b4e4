package firmware

import "slices"

// boardState is what is known of a board beyond the update in progress: an update may go on that the station does not
// have, and System cannot stop one.
type boardState struct {
	// flashing: the board has reported that it installs flashID, and not its end.
	flashing bool
	flashID  int64
	// flashSigned: flashID is a signed request. A board that accepts another request has come to the end of that: System
	// rejects one while it installs for a signed request, but not while it installs for an unsigned one.
	flashSigned bool
	// apart is whether the board is apart from the station, and apartID the request by which it came to that.
	apart   apart
	apartID int64
	// oldBootReason: the board's boot reason tells nothing.
	oldBootReason bool
}

// apart is how a board differs from the station.
type apart uint8

const (
	together apart = iota
	// apartFailed: the board has given up what the station does not have. It may try again.
	apartFailed
	// apartWorking: the board works on it.
	apartWorking
	// apartInstalled: the board has installed it.
	apartInstalled
)

func (m *Machine) isBoard(board int) bool { return board >= 0 && board < len(m.current.boards) }

// IsFlashing reports whether a board is being flashed, or may begin at any moment. Such a board must not be reset.
func (m *Machine) IsFlashing(board int) bool {
	if !m.isBoard(board) {
		return false
	}
	update := &m.current
	permitted := update.state == running && update.satellitesPermitted && (board > 0 || update.mainPermitted)
	return m.states[board].flashing || permitted && (update.boards[board].stage < stageRebootingToInstall || update.boards[board].permitted)
}

// Apart returns the request by which a board is apart from the station, and whether the board has installed it. apart is
// false for a board that is not.
func (m *Machine) Apart(board int) (requestID int64, installed, apart bool) {
	if !m.isBoard(board) || m.states[board].apart < apartWorking {
		return 0, false, false
	}
	return m.states[board].apartID, m.states[board].apart == apartInstalled, true
}

// noteFlashing takes a board's report, whatever request it is for. Another request's report does not end an installation:
// System takes a signed request while it installs for an unsigned one.
func (m *Machine) noteFlashing(board int, id int64, status Status) {
	state := &m.states[board]
	switch {
	case status == Installing, status == InstallRebooting:
		signed := m.isSigned(id) || state.flashSigned && state.flashID == id
		other := state.flashID != id || state.flashSigned != signed
		state.flashID, state.flashSigned = id, signed
		if state.flashing && other {
			m.keep()
		}
		m.setFlashing(board, true)
	case state.flashID == id, status == Idle:
		m.setFlashing(board, false)
	}
}

// isSigned reports whether a request is known to be signed.
func (m *Machine) isSigned(id int64) bool {
	return m.current.state == running && m.current.requestID == id && m.current.signed ||
		m.next.state == asked && m.next.requestID == id && m.next.signed
}

// restarted takes it that a satellite has restarted. The main board's restart is the machine's own: see takeUp.
func (m *Machine) restarted(board int) {
	update := &m.current
	if update.state != running || board == 0 || !m.isBoard(board) {
		return
	}
	part := &update.boards[board]
	part.restarted = true
	if part.awaited == 0 && update.mayHaveLost(board) {
		part.awaited = AwaitedSign
		m.do(m.waits.Put(Wait{Board: board, For: AwaitedSign}))
	}
	m.keep()
}

func (m *Machine) setFlashing(board int, on bool) {
	if m.states[board].flashing == on {
		return
	}
	m.states[board].flashing = on
	m.doFlashing(board)
	m.keep()
}

func (m *Machine) doFlashing(board int) {
	m.flashings[board] = Flashing{Board: board, On: m.states[board].flashing}
	m.do(&m.flashings[board])
}

// reportedApart takes a report that is not for the update in progress.
func (m *Machine) reportedApart(board int, id int64, status Status) {
	state := &m.states[board]
	if state.apart == together || state.apart == apartInstalled || state.apartID != id || status == Idle {
		return
	}
	switch {
	case status == Installed:
		m.setApart(board, id, apartInstalled)
	case status.IsFailure():
		m.setApart(board, id, apartFailed)
	default:
		m.setApart(board, id, apartWorking)
	}
}

// reportedOther takes a report for another request than the update in progress. System goes on with what it has accepted.
// The boot reason of a board that installs for another request tells nothing about the update, and a board that installs
// it last does not have the update any more.
func (m *Machine) reportedOther(board int, id int64, status Status) {
	if m.current.state != running || status != Installing && status != InstallRebooting && status != Installed {
		return
	}
	part := &m.current.boards[board]
	part.oldBootReason, part.booted = true, false
	if part.awaited == AwaitedEnd {
		part.awaited = 0
		m.do(m.stops.Put(StopWait{Board: board}))
	}
	if status == Installed && part.stage == stageInstalled {
		m.setApart(board, id, apartInstalled)
		m.current.fail(board, InstallationFailed)
	}
	m.settle()
}

func (m *Machine) setApart(board int, id int64, now apart) {
	state := &m.states[board]
	if state.apart == now && state.apartID == id {
		return
	}
	state.apart, state.apartID = now, id
	m.doApart(board)
	m.keep()
}

func (m *Machine) doApart(board int) {
	if id, installed, apart := m.Apart(board); apart {
		m.do(&Apart{Board: board, RequestID: id, Installed: installed})
	}
}

// leave sets how the boards stand to the station after an update.
func (m *Machine) leave() {
	update := &m.current
	for i := range update.boards {
		board := &update.boards[i]
		switch {
		case update.failure == 0:
			m.states[i].apart = together
		case board.gone:
		case board.stage == stageInstalled:
			m.setApart(i, update.requestID, apartInstalled)
		default:
			m.setApart(i, update.requestID, apartWorking)
		}
	}
}

// keep stores what must survive a restart, or removes what was stored.
func (m *Machine) keep() {
	if m.hasSomething() {
		m.do(Save{})
		return
	}
	m.do(Forget{})
}

// hasSomething reports whether there is anything that must survive a restart.
func (m *Machine) hasSomething() bool {
	return m.current.state == running || m.next.state == asked ||
		slices.ContainsFunc(m.states, func(s boardState) bool { return s.flashing || s.apart != together })
}
