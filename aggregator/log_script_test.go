package aggregator

import (
	"fmt"
	"testing"
)

func TestLogScripts(t *testing.T) {
	runScripts(t, "testdata/log/*.txt", func() func(string) ([]string, error) {
		story := &logStory{}
		return story.play
	})
}

// logStory reads the lines of a log script. Its events go to the newest job unless the line names another one.
type logStory struct {
	merge  *LogMerge
	boards int
	job    int
}

func (s *logStory) play(line string) ([]string, error) {
	if scan(line, "station of %d boards", &s.boards) {
		s.merge = NewLogMerge(s.boards)
		return nil, nil
	}
	events, err := s.events(line)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, event := range events {
		for _, action := range s.merge.Step(event) {
			s.job = max(s.job, action.Job)
			lines = append(lines, logActionLine(action))
		}
	}
	return lines, nil
}

func (s *logStory) events(line string) ([]LogEvent, error) {
	event := LogEvent{Job: s.job}
	var word string
	everyBoard := func(event LogEvent) (events []LogEvent) {
		for event.Board = s.boards - 1; event.Board >= 0; event.Board-- {
			events = append(events, event)
		}
		return events
	}
	var ok bool
	switch {
	case scan(line, "request %d with %d retries", &event.RequestID, &event.Retries):
		event.Kind, event.BoardRequestID = LogRequested, event.RequestID
		if event.RequestID == NoRequestID {
			event.BoardRequestID = 1000 + int64(s.job)
		}
		return []LogEvent{event}, nil
	case scan(line, "request %d to a location that is %s", &event.RequestID, &word):
		if event.Status, ok = ParseLogStatus(word); ok {
			event.Kind, event.BoardRequestID = LogRequested, event.RequestID
			return []LogEvent{event}, nil
		}
	case scan(line, "board %d answers %s", &event.Board, &word):
		if event.Answer, ok = ParseLogAnswer(word); ok {
			event.Kind = LogAnswered
			return []LogEvent{event}, nil
		}
	case scan(line, "every board answers %s", &word):
		if event.Answer, ok = ParseLogAnswer(word); ok {
			event.Kind = LogAnswered
			return everyBoard(event), nil
		}
	case scan(line, "board %d reports %d %s", &event.Board, &event.BoardRequestID, &word):
		if event.Status, ok = ParseLogStatus(word); ok {
			event.Kind = LogReported
			return []LogEvent{event}, nil
		}
	case scan(line, "every board reports %d %s", &event.BoardRequestID, &word):
		if event.Status, ok = ParseLogStatus(word); ok {
			event.Kind = LogReported
			return everyBoard(event), nil
		}
	case line == "the limit passes":
		event.Kind = LogTimeUp
		return []LogEvent{event}, nil
	case scan(line, "the limit of job %d passes", &event.Job):
		event.Kind = LogTimeUp
		return []LogEvent{event}, nil
	case line == "the archive is packed":
		event.Kind = LogPacked
		return []LogEvent{event}, nil
	case scan(line, "the archive of job %d is packed", &event.Job):
		event.Kind = LogPacked
		return []LogEvent{event}, nil
	case line == "the archive cannot be packed":
		event.Kind, event.Status = LogPacked, LogUploadFailure
		return []LogEvent{event}, nil
	case scan(line, "the attempt ends %s for good", &word):
		if event.Status, ok = ParseLogStatus(word); ok {
			event.Kind, event.Permanent = LogUploadEnded, true
			return []LogEvent{event}, nil
		}
	case scan(line, "the attempt ends %s", &word):
		if event.Status, ok = ParseLogStatus(word); ok {
			event.Kind = LogUploadEnded
			return []LogEvent{event}, nil
		}
	case scan(line, "the attempt of job %d ends %s", &event.Job, &word):
		if event.Status, ok = ParseLogStatus(word); ok {
			event.Kind = LogUploadEnded
			return []LogEvent{event}, nil
		}
	case line == "the pause is over":
		event.Kind = LogPauseOver
		return []LogEvent{event}, nil
	}
	return nil, fmt.Errorf("no such line in a log script: %q", line)
}

func logActionLine(action LogAction) string {
	switch action.Kind {
	case LogAsk:
		return fmt.Sprintf("job %d: ask every board", action.Job)
	case LogReply:
		return fmt.Sprintf("job %d: answer %s", action.Job, action.Answer)
	case LogPublish:
		return fmt.Sprintf("publish %d %s", action.RequestID, action.Status)
	case LogWait:
		return fmt.Sprintf("job %d: wait for the boards", action.Job)
	case LogPack:
		return fmt.Sprintf("job %d: pack", action.Job)
	case LogUpload:
		return fmt.Sprintf("job %d: upload", action.Job)
	case LogPause:
		return fmt.Sprintf("job %d: pause", action.Job)
	case LogDrop:
		return fmt.Sprintf("job %d: drop", action.Job)
	}
	return fmt.Sprintf("action %d", action.Kind)
}
