package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/release"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// logJob is one request for logs, with its files and its goroutines. The loop calls its methods.
type logJob struct {
	*logUploads
	kind      logType
	number    int
	request   logsRequest
	location  transfer.Location
	fileName  string
	requestID int64
	boardID   int64
	pause     time.Duration
	caller    caller[logsResponse]
	// local is set for a request of the status socket.
	local *localLogs

	// start starts a goroutine of the job, with a context that ends with the job.
	start  func(func(context.Context))
	cancel context.CancelCauseFunc
	over   bool
	work   sync.WaitGroup
	timer  *time.Timer

	inboxes  []inbox
	problems [][]string
	archive  string
}

// errReplaced ends the goroutines of a request that is over.
var errReplaced = errors.New("aggregator: the request for log files is over")

func (l *logUploads) newJob(ctx context.Context, kind logType) *logJob {
	j := &logJob{
		logUploads: l, kind: kind, requestID: logs.NoRequestID, boardID: l.boardID(nil),
		inboxes: make([]inbox, len(l.boards)), problems: make([][]string, len(l.boards)),
	}
	ctx, j.cancel = context.WithCancelCause(ctx)
	j.start = func(fn func(context.Context)) {
		j.work.Add(1)
		j.begin(ctx, func(ctx context.Context) {
			defer j.work.Done()
			fn(ctx)
		})
	}
	return j
}

// post sends an event of the job, unless the job is over by then.
func (j *logJob) post(event logs.Event) {
	j.loop.post(func(ctx context.Context) {
		if !j.over {
			j.step(ctx, j.kind, event, nil)
		}
	})
}

// after sends an event when the time has passed.
func (j *logJob) after(wait time.Duration, event logs.Event) {
	j.timer = time.AfterFunc(wait, func() { j.post(event) })
}

// ask asks every board for its file: satellites first, the highest number first, the main board last.
func (j *logJob) ask() {
	j.start(func(ctx context.Context) {
		for _, b := range slices.Backward(j.boards) {
			done := make(chan struct{})
			j.start(func(ctx context.Context) {
				defer close(done)
				j.askBoard(ctx, b)
			})
			wait := time.NewTimer(j.staggering)
			select {
			case <-done:
			case <-wait.C:
			case <-ctx.Done():
			}
			wait.Stop()
		}
	})
}

// invitation is the result of asking a board for its file.
type invitation struct {
	box      inbox // nil where none could be made
	response logs.Response
	fileName string
	err      error
}

func (j *logJob) askBoard(ctx context.Context, b *board) {
	got := j.invite(ctx, b)
	if got.err != nil {
		b.log.Warn("no log file of this board", zap.Error(got.err))
	}
	j.loop.post(func(ctx context.Context) {
		if !j.over {
			j.invited(ctx, b, got)
		} else if got.box != nil {
			j.begin(ctx, func(context.Context) { got.box.close() })
		}
	})
}

// invite makes a place for a board's file and asks the board for the file.
func (j *logJob) invite(ctx context.Context, b *board) invitation {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	got := invitation{response: logs.ResponseRejected}
	if got.box, got.err = j.collector.open(ctx, b); got.err != nil {
		return got
	}
	arguments := map[string]any{}
	for _, key := range []string{"oldest_timestamp", "latest_timestamp", "type"} {
		if value, ok := j.request.raw[key]; ok {
			arguments[key] = value
		}
	}
	arguments["location"], arguments["retries"], arguments["request_id"] = got.box.url(), 1, j.boardID
	var raw json.RawMessage
	if err := b.call(ctx, "upload_logs", map[string]any{"upload_logs_request": arguments}, &raw); err != nil {
		got.err = errors.New("the board did not answer upload_logs")
		return got
	}
	var response logsResponse
	if err := json.Unmarshal(raw, &response); err != nil {
		got.err = errors.New("the board's answer to upload_logs cannot be read")
		return got
	}
	got.fileName = response.FileName
	if parsed, ok := logs.ParseResponse(release.Read(response.Status)); ok {
		got.response = parsed
	}
	return got
}

// invited records a board's response.
func (j *logJob) invited(ctx context.Context, b *board, got invitation) {
	if got.box != nil {
		got.box.expect(got.fileName)
		j.inboxes[b.index] = got.box
	}
	switch {
	case got.err != nil:
		j.problem(b, got.err.Error())
	case !got.response.Accepts():
		j.problem(b, "the board answered "+got.response.String())
	default:
		if _, err := files.SafeName(got.fileName); err != nil && got.fileName != "" {
			j.problem(b, fmt.Sprintf("the board announced %.40q, which names no file", got.fileName))
		}
		// The board's end status may have come before its response.
		if _, status := j.outcome(b.index); status != 0 {
			got.box.reported(status)
		}
	}
	j.step(ctx, j.kind, logs.Responded{Job: j.number, Board: b.index, Response: got.response}, nil)
}

// reply replies to the caller of upload_logs.
func (j *logJob) reply(response logs.Response) {
	reply := logsResponse{Status: j.words.Spell(release.UploadLogsStatus, response.Name())}
	if j.local != nil || !response.Accepts() {
		j.caller.give(reply)
		return
	}
	reply.FileName = j.fileName
	j.unended.accept(j.kind, j.requestID, func() { j.caller.give(reply) })
	j.afterReply(j.caller.returned)
}

// outcome returns a board's response and end status, 0 while there is none.
func (j *logJob) outcome(board int) (logs.Response, logs.Status) {
	return j.types.Machine(j.kind).Outcome(j.number, board)
}

func (j *logJob) problem(b *board, text string) {
	j.problems[b.index] = append(j.problems[b.index], text)
}

// settleTime is how long after its board's report the confirmation of a file may arrive.
const settleTime = 5 * time.Second

// pack waits for the files of the boards that reported Uploaded, and makes the archive.
func (j *logJob) pack() {
	j.stopTimer()
	var uploaded []inbox
	for i, box := range j.inboxes {
		if _, status := j.outcome(i); box != nil && status == logs.Uploaded {
			uploaded = append(uploaded, box)
		}
	}
	j.start(func(ctx context.Context) {
		settling, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		for _, box := range uploaded {
			box.settle(settling)
		}
		j.loop.post(func(context.Context) {
			if !j.over {
				j.packSettled()
			}
		})
	})
}

func (j *logJob) packSettled() {
	archive := j.contents()
	if !archive.hasFiles() {
		for i, board := range archive.Boards {
			j.problems[i] = board.Problems
		}
		j.log.Error("no board's log file has arrived", zap.Int64("request_id", j.requestID))
		j.post(logs.Packed{Job: j.number, Failure: logs.UploadFailure})
		return
	}
	j.archive = filepath.Join(j.outgoing, files.RandomName(8))
	path := j.archive
	j.start(func(ctx context.Context) {
		event := logs.Packed{Job: j.number}
		if err := archive.writeFile(ctx, path); err != nil {
			j.log.Error("the log files cannot be packed", zap.Error(err))
			event.Failure = logs.UploadFailure
		}
		// The packed files are removed at once: the disk may be small.
		closeAll(j.inboxes)
		j.post(event)
	})
}

// contents returns the archive's content. It leaves out the file of a board that reported a failure.
func (j *logJob) contents() *archive {
	content := &archive{RequestID: j.requestID, Created: time.Now()}
	if j.request.Type != nil {
		content.Type = *j.request.Type
	}
	for i, b := range j.boards {
		entry := archiveBoard{Name: b.name, Problems: j.problems[i]}
		response, status := j.outcome(i)
		if response.Accepts() && j.inboxes[i] != nil {
			received, problems := j.inboxes[i].files()
			entry.Problems = append(entry.Problems, problems...)
			switch {
			case status == logs.Uploaded && len(received) == 0:
				entry.Problems = append(entry.Problems, "the board reported Uploaded, but no file arrived")
			case status == 0:
				entry.Problems = append(entry.Problems, "the board did not report its end in time")
			case status != logs.Uploaded:
				entry.Problems = append(entry.Problems, "the board reported "+status.String())
				received = nil
			}
			entry.Files = received
		}
		for _, problem := range entry.Problems {
			b.log.Warn("the log file of a board is incomplete or missing", zap.String("problem", problem))
		}
		content.Boards = append(content.Boards, entry)
	}
	return content
}

// upload makes one attempt to bring the archive to the backend, or to the caller at the status socket.
func (j *logJob) upload() {
	path := j.archive
	j.start(func(ctx context.Context) {
		event := logs.UploadEnded{Job: j.number, Status: logs.Uploaded}
		if err := j.send(ctx, path); err != nil {
			failure, ok := errors.AsType[*transfer.Error](err)
			event.Status, event.Permanent = statusOf(err), j.local != nil || (ok && failure.Permanent)
		}
		j.post(event)
	})
}

func (j *logJob) send(ctx context.Context, path string) error {
	if j.local != nil {
		err := j.local.deliver(path, j.fileName)
		if err != nil {
			j.log.Error("the archive cannot be handed over", zap.Error(err))
		}
		return err
	}
	tenths := int64(-1)
	err := j.uploader.Upload(ctx, j.location, path, j.fileName, func(sent, total int64) {
		if j.progress != nil {
			j.progress(Progress{Board: -1, Name: j.fileName, Done: sent, Total: total})
		}
		if done := 10 * sent / total; done != tenths {
			tenths = done
			j.log.Debug("uploading", zap.Int64("request_id", j.requestID), zap.Int64("bytes", sent), zap.Int64("total", total))
		}
	})
	if err != nil && ctx.Err() == nil {
		j.log.Error("an attempt to upload failed", zap.Int64("request_id", j.requestID), zap.Stringer("location", j.location), zap.Error(err))
	}
	return err
}

// statusOf returns the status by which OCPP reports a failed upload.
func statusOf(err error) logs.Status {
	if failure, ok := errors.AsType[*transfer.Error](err); ok {
		if status, known := logs.ParseStatus(string(failure.Status)); known {
			return status
		}
	}
	return logs.UploadFailure
}

func (j *logJob) stopTimer() {
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
}

// drop ends everything in progress for the request and removes its files, without blocking the loop.
func (j *logJob) drop(ctx context.Context) {
	j.over = true
	j.stopTimer()
	j.cancel(errReplaced)
	inboxes, archive := j.inboxes, j.archive
	j.begin(ctx, func(context.Context) {
		closeAll(inboxes)
		j.work.Wait()
		if archive != "" {
			os.Remove(archive)
		}
	})
}

func closeAll(inboxes []inbox) {
	for _, box := range inboxes {
		if box != nil {
			box.close()
		}
	}
}
