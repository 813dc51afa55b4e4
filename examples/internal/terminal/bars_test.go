package terminal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestProgressLine(t *testing.T) {
	for _, test := range []struct {
		done, total int64
		want        string
	}{
		{0, 100, "  main                   [          ]   0 %  note"},
		{9, 100, "  main                   [          ]   9 %  note"},
		{10, 100, "  main                   [#         ]  10 %  note"},
		{99, 100, "  main                   [######### ]  99 %  note"},
		{100, 100, "  main                   [##########] 100 %  note"},
		{200, 100, "  main                   [##########] 100 %  note"},
		{-5, 100, "  main                   [          ]   0 %  note"},
		{5, 0, "  main                   [          ]   0 %  note"},
		{29, 100, "  main                   [##        ]  29 %  note"},
		{1 << 39, 1 << 40, "  main                   [#####     ]  50 %  note"},
	} {
		if got := (Bar{Name: "main", Done: test.done, Total: test.total, Note: "note"}).line(10); got != test.want {
			t.Errorf("%d of %d:\n%q, want\n%q", test.done, test.total, got, test.want)
		}
	}
}

func TestBarBlockFitsTheTerminal(t *testing.T) {
	bars := []Bar{{Name: "a", Done: 1, Total: 1}, {Name: "b", Total: 1}, {Name: "c", Done: 1, Total: 1}, {Name: "d", Total: 1}}
	for limit, want := range map[int]string{
		4: "a b c d", 3: "b c d and 1 more", 2: "b d and 2 more", 1: "b and 3 more",
	} {
		var got []string
		for _, line := range block(bars, limit) {
			name, _, _ := strings.Cut(line, "[")
			got = append(got, strings.TrimSpace(name))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("limit %d shows %q, want %q", limit, text, want)
		}
	}
	if lines := block(nil, 4); len(lines) != 0 {
		t.Errorf("no bars show %q", lines)
	}
}

func TestRedraw(t *testing.T) {
	for _, test := range []struct {
		drawn int
		story string
		block []string
		want  string
	}{
		{0, "once\n", nil, "\x1b[Jonce\n"},
		{0, "", []string{"a", "b"}, "\x1b[J\x1b[?7la\nb\n\x1b[?7h"},
		{2, "", []string{"a"}, "\x1b[2A\x1b[J\x1b[?7la\n\x1b[?7h"},
		{1, "upon\n", []string{"a"}, "\x1b[1A\x1b[Jupon\n\x1b[?7la\n\x1b[?7h"},
	} {
		if got := redraw(test.drawn, test.story, test.block); got != test.want {
			t.Errorf("%d lines, then %q and %q: %q, want %q", test.drawn, test.story, test.block, got, test.want)
		}
	}
}

// terminal understands what the live bars send, and nothing else.
type terminal struct {
	t     *testing.T
	lines []string
	row   int
}

func (s *terminal) Write(p []byte) (int, error) {
	for text := string(p); text != ""; {
		var up int
		switch {
		case strings.HasPrefix(text, "\x1b[J"):
			s.lines, text = s.lines[:s.row], text[len("\x1b[J"):]
		case strings.HasPrefix(text, "\x1b[?7l"), strings.HasPrefix(text, "\x1b[?7h"):
			text = text[len("\x1b[?7l"):]
		case strings.HasPrefix(text, "\x1b["):
			if _, err := fmt.Sscanf(text, "\x1b[%dA", &up); err != nil || up > s.row {
				s.t.Fatalf("%q in row %d", text, s.row)
			}
			s.row -= up
			_, text, _ = strings.Cut(text, "A")
		default:
			line, rest, ended := strings.Cut(text, "\n")
			if !ended || strings.Contains(line, "\x1b") {
				s.t.Fatalf("a line without its end: %q", text)
			}
			s.lines, text = append(s.lines[:s.row], line), rest
			s.row++
		}
	}
	return len(p), nil
}

// TestLiveBars: a bar stays one line, below the story, until it is settled.
func TestLiveBars(t *testing.T) {
	screen := &terminal{t: t}
	view := NewBars(New(screen, true))
	shows := func(want ...string) {
		t.Helper()
		var got []string
		for _, line := range screen.lines {
			got = append(got, strings.Join(strings.Fields(strings.NewReplacer("[", "", "]", "", "#", "").Replace(line)), " "))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the terminal shows %q, want %q", got, want)
		}
	}
	move := func(name string, done int64) { view.Move(Bar{Name: name, Done: done, Total: 1000}) }
	view.Printf("begin")
	move("main", 100)
	move("satellite1", 0)
	move("main", 500)
	shows("begin", "main 50 %", "satellite1 0 %")
	view.Printf("meanwhile")
	move("satellite1", 1000)
	shows("begin", "meanwhile", "main 50 %", "satellite1 100 %")
	move("main", 1000)
	view.Settle()
	view.Printf("content")
	move("main", 10)
	shows("begin", "meanwhile", "main 100 %", "satellite1 100 %", "content", "main 1 %")
	view.Settle()
	view.Settle()
	shows("begin", "meanwhile", "main 100 %", "satellite1 100 %", "content", "main 1 %")
	for i := range 40 {
		move(fmt.Sprintf("satellite%d", i), 1)
	}
	if rows := len(screen.lines) - 6; rows != MaxRows+1 {
		t.Errorf("40 bars take %d rows", rows)
	}
	view.Settle()
	if rows := len(screen.lines) - 6; rows != 40 {
		t.Errorf("40 settled bars take %d rows", rows)
	}
}

// TestLiveBarsDrawOnlyWhatChanges: a file's many pieces are not as many redraws.
func TestLiveBarsDrawOnlyWhatChanges(t *testing.T) {
	var output bytes.Buffer
	view := NewBars(New(&output, true))
	for done := range int64(10_001) {
		view.Move(Bar{Name: "main", Done: done, Total: 10_000})
	}
	if draws := strings.Count(output.String(), "\x1b[J"); draws < 101 || draws > 101+liveBarWidth {
		t.Errorf("%d redraws", draws)
	}
}

// TestPlainBars: a line per tenth, and no control sequence.
func TestPlainBars(t *testing.T) {
	var output bytes.Buffer
	view := NewBars(New(&output, false))
	for done := range int64(1001) {
		view.Move(Bar{Name: "main", Done: done, Total: 1000})
	}
	if lines := strings.Count(output.String(), "\n"); lines != 11 || strings.Contains(output.String(), "\x1b") {
		t.Errorf("%d lines: %q", lines, output.String())
	}
}
