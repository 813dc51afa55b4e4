package proof

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Scenario is one station and what must be seen there.
type Scenario struct {
	Name  string
	Setup Setup
	run   func(*Run)
	// Installed is true for a scenario that has no stand-ins.
	Installed bool
}

// Scenarios returns all scenarios.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "sessions", Setup: Setup{Backend: true}, run: sessions},
		{Name: "lists of enumerations", Setup: Setup{Backend: true, HLC: true}, run: enumerations},
		{Name: "fuse, unequal ids", Setup: Setup{}, run: fuse},
		{Name: "fuse, equal ids", Setup: Setup{LocalID: "connector"}, run: fuse},
		{Name: "fuse, id of an EnergyNode", Setup: Setup{SatelliteID: nodeID}, run: fuse},
		{Name: "fuse, an EnergyNode at the satellite", Setup: Setup{Node: true}, run: fuse},
		{Name: "errors, main board at INFO", Setup: Setup{Backend: true}, run: faults},
		{Name: "errors, main board at DEBUG", Setup: Setup{Backend: true, Debug: true}, run: faults},
		{Name: "connector_id left at 1, Auth", Setup: Setup{ConnectorID: 1}, run: connectorIDs},
		{Name: "connector_id left at 1, OCPP", Setup: Setup{ConnectorID: 1, Backend: true}, run: connectorIDsAtOCPP},
		{Name: "DC session", Setup: Setup{DC: true, Backend: true}, run: dcSession, Installed: true},
		{Name: "Plug and Charge", Setup: Setup{DC: true, Backend: true, Contract: true, ConnectorID: 1}, run: knownContract, Installed: true},
		{Name: "Plug and Charge, root unknown", Setup: Setup{DC: true, Backend: true, Contract: true, ConnectorID: 1}, run: unknownContract, Installed: true},
	}
}

// Finding is the outcome of one check.
type Finding struct {
	// Check says what must be the case.
	Check string
	// Seen says what was seen.
	Seen string
	OK   bool
	// Figure is what the row of the scenario shows of the check, empty for nothing.
	Figure string
}

// Run is a scenario under way.
type Run struct {
	*Station
	ctx      context.Context
	patience Patience
	findings []Finding
}

// Patience is how long a scenario waits for what it wants to see.
type Patience struct {
	// Steps is for what later checks need: Auth takes tokens, a car is plugged in, a transaction starts.
	Steps time.Duration
	// Checks is for all else.
	Checks time.Duration
}

// Play starts a station, runs the scenario on it and returns the findings.
func (s Scenario) Play(ctx context.Context, world World, pairing Pairing, patience Patience) ([]Finding, error) {
	station, err := world.Start(ctx, pairing, s.Setup.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", s.Name, pairing, err)
	}
	run := &Run{Station: station, ctx: ctx, patience: patience}
	run.readyForCards()
	s.run(run)
	return run.findings, station.Close()
}

// readyForCards waits until Auth takes tokens.
func (r *Run) readyForCards() {
	if err := r.awaitAuth(r.journal.mark()); err != nil {
		r.record("Auth takes tokens", err.Error(), false)
	}
}

// noEVSE is the number of an EVSE that no station has.
const noEVSE = 99

// awaitAuth waits until Auth takes tokens. At its start Auth discards them, and nothing says when that is over. So a
// token for an EVSE that the station does not have is presented until Auth reports its status.
func (r *Run) awaitAuth(mark int) error {
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.patience.Steps, errPatience)
	defer cancel()
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for {
		if len(r.journal.since(mark, func(o Observation) bool { return o.Kind == tokenStatus || o.Kind == ended })) > 0 {
			return nil
		}
		if r.main.connected() != nil {
			_ = r.main.card(ctx, "NOBODY", noEVSE) // a board that restarts does not take it
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *Run) record(check, seen string, ok bool) bool {
	r.findings = append(r.findings, Finding{Check: check, Seen: seen, OK: ok})
	return ok
}

// figure has the row of the scenario show a text, in which %s is the beginning of what the last check has seen, up to a
// colon.
func (r *Run) figure(text string) {
	last := &r.findings[len(r.findings)-1]
	short, _, _ := strings.Cut(last.Seen, ":")
	last.Figure = strings.ReplaceAll(text, "%s", short)
}

// do carries out what a check needs, and records a failure.
func (r *Run) do(what string, action func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(r.ctx, r.patience.Steps)
	defer cancel()
	if err := action(ctx); err != nil {
		return r.record(what, err.Error(), false)
	}
	return true
}

var errPatience = errors.New("not seen")

// await waits until enough returns true, or until a board ends.
func (r *Run) await(patience time.Duration, enough func() bool) error {
	ctx, cancel := context.WithTimeoutCause(r.ctx, patience, errPatience)
	defer cancel()
	var end error
	err := r.journal.wait(ctx, func() bool {
		if enough() {
			return true
		}
		if ends := r.journal.since(0, func(o Observation) bool { return o.Kind == ended }); len(ends) > 0 {
			end = fmt.Errorf("the %s ended: %s", ends[0].Place, ends[0].Name)
		}
		return end != nil
	})
	if end != nil {
		return end
	}
	return err
}

// expect records whether an observation that matches is made after mark.
func (r *Run) expect(check string, mark int, match func(Observation) bool) bool {
	return r.expectWithin(r.patience.Checks, check, mark, match)
}

// need is expect for what later checks need.
func (r *Run) need(check string, mark int, match func(Observation) bool) bool {
	return r.expectWithin(r.patience.Steps, check, mark, match)
}

func (r *Run) expectWithin(patience time.Duration, check string, mark int, match func(Observation) bool) bool {
	var found []Observation
	err := r.await(patience, func() bool {
		found = r.journal.since(mark, match)
		return len(found) > 0
	})
	if err != nil {
		return r.record(check, err.Error(), false)
	}
	return r.record(check, found[0].String(), true)
}

// eventually records whether a question is answered well in the end. It asks again and again, because EVerest has no
// message that says when the answer may have changed.
func (r *Run) eventually(check string, ask func(context.Context) (seen string, ok bool)) bool {
	ctx, cancel := context.WithTimeout(r.ctx, r.patience.Checks)
	defer cancel()
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	last := errPatience.Error()
	for {
		seen, ok := ask(ctx)
		if ok {
			return r.record(check, seen, true)
		}
		if ctx.Err() == nil {
			last = seen
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return r.record(check, last, false)
		}
	}
}

// askInterval is how often eventually asks.
const askInterval = 50 * time.Millisecond

// session matches a session event as the main board sees it.
func session(evse int, event string) func(Observation) bool {
	return func(o Observation) bool {
		return o.Place == onMain && o.Kind == sessionEvent && o.EVSE == evse && o.Name == event
	}
}
