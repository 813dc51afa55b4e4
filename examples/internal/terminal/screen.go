// Package terminal shows a program's progress: lines of what happened, and below
// them a block that is redrawn in place where the output is a terminal.
package terminal

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// MaxRows is how many rows of a block fit on a common terminal. A block that is
// higher than the terminal cannot be redrawn.
const MaxRows = 16

// Screen writes lines, and on a terminal a block below them. It is safe for
// concurrent use.
type Screen struct {
	live bool

	mu     sync.Mutex
	output io.Writer
	shown  []string // the block below the lines
}

// New returns a screen; without live it writes lines only.
func New(output io.Writer, live bool) *Screen { return &Screen{output: output, live: live} }

// IsTerminal reports whether lines of the output can be redrawn.
func IsTerminal(output *os.File) bool {
	info, err := output.Stat()
	kind := os.Getenv("TERM")
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && kind != "" && kind != "dumb"
}

// Live reports whether the screen shows blocks.
func (s *Screen) Live() bool { return s.live }

// Printf writes lines, above the block.
func (s *Screen) Printf(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, arguments...)
	if !s.live {
		_, _ = io.WriteString(s.output, text+"\n")
		return
	}
	s.draw(text+"\n", s.shown)
}

// Block replaces the block. A screen that is not live does nothing.
func (s *Screen) Block(block []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live && !slices.Equal(block, s.shown) {
		s.draw("", slices.Clone(block))
	}
}

// Settle leaves the block as it is: the next line or block comes below it.
func (s *Screen) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = nil
}

func (s *Screen) draw(lines string, block []string) {
	_, _ = io.WriteString(s.output, redraw(len(s.shown), lines, block))
	s.shown = block
}

// redraw returns what a terminal must be sent to replace its last lines, of which
// there are drawn, by other lines and a block.
func redraw(drawn int, lines string, block []string) string {
	var text strings.Builder
	if drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", drawn)
	}
	text.WriteString("\x1b[J" + lines)
	if len(block) > 0 {
		// A line that wraps would break the count of lines: the terminal cuts it off.
		text.WriteString("\x1b[?7l" + strings.Join(block, "\n") + "\n\x1b[?7h")
	}
	return text.String()
}

// Table aligns the cells of rows below each other, and returns a line for each row.
func Table(rows [][]string) []string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		// The last cell is not followed by a tab, so no line ends in blanks.
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
}
