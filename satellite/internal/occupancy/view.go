package occupancy

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

const (
	// maxShown is how many active errors a status lists.
	maxShown = 16
	// maxText is how many bytes of a text of an error it shows.
	maxText = 500
)

// View is what the main board's modules have been told of one EVSE, for people. Unlike a [Machine] it decides nothing:
// it follows what was published, whoever made it. Its methods may be called from several goroutines. The zero value is
// an EVSE that nobody has heard of.
type View struct {
	// Number is the number of the EVSE, 0 where it has none. It is set before the view is used.
	Number int
	// Changed is called with each new state, one call after the other. It must return at once, and not call the View. It
	// may be nil, and is set before the view is used.
	Changed func(before, state control.EVSEState)

	mu    sync.Mutex
	heard heard
	state control.EVSEState
	// last is the state before Unknown, and since when state began.
	last  control.EVSEState
	since time.Time
	// meter and limits are the newest values, which are read when somebody asks.
	meter, limits json.RawMessage
	session       *viewed
	outOfService  string
	// errors are the first maxShown active ones, and omitted is how many others there are.
	errors  []control.EVSEError
	omitted int
}

// viewed is the session that a view shows.
type viewed struct {
	id    string
	began time.Time
	// register is the meter's at the begin, nil where it is not known.
	register *float64
	kind     string
}

// Link follows the link to the satellite.
func (v *View) Link(linked bool, at time.Time) {
	v.change(at, func() { v.heard.linked = linked })
}

// OutOfService follows the EVSE's place in service. The reason is empty for an EVSE that is in service.
func (v *View) OutOfService(reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.outOfService = reason
}

// Errors follows the EVSE's active errors.
func (v *View) Errors(active []control.EVSEError, at time.Time) {
	slices.SortFunc(active, func(one, other control.EVSEError) int {
		return cmp.Or(cmp.Compare(severities[other.Severity], severities[one.Severity]), other.Since.Compare(one.Since),
			cmp.Compare(one.Type, other.Type), cmp.Compare(one.SubType, other.SubType))
	})
	shown := slices.Clone(active[:min(len(active), maxShown)])
	for i := range shown {
		e := &shown[i]
		e.Type, e.SubType, e.Text = shortened(e.Type), shortened(e.SubType), shortened(e.Text)
	}
	v.change(at, func() {
		v.errors, v.omitted = shown, len(active)-len(shown)
		v.heard.fault = len(active) > 0 && active[0].Severity == "High"
	})
}

var severities = map[string]int{"Low": 1, "Medium": 2, "High": 3}

// Published follows a variable of evse_manager that was published on the main board.
func (v *View) Published(variable string, value json.RawMessage, at time.Time) {
	switch variable {
	case meterVariable:
		v.hold(&v.meter, value)
	case limitsVariable:
		v.hold(&v.limits, value)
	case readyVariable:
		v.change(at, func() { v.heard.ready = v.heard.ready || string(value) == "true" })
	case sessionEventVariable:
		if event, err := readSessionEvent(value); err == nil {
			v.change(at, func() {
				v.heard.ready = true
				v.heard.follow(event, value)
				v.follow(event, at)
			})
		}
	}
}

// hold keeps the newest value of a variable.
func (v *View) hold(newest *json.RawMessage, value json.RawMessage) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*newest = keep(value)
}

// change changes what is known, and follows the state.
func (v *View) change(at time.Time, change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
	state := v.heard.state()
	if state == v.state {
		return
	}
	v.last = ""
	if state == control.EVSEUnknown {
		v.last = v.state
	}
	if v.Changed != nil {
		v.Changed(v.state, state)
	}
	v.state, v.since = state, at
}

// follow follows the session of an event.
func (v *View) follow(event sessionEvent, at time.Time) {
	scope := scopes[event.kind]
	switch {
	case scope == ofEVSE:
		return
	case scope == endsSession:
		v.session = nil
		return
	case event.session == "":
		return
	case v.session == nil || v.session.id != event.session:
		v.session = &viewed{id: event.session, began: at}
		if scope == begins {
			v.session.register = registerOf(event.meter)
		}
	}
	if event.tag != nil {
		v.session.kind = tokenKinds[rawjson.String(member(event.tag, "authorization_type"))]
	}
}

// tokenKinds are the kinds of token that a view shows. Nothing else of a token is shown, whatever a satellite writes.
var tokenKinds = map[string]string{
	"OCPP": "OCPP", "RFID": "RFID", "Autocharge": "Autocharge", "PlugAndCharge": "PlugAndCharge", "BankCard": "BankCard",
}

// Status returns what is known, at a time now of the main board.
func (v *View) Status(now time.Time) *control.EVSE {
	v.mu.Lock()
	defer v.mu.Unlock()
	status := &control.EVSE{
		Number: v.Number, State: cmp.Or(v.state, control.EVSEUnknown), Since: ByClock(v.since, now), LastState: v.last,
		OutOfService: v.outOfService, DisabledBy: v.heard.disabledBy(),
		Errors: append([]control.EVSEError{}, v.errors...), ErrorsOmitted: v.omitted,
	}
	if v.session != nil {
		status.SessionSince = new(ByClock(v.session.began, now))
		status.TokenKind = v.session.kind
		if register := registerOf(v.meter); register != nil && v.session.register != nil {
			status.SessionEnergy = new(max(0, *register-*v.session.register))
		}
	}
	if status.State != control.EVSEUnknown {
		status.Power = number(member(member(v.meter, "power_W"), "total"))
		status.Limit = limitOf(v.limits)
	}
	return status
}

// limitOf reads enforced limits, nil where they limit nothing.
func limitOf(limits json.RawMessage) *control.EVSELimit {
	root := member(limits, "limits_root_side")
	limit := control.EVSELimit{
		Current: number(member(member(root, "ac_max_current_A"), "value")),
		Power:   number(member(member(root, "total_power_W"), "value")),
	}
	if phases := number(member(member(root, "ac_max_phase_count"), "value")); phases != nil && *phases >= 0 && *phases <= 3 {
		limit.Phases = int(*phases)
	}
	if limit.Current == nil && limit.Power == nil {
		return nil
	}
	return &limit
}

func registerOf(meter json.RawMessage) *float64 {
	return number(member(member(meter, "energy_Wh_import"), "total"))
}

// number reads a number that JSON can write again, nil where there is none.
func number(text json.RawMessage) *float64 {
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil || value-value != 0 {
		return nil
	}
	return &value
}

// ByClock returns a time of this process by the clock of now, which may have been set since.
func ByClock(at, now time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	shifted := now.Add(-now.Sub(at)).Round(0)
	if shifted.Sub(at.Round(0)).Abs() < time.Second {
		shifted = at.Round(0)
	}
	return shifted.UTC().Truncate(time.Millisecond)
}

// shortened returns the begin of a text that is too long, in whole characters.
func shortened(text string) string {
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}
