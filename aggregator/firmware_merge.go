package aggregator

// NoRequestID is the request id of what has none: OCPP 1.6's UpdateFirmware and GetDiagnostics.
const NoRequestID int64 = -1

// FirmwareMerge makes the updates of several boards one update. It is a pure value: Step takes what happened and says
// what to do; it has no clock, no goroutine and does no I/O. It is not safe for concurrent use.
//
// It promises, for every order of events:
//
//   - the statuses of a request that are published follow OCPP's order, each at most once, with the request's id, after
//     the answer to the request, and none after an end state;
//   - a status is published when every board has reached at least that point; the first board's failure ends the update
//     for the station. What the backend has not been told of the order before that failure is told first;
//   - the permission to install goes to the satellites once the backend's has come and every board has a verified image
//     (a complete download, when the update is not signed), and to board 0 once every satellite has reported
//     InstallRebooting or Installed, so that the main board does not cut off a satellite that is still at work;
//   - nothing is permitted to install when one board has refused the request or failed;
//   - every phase that a board can be silent in has a limit; the limit's end names the boards and fails the update.
//
// Board 0 is the main board.
type FirmwareMerge struct {
	current firmwareUpdate
	next    firmwareUpdate
	actions []FirmwareAction
}

// NewFirmwareMerge is a merge of boards boards without an update. boards is at least 1.
func NewFirmwareMerge(boards int) *FirmwareMerge {
	return &FirmwareMerge{
		current: newFirmwareUpdate(boards),
		next:    newFirmwareUpdate(boards),
		actions: make([]FirmwareAction, 0, 3*boards+16),
	}
}

// FirmwareEventKind says what happened.
type FirmwareEventKind uint8

const (
	// FirmwareRequested: somebody called update_firmware (RequestID, Signed).
	FirmwareRequested FirmwareEventKind = iota + 1
	// FirmwareAnswered: a board answered the latest request (Board, Answer); a board that did not answer in time
	// counts as one that answered UpdateRejected.
	FirmwareAnswered
	// FirmwareReported: a board published firmware_update_status (Board, RequestID, Status).
	FirmwareReported
	// FirmwareAllowed: somebody called allow_firmware_installation.
	FirmwareAllowed
	// FirmwareTimeUp: the limit of a phase has passed (Phase).
	FirmwareTimeUp
)

// FirmwareEvent is one thing that happened; which fields count says its kind.
type FirmwareEvent struct {
	Kind      FirmwareEventKind
	Board     int
	RequestID int64
	Signed    bool
	Answer    FirmwareAnswer
	Status    FirmwareStatus
	Phase     FirmwarePhase
}

// FirmwareActionKind says what to do.
type FirmwareActionKind uint8

const (
	// FirmwareAsk: pass the request on to every board and report each one's answer.
	FirmwareAsk FirmwareActionKind = iota + 1
	// FirmwareReply: answer the caller of update_firmware (Answer).
	FirmwareReply
	// FirmwarePublish: publish firmware_update_status (RequestID, Status).
	FirmwarePublish
	// FirmwareAllow: call allow_firmware_installation of a board (Board).
	FirmwareAllow
	// FirmwareLimit: start the limit of a phase, in place of an earlier one (Phase).
	FirmwareLimit
	// FirmwareUnlimited: stop the limit.
	FirmwareUnlimited
	// FirmwareBlame: tell the operator that a board is why the update fails (Board, Phase, Status: its report, or 0).
	FirmwareBlame
	// FirmwareLeftOver: tell the operator that a board works on a request that the station has refused (Board).
	FirmwareLeftOver
	// FirmwareSave: make State durable before the next action.
	FirmwareSave
	// FirmwareForget: remove what FirmwareSave wrote.
	FirmwareForget
)

// FirmwareAction is one thing to do; which fields count says its kind.
type FirmwareAction struct {
	Kind      FirmwareActionKind
	Board     int
	RequestID int64
	Answer    FirmwareAnswer
	Status    FirmwareStatus
	Phase     FirmwarePhase
}

// FirmwarePhase is a part of an update in which boards can be silent.
type FirmwarePhase uint8

// The phases. Between PhaseVerify and PhaseSatellites the boards wait for the backend's permission, without a limit:
// it may wait for the end of a transaction.
const (
	PhaseDownload FirmwarePhase = iota + 1
	PhaseVerify
	PhaseSatellites
	PhaseMain
)

var firmwarePhaseNames = [...]string{
	PhaseDownload:   "download",
	PhaseVerify:     "verification",
	PhaseSatellites: "installation on the satellites",
	PhaseMain:       "installation on the main board",
}

func (p FirmwarePhase) String() string { return nameOf(firmwarePhaseNames[:], p) }

// Step takes what happened and says what to do, in this order. The slice is valid until the next Step. Events that
// mean nothing (an unknown board, a report for another request, a limit that is no longer running) have no actions.
func (m *FirmwareMerge) Step(event FirmwareEvent) []FirmwareAction {
	m.actions = m.actions[:0]
	switch event.Kind {
	case FirmwareRequested:
		m.requested(event.RequestID, event.Signed)
	case FirmwareAnswered:
		m.answered(event.Board, event.Answer)
	case FirmwareReported:
		m.reported(event.Board, event.RequestID, event.Status)
	case FirmwareAllowed:
		if m.current.active {
			m.current.allowed = true
			m.settle()
		}
	case FirmwareTimeUp:
		if m.current.active && event.Phase != 0 && event.Phase == m.current.phase {
			m.current.expired = true
			m.settle()
		}
	}
	return m.actions
}

// Active says whether an update is under way, and its request id.
func (m *FirmwareMerge) Active() (requestID int64, active bool) {
	return m.current.requestID, m.current.active
}

func (m *FirmwareMerge) requested(id int64, signed bool) {
	// A request during another's questions, or once a board may have begun to install, would leave the boards with
	// different versions (OCPP 2.0.1 L01.FR.27: an update that cannot be cancelled).
	if m.next.active || m.current.installing() {
		m.do(FirmwareAction{Kind: FirmwareReply, Answer: UpdateRejected})
		return
	}
	m.next.start(id, signed)
	m.do(FirmwareAction{Kind: FirmwareAsk})
}

func (m *FirmwareMerge) answered(board int, answer FirmwareAnswer) {
	if !m.next.active || board < 0 || board >= len(m.next.boards) || m.next.boards[board].answer != 0 || answer == 0 {
		return
	}
	m.next.boards[board].answer = answer
	worst, someAccepted := UpdateAccepted, false
	for i := range m.next.boards {
		answer := m.next.boards[i].answer
		if answer == 0 {
			return
		}
		worst = max(worst, answer)
		someAccepted = someAccepted || answer.Accepts()
	}
	if worst.Accepts() {
		m.current, m.next = m.next, m.current
		m.next.active = false
		m.do(FirmwareAction{Kind: FirmwareReply, Answer: worst})
		m.settle()
		return
	}
	m.next.active = false
	m.do(FirmwareAction{Kind: FirmwareReply, Answer: worst})
	for i := range m.next.boards {
		if m.next.boards[i].answer.Accepts() {
			m.do(FirmwareAction{Kind: FirmwareLeftOver, Board: i})
			m.current.abandonedBy(i)
		}
	}
	m.settle()
}

func (m *FirmwareMerge) reported(board int, id int64, status FirmwareStatus) {
	if board < 0 || board >= len(m.current.boards) {
		return
	}
	// With equal ids (OCPP 1.6 has none) a board's reports belong to the new request once it has accepted it.
	if m.next.active && id == m.next.requestID && (id != m.current.requestID || !m.current.active || m.next.boards[board].answer.Accepts()) {
		m.next.record(board, status)
		return
	}
	if m.current.active && id == m.current.requestID && m.current.record(board, status) {
		m.settle()
	}
}

// settle tells the backend how far the station has come, passes the permission on, and sees to the limit. While a new
// request is being asked for nothing is told of the old one: from a cancelled update nothing more may be heard.
func (m *FirmwareMerge) settle() {
	update := &m.current
	if !update.active || m.next.active {
		return
	}
	m.do(FirmwareAction{Kind: FirmwareSave})
	m.tell(update.slowest())
	if update.told == stageInstalled {
		m.end()
		return
	}
	if update.failure == 0 && update.expired {
		m.expire()
	}
	if update.failure != 0 {
		status, place := placeFailure(update.failure, update.told, update.signed)
		m.tellMandatory(place)
		m.publish(status)
		m.end()
		return
	}
	m.permit()
	m.limit()
}

// tell publishes what lies between what the backend knows and to.
func (m *FirmwareMerge) tell(to stage) {
	for s := m.current.told + 1; s <= to; s++ {
		point := stagePoints[s]
		if s == stageSignatureVerified && !m.current.signed {
			continue
		}
		if point.mandatory || s == to {
			m.publish(point.status)
		}
	}
	m.current.told = max(m.current.told, to)
}

func (m *FirmwareMerge) tellMandatory(to stage) {
	for s := m.current.told + 1; s <= to; s++ {
		if stagePoints[s].mandatory && (s != stageSignatureVerified || m.current.signed) {
			m.publish(stagePoints[s].status)
		}
	}
}

func (m *FirmwareMerge) publish(status FirmwareStatus) {
	id := m.current.requestID
	if id == NoRequestID {
		status = withoutRequestID(status)
	}
	if status == 0 || m.current.published&(1<<status) != 0 {
		return
	}
	m.current.published |= 1 << status
	m.do(FirmwareAction{Kind: FirmwarePublish, RequestID: id, Status: status})
}

// expire names the boards that the phase waited for and fails the update as this phase fails.
func (m *FirmwareMerge) expire() {
	update := &m.current
	for i := range update.boards {
		if !update.boards[i].done(update.phase, i) {
			m.do(FirmwareAction{Kind: FirmwareBlame, Board: i, Phase: update.phase})
		}
	}
	update.failure = phaseFailure(update.phase)
}

func phaseFailure(phase FirmwarePhase) FirmwareStatus {
	switch phase {
	case PhaseDownload:
		return FirmwareDownloadFailed
	case PhaseVerify:
		return FirmwareInvalidSignature
	}
	return FirmwareInstallationFailed
}

// permit passes the permission on: satellites first, the main board when none of them needs it any more.
func (m *FirmwareMerge) permit() {
	update := &m.current
	if !update.mayInstall() {
		return
	}
	if !update.satellitesPermitted {
		update.satellitesPermitted = true
		m.do(FirmwareAction{Kind: FirmwareSave})
		for i := len(update.boards) - 1; i > 0; i-- {
			m.do(FirmwareAction{Kind: FirmwareAllow, Board: i})
		}
	}
	if !update.mainPermitted && update.satellitesDone() {
		update.mainPermitted = true
		m.do(FirmwareAction{Kind: FirmwareSave})
		m.do(FirmwareAction{Kind: FirmwareAllow, Board: 0})
	}
}

func (m *FirmwareMerge) limit() {
	update := &m.current
	phase := update.phaseNow()
	if phase == update.phase {
		return
	}
	update.phase = phase
	if phase == 0 {
		m.do(FirmwareAction{Kind: FirmwareUnlimited})
		return
	}
	m.do(FirmwareAction{Kind: FirmwareLimit, Phase: phase})
}

func (m *FirmwareMerge) end() {
	if m.current.blamed > 0 {
		board := m.current.blamed - 1
		m.do(FirmwareAction{Kind: FirmwareBlame, Board: board, Phase: m.current.phase, Status: m.current.failure})
	}
	m.current.active = false
	m.current.phase = 0
	m.do(FirmwareAction{Kind: FirmwareUnlimited})
	m.do(FirmwareAction{Kind: FirmwareForget})
}

func (m *FirmwareMerge) do(action FirmwareAction) { m.actions = append(m.actions, action) }
