package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// flapLimits of -flap: below the least, connections would not even stand; an
// outage of any length stays within the links' resume window of 30 s.
const (
	flapLeast  = 100 * time.Millisecond
	outageMost = 5 * time.Second
)

// outageOf is how long an outage lasts in an interval of -flap.
func outageOf(interval time.Duration) time.Duration { return min(interval*2/5, outageMost) }

// linkTimeoutOf is what the controllers are told to take for a dead link, so that
// also an outage of which nobody is told is noticed within its time. The modules
// take nothing below 200 ms.
func linkTimeoutOf(interval time.Duration) time.Duration {
	const usual, least = 1500 * time.Millisecond, 200 * time.Millisecond
	return max(least, min(usual, outageOf(interval)*3/4))
}

// cuttable is a link that -flap cuts.
type cuttable interface {
	Cut(Outage) bool
	Heal()
}

// flapping is one satellite's link under -flap.
type flapping struct {
	link cuttable
	turn Outage
	// cuts are the outages that ended a connection or held one up, by their kind.
	cuts [outages]int
}

func (f *flapping) total() int {
	sum := 0
	for _, count := range f.cuts {
		sum += count
	}
	return sum
}

// Flap lets the station cut the links, one per satellite, with -flap. It is
// called before Run.
func (s *Station) Flap(links []cuttable) {
	for i, link := range links {
		s.flapping = append(s.flapping, &flapping{link: link, turn: Outage(i) % outages})
	}
}

// planCuts begins the outages. The links take turns, so that they differ in what
// they are doing when they are cut.
func (s *Station) planCuts() {
	for i, link := range s.flapping {
		s.planCut(link, s.flags.Flap*time.Duration(i+1)/time.Duration(len(s.flapping)))
	}
}

func (s *Station) planCut(flapping *flapping, after time.Duration) {
	now := time.Now()
	s.agenda.add(now.Add(after), func() {
		if flapping.link.Cut(flapping.turn) {
			flapping.cuts[flapping.turn]++
		}
		flapping.turn = (flapping.turn + 1) % outages
		s.agenda.add(time.Now().Add(outageOf(s.flags.Flap)), flapping.link.Heal)
		s.planCut(flapping, s.flags.Flap)
	})
}

// resumesOf counts how often a satellite's link went on, also in processes of its
// board that have ended since.
func (b *boardState) resumesOf(satellite int) uint64 { return b.resumed + b.links[satellite].Resumes }

// describeCuts says how often the links were cut and went on.
func (s *Station) describeCuts() string {
	var kinds [outages]int
	total, resumes := 0, uint64(0)
	for _, link := range s.flapping {
		for kind, count := range link.cuts {
			kinds[kind] += count
			total += count
		}
	}
	for _, board := range s.boards {
		if number := board.config.Satellite; number > 0 {
			resumes += board.resumesOf(number)
		}
	}
	var each []string
	for kind, count := range kinds {
		each = append(each, fmt.Sprintf("%d %v", count, Outage(kind)))
	}
	return fmt.Sprintf("The links were cut %d times (%s) for %v each, and resumed %d times.", total, strings.Join(each, ", "), outageOf(s.flags.Flap), resumes)
}

// OpenWires puts a wire in front of every agent, and returns their ports.
func OpenWires(agents []int) (wires []*Wire, ports []int, err error) {
	for _, port := range agents {
		wire, err := NewWire(net.JoinHostPort(agentAddress, strconv.Itoa(port)))
		if err != nil {
			closeWires(wires)
			return nil, nil, err
		}
		wires, ports = append(wires, wire), append(ports, wire.Port())
	}
	return wires, ports, nil
}

func closeWires(wires []*Wire) {
	for _, wire := range wires {
		wire.Close()
	}
}
