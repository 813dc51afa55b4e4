package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// The thresholds of the page. doc/prometheus/alerts.yaml has the same numbers.
const (
	// memory is how long a single event stays on the page.
	memory = 15 * time.Minute
	// startLimit is how long a module may take to reach its peer.
	startLimit = 2 * time.Minute
	// slowLatency is in seconds. A link with slowSamples round trips above it in a row is slow.
	slowLatency = 0.5
	slowSamples = 10
	// flapping is how many breaks within memory are trouble.
	flapping = 3
	// journalNotice and journalTrouble are shares of the journal's bounds.
	journalNotice, journalTrouble = 0.5, 0.8
	// certificateNotice and certificateTrouble are times until a certificate expires.
	certificateNotice, certificateTrouble = 30 * 24 * time.Hour, 7 * 24 * time.Hour
)

// assessment is a level with its reasons.
type assessment struct {
	level   Level
	reasons []string
}

func (a *assessment) add(level Level, format string, arguments ...any) {
	a.level = max(a.level, level)
	a.reasons = append(a.reasons, fmt.Sprintf(format, arguments...))
}

// assess rates a module that responds.
func (w *watch) assess(now time.Time) (Level, []string) {
	a := assessment{reasons: []string{}}
	w.assessHealth(&a, now)
	if link := w.status.Link; link != nil {
		w.assessLink(&a, now, link)
		assessCertificate(&a, now, "The board's", link.CertificateExpires)
		if peer := peerLink(&w.status); peer != nil {
			assessCertificate(&a, now, "The other board's", peer.CertificateExpires)
		}
	}
	return a.level, a.reasons
}

func (w *watch) assessHealth(a *assessment, now time.Time) {
	problem := w.status.Problem
	switch w.status.Health {
	case control.Healthy:
	case control.Starting:
		if problem == "" {
			problem = "It waits for the other board."
		}
		running := now.Sub(w.status.Started)
		if running > startLimit {
			a.add(Trouble, "Not in service %s after its start. %s", duration(running), problem)
		} else {
			a.add(Notice, "Starting. %s", problem)
		}
	default:
		if problem == "" {
			problem = fmt.Sprintf("The module reports %s, in state %s. Its log says more.", w.status.Health, w.status.State)
		}
		a.add(Trouble, "%s", problem)
	}
}

func (w *watch) assessLink(a *assessment, now time.Time, link *control.Link) {
	if breaks := w.breaks.within(now, memory); breaks >= flapping {
		a.add(Trouble, "The link broke %d times in the last 15 minutes: check cable, switch and power of the satellite.", breaks)
	}
	if lost := w.givenUp.within(now, memory); lost > 0 {
		a.add(Trouble, "%s given up in the last 15 minutes, because the journal was full: they never reached the main board.", count(lost, "event was", "events were"))
	}
	if agent := agentLink(&w.status); agent != nil {
		if share := journalShare(agent.Journal); share >= journalTrouble {
			a.add(Trouble, "The satellite's journal is %.0f %% full: events are lost when it is. The controller does not take them.", share*100)
		} else if share >= journalNotice {
			a.add(Notice, "The satellite's journal is %.0f %% full.", share*100)
		}
	}
	if w.slow >= slowSamples {
		a.add(Notice, "The link is slow: an answer takes %s.", seconds(link.Latency.Last))
	}
	if rejected := w.rejected.within(now, memory); rejected > 0 {
		a.add(Notice, "%s refused in the last 15 minutes: the log names address and reason.", count(rejected, "peer was", "peers were"))
	}
	if failed := w.failed.within(now, memory); failed > 0 {
		a.add(Notice, "%s failed in the last 15 minutes.", count(failed, "command", "commands"))
	}
	if len(link.TunnelDifferences) > 0 {
		a.add(Notice, "The boards do not tunnel the same interfaces: %s.", strings.Join(link.TunnelDifferences, "; "))
	}
	if dropped := w.dropped.within(now, memory); dropped > 0 {
		a.add(Notice, "%s could not be published in the last 15 minutes: the log says which.", count(dropped, "event", "events"))
	}
}

// journalShare returns how full a journal is, by events or by bytes, whichever is fuller.
func journalShare(journal *control.Journal) float64 {
	if journal == nil {
		return 0
	}
	share := 0.0
	if journal.MaxEvents > 0 {
		share = float64(journal.Events) / float64(journal.MaxEvents)
	}
	if journal.MaxBytes > 0 {
		share = max(share, float64(journal.Bytes)/float64(journal.MaxBytes))
	}
	return share
}

func assessCertificate(a *assessment, now time.Time, whose string, expires *time.Time) {
	if expires == nil {
		return
	}
	switch left := expires.Sub(now); {
	case left <= 0:
		a.add(Trouble, "%s certificate expired on %s: the link is refused. Renew it with satkeys.", whose, expires.Format(time.DateOnly))
	case left < certificateTrouble:
		a.add(Trouble, "%s certificate expires in %s: renew it with satkeys.", whose, duration(left))
	case left < certificateNotice:
		a.add(Notice, "%s certificate expires in %s: renew it with satkeys.", whose, duration(left))
	}
}
