package proof

import "fmt"

const (
	// nodeID is the module id of the EnergyNode that is the fuse of the station.
	nodeID = "grid_connection_point"
	// fuseLimit is what the fuse allows in ampere.
	fuseLimit = 20.0
	// satelliteFuse is what the fuse of a satellite with an EnergyNode of its own allows.
	satelliteFuse = 32.0
	// share is what each of two EVSEs gets.
	share = fuseLimit / 2
	// steadyLimits is for how many limits in a row the shares must stay as they are.
	steadyLimits = 3
)

// settled returns the last of an EVSE's limits, and reports whether it has not changed for a while.
func settled(limits []Observation) (ampere float64, steady bool) {
	if len(limits) == 0 {
		return 0, false
	}
	ampere = limits[len(limits)-1].Ampere
	if len(limits) < steadyLimits {
		return ampere, false
	}
	for _, o := range limits[len(limits)-steadyLimits:] {
		if o.Ampere != ampere {
			return ampere, false
		}
	}
	return ampere, true
}

// fuse: two cars charge behind one fuse, and each gets half of it.
func fuse(r *Run) {
	if !r.authorize(remote, "of the satellite", r.mainCard("CARD1")) || !r.authorize(local, "of the local EVSE", r.mainCard("CARD2")) {
		return
	}
	enforced := func(place string, evse int) []Observation {
		return r.journal.since(0, func(o Observation) bool { return o.Place == place && o.Kind == limit && o.EVSE == evse })
	}
	var atLocal, atSatellite float64
	halves := false
	err := r.await(r.patience.Checks, func() bool {
		var localSteady, satelliteSteady bool
		atLocal, localSteady = settled(enforced(onMain, local))
		atSatellite, satelliteSteady = settled(enforced(onSatellite, remote))
		halves = atLocal == share && atSatellite == share
		return localSteady && satelliteSteady && (halves || atLocal+atSatellite > fuseLimit)
	})
	figures := fmt.Sprintf("%g A + %g A of %g A", atLocal, atSatellite, fuseLimit)
	r.record("the limits keep the fuse", figures, atLocal+atSatellite <= fuseLimit)
	r.figure("%s")
	r.record("each EVSE gets its half", figures, err == nil && halves)
	r.expect("the car at the satellite charges", 0, session(remote, "ChargingStarted"))
	foreign := r.tap.foreign()
	r.record("no limits of other EVSEs cross the link", fmt.Sprintf("%d of %d", foreign, foreign+len(enforced(onSatellite, remote))), foreign == 0)
	r.figure("%s limits are foreign")
}
