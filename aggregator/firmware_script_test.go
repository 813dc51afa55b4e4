package aggregator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestFirmwareScripts(t *testing.T) {
	runScripts(t, "testdata/firmware/*.txt", func() func(string) ([]string, error) {
		story := &firmwareStory{}
		return story.play
	})
}

// firmwareStory reads the lines of a firmware script.
type firmwareStory struct {
	merge  *FirmwareMerge
	boards int
}

func (s *firmwareStory) play(line string) ([]string, error) {
	if _, err := fmt.Sscanf(line, "station of %d boards", &s.boards); err == nil {
		s.merge = NewFirmwareMerge(s.boards)
		return nil, nil
	}
	if line == "the main board restarts" {
		return s.restart()
	}
	events, err := s.events(line)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, event := range events {
		for _, action := range s.merge.Step(event) {
			if text := firmwareActionLine(action); text != "" {
				lines = append(lines, text)
			}
		}
	}
	return lines, nil
}

func (s *firmwareStory) restart() ([]string, error) {
	saved, active := s.merge.State()
	s.merge = NewFirmwareMerge(s.boards)
	if !active {
		return nil, nil
	}
	encoded, err := json.Marshal(saved)
	if err != nil {
		return nil, err
	}
	var state FirmwareState
	if err := json.Unmarshal(encoded, &state); err != nil {
		return nil, err
	}
	actions, err := s.merge.Restore(state)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, action := range actions {
		if text := firmwareActionLine(action); text != "" {
			lines = append(lines, text)
		}
	}
	return lines, nil
}

func (s *firmwareStory) events(line string) ([]FirmwareEvent, error) {
	var event FirmwareEvent
	var word string
	everyBoard := func(event FirmwareEvent) (events []FirmwareEvent) {
		for event.Board = 0; event.Board < s.boards; event.Board++ {
			events = append(events, event)
		}
		return events
	}
	var ok bool
	switch {
	case scan(line, "request %d %s", &event.RequestID, &word):
		event.Kind, event.Signed = FirmwareRequested, word == "signed"
		return []FirmwareEvent{event}, nil
	case scan(line, "board %d answers %s", &event.Board, &word):
		if event.Answer, ok = ParseFirmwareAnswer(word); ok {
			event.Kind = FirmwareAnswered
			return []FirmwareEvent{event}, nil
		}
	case scan(line, "every board answers %s", &word):
		if event.Answer, ok = ParseFirmwareAnswer(word); ok {
			event.Kind = FirmwareAnswered
			return everyBoard(event), nil
		}
	case scan(line, "board %d reports %d %s", &event.Board, &event.RequestID, &word):
		if event.Status, ok = ParseFirmwareStatus(word); ok {
			event.Kind = FirmwareReported
			return []FirmwareEvent{event}, nil
		}
	case scan(line, "every board reports %d %s", &event.RequestID, &word):
		if event.Status, ok = ParseFirmwareStatus(word); ok {
			event.Kind = FirmwareReported
			return everyBoard(event), nil
		}
	case line == "installation is allowed":
		return []FirmwareEvent{{Kind: FirmwareAllowed}}, nil
	case strings.HasPrefix(line, "limit passes: "):
		for phase := PhaseDownload; phase <= PhaseMain; phase++ {
			if line == "limit passes: "+phase.String() {
				return []FirmwareEvent{{Kind: FirmwareTimeUp, Phase: phase}}, nil
			}
		}
	}
	return nil, fmt.Errorf("no such line in a firmware script: %q", line)
}

func scan(line, format string, values ...any) bool {
	n, err := fmt.Sscanf(line, format, values...)
	return err == nil && n == len(values)
}

func firmwareActionLine(action FirmwareAction) string {
	switch action.Kind {
	case FirmwareAsk:
		return "ask every board"
	case FirmwareReply:
		return "answer " + action.Answer.String()
	case FirmwarePublish:
		return fmt.Sprintf("publish %d %s", action.RequestID, action.Status)
	case FirmwareAllow:
		return fmt.Sprintf("permit board %d", action.Board)
	case FirmwareLimit:
		return "limit: " + action.Phase.String()
	case FirmwareUnlimited:
		return "no limit"
	case FirmwareBlame:
		if action.Status != 0 {
			return fmt.Sprintf("blame board %d: %s", action.Board, action.Status)
		}
		return fmt.Sprintf("blame board %d: silent in the phase %s", action.Board, action.Phase)
	case FirmwareLeftOver:
		return fmt.Sprintf("board %d works on a refused request", action.Board)
	}
	return ""
}
