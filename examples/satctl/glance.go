package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// judged is a module with its verdict.
type judged struct {
	*module
	verdict.Verdict
}

// colours are the terminal's for each level.
var colours = map[verdict.Level]string{verdict.Notice: "33", verdict.Trouble: "1;33", verdict.Down: "1;31"}

// glance writes what a person looks for first: the EVSEs as a table, those that need somebody first, and each reason as a
// sentence.
func glance(s *invocation, modules []*module, now time.Time) {
	var all []judged
	agents := verdict.NewAgents()
	for _, m := range modules {
		agents.Add(m.status)
	}
	for _, m := range modules {
		if m.status != nil && agents.Have(m.status) { // its EVSE is that of its controller
			alone := *m.status
			alone.EVSE = nil
			m = &module{client: m.client, name: m.name, status: &alone}
		}
		all = append(all, judged{m, m.judge(now)})
	}
	slices.SortStableFunc(all, func(one, other judged) int {
		return cmp.Or(cmp.Compare(other.Level, one.Level), verdict.Compare(one.evse(), other.evse()), verdict.Compare(one.name, other.name))
	})
	rows := [][]string{{"EVSE", "LEVEL", "STATE", "SINCE", "SESSION", "ENERGY", "POWER", "LIMIT", "TOKEN", "MODULE"}}
	levels := []verdict.Level{verdict.Working}
	for _, one := range all {
		if one.status == nil || one.status.EVSE == nil {
			continue
		}
		told := verdict.Describe(one.status, now)
		rows = append(rows, []string{
			told.Name, one.Level.String(), told.State, verdict.Span(max(0, now.Sub(one.status.EVSE.Since))),
			or(told.Session), or(told.Energy), or(told.Power), or(told.Limit), or(told.Token), one.name,
		})
		levels = append(levels, one.Level)
	}
	if len(rows) > 1 {
		for i, line := range terminal.Table(rows) {
			s.paint(levels[i], line)
		}
		fmt.Fprintln(s.out)
	}
	told := false
	for _, one := range all {
		for _, reason := range one.Reasons {
			s.paint(one.Level, fmt.Sprintf("%-8s %s%s: %s", one.Level, one.evse(), one.name, reason))
			told = true
		}
	}
	if told {
		fmt.Fprintln(s.out)
	}
}

// evse returns the number of the module's EVSE as the begin of a line, empty where there is none.
func (j judged) evse() string {
	if j.status == nil || j.status.EVSE == nil || j.status.EVSE.Number == 0 {
		return ""
	}
	return fmt.Sprintf("EVSE %d, ", j.status.EVSE.Number)
}

// paint writes a line, on a terminal in the colour of a level.
func (s *invocation) paint(level verdict.Level, line string) {
	colour := colours[level]
	if !s.coloured || colour == "" {
		fmt.Fprintln(s.out, line)
		return
	}
	fmt.Fprintf(s.raw, "\x1b[%sm%s\x1b[0m\n", colour, strings.TrimSpace(terminal.Text(line)))
}
