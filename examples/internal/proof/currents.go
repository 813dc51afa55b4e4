package proof

import (
	"fmt"
	"time"
)

const (
	// limitLife is for how long an EvseManager keeps limits: their valid_for of 10 s, and the 1.1 s that EvseManager adds
	// by its rounding.
	limitLife = 11100 * time.Millisecond
	// carReaction is for how long a car may draw more after its limit was lowered (IEC 61851-1, table A.6).
	carReaction = 5 * time.Second
	// maxRipple is how much more than its limit a simulated car draws at most, in ampere.
	maxRipple = 0.5
)

// outlet is what an EVSE may draw and draws.
type outlet struct {
	limit float64
	// at is when limit came, and lowered when it became a lower one.
	at, lowered time.Time
	draws       float64
}

// allowed returns what the EVSE may draw by limits that last for life.
func (o outlet) allowed(now time.Time, life time.Duration) float64 {
	if now.Sub(o.at) > life {
		return 0
	}
	return o.limit
}

func (o *outlet) observe(seen Observation) {
	switch seen.Kind {
	case limit:
		if seen.Ampere < o.limit {
			o.lowered = seen.At
		}
		o.limit, o.at = seen.Ampere, seen.At
	case reading:
		a := readMeter(seen.Value).Ampere
		o.draws = max(a.L1, a.L2, a.L3)
	case down:
		*o = outlet{}
	}
}

// highest is the highest sum of what two EVSEs have. The probes of two boards see values in any order, and EnergyManager
// gives limits one after the other. So a sum above the bound counts when it is seen some times in a row.
type highest struct {
	bound, sum float64
	above      int
	text       string
}

// seenInARow is how often in a row a sum above the bound is seen before it counts.
const seenInARow = 6

func (h *highest) observe(format string, one, other float64) {
	sum := one + other
	if sum > h.bound {
		if h.above++; h.above < seenInARow {
			return
		}
	} else {
		h.above = 0
	}
	if sum >= h.sum {
		h.sum, h.text = sum, fmt.Sprintf(format, one, other)
	}
}

// keepsFuse records the highest sum of what both EVSEs were allowed to draw, and of what both cars drew, against the
// fuse. It looks at each EVSE on its own board.
func (r *Run) keepsFuse() {
	outlets := map[int]*outlet{local: {}, remote: {}}
	boards := map[string]int{onMain: local, onSatellite: remote}
	allowed, drawn := highest{bound: fuseLimit}, highest{bound: fuseLimit + maxRipple}
	for _, o := range r.journal.since(0, func(o Observation) bool { return o.Kind == reading || o.Kind == limit || o.Kind == down }) {
		evse := boards[o.Place]
		if o.Kind != down && o.EVSE != evse {
			continue
		}
		here, there := outlets[local], outlets[remote]
		outlets[evse].observe(o)
		switch {
		case o.Kind == limit:
			allowed.observe("%g + %g A", here.allowed(o.At, r.pace.limitLife), there.allowed(o.At, r.pace.limitLife))
		case o.Kind == reading && o.At.Sub(here.lowered) >= carReaction && o.At.Sub(there.lowered) >= carReaction:
			drawn.observe("%.1f + %.1f A", here.draws, there.draws)
		}
	}
	r.record("limits of both EVSEs, and what both cars drew", fmt.Sprintf("%s, %s, of %g A", allowed.text, drawn.text, fuseLimit),
		allowed.sum > 0 && allowed.sum <= allowed.bound && drawn.sum <= drawn.bound)
}

// freed records when the local EVSE got more than its share, which must not be before the satellite's last limits have
// run out. It is called before the satellite is back.
func (i *incident) freed() {
	more := i.journal.since(i.mark, func(o Observation) bool {
		return o.Kind == limit && o.EVSE == local && o.Place == onMain && o.Ampere > share
	})
	if len(more) == 0 {
		i.record("the satellite's share goes to the local EVSE", "never", true)
		return
	}
	after := more[0].At.Sub(i.begin)
	i.record("the satellite's share goes to the local EVSE", fmt.Sprintf("after %.1f s", after.Seconds()), after >= i.pace.limitLife)
}
