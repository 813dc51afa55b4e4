package main

import (
	"fmt"
	"time"
)

// calls follows the calls of one command from the main board.
type calls struct {
	pending map[uint64]time.Time
	failed  int
	failure string // of the last one that failed
}

func (c *calls) called(report Report) { c.pending[report.Call] = time.Unix(0, report.At) }

// answered ends a call and returns how long it took, where there was an answer.
func (c *calls) answered(report Report) (time.Duration, bool) {
	start, known := c.pending[report.Call]
	if !known {
		return 0, false
	}
	delete(c.pending, report.Call)
	if report.Failure != "" {
		c.failed++
		c.failure = report.Failure
		return 0, false
	}
	return time.Unix(0, report.At).Sub(start), true
}

// problems says which calls had no answer. Where a board was killed, their
// answers are lost with it.
func (c *calls) problems(killed bool) []string {
	if killed {
		return nil
	}
	var problems []string
	if len(c.pending) > 0 {
		problems = append(problems, fmt.Sprintf("%d calls without an answer", len(c.pending)))
	}
	if c.failed > 0 {
		problems = append(problems, fmt.Sprintf("%d calls failed, the last with: %s", c.failed, c.failure))
	}
	return problems
}
