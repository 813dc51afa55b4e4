package page

import (
	"math"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// counter remembers when a counter of a module grew, so that something that
// happened once stays visible for a while.
type counter struct {
	value uint64
	known bool
	grew  []growth
}

type growth struct {
	at time.Time
	by uint64
}

// observe takes the counter's value. One that shrinks has begun anew with its
// module; what a module counted before it was first seen is not new.
func (c *counter) observe(now time.Time, value uint64) {
	switch {
	case !c.known, value == c.value:
	case value > c.value:
		c.grew = append(c.grew, growth{now, value - c.value})
	case value > 0:
		c.grew = append(c.grew, growth{now, value})
	}
	c.value, c.known = value, true
	for len(c.grew) > 0 && now.Sub(c.grew[0].at) > memory {
		c.grew = c.grew[1:]
	}
}

// within is by how much the counter grew in the last while.
func (c *counter) within(now time.Time, while time.Duration) uint64 {
	var sum uint64
	for _, g := range c.grew {
		if now.Sub(g.at) <= while {
			sum += g.by
		}
	}
	return sum
}

// watch is what is remembered of one module to judge its next snapshot.
type watch struct {
	status control.Status
	taken  time.Time

	givenUp, rejected, failed, dropped counter
	// breaks counts how often the module or its link came back.
	breaks   counter
	restarts uint64
	slow     int // samples above slowLatency in a row
	sample   Sample
}

// observe takes a snapshot that was read at a time.
func (w *watch) observe(now time.Time, status control.Status) {
	before, since := w.status, now.Sub(w.taken).Seconds()
	first := w.taken.IsZero()
	if !first && !before.Started.Equal(status.Started) {
		w.restarts++
	}
	w.status, w.taken = status, now
	w.sample = noSample
	waiting, lines := 0, false
	if status.Everest != nil {
		lines = true
		for _, queue := range status.Everest.Queues {
			waiting += queue.Depth
		}
	}
	if link := status.Link; link != nil {
		lines = true
		waiting += link.Backlog
		if agent := agentLink(&status); agent != nil && agent.Journal != nil {
			waiting += agent.Journal.Events
		}
		w.givenUp.observe(now, link.GivenUp)
		w.rejected.observe(now, link.PeersRejected)
		w.failed.observe(now, link.CommandErrors)
		w.dropped.observe(now, link.Dropped)
		w.breaks.observe(now, link.Resumes+link.Isolations+w.restarts)
		if link.Latency != nil && link.Latency.Samples > 0 {
			w.sample.Latency = Value(link.Latency.Last)
		}
		if link.ActiveErrors != nil {
			w.sample.Errors = Value(*link.ActiveErrors)
		}
		if !first && before.Link != nil && before.Started.Equal(status.Started) && since > 0 {
			w.sample.Variables = Value(math.Max(0, float64(moved(link))-float64(moved(before.Link))) / since)
		}
	}
	if lines {
		w.sample.Queue = Value(waiting)
	}
	if w.sample.Latency > slowLatency {
		w.slow++
	} else {
		w.slow = 0
	}
}

// moved is what a link has carried: what the controller published, what the agent
// collected.
func moved(link *control.Link) uint64 {
	if link.Role == "agent" {
		return link.Collected
	}
	return link.Variables
}

// peerLink is the link as the module on the other board sees it, nil where that
// is not known.
func peerLink(status *control.Status) *control.Link {
	if status.Peer == nil || status.Peer.Status == nil {
		return nil
	}
	return status.Peer.Status.Link
}

// agentLink is the link as the agent sees it: the module itself, or the one that
// the controller asked.
func agentLink(status *control.Status) *control.Link {
	for _, link := range []*control.Link{status.Link, peerLink(status)} {
		if link != nil && link.Role == "agent" {
			return link
		}
	}
	return nil
}

// measures are the series that a module of its kind has, whether or not there is
// a value just now.
func measures(status control.Status) []string {
	switch {
	case status.Link != nil && status.Link.Role == "agent" && status.Link.ActiveErrors != nil:
		return []string{"variables_per_s", "queue", "errors"}
	case status.Link != nil && status.Link.Role == "agent":
		return []string{"variables_per_s", "queue"}
	case status.Link != nil:
		return []string{"latency_s", "variables_per_s", "queue", "errors"}
	case status.Everest != nil:
		return []string{"queue"}
	}
	return []string{}
}
