package logs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
)

// TestBackendHearsOneEnd plays a station whose boards have one upload at a time, as EVerest's System, with requests of
// several types, boards that reject, crash or are silent, uploads that fail, and crashes of the main board at any step. It
// judges as a backend by OCPP 2.0.1 N01: each accepted request gets Uploading and then one end, which is true. A crash may
// repeat an end.
func TestBackendHearsOneEnd(t *testing.T) {
	ends := map[Status]int{}
	both := 0
	machinetest.Histories(t, func(random *rand.Rand, tell func(string, ...any)) error {
		w := newLogWorld(random, tell)
		for range 20 + random.IntN(200) {
			w.step()
		}
		w.calm = true
		for i := 0; len(w.pending) > 0 || len(w.outbox) > 0; i++ {
			if i > 10000 {
				return fmt.Errorf("the station does not come to rest: %v", w.pending)
			}
			w.step()
		}
		if err := w.judge(ends); err != nil {
			return err
		}
		both += w.both
		if w.types.Len() != 0 || len(w.disk) != 0 {
			return fmt.Errorf("at rest %d types are in progress, and %v is saved", w.types.Len(), w.disk)
		}
		return nil
	})
	if machinetest.Enough() && (ends[Uploaded] == 0 || ends[UploadFailure] == 0 || ends[AcceptedCanceled] == 0 || both == 0) {
		t.Errorf("the histories do not test what they should: %v, %d requests waited for the boards", ends, both)
	}
}

// logWorld is a station, its boards and its backend. Everything that happens later is in pending.
type logWorld struct {
	random *rand.Rand
	tell   func(string, ...any)
	calm   bool // no more requests and crashes

	types   *Types[string]
	unended *Unended
	outbox  []leaving
	disk    []SavedRequest
	life    int // of the main board

	boards  []logBoard
	pending []happening
	jobs    map[jobKey]*worldJob // of this life
	fresh   *worldJob
	all     []*worldJob
	told    []told
	both    int
	fault   error
}

// leaving is a step of what leaves the aggregator: the reply to a job's request, or another one.
type leaving struct {
	Outgoing
	reply *worldJob
}

func (w *logWorld) leave(steps []Outgoing) {
	for _, step := range steps {
		w.outbox = append(w.outbox, leaving{Outgoing: step})
	}
}

type jobKey struct {
	kind   string
	number int
}

// happening is something that comes later, in any order but that of its lane.
type happening struct {
	what string
	lane int // 0: none
	life int
	do   func()
}

type logBoard struct {
	upload  *worldJob // in progress
	rejects bool
	silent  bool
}

type worldJob struct {
	kind                string
	id, boardID         int64
	attempts, tried     int
	life                int
	accepted, cancelled bool
	replied             bool // the caller has got that it is accepted
	succeeded           bool
}

// told is a status that the backend has heard, and in which life of the main board.
type told struct {
	id     int64
	status Status
	life   int
}

func newLogWorld(random *rand.Rand, tell func(string, ...any)) *logWorld {
	w := &logWorld{random: random, tell: tell, boards: make([]logBoard, 2+random.IntN(3))}
	w.start()
	return w
}

// start starts the aggregator on the main board.
func (w *logWorld) start() {
	w.life++
	w.types, w.jobs, w.outbox = NewTypes[string](len(w.boards)), map[jobKey]*worldJob{}, nil
	var steps []Outgoing
	w.unended, steps = RestoreUnended(w.disk)
	w.leave(steps)
	w.pending = slices.DeleteFunc(w.pending, func(h happening) bool { return h.life != 0 })
}

func (w *logWorld) step() {
	switch dice := w.random.IntN(100); {
	case !w.calm && dice < 6:
		w.request()
	case !w.calm && dice < 8:
		w.tell("the main board crashes")
		w.start()
	case !w.calm && dice < 10:
		board := &w.boards[w.random.IntN(len(w.boards))]
		board.rejects, board.silent, board.upload = w.random.IntN(3) == 0, w.random.IntN(6) == 0, nil
		w.tell("a board crashes: %+v", *board)
	case len(w.outbox) > 0 && (dice < 40 || len(w.pending) == 0):
		w.send()
	case len(w.pending) > 0:
		w.happen()
	}
}

// send carries out one step of what leaves the aggregator.
func (w *logWorld) send() {
	out := w.outbox[0]
	w.outbox = w.outbox[1:]
	if out.reply != nil {
		w.tell("request %d is replied to", out.reply.id)
		out.reply.replied = true
		return
	}
	if out.Status == 0 {
		w.disk = out.Requests
		w.tell("saved: %v", w.disk)
		return
	}
	w.tell("the backend hears %d %s", out.RequestID, out.Status)
	w.told = append(w.told, told{id: out.RequestID, status: out.Status, life: w.life})
}

func (w *logWorld) happen() {
	i := w.random.IntN(len(w.pending))
	if lane := w.pending[i].lane; lane != 0 {
		i = slices.IndexFunc(w.pending, func(h happening) bool { return h.lane == lane })
	}
	h := w.pending[i]
	w.pending = slices.Delete(w.pending, i, i+1)
	w.tell("%s", h.what)
	h.do()
}

// later has do called. What belongs to the main board ends with its life.
func (w *logWorld) later(ofMainBoard bool, lane int, what string, do func()) {
	h := happening{what: what, lane: lane, do: do}
	if ofMainBoard {
		h.life = w.life
	}
	w.pending = append(w.pending, h)
}

func (w *logWorld) request() {
	job := &worldJob{
		kind: []string{"DiagnosticsLog", "SecurityLog", "Other"}[w.random.IntN(3)],
		id:   int64(len(w.all) + 1), attempts: w.random.IntN(4), life: w.life,
	}
	job.boardID = job.id
	event := Requested{RequestID: job.id, BoardRequestID: job.boardID, Attempts: job.attempts}
	if w.random.IntN(20) == 0 {
		event.Failure = BadMessage
	}
	w.all = append(w.all, job)
	w.fresh = job
	w.tell("request %d for %s, %d attempts", job.id, job.kind, job.attempts)
	w.take(job.kind, event)
	w.fresh = nil
}

func (w *logWorld) take(kind string, event Event) {
	w.types.Step(kind, event, func(kind string, actions []Action) {
		for _, action := range actions {
			w.tell("  %s: %s", kind, actionLine(action))
			w.perform(kind, action)
		}
	})
}

func (w *logWorld) job(kind string, number int) *worldJob {
	key := jobKey{kind, number}
	if w.jobs[key] == nil && w.fresh != nil && w.fresh.kind == kind {
		w.jobs[key], w.fresh = w.fresh, nil
	}
	return w.jobs[key]
}

func (w *logWorld) perform(kind string, action Action) {
	// post brings an event later, with the job's number as it is now.
	post := func(what string, event Event) { w.later(true, 0, what, func() { w.take(kind, event) }) }
	switch action := action.(type) {
	case *Queue:
		w.job(kind, action.Job)
		w.both++
	case *Ask:
		job, number := w.job(kind, action.Job), action.Job
		for i := range w.boards {
			w.later(true, 0, fmt.Sprintf("board %d is asked for %d", i, job.id), func() {
				if w.jobs[jobKey{kind, number}] == job { // nobody is asked for a request that is over
					w.ask(i, job, number)
				}
			})
		}
	case *Reply:
		job := w.job(kind, action.Job)
		if job.accepted = action.Response.Accepts(); job.accepted {
			w.leave(w.unended.Accept(kind, job.id))
			w.outbox = append(w.outbox, leaving{reply: job})
		}
	case *Publish:
		if action.Status == AcceptedCanceled {
			w.all[action.RequestID-1].cancelled = true
		}
		w.leave(w.unended.Publish(kind, action.RequestID, action.Status))
	case *Wait:
		post("the limit passes", WaitExpired{Job: action.Job})
	case *Pack:
		failure := Status(0)
		if w.random.IntN(10) == 0 {
			failure = UploadFailure
		}
		post("the archive is packed", Packed{Job: action.Job, Failure: failure})
	case *Upload:
		job, number := w.job(kind, action.Job), action.Job
		job.tried++
		w.later(true, 0, fmt.Sprintf("attempt %d of %d ends", job.tried, job.id), func() {
			ended := UploadEnded{Job: number, Status: Uploaded}
			if w.random.IntN(2) == 0 {
				ended.Status, ended.Permanent = PermissionDenied, w.random.IntN(4) == 0
			} else {
				job.succeeded = true
			}
			w.take(kind, ended)
		})
	case *Pause:
		post("the pause is over", PauseEnded{Job: action.Job})
	case *Drop:
		delete(w.jobs, jobKey{kind, action.Job})
	}
}

// ask has a board get a request: it gives up the one before, as EVerest's System does.
func (w *logWorld) ask(i int, job *worldJob, number int) {
	board := &w.boards[i]
	response := ResponseAccepted
	switch {
	case board.silent, board.rejects:
		response = ResponseRejected // a silent board counts as one
	case board.upload != nil:
		response = ResponseAcceptedCanceled
		w.checkGivenUp(board.upload, job)
		w.report(i, board.upload, AcceptedCanceled)
		board.upload = job
	default:
		board.upload = job
	}
	if response.Accepts() {
		w.later(false, 0, fmt.Sprintf("board %d ends %d", i, job.id), func() {
			if board.upload == job {
				board.upload = nil
				w.report(i, job, Uploaded)
			}
		})
	}
	w.later(true, 0, fmt.Sprintf("board %d responds %s", i, response), func() {
		w.take(job.kind, Responded{Job: number, Board: i, Response: response})
	})
}

// checkGivenUp: a board gives up nothing that is still waited for, but for a request of the same type.
func (w *logWorld) checkGivenUp(old, job *worldJob) {
	m := w.types.Machine(old.kind)
	if m == nil || old.life != w.life || old.kind == job.kind {
		return
	}
	for _, one := range m.Jobs() {
		if one.RequestID == old.id && (one.State == Asking || one.State == Collecting) {
			w.fault = fmt.Errorf("request %d for %s takes the boards from %d for %s", job.id, job.kind, old.id, old.kind)
		}
	}
}

// report has a board report a status. Its reports keep their order.
func (w *logWorld) report(i int, job *worldJob, status Status) {
	w.later(false, i+1, fmt.Sprintf("board %d reports %d %s", i, job.id, status), func() {
		w.take(job.kind, Reported{Board: i, BoardRequestID: job.boardID, Status: status})
	})
}

// judge checks what the backend has heard.
func (w *logWorld) judge(ends map[Status]int) error {
	if w.fault != nil {
		return w.fault
	}
	for _, job := range w.all {
		var heard []told
		for _, one := range w.told {
			if one.id == job.id {
				heard = append(heard, one)
			}
		}
		if !job.accepted {
			if len(heard) > 0 {
				return fmt.Errorf("request %d was not accepted, and the backend heard %v", job.id, heard)
			}
			continue
		}
		if err := w.judgeJob(job, heard, ends); err != nil {
			return fmt.Errorf("request %d: %w; heard was %v", job.id, err, heard)
		}
	}
	return nil
}

func (w *logWorld) judgeJob(job *worldJob, heard []told, ends map[Status]int) error {
	if len(heard) == 0 {
		// A crash before the request is saved is one before the reply.
		if job.replied {
			return fmt.Errorf("nothing was heard of a request that was replied to")
		}
		return nil
	}
	end := heard[len(heard)-1]
	ends[end.status]++
	for i, one := range heard {
		switch {
		case one.status == StatusUploading && (i != 0 || one.life != job.life):
			return fmt.Errorf("Uploading comes late")
		case one.status != StatusUploading && i == 0 && one.life == job.life:
			return fmt.Errorf("it begins with %s", one.status)
		case one.status != StatusUploading && (one.status != end.status || (i+1 < len(heard) && heard[i+1].life == one.life)):
			return fmt.Errorf("it has two ends")
		}
	}
	switch {
	case !end.status.IsFinal():
		return fmt.Errorf("it has no end")
	case end.status == Uploaded && (!job.succeeded || job.tried > max(job.attempts, 1)):
		return fmt.Errorf("it is told as uploaded after %d of %d attempts", job.tried, job.attempts)
	case end.status != Uploaded && job.succeeded && !job.cancelled && end.life == job.life:
		return fmt.Errorf("it succeeded")
	case end.status == AcceptedCanceled && !job.cancelled:
		return fmt.Errorf("nothing has replaced it")
	case job.tried > max(job.attempts, 1):
		return fmt.Errorf("%d attempts, want at most %d", job.tried, job.attempts)
	}
	return nil
}
