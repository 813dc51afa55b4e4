package page

import (
	"math"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// watch is what rating a module needs of its earlier snapshots.
type watch struct {
	status control.Status
	taken  time.Time

	givenUp, rejected, failed, dropped counter
	// breaks counts restarts of the module and resumes and isolations of its link.
	breaks   counter
	restarts uint64
	slow     int // how many samples in a row were above slowLatency
	sample   Sample
}

// observe records a snapshot that was read at now.
func (w *watch) observe(now time.Time, status control.Status) {
	before, since := w.status, now.Sub(w.taken).Seconds()
	first := w.taken.IsZero()
	if !first && !before.Started.Equal(status.Started) {
		w.restarts++
	}
	w.status, w.taken = status, now
	w.sample = noSample
	waiting, queues := 0, false
	if status.Everest != nil {
		queues = true
		for _, queue := range status.Everest.Queues {
			waiting += queue.Depth
		}
	}
	if link := status.Link; link != nil {
		queues = true
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
	if queues {
		w.sample.Queue = Value(waiting)
	}
	if w.sample.Latency > slowLatency {
		w.slow++
	} else {
		w.slow = 0
	}
}

// moved returns how many events a link has carried: those that the controller has published or the agent has collected.
func moved(link *control.Link) uint64 {
	if link.Role == "agent" {
		return link.Collected
	}
	return link.Variables
}

// peerLink returns the link in the status of the peer, nil where it is not known.
func peerLink(status *control.Status) *control.Link {
	if status.Peer == nil || status.Peer.Status == nil {
		return nil
	}
	return status.Peer.Status.Link
}

// agentLink returns the link in the status of the agent, which is this module or its peer. It is nil where it is not
// known.
func agentLink(status *control.Status) *control.Link {
	for _, link := range []*control.Link{status.Link, peerLink(status)} {
		if link != nil && link.Role == "agent" {
			return link
		}
	}
	return nil
}

// measures returns the series that this kind of module has, whether or not they have a value now.
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
