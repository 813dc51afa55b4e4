package page

import (
	"encoding/json"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/events"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// The kinds of the server-sent events.
const (
	// eventStation has everything, for a page that opens or was too slow.
	eventStation = "station"
	// eventTick has the next state, a second later.
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
	// Events are those of the last day, the oldest first, as many as the page lists.
	Events []events.Event `json:"events"`
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
	// Events are the new ones.
	Events []events.Event `json:"events"`
}

// tickJSON is the last tick, encoded when the first page needs it.
type tickJSON struct {
	tick    uint64
	changes uint64 // how many changes belong to the tick
	events  []events.Event
	data    []byte
}

// subscribe returns a channel that receives a value after each tick.
func (s *Station) subscribe() chan struct{} {
	subscriber := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers[subscriber] = struct{}{}
	return subscriber
}

func (s *Station) unsubscribe(subscriber chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subscribers, subscriber)
}

// since returns the event for a page that has received the tick seen: the next tick, everything after missed ticks, or
// nil.
func (s *Station) since(seen uint64) (kind string, tick uint64, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.tick == seen:
		return "", s.tick, nil
	case seen != 0 && s.tick == seen+1:
		if s.latest.data == nil {
			fresh := append([]Change{}, s.changes.last[len(s.changes.last)-int(min(s.latest.changes, maxChanges)):]...)
			s.latest.data = encode(tickEvent{s.time, s.tick, s.listed, s.shownLocked(false), fresh, append([]events.Event{}, s.latest.events...)})
		}
		return eventTick, s.tick, s.latest.data
	}
	if s.full == nil {
		event := stationEvent{
			Time: s.time, Tick: s.tick, Name: s.config.Name, Interval: interval.Seconds(), Began: s.began, Problem: s.listed,
			Boards: []boardSeries{}, Changes: append([]Change{}, s.changes.last...),
			Events: append([]events.Event{}, s.events[max(0, len(s.events)-maxListed):]...),
		}
		for _, one := range s.shownLocked(false) {
			event.Boards = append(event.Boards, boardSeries{one, s.boards[one.ID].history.series()})
		}
		s.full = encode(event)
	}
	return eventStation, s.tick, s.full
}

// encode returns the JSON of an event. Encoding cannot fail: the event types have only fields that JSON supports.
func encode(event any) []byte {
	data, err := json.Marshal(event)
	if err != nil {
		return []byte("{}")
	}
	return data
}

// maxListed is how many events the page lists. `satctl events` and /status.json have all.
const maxListed = 200

// maxChanges is how many changes are kept for pages that open later. The oldest are dropped.
const maxChanges = 200

// Change is a change of a board's level.
type Change struct {
	// Number is the number of the change since the server's start, from 1.
	Number   uint64        `json:"number"`
	Time     time.Time     `json:"time"`
	ModuleID string        `json:"module_id"`
	From     verdict.Level `json:"from"`
	To       verdict.Level `json:"to"`
	// New is true for a board that appears. From has no meaning then.
	New    bool   `json:"new"`
	Reason string `json:"reason"`
}

// changes are the last changes, the oldest first.
type changes struct {
	count uint64
	last  []Change
}

func (c *changes) add(change Change) {
	c.count++
	change.Number = c.count
	if len(c.last) == maxChanges {
		copy(c.last, c.last[1:])
		c.last = c.last[:maxChanges-1]
	}
	c.last = append(c.last, change)
}
