package page

import (
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// step is a snapshot of a controller, some seconds after noon.
type step struct {
	after  time.Duration
	change func(status *control.Status)
}

func at(after time.Duration, change func(status *control.Status)) step { return step{after, change} }

func TestAssess(t *testing.T) {
	expires := func(in time.Duration) func(*control.Status) {
		return func(s *control.Status) { end := noon.Add(in); s.Link.CertificateExpires = &end }
	}
	journal := func(events, size int) func(*control.Status) {
		return func(s *control.Status) {
			s.Link.Role = "agent"
			s.Link.Journal = &control.Journal{Events: events, Bytes: size, MaxEvents: 1000, MaxBytes: 1000}
		}
	}
	nothing := func(*control.Status) {}
	for name, test := range map[string]struct {
		steps []step
		// then is how long after the last step the module is rated.
		then   time.Duration
		level  verdict.Level
		reason string
	}{
		"all is well":       {[]step{at(0, nothing)}, 0, verdict.Working, ""},
		"starting":          {[]step{at(0, func(s *control.Status) { s.Health = control.Starting })}, 0, verdict.Notice, "waits for the other board"},
		"starting for long": {[]step{at(0, func(s *control.Status) { s.Health, s.Started = control.Starting, noon.Add(-3*time.Minute) })}, 0, verdict.Down, "3 min after its start"},
		"degraded": {[]step{at(0, func(s *control.Status) { s.Health, s.Problem = control.Degraded, "No answer: check the cable." })},
			0, verdict.Trouble, "No answer: check the cable."},
		"degraded without a word": {[]step{at(0, func(s *control.Status) { s.Health = control.Degraded })}, 0, verdict.Trouble, "state Working"},
		"an unknown health":       {[]step{at(0, func(s *control.Status) { s.Health = "odd" })}, 0, verdict.Trouble, "reports odd"},

		"certificate for a year":   {[]step{at(0, expires(365*24*time.Hour))}, 0, verdict.Working, ""},
		"certificate for a month":  {[]step{at(0, expires(29*24*time.Hour))}, 0, verdict.Notice, "expires in 29 days"},
		"certificate for a day":    {[]step{at(0, expires(26*time.Hour))}, 0, verdict.Trouble, "expires in 26 h 0 min"},
		"certificate that expired": {[]step{at(0, expires(-time.Hour))}, 0, verdict.Trouble, "expired on 2026-11-22"},

		"journal half full":     {[]step{at(0, journal(500, 0))}, 0, verdict.Notice, "50 % full"},
		"journal full of bytes": {[]step{at(0, journal(1, 900))}, 0, verdict.Trouble, "90 % full"},
		"journal of the agent behind a controller": {[]step{at(0, func(s *control.Status) {
			agent := agentStatus("remote_controller", noon)
			agent.Link.Journal.Events = 19000
			s.Peer = &control.Peer{Status: &agent}
		})}, 0, verdict.Trouble, "95 % full"},
		"certificate of the other board": {[]step{at(0, func(s *control.Status) {
			agent := agentStatus("remote_controller", noon)
			end := noon.Add(3 * 24 * time.Hour)
			agent.Link.CertificateExpires = &end
			s.Peer = &control.Peer{Status: &agent}
		})}, 0, verdict.Trouble, "The other board's certificate expires in 3 days"},
		"no answer from the agent": {[]step{at(0, func(s *control.Status) { s.Peer = &control.Peer{Error: "legacy"} })}, 0, verdict.Working, ""},
		"journal without limits": {[]step{at(0, func(s *control.Status) {
			s.Link.Role = "agent"
			s.Link.Journal = &control.Journal{Events: 1 << 30}
		})}, 0, verdict.Working, ""},

		"a path that swallows long packets": {[]step{at(0, func(s *control.Status) { s.Link.Path = "Large messages do not arrive." })},
			0, verdict.Trouble, "Large messages do not arrive."},

		"given up before it was seen": {[]step{at(0, func(s *control.Status) { s.Link.GivenUp = 7 })}, 0, verdict.Working, ""},
		"given up now": {[]step{at(0, nothing), at(time.Second, func(s *control.Status) { s.Link.GivenUp = 7 })},
			0, verdict.Trouble, "7 events were given up"},
		"given up a while ago": {[]step{at(0, nothing), at(time.Second, func(s *control.Status) { s.Link.GivenUp = 1 })},
			memory + time.Second, verdict.Working, ""},
		"given up by a module that started again": {[]step{
			at(0, func(s *control.Status) { s.Link.GivenUp = 7 }),
			at(time.Second, func(s *control.Status) { s.Link.GivenUp, s.Started = 2, noon }),
		}, 0, verdict.Trouble, "2 events were given up"},
		"refused a peer": {[]step{at(0, nothing), at(time.Second, func(s *control.Status) { s.Link.PeersRejected = 1 })},
			0, verdict.Notice, "1 peer was refused"},
		"a command failed": {[]step{at(0, nothing), at(time.Second, func(s *control.Status) { s.Link.CommandErrors = 2 })},
			0, verdict.Notice, "2 commands failed"},
		"an event was dropped": {[]step{at(0, nothing), at(time.Second, func(s *control.Status) { s.Link.Dropped = 1 })},
			0, verdict.Notice, "1 event could not be published"},
		"boards that tunnel differently": {[]step{at(0, func(s *control.Status) { s.Link.TunnelDifferences = []string{"meter: only here"} })},
			0, verdict.Notice, "meter: only here"},
		"two breaks": {[]step{at(0, nothing), at(time.Second, func(s *control.Status) { s.Link.Resumes = 2 })}, 0, verdict.Working, ""},
		"breaks and a restart": {[]step{
			at(0, nothing), at(time.Second, func(s *control.Status) { s.Link.Resumes = 2 }),
			at(2*time.Second, func(s *control.Status) { s.Link.Resumes, s.Started = 2, noon.Add(time.Second) }),
		}, 0, verdict.Trouble, "broke 3 times"},
	} {
		t.Run(name, func(t *testing.T) {
			var w watch
			now := noon
			for _, step := range test.steps {
				status := controllerStatus("connector_2", noon.Add(-time.Minute))
				step.change(&status)
				now = noon.Add(step.after)
				w.observe(now, status)
			}
			got := w.assess(now.Add(test.then))
			if got.Level != test.level || (test.reason == "") != (len(got.Reasons) == 0) || !strings.Contains(strings.Join(got.Reasons, "\n"), test.reason) {
				t.Errorf("%v, want %v with %q", got, test.level, test.reason)
			}
		})
	}
}

func TestSlowLink(t *testing.T) {
	var w watch
	w.observe(noon, controllerStatus("connector_2", noon))
	for i := range slowSamples {
		if got := w.assess(noon); got.Level != verdict.Working {
			t.Fatalf("after %d slow samples: %v", i, got)
		}
		status := controllerStatus("connector_2", noon)
		status.Link.Latency.Last = 0.7
		w.observe(noon.Add(time.Duration(i+1)*time.Second), status)
	}
	if got := w.assess(noon); got.Level != verdict.Notice || !strings.Contains(strings.Join(got.Reasons, ""), "700 ms") {
		t.Errorf("after %d slow samples: %v", slowSamples, got)
	}
	w.observe(noon.Add(time.Minute), controllerStatus("connector_2", noon))
	if got := w.assess(noon); got.Level != verdict.Working {
		t.Errorf("after a fast sample: %v", got)
	}
}

// A path that swallows long packets breaks the link again and again. Then cable and switch are not to blame.
func TestBreaksOfAPathThatSwallows(t *testing.T) {
	for path, want := range map[string]string{"": "The link broke 4 times", "Large messages do not arrive.": "Large messages do not arrive."} {
		var w watch
		for i := range 2 {
			status := controllerStatus("connector_2", noon)
			status.Link.Path, status.Link.Resumes = path, uint64(i*4)
			w.observe(noon.Add(time.Duration(i)*time.Second), status)
		}
		if got := w.assess(noon.Add(time.Second)); len(got.Reasons) != 1 || !strings.HasPrefix(got.Reasons[0], want) {
			t.Errorf("%q: %q", path, got.Reasons)
		}
	}
}

func TestSample(t *testing.T) {
	var w watch
	status := controllerStatus("connector_2", noon)
	status.Link.Backlog = 2
	status.Everest.Queues = []control.Queue{{Depth: 3}, {Depth: 4}}
	w.observe(noon, status)
	if w.sample.Queue != 9 || w.sample.Latency != 0.0021 || w.sample.Errors != 0 || w.sample.Variables == w.sample.Variables {
		t.Errorf("first sample: %+v, want a queue of 9 and no rate yet", w.sample)
	}
	more := *status.Link
	more.Variables += 80
	status.Link = &more
	w.observe(noon.Add(2*time.Second), status)
	if w.sample.Variables != 40 {
		t.Errorf("%v variables per second, want 40", w.sample.Variables)
	}
	status.Started = noon.Add(3 * time.Second)
	w.observe(noon.Add(4*time.Second), status)
	if w.sample.Variables == w.sample.Variables {
		t.Errorf("%v variables per second across a restart, want none", w.sample.Variables)
	}
}
