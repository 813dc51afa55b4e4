package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// logJobRun is one request for logs: where its files are and what is under way for it. Its methods belong to the loop.
type logJobRun struct {
	run       *typeRun
	number    int
	request   logsRequest
	location  transfer.Location
	fileName  string
	requestID int64
	boardID   int64
	retries   int
	pause     time.Duration

	caller  replyTo[logsResponse]
	handler context.Context

	// ctx ends everything that is under way for the request; work is that.
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   sync.WaitGroup
	timer  *time.Timer

	// local is set for a request of the control socket, which caller and handler do not wait for.
	local    *localLogs
	inboxes  []inbox
	problems [][]string
	archive  string
}

// errReplaced ends what is under way for a request that is over.
var errReplaced = errors.New("aggregator: the request for log files is over")

// staggering is how long the next board waits for the one before it: boards are asked in their order, but a silent one
// holds the others up only so long.
const staggering = 100 * time.Millisecond

func (j *logJobRun) begin(fn func()) {
	j.work.Add(1)
	j.run.logs.a.begin(func(context.Context) {
		defer j.work.Done()
		fn()
	})
}

// post has fn done by the loop, unless the request is over by then.
func (j *logJobRun) post(fn func()) {
	j.run.logs.a.loop.post(func() {
		if j.ctx.Err() == nil {
			fn()
		}
	})
}

// ask asks every board for its file, satellites first, the highest number first, the main board last.
func (j *logJobRun) ask() {
	boards := j.run.logs.a.boards
	j.begin(func() {
		for i := len(boards) - 1; i >= 0; i-- {
			done := make(chan struct{})
			j.begin(func() {
				defer close(done)
				j.askBoard(boards[i])
			})
			wait := time.NewTimer(staggering)
			select {
			case <-done:
			case <-wait.C:
			case <-j.ctx.Done():
			}
			wait.Stop()
		}
	})
}

func (j *logJobRun) askBoard(b *board) {
	answer, response, box, err := j.invite(b)
	if err != nil {
		b.log.Warn("no log file of this board", zap.Error(err))
	}
	j.run.logs.a.loop.post(func() {
		if j.ctx.Err() != nil {
			closeLater(j, box)
			return
		}
		if box != nil {
			box.expect(response.FileName)
		}
		j.inboxes[b.index] = box
		switch {
		case err != nil:
			j.problem(b.index, err.Error())
		case !answer.Accepts():
			j.problem(b.index, "the board answered "+answer.String())
		default:
			if _, err := files.SafeName(response.FileName); err != nil && response.FileName != "" {
				j.problem(b.index, fmt.Sprintf("the board announced %.40q, which names no file", response.FileName))
			}
			// The board may have come to its end before its answer was here.
			if _, status := j.run.merge.Outcome(j.number, b.index); status != 0 {
				box.reported(status)
			}
		}
		j.run.step(LogEvent{Kind: LogAnswered, Job: j.number, Board: b.index, Answer: answer})
	})
}

// invite makes a place for a board's file and asks the board for it.
func (j *logJobRun) invite(b *board) (answer LogAnswer, response logsResponse, box inbox, err error) {
	ctx, cancel := context.WithTimeout(j.ctx, b.timeout)
	defer cancel()
	box, err = j.run.logs.collector.open(ctx, b)
	if err != nil {
		return LogsRejected, response, nil, err
	}
	arguments := map[string]any{}
	for _, key := range []string{"oldest_timestamp", "latest_timestamp", "type"} {
		if value, ok := j.request.raw[key]; ok {
			arguments[key] = value
		}
	}
	arguments["location"], arguments["retries"], arguments["request_id"] = box.url(), 1, j.boardID
	var raw json.RawMessage
	if err := b.call(ctx, "upload_logs", map[string]any{"upload_logs_request": arguments}, &raw); err != nil {
		return LogsRejected, response, box, errors.New("the board did not answer upload_logs")
	}
	if err := json.Unmarshal(raw, &response); err != nil {
		return LogsRejected, response, box, errors.New("the board's answer to upload_logs is not understood")
	}
	answer, ok := ParseLogAnswer(response.Status)
	if !ok {
		answer = LogsRejected
	}
	return answer, response, box, nil
}

// answer answers the caller of upload_logs.
func (j *logJobRun) answer(answer LogAnswer) {
	response := logsResponse{Status: answer.String()}
	if answer.Accepts() {
		response.FileName = j.fileName
	}
	j.caller.give(response)
	if answer.Accepts() && j.local == nil {
		j.run.logs.a.afterReply(j.handler)
	}
}

func (j *logJobRun) problem(board int, text string) {
	j.problems[board] = append(j.problems[board], text)
}

// pack makes the archive of what has arrived.
func (j *logJobRun) pack() {
	j.stopTimer()
	archive := j.contents()
	files := 0
	for _, board := range archive.Boards {
		files += len(board.Files)
	}
	if files == 0 {
		for i, board := range archive.Boards {
			j.problems[i] = board.Problems
		}
		j.run.logs.a.log.Error("no board's log file has arrived", zap.Int64("request_id", j.requestID))
		j.run.logs.a.loop.post(func() {
			j.run.step(LogEvent{Kind: LogPacked, Job: j.number, Status: LogUploadFailure})
		})
		return
	}
	j.archive = j.run.logs.archivePath()
	path, inboxes := j.archive, j.inboxes
	j.begin(func() {
		event := LogEvent{Kind: LogPacked, Job: j.number}
		if err := writeArchive(j.ctx, archive, path); err != nil {
			j.run.logs.a.log.Error("the log files cannot be packed", zap.Error(err))
			event.Status = LogUploadFailure
		}
		// What is packed is not needed any more: the disk may be small.
		for _, box := range inboxes {
			if box != nil {
				box.close()
			}
		}
		j.post(func() { j.run.step(event) })
	})
}

// contents says what of each board goes into the archive. A failed board's file is left out.
func (j *logJobRun) contents() *Archive {
	archive := &Archive{RequestID: j.requestID, Created: time.Now()}
	if j.request.Type != nil {
		archive.Type = *j.request.Type
	}
	for i, b := range j.run.logs.a.boards {
		entry := ArchiveBoard{Name: b.name, Problems: j.problems[i]}
		answer, status := j.run.merge.Outcome(j.number, i)
		if answer.Accepts() && j.inboxes[i] != nil {
			files, problems := j.inboxes[i].files()
			entry.Problems = append(entry.Problems, problems...)
			switch {
			case status == LogUploaded && len(files) == 0:
				entry.Problems = append(entry.Problems, "the board reported Uploaded, but no file arrived")
			case status == 0:
				entry.Problems = append(entry.Problems, "the board did not report its end in time")
			case status != LogUploaded:
				entry.Problems = append(entry.Problems, "the board reported "+status.String())
				files = nil
			}
			entry.Files = files
		}
		for _, problem := range entry.Problems {
			b.log.Warn("the log file of a board is not as it should be", zap.String("problem", problem))
		}
		archive.Boards = append(archive.Boards, entry)
	}
	return archive
}

// upload makes one attempt.
func (j *logJobRun) upload() {
	a, path := j.run.logs.a, j.archive
	j.begin(func() {
		var tenths int64 = -1
		err := j.run.logs.uploader.Upload(j.ctx, j.location, path, j.fileName, func(sent, total int64) {
			if a.config.Progress != nil {
				a.config.Progress(Progress{Board: -1, Name: j.fileName, Done: sent, Total: total})
			}
			if done := 10 * sent / total; done != tenths {
				tenths = done
				a.log.Debug("uploading", zap.Int64("request_id", j.requestID), zap.Int64("bytes", sent), zap.Int64("total", total))
			}
		})
		event := LogEvent{Kind: LogUploadEnded, Job: j.number, Status: LogUploaded}
		if err != nil {
			event.Status = statusOf(err)
			failure, ok := errors.AsType[*transfer.Error](err)
			event.Permanent = ok && failure.Permanent
			if j.ctx.Err() == nil {
				a.log.Error("an attempt to upload failed", zap.Int64("request_id", j.requestID), zap.Stringer("location", j.location), zap.Error(err))
			}
		}
		j.post(func() { j.run.step(event) })
	})
}

func statusOf(err error) LogStatus {
	if failure, ok := errors.AsType[*transfer.Error](err); ok {
		if status, known := ParseLogStatus(string(failure.Status)); known {
			return status
		}
	}
	return LogUploadFailure
}

func (j *logJobRun) stopTimer() {
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
}

// drop ends everything that is under way for the request and removes its files, without holding the loop up.
func (j *logJobRun) drop() {
	j.stopTimer()
	j.cancel(errReplaced)
	inboxes, archive := j.inboxes, j.archive
	j.run.logs.a.begin(func(context.Context) {
		for _, box := range inboxes {
			if box != nil {
				box.close()
			}
		}
		j.work.Wait()
		if archive != "" {
			os.Remove(archive)
		}
	})
}

// closeLater closes the inbox of a request that was over before the board had answered.
func closeLater(j *logJobRun, box inbox) {
	if box != nil {
		j.run.logs.a.begin(func(context.Context) { box.close() })
	}
}
