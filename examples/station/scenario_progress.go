package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// boardProgress is how far one board, or the archive, is.
type boardProgress struct {
	Name string
	// Done of Total; whoever does not know Total has nothing to draw.
	Done, Total int64
	// Note says more of it, such as an amount or a status.
	Note string
}

// parts is how many of so many equal parts are done.
func (p boardProgress) parts(of int64) int64 {
	switch {
	case p.Total <= 0 || p.Done <= 0:
		return 0
	case p.Done >= p.Total:
		return of
	}
	return of * p.Done / p.Total
}

// line is a bar of that many characters, between a name and figures.
func (p boardProgress) line(width int) string {
	done := int(p.parts(int64(width)))
	return fmt.Sprintf("  %-22s [%s%s] %3d %%  %s", p.Name, strings.Repeat("#", done), strings.Repeat(" ", width-done), p.parts(100), p.Note)
}

// scenarioView shows a scenario: its story, and a bar for each board. It is safe for concurrent use.
type scenarioView interface {
	// Line adds a line to the story.
	Line(text string)
	// Progress moves a board's bar.
	Progress(p boardProgress)
	// Settle leaves the bars as they are; the next progress begins new ones.
	Settle()
}

// newScenarioView draws bars where the output is a terminal, and else prints lines.
func newScenarioView(output io.Writer, terminal bool) scenarioView {
	if terminal {
		return &liveBars{output: output}
	}
	return &plainBars{output: output, tenths: map[string]int64{}}
}

// plainBars prints a line for every tenth of a board's progress.
type plainBars struct {
	mu     sync.Mutex
	output io.Writer
	tenths map[string]int64
}

const plainBarWidth = 10

func (v *plainBars) Line(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintln(v.output, text)
}

func (v *plainBars) Progress(p boardProgress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	tenths := p.parts(plainBarWidth)
	if last, drawn := v.tenths[p.Name]; drawn && tenths == last {
		return
	}
	v.tenths[p.Name] = tenths
	fmt.Fprintln(v.output, p.line(plainBarWidth))
}

func (v *plainBars) Settle() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.tenths)
}

// liveBars redraws a block of bars at the end of the terminal's output; the story goes on above it.
type liveBars struct {
	mu     sync.Mutex
	output io.Writer
	bars   []boardProgress
	shown  []string // lines of the block that stands there
}

const liveBarWidth = 30

func (v *liveBars) Line(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.draw([]string{text}, v.shown)
}

func (v *liveBars) Progress(p boardProgress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := slices.IndexFunc(v.bars, func(bar boardProgress) bool { return bar.Name == p.Name }); i >= 0 {
		v.bars[i] = p
	} else {
		v.bars = append(v.bars, p)
	}
	// Progress comes for every piece of a file; most of it changes nothing that can be seen.
	if block := barBlock(v.bars, liveRows); !slices.Equal(block, v.shown) {
		v.draw(nil, block)
	}
}

func (v *liveBars) Settle() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.bars) > 0 {
		v.draw(nil, barBlock(v.bars, len(v.bars)))
	}
	v.bars, v.shown = nil, nil
}

func (v *liveBars) draw(story, block []string) {
	_, _ = io.WriteString(v.output, redraw(len(v.shown), story, block))
	v.shown = block
}

// barBlock has a line for each bar. Where there are more than the limit, those that are complete make room first: a block
// that is higher than the terminal could not be redrawn.
func barBlock(bars []boardProgress, limit int) []string {
	hide := len(bars) - limit
	complete := hide
	var lines []string
	for _, bar := range bars {
		switch {
		case complete > 0 && bar.Done >= bar.Total:
			complete--
		case len(lines) < limit:
			lines = append(lines, bar.line(liveBarWidth))
		}
	}
	if hide > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", hide))
	}
	return lines
}

// redraw is what a terminal has to be sent to replace the last lines, of which there are drawn, by a story and a block.
func redraw(drawn int, story, block []string) string {
	var text strings.Builder
	if drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", drawn)
	}
	text.WriteString("\x1b[J")
	for _, line := range story {
		text.WriteString(line + "\n")
	}
	if len(block) > 0 {
		// A line that wraps would break the count of lines: the terminal cuts it off.
		text.WriteString("\x1b[?7l" + strings.Join(block, "\n") + "\n\x1b[?7h")
	}
	return text.String()
}
