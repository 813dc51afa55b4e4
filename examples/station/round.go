package main

import (
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
)

// round is one play of the recordings on all satellites at once.
type round struct {
	number int
	phase  phase
	ledger *ledger.Ledger
	played map[int]bool // satellites that have played everything
	// lastReport is when something was last said about the traffic.
	lastReport time.Time
	// broken says that a board ended in it, killed or by itself: every board that
	// restarts from then on does so because of it.
	broken bool
}

// phase is how far a round is.
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
	s.closeInterrupted()
	s.round = round{number: s.round.number + 1, phase: phasePlaying, ledger: ledger.New(), played: map[int]bool{}}
	number := s.round.number
	s.agenda.add(time.Now().Add(scale(s.length, s.flags.Speed)+roundSlack), func() {
		if s.round.number == number && (s.round.phase == phasePlaying || s.round.phase == phaseFinishing) {
			s.problem(fmt.Sprintf("%v after the recorded time the boards are still %s", roundSlack, s.round.phase))
			s.endRound()
			s.stop = errUnbalanced
		}
	})
	s.planKills()
	for _, board := range s.boards {
		board.process.Order(Order{Do: DoPlay})
	}
	s.view.Line("both sides of every satellite have met: the session begins")
}

// planKills plans what -kill asks for, in the first round.
func (s *Station) planKills() {
	if s.planned {
		return
	}
	s.planned = true
	for _, kill := range s.flags.Kill {
		s.agenda.add(time.Now().Add(scale(kill.At, s.flags.Speed)), func() {
			board := s.board(kill.Board)
			if board.process == nil {
				s.view.Line(fmt.Sprintf("%s is down already and cannot be killed", kill.Board))
				return
			}
			s.view.Line(fmt.Sprintf("killing %s", kill.Board))
			s.round.broken = true
			board.process.Kill()
		})
	}
}

// takeTraffic keeps the ledger and moves the round on.
func (s *Station) takeTraffic(board *boardState, report Report) {
	if s.round.ledger == nil {
		return
	}
	s.round.lastReport = time.Now()
	switch {
	case report.Kind == KindEntry:
		s.round.ledger.Add(*report.Entry)
	case report.Kind == KindStatus:
		// Without -flap a link can be away, too: a busy machine may keep it waiting for longer than its timeout.
		if linkWasAway(board.links[report.Satellite], *report.Status) {
			s.round.ledger.LinkAway(report.Satellite)
		}
	case report.Kind == KindPlayed && s.round.phase == phasePlaying:
		s.round.played[board.config.Satellite] = true
		if len(s.round.played) == s.flags.Satellites {
			s.round.phase = phaseFinishing
			s.board(boardMain).process.Order(Order{Do: DoFinish})
		}
	case report.Kind == KindFinished && s.round.phase == phaseFinishing:
		s.round.phase = phaseSettling
		s.awaitSettled(s.round.number)
	}
	if s.round.phase == phaseSettling && s.round.ledger.Balanced() {
		s.endRound()
	}
}

// awaitSettled ends a round when nothing has been reported for settleLimit.
func (s *Station) awaitSettled(number int) {
	s.agenda.add(s.round.lastReport.Add(settleLimit), func() {
		switch {
		case s.round.number != number || s.round.phase != phaseSettling:
		case time.Since(s.round.lastReport) < settleLimit:
			s.awaitSettled(number)
		default:
			s.endRound()
		}
	})
}

// endRound draws the line under a round that was played to its end.
func (s *Station) endRound() {
	s.closeLedger(false)
	s.round.phase = phaseEnded
	s.rounds++
	if !s.flags.Once {
		number := s.round.number
		s.agenda.add(time.Now().Add(roundPause), func() {
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

// interruptRound is the end of a board: the boards have to meet again. The ledger
// stays open, because those that still run report what they do until they end.
func (s *Station) interruptRound() {
	switch s.round.phase {
	case phasePlaying, phaseFinishing, phaseSettling, phaseEnded:
		s.round.phase = phaseWaiting
		s.expectReady()
	}
}

// closeInterrupted draws the line under a round that was broken off.
func (s *Station) closeInterrupted() {
	if s.round.ledger != nil {
		s.closeLedger(true)
	}
}

// closeLedger adds a round's counts to the totals. Where the round was broken
// off, what is missing was lost with the boards that ended.
func (s *Station) closeLedger(brokenOff bool) {
	for _, problem := range s.round.ledger.Settle(brokenOff) {
		s.problem(problem)
	}
	s.countCurrent()
}

// countCurrent adds the round's counts to the totals. Of a round that the user
// broke off nothing is missing: its messages may be on their way.
func (s *Station) countCurrent() {
	if s.round.ledger == nil {
		return
	}
	for satellite, totals := range s.totals {
		totals.Add(s.round.ledger.Totals(satellite))
	}
	s.round.ledger = nil
}
