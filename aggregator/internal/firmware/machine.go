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
//   - A status is published when every board has reached it. The first failure of a board ends the station's update;
//     the mandatory statuses before that failure are published first.
//   - Satellites are permitted to install once the backend allowed it and every board has its image: verified, or
//     downloaded where the update is not signed. Board 0 is permitted once every satellite reported InstallRebooting or
//     Installed, so that its reboot interrupts no satellite.
//   - No board is permitted to install when one has refused the request or failed.
//   - Each phase in which a board can be silent has a limit. Its end names the silent boards and fails the update.
//   - [Machine.Saved] and [Machine.Restore] take an update over the reboot of the main board.
package firmware

import "github.com/remotechargeport/remotechargeport/aggregator/internal/machine"

// Machine is the firmware update of a station. It is not safe for concurrent use. The zero value is not usable; see
// [NewMachine].
type Machine struct {
	// current is the accepted update; next is the request that the boards are being asked for.
	current, next update

	actions []Action
	replies machine.Ring[Reply]
	publish machine.Ring[Publish]
	limits  machine.Ring[StartLimit]
	permits []Permit // one for each board
}

// NewMachine returns a machine for boards boards, at least 1, without an update.
func NewMachine(boards int) *Machine {
	m := &Machine{current: newUpdate(boards), next: newUpdate(boards), actions: make([]Action, 0, 3*boards+16)}
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
		m.responded(e.Board, e.Response)
	case Requested:
		m.requested(e.RequestID, e.Signed)
	case Allowed:
		if m.current.state == running {
			m.current.allowed = true
			m.settle()
		}
	case LimitExpired:
		if m.current.state == running && e.Phase != PhasePermission && e.Phase == m.current.phase {
			m.current.expired = true
			m.settle()
		}
	}
	return m.actions
}

// Active returns the request id of the update, and whether there is one.
func (m *Machine) Active() (requestID int64, active bool) {
	return m.current.requestID, m.current.state == running
}

func (m *Machine) requested(id int64, signed bool) {
	// A request while another is asked for, or once a board may have begun to install, would leave the boards with
	// different versions (OCPP 2.0.1 L01.FR.27: an update that cannot be cancelled).
	if m.next.state == asked || m.current.installing() {
		m.reply(ResponseRejected)
		return
	}
	m.next.start(asked, id, signed)
	m.do(Ask{})
}

func (m *Machine) responded(board int, response Response) {
	if m.next.state != asked || board < 0 || board >= len(m.next.boards) || m.next.boards[board].response != 0 || response == 0 {
		return
	}
	m.next.boards[board].response = response
	worst := ResponseAccepted
	for i := range m.next.boards {
		response := m.next.boards[i].response
		if response == 0 {
			return
		}
		worst = max(worst, response)
	}
	m.reply(worst)
	if worst.Accepts() {
		m.current, m.next = m.next, m.current
		m.current.state, m.next.state = running, none
		m.settle()
		return
	}
	m.next.state = none
	for i := range m.next.boards {
		if m.next.boards[i].response.Accepts() {
			m.do(&LeftOver{Board: i})
			m.current.abandonedBy(i)
		}
	}
	m.settle()
}

func (m *Machine) reported(board int, id int64, status Status) {
	if board < 0 || board >= len(m.current.boards) {
		return
	}
	current := m.current.state == running && id == m.current.requestID
	// With equal ids (OCPP 1.6 has none) a board's reports belong to the new request once the board has accepted it.
	if m.next.state == asked && id == m.next.requestID && (!current || m.next.boards[board].response.Accepts()) {
		m.next.record(board, status)
		return
	}
	if current && m.current.record(board, status) {
		m.settle()
	}
}

// settle publishes how far the station has come, permits installations, and sets the limit. While a new request is
// asked for it does nothing: the new request may cancel the old update, whose statuses must not be published then.
func (m *Machine) settle() {
	update := &m.current
	if update.state != running || m.next.state == asked {
		return
	}
	m.do(Save{})
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
	if update.allowed && slowest >= update.imageReady() {
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
		if !update.boards[i].done(update.phase, i) {
			m.do(&Blame{Board: i, Phase: update.phase})
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
		m.do(Save{})
		for i := len(update.boards) - 1; i > 0; i-- {
			m.do(&m.permits[i])
		}
	}
	if !update.mainPermitted && update.satellitesDone() {
		update.mainPermitted = true
		m.do(Save{})
		m.do(&m.permits[0])
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
	m.do(Forget{})
}

func (m *Machine) reply(response Response) { m.do(m.replies.Put(Reply{Response: response})) }

func (m *Machine) do(action Action) { m.actions = append(m.actions, action) }
