package terminal

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Bar is how far one thing is.
type Bar struct {
	Name string
	// Done of Total, which is above 0.
	Done, Total int64
	// Note is shown behind the bar, such as an amount or a status.
	Note string
}

// parts returns how many of a number of equal parts are done.
func (b Bar) parts(of int64) int64 {
	switch {
	case b.Total <= 0 || b.Done <= 0:
		return 0
	case b.Done >= b.Total:
		return of
	}
	return of * b.Done / b.Total
}

// line draws a bar of that many characters, between a name and figures.
func (b Bar) line(width int) string {
	done := int(b.parts(int64(width)))
	return fmt.Sprintf("  %-22s [%s%s] %3d %%  %s", b.Name, strings.Repeat("#", done), strings.Repeat(" ", width-done), b.parts(100), b.Note)
}

const liveBarWidth, plainBarWidth = 30, 10

// Bars shows bars as the block of a screen. On a screen that is not live it writes
// a line for every tenth of a bar. It is safe for concurrent use.
type Bars struct {
	*Screen

	mu   sync.Mutex
	bars []Bar
}

// NewBars returns the bars of a screen, at first none.
func NewBars(screen *Screen) *Bars { return &Bars{Screen: screen} }

// Move moves the bar of that name.
func (b *Bars) Move(bar Bar) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := Bar{Done: -1}
	if i := slices.IndexFunc(b.bars, func(other Bar) bool { return other.Name == bar.Name }); i >= 0 {
		last, b.bars[i] = b.bars[i], bar
	} else {
		b.bars = append(b.bars, bar)
	}
	if b.Live() {
		b.Block(block(b.bars, MaxRows))
	} else if last.Done < 0 || last.parts(plainBarWidth) != bar.parts(plainBarWidth) {
		b.Printf("%s", bar.line(plainBarWidth))
	}
}

// Settle leaves the bars as they are; the next Move begins new ones.
func (b *Bars) Settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.bars) > 0 {
		b.Block(block(b.bars, len(b.bars)))
	}
	b.bars = nil
	b.Screen.Settle()
}

// block returns a line for each bar. Where there are more than the limit, it leaves
// complete ones out first.
func block(bars []Bar, limit int) []string {
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
