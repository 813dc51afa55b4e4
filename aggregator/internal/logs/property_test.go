package logs

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
)

// TestMachineKeepsOCPPsOrder plays random histories and checks as a backend: every accepted request gets Uploading and
// then one end status, nothing comes of a request that was not accepted or is over, an old request ends before a new
// one begins, and whatever happened the next request works.
func TestMachineKeepsOCPPsOrder(t *testing.T) {
	uploaded := 0
	machinetest.Histories(t, func(random *rand.Rand, tell func(string, ...any)) error {
		h := newHistory(random, tell)
		for range 10 + random.IntN(20*h.boards) {
			if err := h.step(h.event()); err != nil {
				return err
			}
		}
		uploaded += h.uploaded
		return h.nextWorks()
	})
	if machinetest.Enough() && uploaded == 0 {
		t.Error("no history came to Uploaded: the histories do not test what they should")
	}
}

type history struct {
	random  *rand.Rand
	tell    func(string, ...any)
	boards  int
	machine *Machine

	nextID   int64
	newest   int           // job that is being asked for, or was last
	ids      map[int]int64 // request ids of the jobs
	waiting  map[int]bool  // jobs whose callers wait for their reply
	running  int           // job whose statuses may be published
	told     bool          // Uploading of it
	dropped  map[int]bool
	attempts map[int]int
	uploaded int
}

func newHistory(random *rand.Rand, tell func(string, ...any)) *history {
	boards := 2 + random.IntN(3)
	if random.IntN(20) == 0 {
		boards = 2 + random.IntN(63)
	}
	return &history{
		random: random, tell: tell, boards: boards, machine: NewMachine(boards), nextID: 1,
		ids: map[int]int64{}, waiting: map[int]bool{}, dropped: map[int]bool{}, attempts: map[int]int{},
	}
}

func (h *history) event() Event {
	job := h.newest - h.random.IntN(2)
	board := h.random.IntN(h.boards+2) - 1
	status := Status(1 + h.random.IntN(int(AcceptedCanceled)))
	if h.random.IntN(2) == 0 {
		status = Uploaded
	}
	switch dice := h.random.IntN(100); {
	case dice < 3 || h.newest == 0:
		h.nextID++
		return Requested{RequestID: h.nextID, BoardRequestID: h.nextID, Attempts: h.random.IntN(4)}
	case dice < 30:
		return Responded{Job: job, Board: board, Response: Response(1 + h.random.IntN(3))}
	case dice < 60:
		return Reported{Board: board, BoardRequestID: h.nextID - h.random.Int64N(3), Status: status}
	case dice < 65:
		return WaitExpired{Job: job}
	case dice < 75:
		return Packed{Job: job}
	case dice < 77:
		return Packed{Job: job, Failure: UploadFailure}
	case dice < 88:
		return UploadEnded{Job: job, Status: status, Permanent: h.random.IntN(5) == 0}
	}
	return PauseEnded{Job: job}
}

func (h *history) step(event Event) error {
	h.tell("%T%+v", event, event)
	asked := false
	for _, action := range h.machine.Step(event) {
		h.tell("  %s", actionLine(action))
		if ask, ok := action.(*Ask); ok {
			asked = true
			h.newest = ask.Job
			h.ids[ask.Job], h.waiting[ask.Job] = event.(Requested).RequestID, true
		}
		if err := h.judge(action); err != nil {
			return err
		}
	}
	if request, ok := event.(Requested); ok && !asked {
		return fmt.Errorf("request %d was not asked for", request.RequestID)
	}
	return nil
}

func (h *history) judge(action Action) error {
	if job := jobOf(action); job != 0 && h.dropped[job] {
		return fmt.Errorf("job %d was dropped before: %s", job, actionLine(action))
	}
	switch action := action.(type) {
	case *Reply:
		if !h.waiting[action.Job] {
			return fmt.Errorf("job %d gets a second reply", action.Job)
		}
		delete(h.waiting, action.Job)
		if !action.Response.Accepts() {
			return nil
		}
		if (action.Response == ResponseAcceptedCanceled) != (h.running != 0) {
			return fmt.Errorf("the reply of job %d is %s while job %d runs", action.Job, action.Response, h.running)
		}
		if h.running == 0 {
			h.running, h.told = action.Job, false
		} else {
			h.running = -action.Job // the old job has to end first
		}
	case *Publish:
		return h.judgeStatus(action)
	case *Upload:
		h.attempts[action.Job]++
		if h.attempts[action.Job] > 3 {
			return fmt.Errorf("job %d is tried %d times", action.Job, h.attempts[action.Job])
		}
	case *Drop:
		h.dropped[action.Job] = true
	}
	return nil
}

// jobOf returns the job of an action, 0 for Publish.
func jobOf(action Action) int {
	job := reflect.ValueOf(action).Elem().FieldByName("Job")
	if !job.IsValid() {
		return 0
	}
	return int(job.Int())
}

func (h *history) judgeStatus(action *Publish) error {
	switch {
	case h.running < 0:
		if action.Status != AcceptedCanceled || !h.told || action.RequestID == h.ids[-h.running] {
			return fmt.Errorf("%s of request %d where the old request's AcceptedCanceled belongs", action.Status, action.RequestID)
		}
		h.running, h.told = -h.running, false
	case h.running == 0 || action.RequestID != h.ids[h.running]:
		return fmt.Errorf("%s of request %d, which is not under way", action.Status, action.RequestID)
	case !h.told:
		if action.Status != StatusUploading {
			return fmt.Errorf("request %d begins with %s", action.RequestID, action.Status)
		}
		h.told = true
	default:
		if !action.Status.IsFinal() {
			return fmt.Errorf("request %d ends with %s", action.RequestID, action.Status)
		}
		if action.Status == Uploaded {
			h.uploaded++
		}
		h.running, h.told = 0, false
	}
	return nil
}

// nextWorks plays one more request, to its good end.
func (h *history) nextWorks() error {
	h.nextID++
	events := []Event{Requested{RequestID: h.nextID, BoardRequestID: h.nextID}}
	before := h.uploaded
	for _, event := range events {
		if err := h.step(event); err != nil {
			return err
		}
	}
	job := h.newest
	for board := range h.boards {
		if err := h.step(Responded{Job: job, Board: board, Response: ResponseAccepted}); err != nil {
			return err
		}
	}
	for _, event := range []Event{
		WaitExpired{Job: job}, Packed{Job: job}, UploadEnded{Job: job, Status: Uploaded},
	} {
		if err := h.step(event); err != nil {
			return err
		}
	}
	if h.uploaded != before+1 || !h.machine.Idle() || len(h.waiting) != 0 {
		return fmt.Errorf("the next request did not come to Uploaded; %d callers still wait", len(h.waiting))
	}
	return nil
}
