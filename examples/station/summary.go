package main

import (
	"fmt"
	"io"
	"strings"
)

var summaryColumns = []string{"satellite", "variables", "to satellite", "errors raised", "cleared", "commands", "round trip p50 / p99", "relay p50 / p99", "cuts", "resumes", "lost", "restarts"}

// writeSummary writes what was sent and what arrived, and what is missing.
func writeSummary(w io.Writer, s *Station) {
	fmt.Fprintf(w, "\n%d of %d rounds played to their end\n\n", s.rounds, s.round.number)
	var rows [][]string
	lost, unknown, raised, withoutLink, resumes := 0, 0, 0, 0, uint64(0)
	for _, board := range s.boards {
		totals := s.totals[board.config.Satellite]
		if totals == nil {
			continue
		}
		lost += totals.Lost
		unknown += totals.Unknown
		raised += totals.Raised
		resumes += board.resumesOf(board.config.Satellite)
		withoutLink += totals.WithoutLink
		rows = append(rows, []string{
			board.config.Name,
			fmt.Sprintf("%d/%d", totals.Arrived, totals.Published),
			fmt.Sprintf("%d/%d", totals.PushArrived, totals.Pushed),
			fmt.Sprintf("%d/%d", totals.RaisedOnMain, totals.Raised),
			fmt.Sprintf("%d/%d", totals.ClearedOnMain, totals.Cleared),
			fmt.Sprintf("%d/%d", totals.Answered, totals.Called),
			totals.RoundTrip.String(), totals.Relay.String(),
			s.cutsOf(board.config.Satellite), fmt.Sprint(board.resumesOf(board.config.Satellite)),
			fmt.Sprint(totals.Lost), fmt.Sprint(board.restarts),
		})
	}
	for _, line := range table(summaryColumns, rows) {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w, "\nEach pair is what arrived of what was sent.")
	if s.flapping != nil {
		fmt.Fprintf(w, "The links were cut %v, and resumed %d times.\n", s.flapping, resumes)
	}
	if withoutLink > 0 {
		fmt.Fprintf(w, "%d calls of commands that are repeated every second came while a link was away and were answered at once,\n"+
			"as the link's protocol says; nobody waits for those.\n", withoutLink)
	}
	if unknown > 0 {
		fmt.Fprintf(w, "Beside the %d errors, %d of types that EVerest does not know were raised; the main board cannot raise those.\n", raised, unknown)
	}
	if lost > 0 {
		fmt.Fprintf(w, "%d messages were lost with boards that ended: who sent or held them was gone. A round that is broken off is\n"+
			"played again from its beginning; what it lost is no failure of the link and does not change the exit status.\n", lost)
	}
	for i, line := range s.costs.table() {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, line)
	}
	switch {
	case len(s.problems) > 0:
		fmt.Fprintf(w, "\nNot as it should be:\n  %s\n", strings.Join(s.problems, "\n  "))
	case s.rounds > 0:
		fmt.Fprintln(w, "\nWhatever was played to its end arrived in order and unchanged, every command was answered.")
	}
}
