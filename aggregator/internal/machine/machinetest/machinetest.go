// Package machinetest plays stories to the pure machines of the aggregator: written ones, and random ones.
//
// A written story is a file in testdata. A line at its margin is an event; the indented lines after it are the actions.
// # begins a comment:
//
//	station of 2 boards
//	request 7 signed
//	  ask every board
//	every board responds Accepted
//	  reply Accepted
//
// go test -rewrite replaces the actions by those of the machine.
package machinetest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	rewrite   = flag.Bool("rewrite", false, "write the machine's actions into the stories of testdata; read the difference before it is committed")
	histories = flag.Int("histories", 3000, "random histories of the property tests; CI plays 100000")
	seed      = flag.Uint64("seed", 1, "seed of the random histories; 0 takes the time, to look for new ones")
)

// Forms are the kinds of lines of a story. A word in angle brackets is a value. A line that begins with "every board"
// is the form that begins with "board <board>", played for each board. A form sends its event to the machine and
// returns the actions, one a line.
type Forms map[string]func(*Values) []string

// Values are the values of a line by their names.
type Values struct {
	words map[string]string
	err   error
}

// Int returns a number.
func (v *Values) Int(name string) int { return int(v.Int64(name)) }

// Int64 returns a number.
func (v *Values) Int64(name string) int64 {
	number, err := strconv.ParseInt(v.words[name], 10, 64)
	if err != nil {
		v.err = err
	}
	return number
}

// Name returns a value of an enumeration.
func Name[T any](v *Values, name string, parse func(string) (T, bool)) T {
	value, ok := parse(v.words[name])
	if !ok {
		v.err = fmt.Errorf("%q is not a %T", v.words[name], value)
	}
	return value
}

// Stories plays the stories of testdata. start makes a machine and returns its forms; the line "station of <n> boards"
// calls it.
func Stories(t *testing.T, start func(boards int) Forms) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories in testdata: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tell(string(want), start)
			if err != nil {
				t.Fatalf("%s:%v", path, err)
			}
			if *rewrite {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-story +machine):\n%s", path, diff)
			}
		})
	}
}

// tell returns the story with the machine's actions.
func tell(story string, start func(boards int) Forms) (string, error) {
	var told strings.Builder
	var forms Forms
	boards := 0
	for number, line := range strings.Split(strings.TrimRight(story, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&told, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := fmt.Sscanf(line, "station of %d boards", &boards); err == nil {
			forms = start(boards)
			continue
		}
		lines := []string{line}
		if rest, ok := strings.CutPrefix(line, "every board "); ok {
			lines = nil
			for board := range boards {
				lines = append(lines, fmt.Sprintf("board %d %s", board, rest))
			}
		}
		for _, line := range lines {
			actions, err := forms.play(line)
			if err != nil {
				return "", fmt.Errorf("%d: %w", number+1, err)
			}
			for _, action := range actions {
				fmt.Fprintf(&told, "  %s\n", action)
			}
		}
	}
	return told.String(), nil
}

func (f Forms) play(line string) ([]string, error) {
	for form, play := range f {
		if values := match(form, line); values != nil {
			actions := play(values)
			return actions, values.err
		}
	}
	return nil, fmt.Errorf("no such line: %q", line)
}

// match returns the values of a line, nil for a line of another form.
func match(form, line string) *Values {
	want, got := strings.Fields(form), strings.Fields(line)
	if len(want) != len(got) {
		return nil
	}
	values := &Values{words: map[string]string{}}
	for i, word := range want {
		if name, ok := strings.CutPrefix(word, "<"); ok {
			values.words[strings.TrimSuffix(name, ">")] = got[i]
		} else if word != got[i] {
			return nil
		}
	}
	return values
}

// Histories plays random histories, each from its own seed, and reports the seed and the history that fails. Only the
// second run of a failed history is told, so that a good one costs nothing.
func Histories(t *testing.T, play func(random *rand.Rand, tell func(string, ...any)) error) {
	t.Helper()
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	t.Logf("%d histories from -seed=%d", *histories, first)
	for i := range *histories {
		random := func() *rand.Rand { return rand.New(rand.NewPCG(first, uint64(i))) }
		if play(random(), func(string, ...any) {}) == nil {
			continue
		}
		var story strings.Builder
		err := play(random(), func(format string, arguments ...any) { fmt.Fprintf(&story, format+"\n", arguments...) })
		t.Fatalf("seed %d, history %d: %v\n%s", first, i, err, story.String())
	}
}

// Rewrite reports whether files of testdata are to be rewritten.
func Rewrite() bool { return *rewrite }

// Enough reports whether enough histories are played for each kind of end to come up.
func Enough() bool { return *histories >= 1000 }
