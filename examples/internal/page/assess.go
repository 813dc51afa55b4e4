package page

import (
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// The thresholds of the page. doc/prometheus/alerts.yaml has the same numbers.
const (
	// memory is how long a single event stays on the page.
	memory = 15 * time.Minute
	// slowLatency is in seconds. A link with slowSamples round trips above it in a row is slow.
	slowLatency = 0.5
	slowSamples = 10
	// flapping is how many breaks within memory are trouble.
	flapping = 3
	// journalNotice and journalTrouble are shares of the journal's bounds.
	journalNotice, journalTrouble = 0.5, 0.8
)

// assess rates a module that responds, also by what it said before.
func (w *watch) assess(now time.Time) verdict.Verdict {
	v := verdict.Of(&w.status, now)
	if link := w.status.Link; link != nil {
		w.assessLink(&v, now, link)
	}
	return v
}

func (w *watch) assessLink(v *verdict.Verdict, now time.Time, link *control.Link) {
	// A path that swallows long packets breaks the link, too, and says what to do.
	if breaks := w.breaks.within(now, memory); breaks >= flapping && !swallows(&w.status) {
		v.Add(verdict.Trouble, "The link broke %d times in the last 15 minutes: check cable, switch and power of the satellite.", breaks)
	}
	if lost := w.givenUp.within(now, memory); lost > 0 {
		v.Add(verdict.Trouble, "%s given up in the last 15 minutes, because the journal was full: they never reached the main board.", verdict.Count(lost, "event was", "events were"))
	}
	if agent := agentLink(&w.status); agent != nil {
		if share := verdict.JournalShare(agent.Journal); share >= journalTrouble {
			v.Add(verdict.Trouble, "The satellite's journal is %.0f %% full: events are lost when it is. The controller does not take them.", share*100)
		} else if share >= journalNotice {
			v.Add(verdict.Notice, "The satellite's journal is %.0f %% full.", share*100)
		}
	}
	if w.slow >= slowSamples {
		v.Add(verdict.Notice, "The link is slow: an answer takes %s.", verdict.Seconds(link.Latency.Last))
	}
	if rejected := w.rejected.within(now, memory); rejected > 0 {
		v.Add(verdict.Notice, "%s refused in the last 15 minutes: the log names address and reason.", verdict.Count(rejected, "peer was", "peers were"))
	}
	if failed := w.failed.within(now, memory); failed > 0 {
		v.Add(verdict.Notice, "%s failed in the last 15 minutes.", verdict.Count(failed, "command", "commands"))
	}
	if len(link.TunnelDifferences) > 0 {
		v.Add(verdict.Notice, "The boards do not tunnel the same interfaces: %s.", strings.Join(link.TunnelDifferences, "; "))
	}
	if dropped := w.dropped.within(now, memory); dropped > 0 {
		v.Add(verdict.Notice, "%s could not be published in the last 15 minutes: the log says which.", verdict.Count(dropped, "event", "events"))
	}
}

// swallows reports whether one of the boards suspects that the network swallows long packets.
func swallows(status *control.Status) bool {
	peer := peerLink(status)
	return status.Link != nil && status.Link.Path != "" || peer != nil && peer.Path != ""
}
