// Package proof runs a main board and a satellite board, and looks at them only through EVerest: as a module on each
// board that subscribes, calls and raises errors as any other module does.
//
// The scenarios run on two kinds of station. One has managers and modules of an installed EVerest. The other has the
// stand-ins of package strict, in one process.
package proof

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
)

// Pairing names the modules on the two ends of the link.
type Pairing struct {
	// Controller and Agent are goModule or cppModule.
	Controller, Agent string
	// Dialect is the configuration key dialect of the Go modules; empty for its default.
	Dialect string
	// Identities is the configuration key identities of the Go controller; empty for its default.
	Identities string
}

// The origins of a module.
const (
	goModule  = "Go"
	cppModule = "C++"
)

// Pairings returns the pairings of which a table has a column.
func Pairings() []Pairing {
	return []Pairing{
		{Controller: goModule, Agent: goModule},
		{Controller: goModule, Agent: goModule, Dialect: "legacy"},
		{Controller: goModule, Agent: cppModule},
		{Controller: cppModule, Agent: goModule},
		{Controller: cppModule, Agent: cppModule},
	}
}

// Verbatim returns the pairing of the Go modules that translates nothing. It must show the faults that the translation
// prevents.
func Verbatim() Pairing {
	return Pairing{Controller: goModule, Agent: goModule, Identities: "verbatim"}
}

// NeedsCPP reports whether a module of the pairing is a C++ one.
func (p Pairing) NeedsCPP() bool { return p.Controller == cppModule || p.Agent == cppModule }

// String names the pairing in the head of a table.
func (p Pairing) String() string {
	text := p.Controller + " / " + p.Agent
	for _, word := range []string{p.Dialect, p.Identities} {
		if word != "" {
			text += ", " + word
		}
	}
	return text
}

// Setup is what differs between the stations of the scenarios. The zero value is a station that is configured well.
type Setup struct {
	// LocalID and SatelliteID are the module ids of the EvseManagers.
	LocalID, SatelliteID string
	// ConnectorID is the key connector_id of the satellite's EvseManager.
	ConnectorID int
	// Debug is true for a main board that logs at DEBUG.
	Debug bool
	// Backend is true for a station with OCPP.
	Backend bool
	// Node is true for a satellite that tunnels an EnergyNode, with its EvseManager below it.
	Node bool
	// DC is true for a satellite with EVerest's simulated DC hardware.
	DC bool
	// Contract is true for a main board whose Auth asks OCPP whether a token may charge.
	Contract bool
	// HLC is true for a satellite with a module for ISO 15118.
	HLC bool
	// Outage is what a scenario of a lost satellite needs, nil for any other.
	Outage *Outage
}

func (s Setup) withDefaults() Setup {
	s.LocalID = cmp.Or(s.LocalID, "connector_1")
	s.SatelliteID = cmp.Or(s.SatelliteID, "connector")
	s.ConnectorID = cmp.Or(s.ConnectorID, remote)
	return s
}

// World starts stations.
type World interface {
	// Start starts a station and waits until both boards are ready. The caller must close the station.
	Start(ctx context.Context, pairing Pairing, setup Setup) (*Station, error)
}

// Station is a main board and a satellite board that run.
type Station struct {
	setup   Setup
	journal *journal
	// main and satellite are the probes.
	main, satellite *probe
	// tap is a connection to the satellite's broker.
	tap  *tap
	stop func() error
	// cable is what the link goes through, and boards are those that can be lost; nil where Setup has no Outage.
	cable  *forwarder.Forwarder
	boards map[string]powered
	pace   pace
}

// pace is how fast things go on a station, and how late they may be.
type pace struct {
	// quicker is how many times shorter than on a real station an outage is.
	quicker time.Duration
	// limitLife is for how long an EvseManager keeps limits.
	limitLife time.Duration
	// maxCardWait is how long a card at the local EVSE may take.
	maxCardWait time.Duration
	// maxLimitGap is how far apart the limits of the local EVSE may come.
	maxLimitGap time.Duration
	// maxStale is how much may be charged between two readings that the main board gets, in Wh.
	maxStale float64
}

// powered is a board whose power can be cut.
type powered interface {
	kill()
	restore()
}

// Close ends both boards.
func (s *Station) Close() error { return s.stop() }

// waitReady waits until the probes are ready, or a board has ended. A board that ends is an observation, not an error, unless
// a probe has not been on its board yet: then there is no station.
func (s *Station) waitReady(ctx context.Context, probes ...*probe) error {
	stopped := func() bool {
		return len(s.journal.since(0, func(o Observation) bool { return o.Kind == ended })) > 0
	}
	gone := make(chan struct{})
	watching, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		if s.journal.wait(watching, stopped) == nil {
			close(gone)
		}
	})
	for _, p := range probes {
		select {
		case <-p.ready:
		case <-gone:
			return s.started(probes)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// started returns an error unless every probe has been on its board.
func (s *Station) started(probes []*probe) error {
	for _, p := range probes {
		if p.connected() == nil {
			first := s.journal.since(0, func(o Observation) bool { return o.Kind == ended })[0]
			return fmt.Errorf("the %s has ended before the modules of both boards ran: see the log of its manager (-keep)", first.Place)
		}
	}
	return nil
}
