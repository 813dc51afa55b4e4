package page

import (
	"encoding/json"
	"time"
)

// The kinds of the server-sent events.
const (
	// eventStation tells everything, for a page that opens or was too slow.
	eventStation = "station"
	// eventTick tells what there is a second later.
	eventTick = "tick"
)

type stationEvent struct {
	Time     time.Time     `json:"time"`
	Tick     uint64        `json:"tick"`
	Name     string        `json:"name"`
	Interval float64       `json:"interval_s"`
	Began    time.Time     `json:"began"`
	Problem  string        `json:"problem"`
	Boards   []boardSeries `json:"boards"`
	Changes  []Change      `json:"changes"`
}

type boardSeries struct {
	Board
	History series `json:"history"`
}

type tickEvent struct {
	Time    time.Time `json:"time"`
	Tick    uint64    `json:"tick"`
	Problem string    `json:"problem"`
	Boards  []Board   `json:"boards"`
	Changes []Change  `json:"changes"`
}

// tickJSON is the newest tick, encoded when the first page asks.
type tickJSON struct {
	tick    uint64
	changes uint64 // how many came with it
	data    []byte
}

// subscribe returns a channel that tells when there is something new.
func (s *Station) subscribe() chan struct{} {
	subscriber := make(chan struct{}, 1)
	s.lock.Lock()
	defer s.lock.Unlock()
	s.subscribers[subscriber] = struct{}{}
	return subscriber
}

func (s *Station) unsubscribe(subscriber chan struct{}) {
	s.lock.Lock()
	defer s.lock.Unlock()
	delete(s.subscribers, subscriber)
}

// since returns what to tell a page that has seen a tick: the next one, or
// everything where it has missed some, or nothing.
func (s *Station) since(seen uint64) (kind string, tick uint64, data []byte) {
	s.lock.Lock()
	defer s.lock.Unlock()
	switch {
	case s.tick == seen:
		return "", s.tick, nil
	case seen != 0 && s.tick == seen+1:
		if s.latest.data == nil {
			fresh := append([]Change{}, s.changes.last[len(s.changes.last)-int(min(s.latest.changes, changesKept)):]...)
			s.latest.data = encode(tickEvent{s.time, s.tick, s.listed, s.shown(false), fresh})
		}
		return eventTick, s.tick, s.latest.data
	}
	if s.full == nil {
		event := stationEvent{
			Time: s.time, Tick: s.tick, Name: s.config.Name, Interval: interval.Seconds(), Began: s.began, Problem: s.listed,
			Boards: []boardSeries{}, Changes: append([]Change{}, s.changes.last...),
		}
		for _, one := range s.shown(false) {
			event.Boards = append(event.Boards, boardSeries{one, s.boards[one.ID].history.series()})
		}
		s.full = encode(event)
	}
	return eventStation, s.tick, s.full
}

// encode cannot fail: the types above hold nothing that JSON does not know, and a
// module's own snapshot is not among them.
func encode(event any) []byte {
	data, err := json.Marshal(event)
	if err != nil {
		return []byte("{}")
	}
	return data
}
