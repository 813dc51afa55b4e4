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

// logUploads carries out the actions of the machines of the log types. The loop calls its methods, but for handle, collect
// and close.
type logUploads struct {
	*station
	collector *collector
	broken    error // why logs cannot be collected at all
	uploader  *transfer.Uploader
	outgoing  string // directory of the archives
	progress  func(Progress)
	// staggering is how long a board that does not respond delays the next one: boards are asked in order.
	staggering time.Duration
	types      *logs.Types[logType]
	jobs       map[logType]map[int]*logJob
	unended    *unendedLogs
}

// logType is a log type as the request has it: a request without a type has a type of its own.
type logType struct {
	given bool
	name  string
	// local is a request of the status socket.
	local bool
}

// logsRequest is the part of an UploadLogsRequest that the aggregator reads.
type logsRequest struct {
	Location      string  `json:"location"`
	Retries       *int    `json:"retries"` // the number of attempts
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
		station: s, staggering: staggering, progress: progress,
		types: logs.NewTypes[logType](len(s.boards)), jobs: map[logType]map[int]*logJob{},
		uploader: transfer.NewUploader(s.parameters.uploaderConfig(s.unit)),
		outgoing: s.parameters.outgoing(s.module.ID()),
	}
	l.unended = newUnendedLogs(s)
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
func (l *logUploads) busy() bool { return l.types.Len() > 0 }

// handle handles upload_logs.
func (l *logUploads) handle(ctx context.Context, arguments everest.Args) (any, error) {
	var request logsRequest
	if err := arguments.Decode("upload_logs_request", &request); err != nil {
		return nil, err
	}
	if err := arguments.Decode("upload_logs_request", &request.raw); err != nil {
		return nil, err
	}
	l.backlog.heard()
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
	if l.broken != nil || err != nil || (l.types.Machine(kind) == nil && l.types.Len() >= maxLogTypes) {
		l.log.Warn("a request for log files is rejected", zap.Error(l.broken), zap.Int("types_under_way", l.types.Len()))
		caller.give(logsResponse{Status: logs.ResponseRejected.Name()})
		return
	}
	job := l.newJob(ctx, kind)
	job.request, job.caller, job.boardID = request, caller, l.boardID(request.RequestID)
	job.fileName = archiveName(safe)
	job.pause = l.duration(l.parameters.DefaultRetryInterval)
	if request.RetryInterval != nil {
		job.pause = l.duration(max(*request.RetryInterval, 0))
	}
	event := logs.Requested{RequestID: logs.NoRequestID, BoardRequestID: job.boardID, Attempts: l.parameters.DefaultRetries}
	if request.Retries != nil {
		event.Attempts = *request.Retries
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
	l.step(ctx, kind, event, job)
}

// archiveName returns a name for an archive that no other request gets: a board without a clock of its own has the same time
// after each start, and two requests may come within a second.
func archiveName(kind string) string {
	return kind + "_" + time.Now().UTC().Format("2006-01-02T15-04-05") + "Z_" + files.RandomName(4) + ".tar.gz"
}

// boardID returns the request id for the boards: the caller's, or a random one where there is none. A random one also
// replaces the id of a request in progress, whose reports would be taken for this request's.
func (l *logUploads) boardID(given *int64) int64 {
	taken := map[int64]bool{logs.NoRequestID: true}
	for _, jobs := range l.jobs {
		for _, job := range jobs {
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
	for kind, jobs := range l.jobs {
		for _, job := range jobs {
			if job.boardID != id {
				continue
			}
			if status.IsFinal() && job.inboxes[board] != nil {
				job.inboxes[board].reported(status)
			}
			l.step(ctx, kind, logs.Reported{Board: board, BoardRequestID: id, Status: status}, nil)
			return
		}
	}
}

// step takes an event. fresh is the job of a request that has no number yet.
func (l *logUploads) step(ctx context.Context, kind logType, event logs.Event, fresh *logJob) {
	l.types.Step(kind, event, func(kind logType, actions []logs.Action) {
		for _, action := range actions {
			l.perform(ctx, kind, action, fresh)
		}
	})
}

// job returns the job with a number. Only Queue, Ask and Reply come before a fresh job's number is known.
func (l *logUploads) job(kind logType, number int, fresh *logJob) *logJob {
	jobs := l.jobs[kind]
	if jobs == nil {
		jobs = map[int]*logJob{}
		l.jobs[kind] = jobs
	}
	if jobs[number] == nil && fresh != nil && fresh.kind == kind && fresh.number == 0 {
		fresh.number, jobs[number] = number, fresh
	}
	return jobs[number]
}

// perform carries out an action.
func (l *logUploads) perform(ctx context.Context, kind logType, action logs.Action, fresh *logJob) {
	switch action := action.(type) {
	case *logs.Queue:
		l.job(kind, action.Job, fresh)
		l.log.Info("the boards are asked for these log files when they have sent those of another type", zap.String("type", kind.name))
	case *logs.Ask:
		l.job(kind, action.Job, fresh).ask()
	case *logs.Reply:
		l.job(kind, action.Job, fresh).reply(action.Response)
	case *logs.Publish:
		if kind.local {
			return
		}
		l.unended.publish(kind, action.RequestID, action.Status)
	case *logs.Wait:
		l.job(kind, action.Job, nil).after(l.duration(l.parameters.IncomingUploadTimeout), logs.WaitExpired{Job: action.Job})
	case *logs.Pack:
		l.job(kind, action.Job, nil).pack()
	case *logs.Upload:
		l.job(kind, action.Job, nil).upload()
	case *logs.Pause:
		job := l.job(kind, action.Job, nil)
		job.after(job.pause, logs.PauseEnded{Job: action.Job})
	case *logs.Drop:
		job := l.job(kind, action.Job, nil)
		job.giveNothing()
		job.drop(ctx)
		delete(l.jobs[kind], action.Job)
		if len(l.jobs[kind]) == 0 {
			delete(l.jobs, kind)
		}
	}
}

// logStateNames are the steps as the status socket shows them.
var logStateNames = map[logs.State]string{
	logs.Queued: "queued", logs.Asking: "asking", logs.Collecting: "collecting", logs.Packing: "packing", logs.Uploading: "uploading", logs.Pausing: "pausing",
}

// inProgress returns the uploads in progress.
func (l *logUploads) inProgress() []control.LogJob {
	jobs := []control.LogJob{}
	for kind, machine := range l.types.All {
		for _, job := range machine.Jobs() {
			jobs = append(jobs, control.LogJob{
				RequestID: job.RequestID, Type: kind.name, Step: logStateNames[job.State], Boards: job.Boards, Done: job.Done,
			})
		}
	}
	return jobs
}
