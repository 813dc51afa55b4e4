package aggregator

// LogMerge makes the uploads of several boards' logs one upload, for one log type. It is a pure value: Step takes what
// happened and says what to do; it has no clock, no goroutine and does no I/O. It is not safe for concurrent use.
//
// It promises, for every order of events (OCPP 2.0.1 N01):
//
//   - a request is accepted when at least one board sends a file, else rejected; Uploading follows the answer, then
//     exactly one end status, all with the request's id;
//   - it waits for every accepting board's end status, but no longer than the limit;
//   - a request during another's upload is asked for while that one goes on; when it is accepted the old one ends with
//     AcceptedCanceled and the new one begins, when it is rejected the old one stays (TC_N_36);
//   - an upload is tried retries times more after its first failure, unless the failure can never go away;
//   - whatever happened before, the next request works.
type LogMerge struct {
	current logJob
	asking  logJob
	last    int
	actions []LogAction
}

// NewLogMerge is a merge of boards boards without an upload.
func NewLogMerge(boards int) *LogMerge {
	return &LogMerge{
		current: logJob{boards: make([]logBoard, boards)},
		asking:  logJob{boards: make([]logBoard, boards)},
		actions: make([]LogAction, 0, 16),
	}
}

// LogEventKind says what happened.
type LogEventKind uint8

const (
	// LogRequested: somebody called upload_logs (RequestID: the caller's, NoRequestID without; BoardRequestID: the one
	// that the boards get, not one of a job under way; Retries; Status: an end status when it is known already that the
	// location cannot be uploaded to).
	LogRequested LogEventKind = iota + 1
	// LogAnswered: a board answered (Job, Board, Answer); no answer in time counts as LogsRejected.
	LogAnswered
	// LogReported: a board published log_status (Board, BoardRequestID, Status).
	LogReported
	// LogTimeUp: the limit of LogWait has passed (Job).
	LogTimeUp
	// LogPacked: the archive is complete (Job), or cannot be made (Status: why).
	LogPacked
	// LogUploadEnded: an attempt has ended (Job, Status: LogUploaded or the failure, Permanent: it can never succeed).
	LogUploadEnded
	// LogPauseOver: the pause before the next attempt has passed (Job).
	LogPauseOver
)

// LogEvent is one thing that happened; which fields count says its kind.
type LogEvent struct {
	Kind           LogEventKind
	Job            int
	Board          int
	RequestID      int64
	BoardRequestID int64
	Retries        int
	Answer         LogAnswer
	Status         LogStatus
	Permanent      bool
}

// LogActionKind says what to do.
type LogActionKind uint8

const (
	// LogAsk: ask every board for its file and report each one's answer (Job: the number of this request from now on).
	LogAsk LogActionKind = iota + 1
	// LogReply: answer the caller of upload_logs (Job, Answer).
	LogReply
	// LogPublish: publish log_status (RequestID, Status).
	LogPublish
	// LogWait: start the limit of waiting for the boards (Job).
	LogWait
	// LogPack: make the archive of what has arrived (Job).
	LogPack
	// LogUpload: upload the archive (Job).
	LogUpload
	// LogPause: wait for the interval between attempts (Job).
	LogPause
	// LogDrop: stop whatever is under way for the job and remove its files (Job). Nothing of it is reported any more.
	LogDrop
)

// LogAction is one thing to do; which fields count says its kind.
type LogAction struct {
	Kind      LogActionKind
	Job       int
	RequestID int64
	Answer    LogAnswer
	Status    LogStatus
}

type logStep uint8

const (
	logNone logStep = iota
	logAsking
	logCollecting
	logPacking
	logUploading
	logPausing
)

type logJob struct {
	number         int
	step           logStep
	requestID      int64
	boardRequestID int64
	retriesLeft    int
	timeUp         bool
	boards         []logBoard
}

type logBoard struct {
	answer LogAnswer
	status LogStatus
}

// Step takes what happened and says what to do, in this order. The slice is valid until the next Step. Events that mean
// nothing (an unknown job or board, a report for another request) have no actions.
func (m *LogMerge) Step(event LogEvent) []LogAction {
	m.actions = m.actions[:0]
	switch event.Kind {
	case LogRequested:
		m.requested(event)
	case LogAnswered:
		m.answered(event)
	case LogReported:
		m.reported(event)
	case LogTimeUp:
		if m.at(event.Job, logCollecting) {
			m.current.timeUp = true
			m.collect()
		}
	case LogPacked:
		if m.at(event.Job, logPacking) {
			m.packed(event.Status)
		}
	case LogUploadEnded:
		if m.at(event.Job, logUploading) {
			m.uploadEnded(event.Status, event.Permanent)
		}
	case LogPauseOver:
		if m.at(event.Job, logPausing) {
			m.upload()
		}
	}
	return m.actions
}

// Outcome is what a board answered and its end status, 0 while there is none, for a job under way.
func (m *LogMerge) Outcome(job, board int) (LogAnswer, LogStatus) {
	for _, j := range []*logJob{&m.current, &m.asking} {
		if j.step != logNone && j.number == job && board >= 0 && board < len(j.boards) {
			return j.boards[board].answer, j.boards[board].status
		}
	}
	return 0, 0
}

// Idle says whether no request is under way.
func (m *LogMerge) Idle() bool { return m.current.step == logNone && m.asking.step == logNone }

func (m *LogMerge) at(job int, step logStep) bool {
	return m.current.step == step && m.current.number == job
}

func (m *LogMerge) requested(event LogEvent) {
	if m.asking.step != logNone {
		// The caller of a request that nobody has answered yet has given it up.
		m.do(LogAction{Kind: LogReply, Job: m.asking.number, Answer: LogsRejected})
		m.drop(&m.asking)
	}
	m.last++
	job := &m.asking
	boards := job.boards
	clear(boards)
	*job = logJob{
		number: m.last, step: logAsking, requestID: event.RequestID, boardRequestID: event.BoardRequestID,
		retriesLeft: max(event.Retries, 0), boards: boards,
	}
	if event.Status.IsFinal() {
		m.accept()
		m.finish(event.Status)
		return
	}
	m.do(LogAction{Kind: LogAsk, Job: job.number})
}

func (m *LogMerge) answered(event LogEvent) {
	job := &m.asking
	if job.step != logAsking || job.number != event.Job || event.Board < 0 || event.Board >= len(job.boards) ||
		event.Answer == 0 || job.boards[event.Board].answer != 0 {
		return
	}
	job.boards[event.Board].answer = event.Answer
	anyAccepted := false
	for i := range job.boards {
		if job.boards[i].answer == 0 {
			return
		}
		anyAccepted = anyAccepted || job.boards[i].answer.Accepts()
	}
	if !anyAccepted {
		m.do(LogAction{Kind: LogReply, Job: job.number, Answer: LogsRejected})
		m.drop(job)
		m.collect()
		return
	}
	m.accept()
	m.do(LogAction{Kind: LogWait, Job: m.current.number})
	m.collect()
}

// accept answers the request that was asked for and puts it in the place of one that is still under way.
func (m *LogMerge) accept() {
	answer := LogsAccepted
	if m.current.step != logNone {
		answer = LogsAcceptedCanceled
	}
	m.do(LogAction{Kind: LogReply, Job: m.asking.number, Answer: answer})
	if m.current.step != logNone {
		m.publish(LogAcceptedCanceled)
		m.drop(&m.current)
	}
	m.current, m.asking = m.asking, m.current
	m.current.step = logCollecting
	m.publish(LogUploading)
}

func (m *LogMerge) reported(event LogEvent) {
	if !event.Status.IsFinal() || event.Board < 0 || event.Board >= len(m.current.boards) {
		return
	}
	if m.asking.step == logAsking && m.asking.boardRequestID == event.BoardRequestID {
		if m.asking.boards[event.Board].status == 0 {
			m.asking.boards[event.Board].status = event.Status
		}
		return
	}
	job := &m.current
	if job.step == logCollecting && job.boardRequestID == event.BoardRequestID && job.boards[event.Board].status == 0 {
		job.boards[event.Board].status = event.Status
		m.collect()
	}
}

// collect goes on when every board that accepted has come to its end, or the limit has passed. Not while another request
// is asked for: the boards may have given this one up for it.
func (m *LogMerge) collect() {
	if m.current.step != logCollecting || m.asking.step != logNone {
		return
	}
	for i := range m.current.boards {
		if !m.current.timeUp && m.current.boards[i].answer.Accepts() && m.current.boards[i].status == 0 {
			return
		}
	}
	m.current.step = logPacking
	m.do(LogAction{Kind: LogPack, Job: m.current.number})
}

func (m *LogMerge) packed(failure LogStatus) {
	if failure != 0 {
		m.finish(failure)
		return
	}
	m.upload()
}

func (m *LogMerge) upload() {
	m.current.step = logUploading
	m.do(LogAction{Kind: LogUpload, Job: m.current.number})
}

func (m *LogMerge) uploadEnded(status LogStatus, permanent bool) {
	if !status.IsFinal() {
		status = LogUploadFailure
	}
	if status == LogUploaded || permanent || m.current.retriesLeft == 0 {
		m.finish(status)
		return
	}
	m.current.retriesLeft--
	m.current.step = logPausing
	m.do(LogAction{Kind: LogPause, Job: m.current.number})
}

func (m *LogMerge) finish(status LogStatus) {
	m.publish(status)
	m.drop(&m.current)
}

// publish reports on the current request. OCPP 1.6's GetDiagnostics has no request id and knows Uploading, Uploaded and
// a failure only.
func (m *LogMerge) publish(status LogStatus) {
	id := m.current.requestID
	if id == NoRequestID {
		switch status {
		case LogAcceptedCanceled:
			return
		case LogBadMessage, LogPermissionDenied, LogNotSupportedOperation:
			status = LogUploadFailure
		}
	}
	m.do(LogAction{Kind: LogPublish, RequestID: id, Status: status})
}

func (m *LogMerge) drop(job *logJob) {
	job.step = logNone
	m.do(LogAction{Kind: LogDrop, Job: job.number})
}

func (m *LogMerge) do(action LogAction) { m.actions = append(m.actions, action) }
