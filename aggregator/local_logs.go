package aggregator

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// localLogs is a request for all boards' logs from the status socket. The boards are asked as for a backend's request,
// but nothing is uploaded and published.
type localLogs struct {
	mu   sync.Mutex
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

// localType is the log type of a local request.
var localType = logType{local: true}

// collect handles GET /logs: it asks every board for its log file, and returns the archive of the files that have come.
func (l *logUploads) collect(ctx context.Context) (*control.Logs, error) {
	request := &localLogs{given: make(chan localArchive, 1)}
	l.loop.post(func(ctx context.Context) { l.requestedLocally(ctx, request) })
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
	l.loop.post(func(ctx context.Context) { l.dropLocal(ctx, request) })
	return nil, fmt.Errorf("aggregator: the boards' log files did not arrive in time: %w", ctx.Err())
}

// give replies to the request, once.
func (r *localLogs) give(archive localArchive) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		if archive.file != nil {
			archive.file.Close()
		}
		return
	}
	r.over = true
	r.given <- archive
}

func (r *localLogs) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// deliver gives an archive. Its file may be removed then: the open file stays readable.
func (r *localLogs) deliver(path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	r.give(localArchive{file: file, size: info.Size(), name: name})
	return nil
}

// requestedLocally begins a local request. It refuses one while logs are collected: a board gives one request up for
// the next.
func (l *logUploads) requestedLocally(ctx context.Context, request *localLogs) {
	refusal := ""
	select {
	case <-l.ready:
	default:
		refusal = "the boards are not ready yet"
	}
	switch {
	case request.isOver():
		return
	case l.broken != nil:
		refusal = l.broken.Error()
	case l.busy():
		refusal = "log files are being collected already: try again when that is over"
	}
	if refusal != "" {
		request.give(localArchive{err: &control.Reason{Text: refusal}})
		return
	}
	job := l.newJob(ctx, localType)
	job.local, job.fileName = request, archiveName("station")
	l.log.Info("log files requested at the control socket")
	l.step(ctx, localType, logs.Requested{RequestID: logs.NoRequestID, BoardRequestID: job.boardID}, job)
}

// dropLocal ends a local request whose caller no longer waits; nil ends any.
func (l *logUploads) dropLocal(ctx context.Context, request *localLogs) {
	for _, job := range l.jobs[localType] {
		if request != nil && job.local != request {
			return
		}
		job.drop(ctx)
	}
	// Events that are on their way to the loop find no job.
	delete(l.jobs, localType)
	l.types.Forget(localType)
}

// yield ends a local request for a backend's.
func (l *logUploads) yield(ctx context.Context) {
	for _, job := range l.jobs[localType] {
		l.log.Info("the log files that were requested at the control socket give way to a backend's request")
		job.local.give(localArchive{err: errYield})
	}
	l.dropLocal(ctx, nil)
}

// giveNothing replies to a local request that there is no archive, unless there was one.
func (j *logJob) giveNothing() {
	if j.local == nil {
		return
	}
	text := "no board's log file could be had"
	for i, problems := range j.problems {
		if len(problems) > 0 {
			text += "; " + j.boards[i].name + ": " + strings.Join(problems, ", ")
		}
	}
	j.local.give(localArchive{err: &control.Reason{Text: text}})
}
