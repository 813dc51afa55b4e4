// Package logs makes the log uploads of several boards one upload of the station, for one log type, as OCPP 2.0.1 N01
// knows it. [Machine] is a pure machine; see package machine for the form of its events and actions.
//
//	                    Queued      Queue    while the boards are taken    <- TurnCame
//	upload_logs     ->  Asking      Ask      every board for its file      <- Responded
//	response        <-  Collecting  Wait     for the boards' end statuses  <- Reported, WaitExpired
//	Uploading       <-  Packing     Pack     the archive                   <- Packed
//	                    Uploading   Upload   one attempt                   <- UploadEnded
//	                    Pausing     Pause    before the next attempt       <- PauseEnded
//	end status      <-  Idle        Drop     what is left of the request
//
// The machine promises, for every order of events:
//
//   - A request is accepted when at least one board sends a file, and rejected otherwise. A request that finds the boards
//     taken is accepted at once, and ends with UploadFailure when no board sends a file. The status Uploading follows the
//     reply, then exactly one end status, all with the request's id.
//   - The machine waits for the end status of every board that accepted, but no longer than the limit.
//   - The boards are asked for a second request while the first one continues. When the second is accepted the first
//     ends with AcceptedCanceled; when it is rejected the first continues (TC_N_36).
//   - An upload has as many attempts as the request says, at least one, and none after a permanent failure.
//   - The next request works, whatever happened before.
package logs

import "github.com/remotechargeport/remotechargeport/aggregator/internal/machine"

// Machine is the log upload of a station for one log type. It is not safe for concurrent use. The zero value is not
// usable; see [NewMachine].
type Machine struct {
	// current is the accepted request; next is the request that the boards are being asked for.
	current, next job
	last          int // number of the newest request

	actions []Action
	queues  machine.Ring[Queue]
	asks    machine.Ring[Ask]
	replies machine.Ring[Reply]
	publish machine.Ring[Publish]
	waits   machine.Ring[Wait]
	packs   machine.Ring[Pack]
	uploads machine.Ring[Upload]
	pauses  machine.Ring[Pause]
	drops   machine.Ring[Drop]
}

type job struct {
	number         int
	state          State
	requestID      int64
	boardRequestID int64
	attemptsLeft   int
	expired        bool
	boards         []boardUpload
}

// boardUpload is one board's part in a request.
type boardUpload struct {
	response Response
	status   Status // its end status, 0 before
}

// NewMachine returns a machine for boards boards without a request.
func NewMachine(boards int) *Machine {
	return &Machine{
		current: job{boards: make([]boardUpload, boards)},
		next:    job{boards: make([]boardUpload, boards)},
		actions: make([]Action, 0, 16),
	}
}

// Step takes one event and returns what to do, in order. The actions are valid until the next Step. An event without
// meaning (an unknown job or board, a report for another request) has no actions.
func (m *Machine) Step(event Event) []Action {
	m.actions = m.actions[:0]
	switch e := event.(type) {
	case Requested:
		m.requested(e)
	case TurnCame:
		if m.at(e.Job, Queued) {
			m.current.state = Asking
			m.do(m.asks.Put(Ask(e)))
		}
	case Responded:
		m.responded(e)
	case Reported:
		m.reported(e)
	case WaitExpired:
		if m.at(e.Job, Collecting) {
			m.current.expired = true
			m.collect()
		}
	case Packed:
		if m.at(e.Job, Packing) {
			m.packed(e.Failure)
		}
	case UploadEnded:
		if m.at(e.Job, Uploading) {
			m.uploadEnded(e.Status, e.Permanent)
		}
	case PauseEnded:
		if m.at(e.Job, Pausing) {
			m.upload()
		}
	}
	return m.actions
}

// Outcome returns a board's response and end status, 0 while there is none, for a job in progress.
func (m *Machine) Outcome(number, board int) (Response, Status) {
	for _, j := range []*job{&m.current, &m.next} {
		if j.state != Idle && j.number == number && board >= 0 && board < len(j.boards) {
			return j.boards[board].response, j.boards[board].status
		}
	}
	return 0, 0
}

// HasBoards reports whether the boards work for a request of this type.
func (m *Machine) HasBoards() bool {
	return m.next.state != Idle || m.current.state == Asking || m.current.state == Collecting
}

// queued returns the request that waits for the boards, and whether there is one.
func (m *Machine) queued() (number int, ok bool) { return m.current.number, m.current.state == Queued }

// Idle reports whether no request is in progress.
func (m *Machine) Idle() bool { return m.current.state == Idle && m.next.state == Idle }

// Job is a request in progress.
type Job struct {
	RequestID int64
	State     State
	// Boards is the number of boards that accepted, Done how many of them have come to their end.
	Boards, Done int
}

// Jobs returns the requests in progress.
func (m *Machine) Jobs() (jobs []Job) {
	for _, j := range []*job{&m.current, &m.next} {
		if j.state == Idle {
			continue
		}
		found := Job{RequestID: j.requestID, State: j.state}
		for _, board := range j.boards {
			if board.response.Accepts() {
				found.Boards++
				if board.status != 0 {
					found.Done++
				}
			}
		}
		jobs = append(jobs, found)
	}
	return jobs
}

func (m *Machine) at(number int, state State) bool {
	return m.current.state == state && m.current.number == number
}

func (m *Machine) requested(e Requested) {
	if m.next.state != Idle {
		// The caller of a request that has no reply yet has given it up.
		m.do(m.replies.Put(Reply{Job: m.next.number, Response: ResponseRejected}))
		m.drop(&m.next)
	}
	m.last++
	boards := m.next.boards
	clear(boards)
	m.next = job{
		number: m.last, state: Asking, requestID: e.RequestID, boardRequestID: e.BoardRequestID,
		attemptsLeft: max(e.Attempts, 1), boards: boards,
	}
	switch {
	case e.Failure.IsFinal():
		m.accept()
		m.finish(e.Failure)
		return
	case e.BoardsTaken:
		m.do(m.queues.Put(Queue{Job: m.last}))
		m.accept()
		m.current.state = Queued
		return
	}
	m.do(m.asks.Put(Ask{Job: m.last}))
}

func (m *Machine) responded(e Responded) {
	j := &m.next
	if m.at(e.Job, Asking) {
		j = &m.current
	}
	if j.state != Asking || j.number != e.Job || e.Board < 0 || e.Board >= len(j.boards) ||
		e.Response == 0 || j.boards[e.Board].response != 0 {
		return
	}
	j.boards[e.Board].response = e.Response
	anyAccepted := false
	for i := range j.boards {
		if j.boards[i].response == 0 {
			return
		}
		anyAccepted = anyAccepted || j.boards[i].response.Accepts()
	}
	switch {
	case j == &m.current && !anyAccepted:
		m.finish(UploadFailure)
		return
	case j == &m.current:
		j.state = Collecting
	case !anyAccepted:
		m.do(m.replies.Put(Reply{Job: j.number, Response: ResponseRejected}))
		m.drop(j)
		m.collect()
		return
	default:
		m.accept()
	}
	m.do(m.waits.Put(Wait{Job: m.current.number}))
	m.collect()
}

// accept replies to the request that was asked for, and ends one that is still in progress.
func (m *Machine) accept() {
	response := ResponseAccepted
	if m.current.state != Idle {
		response = ResponseAcceptedCanceled
	}
	m.do(m.replies.Put(Reply{Job: m.next.number, Response: response}))
	if m.current.state != Idle {
		m.publishStatus(AcceptedCanceled)
		m.drop(&m.current)
	}
	m.current, m.next = m.next, m.current
	m.current.state = Collecting
	m.publishStatus(StatusUploading)
}

func (m *Machine) reported(e Reported) {
	if !e.Status.IsFinal() || e.Board < 0 || e.Board >= len(m.current.boards) {
		return
	}
	if m.next.state == Asking && m.next.boardRequestID == e.BoardRequestID {
		if m.next.boards[e.Board].status == 0 {
			m.next.boards[e.Board].status = e.Status
		}
		return
	}
	j := &m.current
	if (j.state == Asking || j.state == Collecting) && j.boardRequestID == e.BoardRequestID && j.boards[e.Board].status == 0 {
		j.boards[e.Board].status = e.Status
		m.collect()
	}
}

// collect continues when every board that accepted has come to its end, or the limit has passed. It waits while another
// request is asked for: the boards may have given this one up for it.
func (m *Machine) collect() {
	if m.current.state != Collecting || m.next.state != Idle {
		return
	}
	for i := range m.current.boards {
		if !m.current.expired && m.current.boards[i].response.Accepts() && m.current.boards[i].status == 0 {
			return
		}
	}
	m.current.state = Packing
	m.do(m.packs.Put(Pack{Job: m.current.number}))
}

func (m *Machine) packed(failure Status) {
	if failure != 0 {
		m.finish(failure)
		return
	}
	m.upload()
}

func (m *Machine) upload() {
	m.current.state = Uploading
	m.do(m.uploads.Put(Upload{Job: m.current.number}))
}

func (m *Machine) uploadEnded(status Status, permanent bool) {
	if !status.IsFinal() {
		status = UploadFailure
	}
	m.current.attemptsLeft--
	if status == Uploaded || permanent || m.current.attemptsLeft == 0 {
		m.finish(status)
		return
	}
	m.current.state = Pausing
	m.do(m.pauses.Put(Pause{Job: m.current.number}))
}

func (m *Machine) finish(status Status) {
	m.publishStatus(status)
	m.drop(&m.current)
}

// publishStatus publishes a status of the current request. OCPP 1.6's GetDiagnostics has no request id, and knows
// Uploading, Uploaded and one failure.
func (m *Machine) publishStatus(status Status) {
	id := m.current.requestID
	if id == NoRequestID {
		switch status {
		case AcceptedCanceled:
			return
		case BadMessage, PermissionDenied, NotSupportedOperation:
			status = UploadFailure
		}
	}
	m.do(m.publish.Put(Publish{RequestID: id, Status: status}))
}

func (m *Machine) drop(j *job) {
	j.state = Idle
	m.do(m.drops.Put(Drop{Job: j.number}))
}

func (m *Machine) do(action Action) { m.actions = append(m.actions, action) }
