package aggregator

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestLogMergeKeepsOCPPsOrder plays random histories and listens as a backend does: every accepted request is told
// Uploading and then one end status, nothing comes of a request that was not accepted or is over, an old request ends
// before a new one begins, and whatever happened the next request works.
func TestLogMergeKeepsOCPPsOrder(t *testing.T) {
	uploaded := 0
	playHistories(t, func(random *rand.Rand, tell func(string, ...any)) error {
		h := newLogHistory(random, tell)
		for range 10 + random.IntN(20*h.boards) {
			if err := h.step(h.event()); err != nil {
				return err
			}
		}
		uploaded += h.uploaded
		return h.nextWorks()
	})
	if *histories >= 1000 && uploaded == 0 {
		t.Error("no history came to Uploaded: the histories do not test what they should")
	}
}

type logHistory struct {
	random *rand.Rand
	tell   func(string, ...any)
	boards int
	merge  *LogMerge

	nextID   int64
	newest   int           // job that is being asked for, or was last
	ids      map[int]int64 // request ids of the jobs
	waiting  map[int]bool  // jobs whose callers wait for their answer
	running  int           // job whose statuses the backend may hear
	told     bool          // Uploading of it
	dropped  map[int]bool
	attempts map[int]int
	uploaded int
}

func newLogHistory(random *rand.Rand, tell func(string, ...any)) *logHistory {
	boards := 2 + random.IntN(3)
	if random.IntN(20) == 0 {
		boards = 2 + random.IntN(63)
	}
	return &logHistory{
		random: random, tell: tell, boards: boards, merge: NewLogMerge(boards), nextID: 1,
		ids: map[int]int64{}, waiting: map[int]bool{}, dropped: map[int]bool{}, attempts: map[int]int{},
	}
}

func (h *logHistory) event() LogEvent {
	job := h.newest - h.random.IntN(2)
	board := h.random.IntN(h.boards+2) - 1
	status := LogStatus(1 + h.random.IntN(int(LogAcceptedCanceled)))
	if h.random.IntN(2) == 0 {
		status = LogUploaded
	}
	switch dice := h.random.IntN(100); {
	case dice < 3 || h.newest == 0:
		h.nextID++
		return LogEvent{Kind: LogRequested, RequestID: h.nextID, BoardRequestID: h.nextID, Retries: h.random.IntN(3)}
	case dice < 30:
		return LogEvent{Kind: LogAnswered, Job: job, Board: board, Answer: LogAnswer(1 + h.random.IntN(3))}
	case dice < 60:
		return LogEvent{Kind: LogReported, Board: board, BoardRequestID: h.nextID - h.random.Int64N(3), Status: status}
	case dice < 65:
		return LogEvent{Kind: LogTimeUp, Job: job}
	case dice < 75:
		return LogEvent{Kind: LogPacked, Job: job}
	case dice < 77:
		return LogEvent{Kind: LogPacked, Job: job, Status: LogUploadFailure}
	case dice < 88:
		return LogEvent{Kind: LogUploadEnded, Job: job, Status: status, Permanent: h.random.IntN(5) == 0}
	}
	return LogEvent{Kind: LogPauseOver, Job: job}
}

func (h *logHistory) step(event LogEvent) error {
	h.tell("%+v", event)
	asked := false
	for _, action := range h.merge.Step(event) {
		h.tell("  %s", logActionLine(action))
		if action.Kind == LogAsk {
			asked = true
			h.newest = action.Job
			h.ids[action.Job], h.waiting[action.Job] = event.RequestID, true
		}
		if err := h.judge(action); err != nil {
			return err
		}
	}
	if event.Kind == LogRequested && !asked {
		return fmt.Errorf("request %d was not asked for", event.RequestID)
	}
	return nil
}

func (h *logHistory) judge(action LogAction) error {
	if action.Job != 0 && h.dropped[action.Job] {
		return fmt.Errorf("job %d was dropped before: %s", action.Job, logActionLine(action))
	}
	switch action.Kind {
	case LogReply:
		if !h.waiting[action.Job] {
			return fmt.Errorf("job %d is answered twice", action.Job)
		}
		delete(h.waiting, action.Job)
		if !action.Answer.Accepts() {
			return nil
		}
		if (action.Answer == LogsAcceptedCanceled) != (h.running != 0) {
			return fmt.Errorf("job %d is answered %s while job %d runs", action.Job, action.Answer, h.running)
		}
		if h.running == 0 {
			h.running, h.told = action.Job, false
		} else {
			h.running = -action.Job // the old job has to end first
		}
	case LogPublish:
		return h.judgeStatus(action)
	case LogUpload:
		h.attempts[action.Job]++
		if h.attempts[action.Job] > 3 {
			return fmt.Errorf("job %d is tried %d times", action.Job, h.attempts[action.Job])
		}
	case LogDrop:
		h.dropped[action.Job] = true
	}
	return nil
}

func (h *logHistory) judgeStatus(action LogAction) error {
	switch {
	case h.running < 0:
		if action.Status != LogAcceptedCanceled || !h.told || action.RequestID == h.ids[-h.running] {
			return fmt.Errorf("%s of request %d where the old request's AcceptedCanceled belongs", action.Status, action.RequestID)
		}
		h.running, h.told = -h.running, false
	case h.running == 0 || action.RequestID != h.ids[h.running]:
		return fmt.Errorf("%s of request %d, which is not under way", action.Status, action.RequestID)
	case !h.told:
		if action.Status != LogUploading {
			return fmt.Errorf("request %d begins with %s", action.RequestID, action.Status)
		}
		h.told = true
	default:
		if !action.Status.IsFinal() {
			return fmt.Errorf("request %d ends with %s", action.RequestID, action.Status)
		}
		if action.Status == LogUploaded {
			h.uploaded++
		}
		h.running, h.told = 0, false
	}
	return nil
}

// nextWorks plays one more request, to its good end.
func (h *logHistory) nextWorks() error {
	h.nextID++
	events := []LogEvent{{Kind: LogRequested, RequestID: h.nextID, BoardRequestID: h.nextID}}
	before := h.uploaded
	for _, event := range events {
		if err := h.step(event); err != nil {
			return err
		}
	}
	job := h.newest
	for board := range h.boards {
		if err := h.step(LogEvent{Kind: LogAnswered, Job: job, Board: board, Answer: LogsAccepted}); err != nil {
			return err
		}
	}
	for _, event := range []LogEvent{
		{Kind: LogTimeUp, Job: job}, {Kind: LogPacked, Job: job}, {Kind: LogUploadEnded, Job: job, Status: LogUploaded},
	} {
		if err := h.step(event); err != nil {
			return err
		}
	}
	if h.uploaded != before+1 || !h.merge.Idle() || len(h.waiting) != 0 {
		return fmt.Errorf("the next request did not come to Uploaded; %d callers still wait", len(h.waiting))
	}
	return nil
}
