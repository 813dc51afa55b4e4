//go:build linux

package campaign

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults.
const (
	MainLinkDown   Kind = "link down, main"
	PortLinkDown   Kind = "link down, satellite"
	MainPulled     Kind = "cable pulled, main"
	PortPulled     Kind = "cable pulled, satellite"
	Loss           Kind = "30 % packet loss"
	Delay          Kind = "delay"
	Stall          Kind = "stall"
	StallOneWay    Kind = "stall, one way"
	Cut            Kind = "cut"
	CutTwice       Kind = "cut twice"
	StopAgent      Kind = "agent stopped"
	StopController Kind = "controller stopped"
	KillAgent      Kind = "agent killed"
	KillController Kind = "controller killed"
	KillPortBroker Kind = "satellite's broker killed"
	KillMainBroker Kind = "main broker killed"
	KillBoth       Kind = "both modules killed"
	Away           Kind = "away beyond the window"
	Hole           Kind = "MTU hole"
)

// The kinds of faults of modules that live on when their broker goes. The connection is that of the module under test.
const (
	CutPortBroker     Kind = "connection to the satellite's broker cut"
	CutMainBroker     Kind = "connection to the main broker cut"
	StallPortBroker   Kind = "satellite's broker stalled"
	StallMainBroker   Kind = "main broker stalled"
	LongStallPort     Kind = "satellite's broker stalled for long"
	LongStallMain     Kind = "main broker stalled for long"
	RestartPortBroker Kind = "satellite's broker restarted"
	RestartMainBroker Kind = "main broker restarted"
)

// kinds is every kind in the order of the report: how many of it a deck has, and for how long it lasts. A negative time
// makes half of the kills happen without an outage before.
var kinds = []struct {
	kind     Kind
	cards    int
	min, max time.Duration
}{
	{MainLinkDown, 1, 50 * time.Millisecond, 1500 * time.Millisecond},
	{PortLinkDown, 1, 50 * time.Millisecond, 1500 * time.Millisecond},
	{MainPulled, 1, 50 * time.Millisecond, 1500 * time.Millisecond},
	{PortPulled, 1, 50 * time.Millisecond, 1500 * time.Millisecond},
	{Loss, 2, 500 * time.Millisecond, 2500 * time.Millisecond},
	{Delay, 1, 500 * time.Millisecond, 1500 * time.Millisecond},
	{Stall, 2, 50 * time.Millisecond, 1500 * time.Millisecond},
	{StallOneWay, 1, 50 * time.Millisecond, 1500 * time.Millisecond},
	{Cut, 2, 0, 0},
	{CutTwice, 1, 0, 100 * time.Millisecond},
	{StopAgent, 2, 50 * time.Millisecond, 1500 * time.Millisecond},
	{StopController, 2, 50 * time.Millisecond, 1500 * time.Millisecond},
	{KillAgent, 1, -time.Second, time.Second},
	{KillController, 1, -time.Second, time.Second},
	{KillPortBroker, 1, -time.Second, time.Second},
	{KillMainBroker, 1, -time.Second, time.Second},
	{KillBoth, 1, -time.Second, time.Second},
	{Hole, 1, 0, 2 * time.Second},
	{Away, 1, 500 * time.Millisecond, 2 * time.Second}, // and the window before
	{CutPortBroker, 1, 0, 0},
	{CutMainBroker, 1, 0, 0},
	{StallPortBroker, 1, 50 * time.Millisecond, 2500 * time.Millisecond},
	{StallMainBroker, 1, 50 * time.Millisecond, 2500 * time.Millisecond},
	{LongStallPort, 1, 3 * time.Second, 12 * time.Second},
	{LongStallMain, 1, 3 * time.Second, 12 * time.Second},
	{RestartPortBroker, 1, 0, 1500 * time.Millisecond},
	{RestartMainBroker, 1, 0, 1500 * time.Millisecond},
	{Poison, 1, 0, 0},
	{SilentStrangers, 1, 500 * time.Millisecond, 1500 * time.Millisecond},
	{NoisyStrangers, 1, 500 * time.Millisecond, 1500 * time.Millisecond},
	{Liar, 2, 200 * time.Millisecond, 1500 * time.Millisecond},
	{Announced, 1, 50 * time.Millisecond, 1500 * time.Millisecond},
}

// deckSize is the number of faults in a deck.
var deckSize = func() (size int) {
	for _, kind := range kinds {
		if kind.kind.broker() == metNothing {
			size += kind.cards
		}
	}
	return size
}()

// livingOn are the kinds of a campaign with modules that live on: those of brokers, and some that meet them.
var livingOn = []Kind{
	CutPortBroker, CutMainBroker, StallPortBroker, StallMainBroker, LongStallPort, LongStallMain, RestartPortBroker, RestartMainBroker,
	Cut, Stall, StopAgent, StopController, MainPulled,
}

// broker returns of which board's broker the fault is, which the modules outlive.
func (k Kind) broker() excuse {
	switch k {
	case CutPortBroker, StallPortBroker, LongStallPort, RestartPortBroker:
		return metPortBroker
	case CutMainBroker, StallMainBroker, LongStallMain, RestartMainBroker:
		return metMainBroker
	}
	return metNothing
}

// Kills reports whether the fault ends processes.
func (k Kind) Kills() bool {
	switch k {
	case KillAgent, KillController, KillPortBroker, KillMainBroker, KillBoth, Away, Announced:
		return true
	}
	return false
}

// killsMain reports whether a process of the main board ends.
func (k Kind) killsMain() bool {
	switch k {
	case KillController, KillMainBroker, KillBoth, Announced:
		return true
	}
	return false
}

// worksMeanwhile reports whether everything has to be at work again before the fault ends.
func (k Kind) worksMeanwhile() bool { return k == Hole }

// needsForwarder reports whether the forwarder makes the fault.
func (k Kind) needsForwarder() bool {
	switch k {
	case SilentStrangers, NoisyStrangers, Delay, Stall, StallOneWay, Cut, CutTwice:
		return true
	}
	return false
}

// Fault is one fault of a plan.
type Fault struct {
	Kind Kind
	// For is how long the fault lasts; for a kill, how long the link is down before. Pause is the time after the fault.
	For, Pause time.Duration
	// ToSatellite is the direction of a stall of one way. Delay is that of each byte.
	ToSatellite bool
	Delay       time.Duration
	// Pick chooses the lie of another satellite.
	Pick uint64
	// Direct is set if the boards meet without the forwarder after the fault. It changes with a life of the main board.
	Direct bool
}

// way returns how the main board gets to its satellite after the fault.
func (f Fault) way() way {
	switch {
	case f.Direct:
		return direct
	case f.Kind == Announced:
		return discovered
	}
	return forwarded
}

// Plan draws count faults from decks in random order, so that each deck brings every kind. During the first deck the boards
// meet through the forwarder, which some kinds need. If only names kinds, the decks have no others.
func Plan(random *rand.Rand, count int, only ...Kind) []Fault {
	var plan []Fault
	var deck []int
	direct := false
	for len(plan) < count {
		next := slices.IndexFunc(deck, func(card int) bool { return !direct || !kinds[card].kind.needsForwarder() })
		if next < 0 {
			deck = append(deck, shuffledDeck(random, only)...)
			continue
		}
		kind := kinds[deck[next]]
		deck = slices.Delete(deck, next, next+1)
		fault := Fault{
			Kind: kind.kind, For: max(0, between(random, kind.min, kind.max)), Pause: between(random, 0, 300*time.Millisecond),
			ToSatellite: random.IntN(2) == 0, Delay: between(random, 20*time.Millisecond, 400*time.Millisecond),
			Pick: random.Uint64(),
		}
		if fault.Kind.killsMain() {
			direct = random.IntN(2) == 0 && len(plan) >= deckSize && fault.Kind != Announced
		}
		fault.Direct = direct
		plan = append(plan, fault)
	}
	return plan
}

func shuffledDeck(random *rand.Rand, only []Kind) []int {
	var deck []int
	for i, kind := range kinds {
		if len(only) > 0 && !slices.Contains(only, kind.kind) || len(only) == 0 && kind.kind.broker() != metNothing {
			continue
		}
		for range kind.cards {
			deck = append(deck, i)
		}
	}
	random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

func between(random *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(random.Int64N(int64(to-from)+1))
}
