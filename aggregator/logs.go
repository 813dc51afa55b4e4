package aggregator

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// maxLogTypes bounds how many log types are collected at a time; a request for one more is rejected. OCPP 2.0.1 has
// two, 2.1 three.
const maxLogTypes = 8

// logUploads has a machine for each log type in progress, and carries out its actions. The loop calls its methods, but
// for handle, collect and close.
type logUploads struct {
	*station
	collector *collector
	broken    error // why logs cannot be collected at all
	uploader  *transfer.Uploader
	outgoing  string // directory of the archives
	progress  func(Progress)
	// staggering is how long a board that does not respond delays the next one: boards are asked in order.
	staggering time.Duration
	types      map[logType]*typeUploads
}

// logType is a log type as the request has it: a request without a type has a type of its own.
type logType struct {
	given bool
	name  string
	// local is a request of the status socket.
	local bool
}

// typeUploads is the machine of one log type and its jobs.
type typeUploads struct {
	*logUploads
	kind    logType
	machine *logs.Machine
	jobs    map[int]*logJob
}

// logsRequest is the part of an UploadLogsRequest that the aggregator reads.
type logsRequest struct {
	Location      string  `json:"location"`
	Retries       *int    `json:"retries"`
	RetryInterval *int    `json:"retry_interval_s"`
	Type          *string `json:"type"`
	RequestID     *int64  `json:"request_id"`
	// raw is the whole request.
	raw everest.Args
}

// logsResponse is an UploadLogsResponse.
type logsResponse struct {
	Status   string `json:"upload_logs_status"`
	FileName string `json:"file_name,omitempty"`
}

func newLogUploads(ctx context.Context, s *station, staggering time.Duration, progress func(Progress)) *logUploads {
	l := &logUploads{
		station: s, staggering: staggering, progress: progress, types: map[logType]*typeUploads{},
		uploader: transfer.NewUploader(s.parameters.uploaderConfig(s.unit)),
		outgoing: s.parameters.outgoing(s.module.ID()),
	}
	l.broken = files.EmptyDirectory(l.outgoing)
	if l.broken == nil {
		l.collector, l.broken = newCollector(ctx, s, progress)
	}
	if l.broken != nil {
		// The module works without logs.
		l.log.Error("log files cannot be collected; every request for them is rejected", zap.Error(l.broken))
	}
	return l
}

func (l *logUploads) close() {
	if l.collector != nil {
		l.collector.close()
	}
	_ = files.EmptyDirectory(l.outgoing) // the next start empties it too
}

// busy reports whether a request is in progress.
func (l *logUploads) busy() bool {
	for _, t := range l.types {
		if !t.machine.Idle() {
			return true
		}
	}
	return false
}

// handle handles upload_logs.
func (l *logUploads) handle(ctx context.Context, arguments everest.Args) (any, error) {
	var request logsRequest
	if err := arguments.Decode("upload_logs_request", &request); err != nil {
		return nil, err
	}
	if err := arguments.Decode("upload_logs_request", &request.raw); err != nil {
		return nil, err
	}
	caller := newCaller[logsResponse](ctx)
	l.loop.post(func(ctx context.Context) { l.requested(ctx, request, caller) })
	return caller.wait(ctx)
}

func (l *logUploads) requested(ctx context.Context, request logsRequest, caller caller[logsResponse]) {
	l.yield(ctx)
	kind, name := logType{}, "diagnostics"
	if request.Type != nil {
		kind, name = logType{given: true, name: *request.Type}, *request.Type
	}
	safe, err := files.SafeName(name)
	if l.broken != nil || err != nil || (l.types[kind] == nil && len(l.types) >= maxLogTypes) {
		l.log.Warn("a request for log files is rejected", zap.Error(l.broken), zap.Int("types_under_way", len(l.types)))
		caller.give(logsResponse{Status: logs.ResponseRejected.Name()})
		return
	}
	t := l.ofType(kind)
	job := t.newJob(ctx)
	job.request, job.caller, job.boardID = request, caller, l.boardID(request.RequestID)
	job.fileName = safe + "_" + timeInName(time.Now()) + ".tar.gz"
	job.pause = l.duration(l.parameters.DefaultRetryInterval)
	if request.RetryInterval != nil {
		job.pause = l.duration(max(*request.RetryInterval, 0))
	}
	event := logs.Requested{RequestID: logs.NoRequestID, BoardRequestID: job.boardID, Retries: l.parameters.DefaultRetries}
	if request.Retries != nil {
		event.Retries = max(*request.Retries, 0)
	}
	if request.RequestID != nil {
		event.RequestID = *request.RequestID
	}
	job.requestID = event.RequestID
	if job.location, err = transfer.ParseLocation(request.Location); err != nil {
		l.log.Error("the location for the log file is not usable", zap.Error(err))
		event.Failure = statusOf(err)
	}
	l.log.Info("log files requested", zap.String("type", name), zap.Int64("request_id", job.requestID), zap.Stringer("location", job.location))
	t.perform(ctx, t.machine.Step(event), job)
}

// ofType returns the uploads of a log type.
func (l *logUploads) ofType(kind logType) *typeUploads {
	if l.types[kind] == nil {
		l.types[kind] = &typeUploads{logUploads: l, kind: kind, machine: logs.NewMachine(len(l.boards)), jobs: map[int]*logJob{}}
	}
	return l.types[kind]
}

// timeInName returns a time as the name of a file has it.
func timeInName(when time.Time) string { return when.UTC().Format("2006-01-02T15-04-05") + "Z" }

// boardID returns the request id for the boards: the caller's, or a random one where there is none. A random one also
// replaces the id of a request in progress, whose reports would be taken for this request's.
func (l *logUploads) boardID(given *int64) int64 {
	taken := map[int64]bool{logs.NoRequestID: true}
	for _, t := range l.types {
		for _, job := range t.jobs {
			taken[job.boardID] = true
		}
	}
	id := logs.NoRequestID
	if given != nil {
		id = *given
	}
	for taken[id] {
		id = 1 + rand.Int64N(1<<31-1)
	}
	return id
}

func (l *logUploads) reported(ctx context.Context, board int, id int64, status logs.Status) {
	for _, t := range l.types {
		for _, job := range t.jobs {
			if job.boardID != id {
				continue
			}
			if status.IsFinal() && job.inboxes[board] != nil {
				job.inboxes[board].reported(status)
			}
			t.step(ctx, logs.Reported{Board: board, BoardRequestID: id, Status: status})
			return
		}
	}
}

// step takes an event of one of the jobs.
func (t *typeUploads) step(ctx context.Context, event logs.Event) {
	t.perform(ctx, t.machine.Step(event), nil)
}

// perform carries out actions. fresh is the job of a request that has no number yet.
func (t *typeUploads) perform(ctx context.Context, actions []logs.Action, fresh *logJob) {
	// The job of an action. Only Ask and Reply come before a job's number is known.
	job := func(number int) *logJob {
		if t.jobs[number] == nil && fresh != nil {
			fresh.number, t.jobs[number] = number, fresh
			fresh = nil
		}
		return t.jobs[number]
	}
	for _, action := range actions {
		switch action := action.(type) {
		case *logs.Ask:
			job(action.Job).ask()
		case *logs.Reply:
			job(action.Job).reply(action.Response)
		case *logs.Publish:
			if t.kind.local {
				continue
			}
			t.log.Info("log status of the station", zap.Int64("request_id", action.RequestID), zap.Stringer("status", action.Status))
			t.publish("log_status", report{RequestID: action.RequestID, Log: action.Status.Name()})
		case *logs.Wait:
			job(action.Job).after(t.duration(t.parameters.IncomingUploadTimeout), logs.WaitExpired{Job: action.Job})
		case *logs.Pack:
			job(action.Job).pack()
		case *logs.Upload:
			job(action.Job).upload()
		case *logs.Pause:
			job := job(action.Job)
			job.after(job.pause, logs.PauseEnded{Job: action.Job})
		case *logs.Drop:
			job(action.Job).giveNothing()
			job(action.Job).drop(ctx)
			delete(t.jobs, action.Job)
		}
	}
	if t.machine.Idle() && t.types[t.kind] == t {
		delete(t.types, t.kind)
	}
}

// logStateNames are the steps as the status socket shows them.
var logStateNames = map[logs.State]string{
	logs.Asking: "asking", logs.Collecting: "collecting", logs.Packing: "packing", logs.Uploading: "uploading", logs.Pausing: "pausing",
}

// inProgress returns the uploads in progress.
func (l *logUploads) inProgress() []control.LogJob {
	jobs := []control.LogJob{}
	for kind, t := range l.types {
		for _, job := range t.machine.Jobs() {
			jobs = append(jobs, control.LogJob{
				RequestID: job.RequestID, Type: kind.name, Step: logStateNames[job.State], Boards: job.Boards, Done: job.Done,
			})
		}
	}
	return jobs
}
