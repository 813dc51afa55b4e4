package aggregator

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// localLogs is a request for all boards' logs that came by the control socket. The boards are asked as for a backend's
// request, but nothing is uploaded and the backend hears nothing of it.
type localLogs struct {
	lock sync.Mutex
	over bool
	// given has the archive, or why there is none. It holds one.
	given chan localArchive
}

type localArchive struct {
	file *os.File
	size int64
	name string
	err  error
}

// errYield ends a local request for a backend's.
var errYield = &control.Reason{Text: "the backend asks for log files now, which goes first: try again when that is over"}

// localType is the type under which a local request is under way.
var localType = logType{local: true}

// collectLogs is the answer to GET /logs: it asks every board for its log file, and returns the archive of what has come.
func (a *Aggregator) collectLogs(ctx context.Context) (*control.Logs, error) {
	request := &localLogs{given: make(chan localArchive, 1)}
	a.loop.post(func() { a.logs.requestedLocally(request) })
	select {
	case got := <-request.given:
		if got.err != nil {
			return nil, got.err
		}
		return &control.Logs{Name: got.name, ContentType: "application/gzip", Size: got.size, Body: got.file}, nil
	case <-ctx.Done():
	}
	request.give(localArchive{err: ctx.Err()})
	if got := <-request.given; got.file != nil {
		got.file.Close()
	}
	a.loop.post(func() { a.logs.dropLocal(request) })
	return nil, fmt.Errorf("aggregator: the boards' log files were not there in time: %w", ctx.Err())
}

// give answers the request, once.
func (l *localLogs) give(archive localArchive) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.over {
		if archive.file != nil {
			archive.file.Close()
		}
		return
	}
	l.over = true
	l.given <- archive
}

func (l *localLogs) isOver() bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.over
}

// deliver hands an archive over. Its file may be removed then: it stays readable.
func (l *localLogs) deliver(path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	l.give(localArchive{file: file, size: info.Size(), name: name})
	return nil
}

// requestedLocally begins a local request, unless logs are under way: a board gives one request up for the next.
func (l *logsRun) requestedLocally(request *localLogs) {
	refuse := func(text string) { request.give(localArchive{err: &control.Reason{Text: text}}) }
	switch {
	case request.isOver():
		return
	case l.broken != nil:
		refuse(l.broken.Error())
		return
	case l.busy():
		refuse("log files are being collected already: try again when that is over")
		return
	}
	select {
	case <-l.a.ready:
	default:
		refuse("the boards are not ready yet")
		return
	}
	run := &typeRun{logs: l, merge: NewLogMerge(len(l.a.boards)), jobs: map[int]*logJobRun{}, local: true}
	l.types[localType] = run
	job := l.newJob(run)
	job.local, job.fileName = request, "station_"+timeInName(time.Now())+".tar.gz"
	job.caller = newReply[logsResponse]()
	l.a.log.Info("log files requested at the control socket")
	run.perform(run.merge.Step(LogEvent{Kind: LogRequested, RequestID: NoRequestID, BoardRequestID: job.boardID}), job)
	l.tidy(localType)
}

// dropLocal ends a local request that nobody waits for any more; nil ends any.
func (l *logsRun) dropLocal(request *localLogs) {
	run := l.types[localType]
	if run == nil {
		return
	}
	for number, job := range run.jobs {
		if request != nil && job.local != request {
			return
		}
		job.drop()
		delete(run.jobs, number)
	}
	// What is on its way to the loop already must find nothing to go on with.
	run.merge = NewLogMerge(len(l.a.boards))
	delete(l.types, localType)
}

// yield ends a local request for a backend's.
func (l *logsRun) yield() {
	run := l.types[localType]
	if run == nil {
		return
	}
	for _, job := range run.jobs {
		l.a.log.Info("the log files that were requested at the control socket give way to a backend's request")
		job.local.give(localArchive{err: errYield})
	}
	l.dropLocal(nil)
}

// handOver is what stands in the place of an upload.
func (j *logJobRun) handOver() {
	path := j.archive
	j.begin(func() {
		event := LogEvent{Kind: LogUploadEnded, Job: j.number, Status: LogUploaded}
		if err := j.local.deliver(path, j.fileName); err != nil {
			j.run.logs.a.log.Error("the archive cannot be handed over", zap.Error(err))
			event.Status, event.Permanent = LogUploadFailure, true
		}
		j.post(func() { j.run.step(event) })
	})
}

// nothing tells a local request that there is no archive, unless there was one.
func (j *logJobRun) nothing() {
	text := "no board's log file could be had"
	for i, problems := range j.problems {
		if len(problems) > 0 {
			text += "; " + j.run.logs.a.boards[i].name + ": " + strings.Join(problems, ", ")
		}
	}
	j.local.give(localArchive{err: &control.Reason{Text: text}})
}
