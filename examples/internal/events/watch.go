package events

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// Seen is one look at a module.
type Seen struct {
	// ID is its socket, which is its key.
	ID string
	// Status is the module's snapshot, the last one where it does not answer.
	Status *control.Status
	// Answers reports whether the module answers.
	Answers bool
	verdict.Verdict
}

// known is what was known of a module at the last look. Pointers are nil for what was not known.
type known struct {
	Seen    time.Time `json:"seen"`
	Started time.Time `json:"started"`
	Answers bool      `json:"answers"`
	// Level is the one of the last event of this kind.
	Level verdict.Level `json:"level"`
	// Linked is unknown until the process has had a link.
	Linked  *bool  `json:"linked,omitempty"`
	Resumes uint64 `json:"resumes"`
	// OutOfService and Disabled are why no car charges.
	OutOfService string   `json:"out_of_service,omitempty"`
	Disabled     *string  `json:"disabled,omitempty"`
	Session      *session `json:"session,omitempty"`
	// Errors are the active ones by their identity.
	Errors map[string]string `json:"errors,omitempty"`
}

// session is a session of a car.
type session struct {
	Began time.Time `json:"began"`
	// At is when it began in seconds after the module's start. The clock may be set meanwhile, and At stays.
	At     float64  `json:"at"`
	Energy *float64 `json:"energy,omitempty"`
	// Carried: the module has restarted since. Its new process hears of the session as if it began then.
	Carried bool `json:"carried,omitempty"`
}

// look is one comparison of a module with what was known.
type look struct {
	Seen
	now    time.Time
	before *known
	after  known
	fresh  bool // the module was not known
	events []Event
}

// compare returns what has happened at a module since before, which is nil for one that was not known, and what is known
// now.
func compare(before *known, seen Seen, now time.Time) (known, []Event) {
	l := look{Seen: seen, now: now, before: before, fresh: before == nil}
	if l.fresh {
		l.before = &known{Started: seen.Status.Started, Answers: true}
	}
	l.after = *l.before
	l.after.Answers = seen.Answers
	if !seen.Answers {
		if l.before.Answers {
			l.add(now, NoAnswer, verdict.Down, "%s", reason(seen.Reasons, "The module does not answer."))
		}
		return l.after, l.events
	}
	l.restart()
	if seen.Status.Link != nil {
		l.link(seen.Status.Link)
	}
	if seen.Status.EVSE != nil {
		l.service(seen.Status.EVSE)
		l.errors(seen.Status.EVSE)
		l.session(seen.Status.EVSE)
	}
	l.level()
	return l.after, l.events
}

func (l *look) add(at time.Time, kind Kind, level verdict.Level, format string, arguments ...any) {
	// A time of another board may be wrong.
	if at.IsZero() || at.After(l.now) || l.now.Sub(at) > Age {
		at = l.now
	}
	event := Event{Time: at, Kind: kind, ModuleID: cmp.Or(l.Status.ModuleID, l.ID), Level: level, Text: shortened(fmt.Sprintf(format, arguments...), maxText)}
	if evse := l.Status.EVSE; evse != nil && evse.Number > 0 {
		event.EVSE = fmt.Sprint(evse.Number)
	}
	l.events = append(l.events, event)
}

func (l *look) restart() {
	started := l.Status.Started
	l.after.Started = started
	switch {
	case l.fresh:
		if l.now.Sub(started) < Age {
			l.add(started, Restarted, verdict.Working, "The module has started.")
		}
	case !l.before.Started.Equal(started):
		l.after.Linked, l.after.Resumes = nil, 0
		if was := l.before.Session; was != nil {
			l.after.Session = &session{Began: was.Began, Energy: was.Energy, Carried: true}
		}
		l.add(started, Restarted, verdict.Notice, "The module has restarted.")
	case !l.before.Answers:
		l.add(l.now, Answers, verdict.Working, "The module answers again.")
	}
}

func (l *look) link(link *control.Link) {
	linked, was := link.Connected, l.after.Linked
	resumed := link.Resumes - min(link.Resumes, l.after.Resumes)
	l.after.Resumes = link.Resumes
	if linked || was != nil {
		l.after.Linked = &linked
	}
	if was == nil || l.fresh {
		return
	}
	switch {
	case *was && !linked:
		l.add(l.now, LinkCut, verdict.Trouble, "The link to the other board is cut.")
	case !*was && linked && resumed > 0:
		l.add(l.now, LinkBack, verdict.Working, "The link is back, and nothing is lost.")
	case !*was && linked:
		l.add(l.now, LinkBack, verdict.Working, "The link is back, with a new start of the other board's module.")
	case linked && resumed > 0:
		l.add(l.now, LinkCut, verdict.Trouble, "The link was cut %s and came back at once.", verdict.Count(resumed, "time", "times"))
	}
}

func (l *look) service(evse *control.EVSE) {
	if evse.OutOfService != l.before.OutOfService {
		l.after.OutOfService = evse.OutOfService
		switch {
		case evse.OutOfService == "":
			l.add(l.now, InService, verdict.Working, "The EVSE is in service again.")
		case l.before.OutOfService == "":
			l.add(l.now, OutOfService, verdict.Down, "The EVSE is out of service: %s.", evse.OutOfService)
		}
	}
	if evse.State == control.EVSEUnknown {
		return
	}
	disabled := ""
	if evse.State == control.EVSEUnavailable {
		disabled = verdict.DisabledBy(evse)
	}
	if before := l.before.Disabled; before == nil && disabled != "" || before != nil && *before != disabled {
		if disabled != "" {
			l.add(evse.Since, OutOfService, verdict.Down, "The EVSE is disabled: %s.", disabled)
		} else {
			l.add(evse.Since, InService, verdict.Working, "The EVSE is enabled again.")
		}
	}
	l.after.Disabled = &disabled
}

func (l *look) errors(evse *control.EVSE) {
	active := map[string]string{}
	for _, e := range evse.Errors {
		if evse.OutOfService != "" && strings.Contains(e.Text, evse.OutOfService) {
			continue // the module's own, which says the same as the event
		}
		key := shortened(e.Type, 100) + "/" + shortened(e.SubType, 50) + "@" + e.Since.UTC().Format(time.RFC3339Nano)
		level, _ := verdict.OfError(e)
		active[key] = shortened(verdict.Meaning(e), 150)
		if _, there := l.before.Errors[key]; !there {
			l.add(e.Since, ErrorRaised, level, "%s.", verdict.Finding(e))
		}
	}
	for _, key := range sortedKeys(l.before.Errors) {
		switch _, there := active[key]; {
		case there:
		case evse.State == control.EVSEUnknown || evse.ErrorsOmitted > 0:
			active[key] = l.before.Errors[key] // nobody says that it is gone
		default:
			l.add(l.now, ErrorCleared, verdict.Working, "No longer: %s.", l.before.Errors[key])
		}
	}
	l.after.Errors = active
}

func sortedKeys(of map[string]string) []string {
	var keys []string
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// sameSession is by how many seconds the begin of one session may seem to differ.
const sameSession = 1.5

func (l *look) session(evse *control.EVSE) {
	was := l.after.Session
	if evse.SessionSince == nil {
		if was != nil && evse.State != control.EVSEUnknown {
			l.ended(was, l.now)
			l.after.Session = nil
		}
		return
	}
	now := &session{Began: *evse.SessionSince, Energy: evse.SessionEnergy}
	now.At = math.Round(l.Status.UptimeSeconds*1e3-float64(l.Status.Taken.Sub(now.Began).Milliseconds())) / 1e3
	switch {
	case was == nil:
		l.began(now, evse)
	case was.Carried, math.Abs(was.At-now.At) < sameSession:
		now.Began = was.Began
	default:
		l.ended(was, now.Began)
		l.began(now, evse)
	}
	if was != nil && now.Energy == nil && now.Began.Equal(was.Began) {
		now.Energy = was.Energy
	}
	l.after.Session = now
}

func (l *look) began(now *session, evse *control.EVSE) {
	text := "A session began."
	if evse.TokenKind != "" {
		text = "A session began, authorized by " + evse.TokenKind + "."
	}
	l.add(now.Began, SessionBegan, verdict.Working, "%s", text)
}

func (l *look) ended(was *session, at time.Time) {
	text := "The session ended after " + verdict.Span(max(0, at.Sub(was.Began)))
	if was.Energy != nil {
		text += fmt.Sprintf(", with %.2f kWh", *was.Energy/1000)
	}
	l.add(at, SessionEnded, verdict.Working, "%s.", text)
}

// level follows a change that no other event explains: nothing that is cut, and no error of that level.
func (l *look) level() {
	if l.Level == l.after.Level {
		return
	}
	if l.Level == verdict.Working {
		l.after.Level = l.Level
		if len(l.events) == 0 {
			l.add(l.now, Level, l.Level, "All is well again.")
		}
		return
	}
	starts := l.Status.Health == control.Starting && l.Level <= verdict.Notice
	told := slices.ContainsFunc(l.events, func(event Event) bool { return event.Level >= l.Level }) || l.disabled()
	if evse := l.Status.EVSE; evse != nil {
		told = told || slices.ContainsFunc(evse.Errors, func(e control.EVSEError) bool {
			level, _ := verdict.OfError(e)
			return level >= l.Level
		})
	}
	if starts || told || l.Status.Health == control.Degraded {
		return
	}
	l.after.Level = l.Level
	l.add(l.now, Level, l.Level, "%s", reason(l.Reasons, "The module's level has changed."))
}

// disabled reports whether somebody has disabled the EVSE.
func (l *look) disabled() bool { return l.after.Disabled != nil && *l.after.Disabled != "" }

func reason(reasons []string, otherwise string) string {
	if len(reasons) == 0 {
		return otherwise
	}
	return reasons[0]
}

func shortened(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
