package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// showInterval is how often lines show the state of the station; a terminal shows
// each change.
const showInterval = 5 * time.Second

// show shows the state of the station.
func (s *Station) show() {
	headline := fmt.Sprintf("%6.1f s  round %d, %s, speed %v", time.Since(s.began).Seconds(), s.round.number, s.round.phase, s.flags.Speed)
	switch lines := terminal.Table(s.state()); {
	case s.screen.Live():
		if hidden := len(lines) - 1 - terminal.MaxRows; hidden > 0 {
			lines = append(lines[:1+terminal.MaxRows], fmt.Sprintf("and %d more", hidden))
		}
		s.screen.Block(append([]string{"", headline, ""}, lines...))
	case time.Since(s.shown) >= showInterval:
		s.shown = time.Now()
		s.screen.Printf("%s\n%s", headline, strings.Join(lines, "\n"))
	}
}

// state returns a table with a row for each satellite.
func (s *Station) state() [][]string {
	rows := [][]string{{"satellite", "agent", "controller", "link", "cuts", "resumes", "journal", "variables", "errors", "commands", "round trip p50 / p99", "relay p50 / p99", "last variable"}}
	main := s.board(boardMain)
	for _, board := range s.boards {
		number := board.config.Satellite
		if number == 0 {
			continue
		}
		var totals ledger.Totals
		totals.Add(s.totals[number])
		if s.round.ledger != nil {
			totals.Add(s.round.ledger.Totals(number))
		}
		agent := board.links[number]
		rows = append(rows, []string{
			board.config.Name, linkState(board, number), linkState(main, number), cmp.Or(agent.Dialect, "-"),
			s.cuts(number), fmt.Sprint(board.resumes()), fmt.Sprint(agent.Journal),
			fmt.Sprint(totals.Arrived), fmt.Sprintf("%d raised, %d active", totals.RaisedOnMain, totals.Active()),
			fmt.Sprintf("%d/%d", totals.Answered, totals.Called),
			totals.RoundTrip.String(), totals.Relay.String(), age(board.lastVariable),
		})
	}
	return rows
}

// cuts returns how often -flap has cut a satellite's link.
func (s *Station) cuts(satellite int) string {
	if s.flapping == nil {
		return "-"
	}
	return fmt.Sprint(s.flapping.Cuts(satellite - 1))
}

// linkState returns the state of a satellite's link as a board sees it.
func linkState(board *boardState, satellite int) string {
	if !board.running {
		return "down"
	}
	return cmp.Or(board.links[satellite].State, "starting")
}

func age(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%.1f s ago", time.Since(at).Seconds())
}

// Summary shows what was sent and what arrived, and what is missing.
func (s *Station) Summary() {
	s.screen.Printf("\n%d of %d rounds played to their end\n", s.rounds, s.round.number)
	rows := [][]string{{"satellite", "variables", "to satellite", "errors raised", "cleared", "commands", "round trip p50 / p99", "relay p50 / p99", "cuts", "resumes", "lost", "restarts"}}
	var sum ledger.Totals
	resumes := uint64(0)
	for _, board := range s.boards[1:] {
		totals := s.totals[board.config.Satellite]
		sum.Add(totals)
		resumes += board.resumes()
		rows = append(rows, []string{
			board.config.Name,
			fmt.Sprintf("%d/%d", totals.Arrived, totals.Published),
			fmt.Sprintf("%d/%d", totals.PushArrived, totals.Pushed),
			fmt.Sprintf("%d/%d", totals.RaisedOnMain, totals.Raised),
			fmt.Sprintf("%d/%d", totals.ClearedOnMain, totals.Cleared),
			fmt.Sprintf("%d/%d", totals.Answered, totals.Called),
			totals.RoundTrip.String(), totals.Relay.String(), s.cuts(board.config.Satellite),
			fmt.Sprint(board.resumes()), fmt.Sprint(totals.Lost), fmt.Sprint(board.restarts),
		})
	}
	s.screen.Printf("%s\n\nEach pair is what arrived of what was sent.", strings.Join(terminal.Table(rows), "\n"))
	if s.flapping != nil {
		s.screen.Printf("The links were cut %v, and resumed %d times.", s.flapping, resumes)
	}
	if sum.WithoutLink > 0 {
		s.screen.Printf("%d calls of commands that are repeated every second came while a link was away and were answered at once,\n"+
			"as the link's protocol says; nobody waits for those.", sum.WithoutLink)
	}
	if sum.Unknown > 0 {
		s.screen.Printf("Beside the %d errors, %d of types that EVerest does not know were raised; the main board cannot raise those.", sum.Raised, sum.Unknown)
	}
	if sum.Lost > 0 {
		s.screen.Printf("%d messages were lost with boards that ended: who sent or held them was gone. A round that is broken off is\n"+
			"played again from its beginning; what it lost is no failure of the link and does not change the exit status.", sum.Lost)
	}
	if costs := s.costs.Table("main board", "controller", "satellite board", "agent"); costs != nil {
		s.screen.Printf("\n%s", strings.Join(costs, "\n"))
	}
	switch {
	case len(s.problems) > 0:
		s.screen.Printf("\nNot as it should be:\n  %s", strings.Join(s.problems, "\n  "))
	case s.rounds > 0:
		s.screen.Printf("\nWhatever was played to its end arrived in order and unchanged, every command was answered.")
	}
}

// costSort is the row of a process in the table of costs: that of the board, or of
// its module of the link.
func costSort(board BoardConfig, link bool) string {
	switch {
	case board.Satellite > 0 && link:
		return "agent"
	case board.Satellite > 0:
		return "satellite board"
	case link:
		return "controller"
	}
	return "main board"
}
