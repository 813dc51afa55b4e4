package aggregator

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
	"github.com/remotechargeport/remotechargeport/everest"
)

// maxLogTypes bounds how many types are collected at a time. OCPP 2.0.1 knows two, 2.1 three.
const maxLogTypes = 8

// logsRun does what the LogMerges want done, one for each log type that is under way. Its methods belong to the loop, but
// for prepare, handle and close.
type logsRun struct {
	a         *Aggregator
	collector *collector
	broken    error // why logs cannot be collected at all
	uploader  *transfer.Uploader
	outgoing  string
	types     map[logType]*typeRun
}

// logType is a type as the request has it: one without a type is of a type of its own.
type logType struct {
	given bool
	name  string
	// local is a request of the control socket.
	local bool
}

// typeRun is the merge of one log type and its jobs.
type typeRun struct {
	logs  *logsRun
	merge *LogMerge
	jobs  map[int]*logJobRun
	// local: the backend hears nothing of it.
	local bool
}

// logsRequest is what the aggregator looks at of an UploadLogsRequest.
type logsRequest struct {
	Location      string  `json:"location"`
	Retries       *int    `json:"retries"`
	RetryInterval *int    `json:"retry_interval_s"`
	Type          *string `json:"type"`
	RequestID     *int64  `json:"request_id"`
	raw           map[string]json.RawMessage
}

// logsResponse is an UploadLogsResponse.
type logsResponse struct {
	Status   string `json:"upload_logs_status"`
	FileName string `json:"file_name,omitempty"`
}

func (l *logsRun) prepare(a *Aggregator) error {
	l.a, l.types = a, map[logType]*typeRun{}
	p, id := &a.parameters, a.module.ID()
	l.uploader = transfer.NewUploader(p.uploaderConfig(a.config.Unit))
	l.outgoing = p.outgoing(id)
	l.broken = files.EmptyDirectory(l.outgoing)
	if l.broken == nil {
		l.collector, l.broken = newCollector(a.ctx, p, id, len(a.boards), a.log)
	}
	if l.collector != nil {
		l.collector.progress = a.config.Progress
	}
	if l.broken != nil {
		// The rest of the module is worth having without its logs.
		a.log.Error("log files cannot be collected; every request for them is rejected", zap.Error(l.broken))
	}
	return nil
}

func (l *logsRun) close() {
	if l.collector != nil {
		l.collector.close()
	}
	_ = files.EmptyDirectory(l.outgoing) // the next start cleans up as well
}

func (l *logsRun) busy() bool {
	for _, run := range l.types {
		if !run.merge.Idle() {
			return true
		}
	}
	return false
}

// handle answers upload_logs.
func (l *logsRun) handle(ctx context.Context, arguments everest.Args) (any, error) {
	var request logsRequest
	if err := arguments.Decode("upload_logs_request", &request); err != nil {
		return nil, err
	}
	if err := arguments.Decode("upload_logs_request", &request.raw); err != nil {
		return nil, err
	}
	reply := newReply[logsResponse]()
	l.a.loop.post(func() { l.requested(request, reply, ctx) })
	return reply.wait(ctx)
}

func (l *logsRun) requested(request logsRequest, caller replyTo[logsResponse], handler context.Context) {
	l.yield()
	kind := logType{}
	name := "diagnostics"
	if request.Type != nil {
		kind, name = logType{given: true, name: *request.Type}, *request.Type
	}
	safe, err := files.SafeName(name)
	run := l.types[kind]
	if l.broken != nil || err != nil || (run == nil && len(l.types) >= maxLogTypes) {
		l.a.log.Warn("a request for log files is rejected", zap.Error(l.broken), zap.Int("types_under_way", len(l.types)))
		caller.give(logsResponse{Status: LogsRejected.String()})
		return
	}
	if run == nil {
		run = &typeRun{logs: l, merge: NewLogMerge(len(l.a.boards)), jobs: map[int]*logJobRun{}}
		l.types[kind] = run
	}
	location, locationError := transfer.ParseLocation(request.Location)
	job := l.newJob(run)
	job.request, job.location, job.caller, job.handler = request, location, caller, handler
	job.fileName = safe + "_" + timeInName(time.Now()) + ".tar.gz"
	job.boardID = l.boardID(request.RequestID)
	job.retries, job.pause = l.a.parameters.DefaultRetries, seconds(l.a.parameters.DefaultRetryInterval, l.a.config.Unit)
	if request.Retries != nil {
		job.retries = max(*request.Retries, 0)
	}
	if request.RetryInterval != nil {
		job.pause = seconds(max(*request.RetryInterval, 0), l.a.config.Unit)
	}
	if request.RequestID != nil {
		job.requestID = *request.RequestID
	}
	event := LogEvent{Kind: LogRequested, RequestID: job.requestID, BoardRequestID: job.boardID, Retries: job.retries}
	if locationError != nil {
		l.a.log.Error("the location for the log file is not usable", zap.Error(locationError))
		event.Status = statusOf(locationError)
	}
	l.a.log.Info("log files requested", zap.String("type", name), zap.Int64("request_id", job.requestID), zap.Stringer("location", location))
	run.perform(run.merge.Step(event), job)
	l.tidy(kind)
}

// newJob is a request of which only the boards have to know yet.
func (l *logsRun) newJob(run *typeRun) *logJobRun {
	job := &logJobRun{
		run: run, requestID: NoRequestID, boardID: l.boardID(nil),
		inboxes: make([]inbox, len(l.a.boards)), problems: make([][]string, len(l.a.boards)),
	}
	job.ctx, job.cancel = context.WithCancelCause(l.a.ctx)
	return job
}

// timeInName is a time as it stands in the name of a file.
func timeInName(when time.Time) string { return when.UTC().Format("2006-01-02T15-04-05") + "Z" }

// boardID is the request id for the boards: the caller's, or a random one where there is none, or where it is that of a
// request under way, whose reports would be taken for this one's.
func (l *logsRun) boardID(given *int64) int64 {
	taken := map[int64]bool{NoRequestID: true}
	for _, run := range l.types {
		for _, job := range run.jobs {
			taken[job.boardID] = true
		}
	}
	id := NoRequestID
	if given != nil {
		id = *given
	}
	for taken[id] {
		id = 1 + rand.Int64N(1<<31-1)
	}
	return id
}

func (l *logsRun) reported(board int, id int64, status LogStatus) {
	for kind, run := range l.types {
		for _, job := range run.jobs {
			if job.boardID != id {
				continue
			}
			if status.IsFinal() && job.inboxes[board] != nil {
				job.inboxes[board].reported(status)
			}
			run.perform(run.merge.Step(LogEvent{Kind: LogReported, Board: board, BoardRequestID: id, Status: status}), nil)
			l.tidy(kind)
			return
		}
	}
}

// tidy forgets a type that has nothing to do.
func (l *logsRun) tidy(kind logType) {
	if run := l.types[kind]; run != nil && run.merge.Idle() {
		delete(l.types, kind)
	}
}

// step plays an event of one of the jobs.
func (r *typeRun) step(event LogEvent) {
	r.perform(r.merge.Step(event), nil)
	for kind, run := range r.logs.types {
		if run == r {
			r.logs.tidy(kind)
		}
	}
}

// perform does the actions. fresh is the job that they follow from, if it is a new one.
func (r *typeRun) perform(actions []LogAction, fresh *logJobRun) {
	a := r.logs.a
	for i := range actions {
		action := actions[i]
		job := r.jobs[action.Job]
		if job == nil && fresh != nil && (action.Kind == LogAsk || action.Kind == LogReply) {
			job, fresh.number = fresh, action.Job
			r.jobs[action.Job] = fresh
		}
		switch action.Kind {
		case LogAsk:
			job.ask()
		case LogReply:
			job.answer(action.Answer)
		case LogPublish:
			if r.local {
				continue
			}
			a.log.Info("log status of the station", zap.Int64("request_id", action.RequestID), zap.Stringer("status", action.Status))
			a.publish("log_status", logReport{RequestID: action.RequestID, Status: action.Status.String()})
		case LogWait:
			wait := seconds(a.parameters.IncomingUploadTimeout, a.config.Unit)
			job.timer = a.after(wait, func() { r.step(LogEvent{Kind: LogTimeUp, Job: job.number}) })
		case LogPack:
			job.pack()
		case LogUpload:
			if job.local != nil {
				job.handOver()
				continue
			}
			job.upload()
		case LogPause:
			job.timer = a.after(job.pause, func() { r.step(LogEvent{Kind: LogPauseOver, Job: job.number}) })
		case LogDrop:
			if job.local != nil {
				job.nothing()
			}
			job.drop()
			delete(r.jobs, action.Job)
		}
	}
}

// archivePath is where the archive of a job lies until it is uploaded.
func (l *logsRun) archivePath() string { return filepath.Join(l.outgoing, files.RandomName(8)) }
