// Package firmware makes the firmware updates of several boards one update of the station, as OCPP knows it. [Machine]
// is a pure machine; see package machine for the form of its events and actions.
//
//	backend                      Machine                          boards, 0 is the main board
//	update_firmware       ->     Requested      Ask        ->     update_firmware, all
//	response, the worst   <-     Reply          Responded  <-     response, each
//	status, the slowest   <-     Publish        Reported   <-     firmware_update_status
//	allow installation    ->     Allowed        Permit     ->     allow installation: satellites, then board 0
//
// The machine promises, for every order of events:
//
//   - The published statuses of a request follow OCPP's order. Each comes at most once, with the request's id, after
//     the reply to the request; none follows an end state.
//   - A status is published when every board has reached it. The first final failure of a board ends the station's
//     update: a failed download or installation is final when the board's attempts are over, or it reports no other
//     attempt in the time given to it. The mandatory statuses before that failure are published first.
//   - Satellites are permitted to install once every board has its image and the backend allowed it after that. An
//     image is verified, or downloaded where the update is not signed. Board 0 is permitted once every satellite reported InstallRebooting or
//     Installed, so that its reboot interrupts no satellite.
//   - A request that every board accepts is AcceptedCanceled where it replaces an update in progress, else Accepted. A
//     refused request without id is also published, as DownloadFailed.
//   - No board is permitted to install when one has refused the request or failed. A permission is repeated for a board
//     that was away, or reports once more that it has its image.
//   - A board that has started after an update is Installed unless it reports otherwise in the time given to it. A
//     board that restarts in its part and reports nothing in that time has lost the update.
//   - Each phase in which a board can be silent has a limit. Its end names the silent boards and fails the update.
//   - A board is being flashed from its report of it until its end or a limit, whatever request it is for. No request is put
//     to the boards meanwhile, unless all boards have long been silent. A board that
//     works on, or has installed, what the station does not have is told as such until an update brings it back.
//   - [Machine.Saved] and [Machine.Restore] take an update over the reboot of the main board.
package firmware

import (
	"slices"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine"
)

// Machine is the firmware update of a station. It is not safe for concurrent use. The zero value is not usable; see
// [NewMachine].
type Machine struct {
	// current is the accepted update; next is the request that the boards are being asked for.
	current, next update
	states        []boardState

	actions []Action
	replies machine.Ring[Reply]
	publish machine.Ring[Publish]
	limits  machine.Ring[StartLimit]
	waits   machine.Ring[Wait]
	stops   machine.Ring[StopWait]
	// One for each board.
	permits   []Permit
	allWaits  []Wait
	flashings []Flashing
}

// NewMachine returns a machine for boards boards, at least 1, without an update.
func NewMachine(boards int) *Machine {
	m := &Machine{current: newUpdate(boards), next: newUpdate(boards), actions: make([]Action, 0, 5*boards+16), allWaits: make([]Wait, boards),
		flashings: make([]Flashing, boards), states: make([]boardState, boards)}
	for i := range boards {
		m.permits = append(m.permits, Permit{Board: i})
	}
	return m
}

// Step takes one event and returns what to do, in order. The actions are valid until the next Step. An event without
// meaning (an unknown board, a report for another request, the limit of an earlier phase) has no actions.
func (m *Machine) Step(event Event) []Action {
	m.actions = m.actions[:0]
	switch e := event.(type) {
	case Reported:
		m.reported(e.Board, e.RequestID, e.Status)
	case Responded:
		m.responded(e)
	case Requested:
		m.requested(e)
	case Allowed:
		// EVerest's OCPP modules give the permission whenever a scheduled unavailability leaves no connector in service.
		// They give it again after the status that says that there is an image.
		if m.current.state == running && m.current.announced >= m.current.imageReady() {
			m.current.allowed = true
			m.settle()
		}
	case LimitExpired:
		if m.current.state == running && e.Phase != PhasePermission && e.Phase == m.current.phase {
			m.current.expired = true
			m.settle()
		}
	case Booted:
		if m.isBoard(e.Board) {
			m.booted(e.Board)
		}
	case WaitEnded:
		if m.current.state == running && m.isBoard(e.Board) && m.current.waitEnded(e.Board) {
			if m.states[e.Board].flashID == m.current.requestID { // else the board installs for another request
				m.setFlashing(e.Board, false)
			}
			m.settle()
		}
	case Away:
		if m.current.state == running && m.isBoard(e.Board) && m.current.boards[e.Board].failures > 0 {
			m.current.boards[e.Board].failures = 0
		}
	case Back:
		if m.isBoard(e.Board) && m.current.boards[e.Board].stage < stageRebootingToInstall {
			m.permitAgain(e.Board)
		}
	case Restarted:
		m.restarted(e.Board)
	case FlashLimitExpired:
		if m.isBoard(e.Board) {
			m.setFlashing(e.Board, false)
		}
	}
	return m.actions
}

// Active returns the request id of the update, and whether there is one.
func (m *Machine) Active() (requestID int64, active bool) {
	return m.current.requestID, m.current.state == running
}

// booted takes it that a board has started after an update.
func (m *Machine) booted(board int) {
	state := &m.states[board]
	if m.current.state == running && m.current.hasBooted(board) {
		m.do(m.waits.Put(Wait{Board: board, For: AwaitedEnd}))
		m.setFlashing(board, false)
		m.settle()
	} else if state.apart == apartWorking && !state.oldBootReason {
		m.setApart(board, state.apartID, apartInstalled)
		m.setFlashing(board, false)
	}
}

// Unfinished reports whether a board has not come to the end of an update. Its boot reason may tell the end.
func (m *Machine) Unfinished(board int) bool {
	if !m.isBoard(board) || m.states[board].oldBootReason {
		return false
	}
	update := &m.current
	return m.states[board].apart == apartWorking && m.states[board].flashing || update.state == running && update.failure == 0 &&
		update.boards[board].stage != stageInstalled && !update.boards[board].booted && !update.boards[board].oldBootReason
}

func (m *Machine) requested(e Requested) {
	// A request while another is asked for, or once a board may have begun to install, would leave the boards with
	// different versions (OCPP 2.0.1 L01.FR.27: an update that cannot be cancelled).
	// An installation of which nobody has heard for long is stuck, and must not keep the station from its next update.
	flashing := slices.ContainsFunc(m.states, func(s boardState) bool { return s.flashing })
	if m.next.state == asked || (m.current.installing() || flashing) && !e.Silent {
		m.refuse(ResponseRejected, e.RequestID)
		return
	}
	m.next.start(asked, e)
	m.do(Save{})
	m.do(Ask{})
}

func (m *Machine) responded(e Responded) {
	if m.next.state != asked || !m.isBoard(e.Board) || m.next.boards[e.Board].response != 0 || e.Response == 0 {
		return
	}
	if e.Response.Accepts() {
		// It has nothing else in hand.
		if m.states[e.Board].apart != apartInstalled {
			m.states[e.Board].apart = together
		}
	}
	// The boot reason of a board that still installs something else may be of that.
	old := e.OldBootReason || m.states[e.Board].flashing && !m.states[e.Board].flashSigned
	m.states[e.Board].oldBootReason = old
	m.next.boards[e.Board].response, m.next.boards[e.Board].oldBootReason = e.Response, old
	worst := ResponseAccepted
	for i := range m.next.boards {
		response := m.next.boards[i].response
		if response == 0 {
			return
		}
		worst = max(worst, response)
	}
	// What the backend is told must not be lost in a power cut: it is saved first.
	if worst.Accepts() {
		response := m.accepted()
		m.current, m.next = m.next, m.current
		m.current.state, m.next.state = running, none
		m.do(Save{})
		m.reply(response)
		m.awaitBoards()
		m.settle()
		return
	}
	m.next.state = none
	for i := range m.next.boards {
		if m.next.boards[i].response.Accepts() {
			m.setApart(i, m.next.requestID, apartWorking)
			m.current.abandonedBy(i)
		}
	}
	m.keep()
	m.refuse(worst, m.next.requestID)
	m.settle()
}

// accepted returns the response of a request that every board accepts. Whether it cancels an update is the station's
// affair: EVerest's System responds AcceptedCanceled also to a first request, when its own thread was quicker.
func (m *Machine) accepted() Response {
	if m.current.state == running {
		return ResponseAcceptedCanceled
	}
	return ResponseAccepted
}

// refuse refuses a request. UpdateFirmware.conf of OCPP 1.6 has no status, so a request without id is also told by a
// status, unless another one without id is in progress.
func (m *Machine) refuse(response Response, id int64) {
	m.reply(response)
	inProgress := m.next.state == asked && m.next.requestID == id || m.current.state == running && m.current.requestID == id
	if id == NoRequestID && !inProgress {
		m.do(m.publish.Put(Publish{RequestID: id, Status: DownloadFailed}))
	}
}

func (m *Machine) reported(board int, id int64, status Status) {
	if !m.isBoard(board) {
		return
	}
	m.noteFlashing(board, id, status)
	current := m.current.state == running && id == m.current.requestID
	// With equal ids (OCPP 1.6 has none) a board's reports belong to the new request once the board has accepted it.
	if m.next.state == asked && id == m.next.requestID && (!current || m.next.boards[board].response.Accepts()) {
		m.next.record(board, status)
		return
	}
	if !current {
		m.reportedApart(board, id, status)
		m.reportedOther(board, id, status)
		return
	}
	awaited := m.current.boards[board].awaited
	changed := m.current.record(board, status)
	switch now := m.current.boards[board].awaited; {
	case m.current.failure != 0:
	case now != 0 && changed:
		m.do(m.waits.Put(Wait{Board: board, For: now}))
	case now == 0 && awaited != 0:
		m.do(m.stops.Put(StopWait{Board: board}))
	}
	if changed {
		m.settle()
	} else if reportedStage[status] == m.current.imageReady() {
		m.permitAgain(board)
	}
}

// awaitBoards starts the waits of an update that has begun or is taken up, in place of those of another one.
func (m *Machine) awaitBoards() {
	m.do(StopWaits{})
	for i := range m.current.boards {
		if awaited := m.current.boards[i].awaited; awaited != 0 {
			m.allWaits[i] = Wait{Board: i, For: awaited}
			m.do(&m.allWaits[i])
		}
	}
}

// settle publishes how far the station has come, permits installations, and sets the limit. While a new request is
// asked for it only saves: the new request may cancel the old update, whose statuses must not be published then.
func (m *Machine) settle() {
	update := &m.current
	if update.state != running {
		return
	}
	m.do(Save{})
	if m.next.state == asked {
		return
	}
	slowest := update.slowest()
	m.announce(slowest)
	if update.announced == stageInstalled {
		m.end()
		return
	}
	if update.failure == 0 && update.expired {
		m.expire()
	}
	if update.failure != 0 {
		status, before := placeFailure(update.failure, update.announced, update.signed)
		m.announceMandatory(before)
		m.publishStatus(status)
		m.end()
		return
	}
	if update.allowed && slowest >= update.imageReady() && !update.trying() {
		m.permit()
	}
	m.limit()
}

// announce publishes the stages from the one that was announced last up to to.
func (m *Machine) announce(to stage) {
	for s := m.current.announced + 1; s <= to; s++ {
		if m.current.skips(s) {
			continue
		}
		if point := stagePoints[s]; point.mandatory || s == to {
			m.publishStatus(point.status)
		}
	}
	m.current.announced = max(m.current.announced, to)
}

// announceMandatory publishes the mandatory stages up to to.
func (m *Machine) announceMandatory(to stage) {
	for s := m.current.announced + 1; s <= to; s++ {
		if point := stagePoints[s]; point.mandatory && !m.current.skips(s) {
			m.publishStatus(point.status)
		}
	}
}

func (m *Machine) publishStatus(status Status) {
	id := m.current.requestID
	if id == NoRequestID {
		status = withoutRequestID(status)
	}
	if status == 0 || m.current.published&(1<<status) != 0 {
		return
	}
	m.current.published |= 1 << status
	m.do(m.publish.Put(Publish{RequestID: id, Status: status}))
}

// expire names the boards that the phase waited for, and fails the update.
func (m *Machine) expire() {
	update := &m.current
	for i := range update.boards {
		if update.phase != PhaseNoPermission && !update.boards[i].done(update.phase, i) {
			m.do(&Blame{Board: i, Phase: update.phase, Status: update.boards[i].failed})
		}
	}
	update.failure = update.phase.failure()
}

// permit permits the satellites to install, and later the main board. The backend has allowed it, and every board has
// its image.
func (m *Machine) permit() {
	update := &m.current
	if !update.satellitesPermitted {
		update.satellitesPermitted = true
		for i := len(update.boards) - 1; i > 0; i-- {
			m.do(&m.permits[i])
		}
	}
	if !update.mainPermitted && update.satellitesDone() {
		update.mainPermitted = true
		m.do(&m.permits[0])
	}
}

// permitAgain repeats a permission that may not have reached the board, or that the board has forgotten over a restart.
func (m *Machine) permitAgain(board int) {
	update := &m.current
	permitted := update.satellitesPermitted && (board > 0 || update.mainPermitted)
	if update.state == running && update.failure == 0 && permitted && !update.trying() && update.boards[board].stage != stageInstalled {
		update.boards[board].permitted = true
		m.do(&m.permits[board])
	}
}

func (m *Machine) limit() {
	phase := m.current.nextPhase()
	if phase == m.current.phase {
		return
	}
	m.current.phase = phase
	if phase == PhasePermission {
		m.do(StopLimit{})
		return
	}
	m.do(m.limits.Put(StartLimit{Phase: phase}))
}

func (m *Machine) end() {
	if m.current.blamed > 0 {
		m.do(&Blame{Board: m.current.blamed - 1, Phase: m.current.phase, Status: m.current.failure})
	}
	m.current.state, m.current.phase = none, PhasePermission
	m.do(StopLimit{})
	m.do(StopWaits{})
	m.leave()
	m.keep()
}

func (m *Machine) reply(response Response) { m.do(m.replies.Put(Reply{Response: response})) }

func (m *Machine) do(action Action) { m.actions = append(m.actions, action) }
