package events

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// working is the status of a controller with a free EVSE, so long after noon.
func working(after time.Duration) *control.Status {
	return &control.Status{
		Module: "SatelliteController", ModuleID: "connector_2", State: "Working", Health: control.Healthy,
		Started: noon.Add(-time.Hour), Taken: noon.Add(after), UptimeSeconds: (time.Hour + after).Seconds(),
		Link: &control.Link{Role: "controller", Connected: true},
		EVSE: &control.EVSE{Number: 2, State: control.EVSEAvailable, Since: noon.Add(-time.Hour), Errors: []control.EVSEError{}},
	}
}

func charging(since time.Time, energy float64) func(*control.Status) {
	return func(s *control.Status) {
		s.EVSE.State, s.EVSE.SessionSince, s.EVSE.TokenKind = control.EVSECharging, &since, "RFID"
		if energy > 0 {
			s.EVSE.SessionEnergy = &energy
		}
	}
}

func unlinked(s *control.Status) {
	s.Link.Connected, s.Health, s.State, s.EVSE.State = false, control.Degraded, "Resuming", control.EVSEUnknown
}

func welded(s *control.Status) {
	s.EVSE.State = control.EVSEFaulted
	s.EVSE.Errors = []control.EVSEError{{Type: "evse_board_support/MREC17EVSEContactorFault", Severity: "High", Since: noon.Add(-time.Minute)}}
}

func isolated(s *control.Status) {
	unlinked(s)
	s.State, s.EVSE.OutOfService = "OutOfService", "no link to the satellite"
	s.EVSE.Errors = []control.EVSEError{{Type: "evse_manager/Inoperative", Severity: "High", Text: "connector_2: no link to the satellite", Since: noon}}
}

func restarted(s *control.Status) {
	s.Started, s.UptimeSeconds = noon.Add(time.Second), s.Taken.Sub(noon.Add(time.Second)).Seconds()
}

// both makes several changes.
func both(changes ...func(*control.Status)) func(*control.Status) {
	return func(s *control.Status) {
		for _, change := range changes {
			change(s)
		}
	}
}

func as(*control.Status) {}

// TestEvents shows a module that has been known as working a list of snapshots, a second apart.
func TestEvents(t *testing.T) {
	began := noon.Add(-2 * time.Minute)
	resumes := func(s *control.Status) { s.Link.Resumes = 2 }
	setClock := func(s *control.Status) { // the clock is an hour ahead from here on
		s.Taken = s.Taken.Add(time.Hour)
		charging(began.Add(time.Hour), 0)(s)
	}
	for name, test := range map[string]struct {
		looks []func(*control.Status)
		want  []string
	}{
		"nothing": {[]func(*control.Status){as, as}, nil},
		"a session": {[]func(*control.Status){charging(began, 0), charging(began, 1500), as},
			[]string{"11:58:00 working session began: A session began, authorized by RFID.", "12:00:03 working session ended: The session ended after 2 min, with 1.50 kWh."}},
		"a session after another": {[]func(*control.Status){charging(began, 0), charging(noon.Add(time.Second), 0)},
			[]string{"session began", "session ended", "session began"}},
		"a session over a cut": {[]func(*control.Status){charging(began, 10), both(charging(began, 10), unlinked), unlinked, both(resumes, charging(began, 10))},
			[]string{"session began", "12:00:02 trouble cut: The link to the other board is cut.", "12:00:04 working link back: The link is back, and nothing is lost."}},
		"a session over a restart of the module": {[]func(*control.Status){charging(began, 10), both(restarted, unlinked), both(restarted, charging(noon.Add(2*time.Second), 0))},
			[]string{"session began", "restart: The module has restarted."}},
		"the clock is set in a session": {[]func(*control.Status){charging(began, 10), setClock}, []string{"session began"}},
		"an error": {[]func(*control.Status){welded, welded, as},
			[]string{"11:59:00 down error: The contactor does not switch as it should: it may be welded.", "12:00:03 working error cleared: No longer: The contactor"}},
		"an error over a cut": {[]func(*control.Status){welded, unlinked, welded}, []string{"error:", "cut", "link back"}},
		"many errors":         {[]func(*control.Status){welded, func(s *control.Status) { s.EVSE.ErrorsOmitted = 1 }, as}, []string{"error:", "notice level: 1 further errors", "error cleared: No longer: The contactor does not switch as it should: it may be welded."}},
		"a lost satellite": {[]func(*control.Status){unlinked, isolated, isolated, as},
			[]string{"cut:", "12:00:02 down out of service: The EVSE is out of service: no link to the satellite.", "link back: The link is back, with a new start", "in service: The EVSE is in service again."}},
		"a short cut": {[]func(*control.Status){resumes, resumes}, []string{"cut: The link was cut 2 times and came back at once."}},
		"disabled": {[]func(*control.Status){func(s *control.Status) {
			s.EVSE.State, s.EVSE.DisabledBy, s.EVSE.Since = control.EVSEUnavailable, "CSMS", noon
		}, as}, []string{"down out of service: The EVSE is disabled: the backend (CSMS)", "in service: The EVSE is enabled again."}},
		"the network": {[]func(*control.Status){func(s *control.Status) { s.Link.Path = "Large messages stall." }, as},
			[]string{"level: Large messages stall.", "working level: All is well again."}},
		"a start": {[]func(*control.Status){func(s *control.Status) { s.Health, s.Started = control.Starting, noon }, func(s *control.Status) { s.Started = noon }},
			[]string{"restart: The module has restarted."}},
	} {
		t.Run(name, func(t *testing.T) {
			log := InMemory()
			if first := log.Follow([]Seen{{ID: "a.sock", Status: working(-time.Second), Answers: true}}, noon); len(first) != 1 || first[0].Kind != Restarted {
				t.Fatalf("a module that appears: %+v", first)
			}
			var got []string
			for i, change := range test.looks {
				after := time.Duration(i+1) * time.Second
				now := noon.Add(after)
				status := working(after)
				change(status)
				for _, event := range log.Follow([]Seen{{ID: "a.sock", Status: status, Answers: true, Verdict: verdict.Of(status, now)}}, now) {
					if event.ModuleID != "connector_2" || event.EVSE != "2" || event.Of() != "EVSE 2, connector_2" {
						t.Errorf("of %+v", event)
					}
					level, _ := event.Level.MarshalText()
					got = append(got, event.Time.Format(time.TimeOnly)+" "+string(level)+" "+string(event.Kind)+": "+event.Text)
				}
			}
			if !slices.EqualFunc(got, test.want, strings.Contains) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestAModuleThatDoesNotAnswerIsAnEventOnce(t *testing.T) {
	log := InMemory()
	var got []string
	for i, answers := range []bool{true, false, false, true} {
		now := noon.Add(time.Duration(i) * time.Second)
		seen := Seen{ID: "a.sock", Status: working(0), Answers: answers}
		if !answers {
			seen.Verdict = verdict.Verdict{Level: verdict.Down, Reasons: []string{"No process serves its status socket."}}
		}
		for _, event := range log.Follow([]Seen{seen}, now) {
			got = append(got, string(event.Kind)+" "+event.Text)
		}
	}
	want := []string{"restart The module has started.", "no answer No process serves its status socket.", "answers The module answers again."}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
