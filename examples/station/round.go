package main

import (
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

const (
	// settleLimit is how long nothing may happen at the end of a round before what
	// has not arrived counts as missing.
	settleLimit = 10 * time.Second
	// roundSlack is how long a round may take beyond its recorded length.
	roundSlack = 60 * time.Second
	// roundPause separates one round from the next.
	roundPause = time.Second
)

// round is one play of the recordings on all satellites at once.
type round struct {
	number int
	phase  phase
	ledger *ledger.Ledger
	played map[int]bool // satellites that have played everything
	// lastTraffic is when a board last reported traffic.
	lastTraffic time.Time
	// broken is set when a board ended in the round: every board that restarts from
	// then on does so because of it.
	broken bool
}

// phase is the progress of a round.
type phase string

const (
	phaseWaiting   phase = "waiting for the boards"
	phasePlaying   phase = "playing"
	phaseFinishing phase = "finishing"
	phaseSettling  phase = "settling"
	phaseEnded     phase = "played"
)

// beginRound starts a round once every board is ready.
func (s *Station) beginRound() {
	if s.round.phase == phasePlaying || len(s.notReady()) > 0 {
		return
	}
	if s.round.ledger != nil {
		s.closeLedger(true)
	}
	s.round = round{number: s.round.number + 1, phase: phasePlaying, ledger: ledger.New(), played: map[int]bool{}}
	number := s.round.number
	s.after(recording.Scale(s.length, s.flags.Speed)+roundSlack, func() {
		if s.round.number == number && (s.round.phase == phasePlaying || s.round.phase == phaseFinishing) {
			s.problem(fmt.Sprintf("%v after the recorded time the boards are still %s", roundSlack, s.round.phase))
			s.endRound()
			s.stop = errUnbalanced
		}
	})
	s.planKills()
	for _, board := range s.boards {
		s.supervisor.Order(board.config.Name, Order{Do: DoPlay})
	}
	s.screen.Printf("both sides of every satellite have met: the session begins")
}

// planKills plans the kills of -kill, in the first round.
func (s *Station) planKills() {
	if s.planned {
		return
	}
	s.planned = true
	for _, kill := range s.flags.Kill {
		s.after(recording.Scale(kill.At, s.flags.Speed), func() {
			if !s.board(kill.Board).running {
				s.screen.Printf("%s is down already and cannot be killed", kill.Board)
				return
			}
			s.screen.Printf("killing %s", kill.Board)
			s.round.broken = true
			s.supervisor.Kill(kill.Board)
		})
	}
}

// takeTraffic keeps the ledger and moves the round on.
func (s *Station) takeTraffic(board *boardState, report Report) {
	if s.round.ledger == nil {
		return
	}
	switch report.Kind {
	case KindEntry:
		s.round.ledger.Add(*report.Entry)
		s.round.lastTraffic = time.Now()
	case KindStatus:
		// A link can be away without -flap too: a busy machine may keep it waiting for longer than its timeout.
		if report.Status.wasAway(board.links[report.Satellite]) {
			s.round.ledger.LinkAway(report.Satellite)
		}
	case KindPlayed:
		s.round.played[board.config.Satellite] = true
		if s.round.phase == phasePlaying && len(s.round.played) == s.flags.Satellites {
			s.round.phase = phaseFinishing
			s.supervisor.Order(boardMain, Order{Do: DoFinish})
		}
	case KindFinished:
		if s.round.phase == phaseFinishing {
			s.round.phase, s.round.lastTraffic = phaseSettling, time.Now()
			s.awaitSettled(s.round.number)
		}
	}
	if s.round.phase == phaseSettling && s.round.ledger.Balanced() {
		s.endRound()
	}
}

// awaitSettled ends a round when no traffic has been reported for settleLimit.
func (s *Station) awaitSettled(number int) {
	s.after(time.Until(s.round.lastTraffic.Add(settleLimit)), func() {
		switch {
		case s.round.number != number || s.round.phase != phaseSettling:
		case time.Since(s.round.lastTraffic) < settleLimit:
			s.awaitSettled(number)
		default:
			s.endRound()
		}
	})
}

// endRound closes a round that was played to its end.
func (s *Station) endRound() {
	s.closeLedger(false)
	s.round.phase = phaseEnded
	s.rounds++
	if !s.flags.Once {
		number := s.round.number
		s.after(roundPause, func() {
			if s.round.number == number && s.round.phase == phaseEnded {
				s.beginRound()
			}
		})
		return
	}
	s.stop = errPlayed
	if len(s.problems) > 0 {
		s.stop = errUnbalanced
	}
}

// interruptRound lets the boards meet again after one has ended. The ledger stays
// open, because the boards that still run report until they end.
func (s *Station) interruptRound() {
	if s.round.phase != phaseWaiting {
		s.round.phase = phaseWaiting
		s.expectReady()
	}
}

// closeLedger adds a round's counts to the totals. In a round that was broken off,
// what is missing was lost with the boards that ended.
func (s *Station) closeLedger(brokenOff bool) {
	for _, problem := range s.round.ledger.Settle(brokenOff) {
		s.problem(problem)
	}
	s.countCurrent()
}

// countCurrent adds the counts of the current round to the totals. In a round that
// the user broke off nothing is missing: its messages may be on their way.
func (s *Station) countCurrent() {
	if s.round.ledger == nil {
		return
	}
	for satellite, totals := range s.totals {
		totals.Add(s.round.ledger.Totals(satellite))
	}
	s.round.ledger = nil
}
