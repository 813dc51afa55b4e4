//go:build linux

package campaign

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanComesFromTheSeed(t *testing.T) {
	plan := func(seed uint64) []Fault { return Plan(rand.New(rand.NewPCG(seed, seed)), 100) }
	if diff := cmp.Diff(plan(7), plan(7)); diff != "" {
		t.Errorf("one seed, two plans:\n%s", diff)
	}
	if cmp.Equal(plan(7), plan(8)) {
		t.Error("two seeds, one plan")
	}
}

func TestPlanHasEveryKind(t *testing.T) {
	for seed := range uint64(100) {
		counts, direct := map[Kind]int{}, false
		for i, fault := range Plan(rand.New(rand.NewPCG(seed, seed)), 10*deckSize) {
			if i < deckSize {
				counts[fault.Kind]++
			}
			if direct && fault.Kind.needsForwarder() {
				t.Errorf("seed %d, fault %d: %s, and the way does not lead through the forwarder", seed, i, fault.Kind)
			}
			if direct != fault.Direct && !fault.Kind.killsMain() {
				t.Errorf("seed %d, fault %d: another way, and the main board lives on", seed, i)
			}
			direct = fault.Direct
			if fault.For < 0 || fault.Pause < 0 {
				t.Errorf("seed %d, fault %d: %+v", seed, i, fault)
			}
		}
		for _, kind := range kinds {
			want := kind.cards
			if kind.kind.broker() != metNothing {
				want = 0 // modules that a manager started end with their broker
			}
			if counts[kind.kind] != want {
				t.Errorf("seed %d: %d times %s in a deck, want %d", seed, counts[kind.kind], kind.kind, want)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct{ arguments, want string }{
		{"-faults 0", "-faults"}, {"-speed -1", "-speed"}, {"-silence 1ms", "-silence"}, {"-window 1ms", "-window"}, {"-only nonsense", "agent killed"}, {"more", "more"},
		{"-only|main broker stalled", "-standalone"}, {"-standalone|-only|agent killed", "-standalone"}, {"-standalone|-embedded", "mosquitto"},
		{"-all -isolate", "-all"},
	} {
		if _, err := ParseFlags(strings.FieldsFunc(test.arguments, func(r rune) bool { return r == '|' || r == ' ' && !strings.Contains(test.arguments, "|") }), io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.arguments, err, test.want)
		}
	}
	flags, err := ParseFlags([]string{"-seed", "7", "-only", "cut"}, io.Discard)
	if err != nil || flags.Seed != 7 || flags.Faults != shortForm || len(flags.Only) != 1 {
		t.Errorf("flags %+v, error %v", flags, err)
	}
}

// A deck of modules that live on has every kind that they outlive.
func TestPlanOfModulesThatLiveOn(t *testing.T) {
	flags, err := ParseFlags([]string{"-standalone"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[Kind]int{}
	for _, fault := range Plan(rand.New(rand.NewPCG(1, 1)), 100, flags.Only...) {
		counts[fault.Kind]++
		if fault.Kind.Kills() {
			t.Errorf("%s ends modules", fault.Kind)
		}
	}
	for _, kind := range kinds {
		if kind.kind.broker() != metNothing && counts[kind.kind] == 0 {
			t.Errorf("no %s", kind.kind)
		}
	}
}

func TestPlanOfSomeKinds(t *testing.T) {
	counts := map[Kind]int{}
	for _, fault := range Plan(rand.New(rand.NewPCG(1, 1)), 30, Cut, KillController) {
		counts[fault.Kind]++
	}
	if counts[Cut] == 0 || counts[KillController] == 0 || counts[Cut]+counts[KillController] != 30 {
		t.Errorf("faults %v", counts)
	}
}
