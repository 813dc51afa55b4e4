package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
)

// Snapshot is what the station shows of itself.
type Snapshot struct {
	At      time.Duration // since the start
	Round   int
	Phase   string
	Speed   float64
	Columns []string
	// Rows have a cell per column, one row per satellite.
	Rows [][]string
}

// View shows a station.
type View interface {
	// Line shows something that happened.
	Line(text string)
	// Update shows how everything stands.
	Update(Snapshot)
	// Close leaves the output as it should be left.
	Close()
}

var columns = []string{"satellite", "agent", "controller", "link", "cuts", "resumes", "journal", "variables", "errors", "commands", "round trip p50 / p99", "relay p50 / p99", "last variable"}

func (s *Station) snapshot() Snapshot {
	shown := Snapshot{
		At: time.Since(s.began), Round: s.round.number, Phase: string(s.round.phase), Speed: s.flags.Speed, Columns: columns,
	}
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
		shown.Rows = append(shown.Rows, []string{
			board.config.Name, linkState(board, agent), linkState(main, main.links[number]), cmp.Or(agent.Dialect, "-"), s.cutsOf(number), fmt.Sprint(board.resumesOf(number)), fmt.Sprint(agent.Journal),
			fmt.Sprint(totals.Arrived), fmt.Sprintf("%d raised, %d active", totals.RaisedOnMain, totals.Active()),
			fmt.Sprintf("%d/%d", totals.Answered, totals.Called),
			totals.RoundTrip.String(), totals.Relay.String(), age(board.lastVariable),
		})
	}
	return shown
}

// cutsOf is how often -flap has cut a satellite's link.
func (s *Station) cutsOf(satellite int) string {
	if s.flapping == nil {
		return "-"
	}
	return fmt.Sprint(s.flapping.Cuts(satellite - 1))
}

func linkState(board *boardState, status Status) string {
	switch {
	case board.process == nil:
		return "down"
	case status.State == "":
		return "starting"
	}
	return status.State
}

func age(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%.1f s ago", time.Since(at).Seconds())
}

func (s Snapshot) headline() string {
	return fmt.Sprintf("%6.1f s  round %d, %s, speed %v", s.At.Seconds(), s.Round, s.Phase, s.Speed)
}

// table aligns cells below their columns.
func table(columns []string, rows [][]string) []string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{columns}, rows...) {
		// The last cell is not followed by a tab, so no line ends in blanks.
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
}

// NewView shows live where the output is a terminal, and else prints lines.
func NewView(output *os.File, plain bool) View {
	if plain || !isTerminal(output) {
		return &plainView{output: output}
	}
	return &liveView{output: output}
}

// isTerminal says whether the output is a terminal on which lines can be redrawn.
func isTerminal(output *os.File) bool {
	info, err := output.Stat()
	kind := os.Getenv("TERM")
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && kind != "" && kind != "dumb"
}

// plainView prints a line per event, and how everything stands every few seconds.
type plainView struct {
	output io.Writer
	shown  time.Duration
}

// plainInterval is how often the plain view tells how everything stands.
const plainInterval = 5 * time.Second

func (v *plainView) Line(text string) { fmt.Fprintln(v.output, text) }

func (v *plainView) Update(s Snapshot) {
	if s.At < v.shown+plainInterval {
		return
	}
	v.shown = s.At
	fmt.Fprintln(v.output, s.headline())
	for _, line := range table(s.Columns, s.Rows) {
		fmt.Fprintln(v.output, line)
	}
}

func (v *plainView) Close() {}

// liveView redraws a block at the end of the terminal's output: a table, and
// below it what happened last.
type liveView struct {
	output io.Writer
	drawn  int // lines of the block that stands there
	recent []string
}

const (
	liveRecent = 6  // lines of what happened last
	liveRows   = 16 // satellites that fit on a common terminal
)

func (v *liveView) Line(text string) {
	v.recent = append(v.recent, text)
	v.recent = v.recent[max(0, len(v.recent)-liveRecent):]
}

func (v *liveView) Update(s Snapshot) {
	block := []string{s.headline(), ""}
	lines := table(s.Columns, s.Rows)
	if hidden := len(s.Rows) - liveRows; hidden > 0 {
		lines = append(lines[:1+liveRows], fmt.Sprintf("and %d more", hidden))
	}
	block = slices.Concat(block, lines, []string{""}, v.recent)
	var text strings.Builder
	// A line that wraps would break the count of lines: the terminal cuts it off.
	text.WriteString("\x1b[?7l")
	if v.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", v.drawn)
	}
	for _, line := range block {
		text.WriteString("\x1b[2K" + line + "\n")
	}
	text.WriteString("\x1b[J")
	v.drawn = len(block)
	_, _ = io.WriteString(v.output, text.String())
}

// Close lets the terminal wrap lines again.
func (v *liveView) Close() { _, _ = io.WriteString(v.output, "\x1b[?7h") }
