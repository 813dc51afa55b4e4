//go:build linux

package campaign

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// Outcome is the result of a fault.
type Outcome struct {
	Fault Fault
	// Ready is the time from a kill until both boards are ready again; 0 for other faults. Recovered is the time until an
	// event and commands have arrived that began after the fault: counted from the fault's end, or from the kill.
	Ready, Recovered time.Duration
	Resumes          int
	// Lost counts the events that never arrived. Oldest is how long before the kill the first of them was published; After
	// counts those that were published after the kill, to a board that was going down. Logged counts the events that were
	// lost according to the agent's log.
	Lost, After, Logged int
	Oldest              time.Duration
	// Pushes counts the variables of the main board that never arrived on the satellite.
	Pushes int
	// Lives counts the starts of boards.
	Lives int
}

// String returns one line.
func (o Outcome) String() string {
	text := string(o.Fault.Kind)
	switch {
	case o.Fault.For > 0 && o.Fault.Kind.Kills():
		text += fmt.Sprintf(" after %d ms without a link", o.Fault.For.Milliseconds())
	case o.Fault.For > 0:
		text += fmt.Sprintf(" for %d ms", o.Fault.For.Milliseconds())
	}
	if o.Fault.Kind.Kills() {
		return text + fmt.Sprintf(": both boards ready after %d ms, at work after %d ms, %d starts; %d events lost, from %.1f ms before, %d of them published after it; %d variables for the satellite; the agent logs %d",
			o.Ready.Milliseconds(), o.Recovered.Milliseconds(), o.Lives, o.Lost, milliseconds(o.Oldest), o.After, o.Pushes, o.Logged)
	}
	return text + fmt.Sprintf(": at work after %d ms, %d resumes", o.Recovered.Milliseconds(), o.Resumes)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// writeTables writes the outcomes by kind, as tables in Markdown.
func writeTables(w io.Writer, outcomes []Outcome) {
	fmt.Fprintln(w, "\n| fault | count | resumes | at work again, p50 / p99 / max, ms |\n|---|---|---|---|")
	for _, kind := range kinds {
		if of := ofKind(outcomes, kind.kind); len(of) > 0 && !kind.kind.Kills() {
			resumes := 0
			for _, outcome := range of {
				resumes += outcome.Resumes
			}
			fmt.Fprintf(w, "| %s | %d | %d | %s |\n", kind.kind, len(of), resumes, spread(of, func(o Outcome) time.Duration { return o.Recovered }))
		}
	}
	if !slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Fault.Kind.Kills() }) {
		return
	}
	fmt.Fprintln(w, "\n| killed, or away too long | count | both boards ready, p50 / p99 / max, ms | at work again, p50 / p99 / max, ms | board starts "+
		"| events lost | published at most so long before, ms | published after it | lost, as the agent logs | variables for the satellite lost |\n"+
		"|---|---|---|---|---|---|---|---|---|---|")
	for _, kind := range kinds {
		of := ofKind(outcomes, kind.kind)
		if len(of) == 0 || !kind.kind.Kills() {
			continue
		}
		var sum Outcome
		for _, outcome := range of {
			sum.Lost += outcome.Lost
			sum.After += outcome.After
			sum.Logged += outcome.Logged
			sum.Pushes += outcome.Pushes
			sum.Lives += outcome.Lives
			sum.Oldest = max(sum.Oldest, outcome.Oldest)
		}
		fmt.Fprintf(w, "| %s | %d | %s | %s | %d | %d | %.1f | %d | %d | %d |\n", kind.kind, len(of),
			spread(of, func(o Outcome) time.Duration { return o.Ready }), spread(of, func(o Outcome) time.Duration { return o.Recovered }),
			sum.Lives, sum.Lost, milliseconds(sum.Oldest), sum.After, sum.Logged, sum.Pushes)
	}
}

func ofKind(outcomes []Outcome, kind Kind) (of []Outcome) {
	for _, outcome := range outcomes {
		if outcome.Fault.Kind == kind {
			of = append(of, outcome)
		}
	}
	return of
}

// spread returns p50, p99 and the maximum of a measurement in milliseconds.
func spread(outcomes []Outcome, of func(Outcome) time.Duration) string {
	var all []time.Duration
	for _, outcome := range outcomes {
		all = append(all, of(outcome))
	}
	slices.Sort(all)
	at := func(p float64) int64 { return all[max(1, int(math.Ceil(p*float64(len(all)))))-1].Milliseconds() }
	return fmt.Sprintf("%d / %d / %d", at(0.50), at(0.99), at(1))
}
