package handshake

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever comes how often in which order, each command is executed at most once, its result is what the execution
// brought, and nothing acknowledged is kept.
func TestLedgerExecutesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ledger Ledger[uint64]
		executed, finished := map[uint64]bool{}, map[uint64]bool{}
		floor := uint64(0)
		number := func(t *rapid.T) uint64 { return rapid.Uint64Range(1, 12).Draw(t, "number") }
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				n := number(t)
				result, verdict := ledger.Begin(n)
				switch {
				case verdict == Execute && (executed[n] || n < floor):
					t.Fatalf("command %d is executed again, floor %d", n, floor)
				case verdict == Finished && (!finished[n] || result != 10*n):
					t.Fatalf("command %d has the result %d", n, result)
				case verdict == Running && (!executed[n] || finished[n]):
					t.Fatalf("command %d does not run", n)
				case verdict == Execute:
					executed[n] = true
				}
			},
			"finish": func(t *rapid.T) {
				n := number(t)
				if executed[n] && !finished[n] {
					finished[n] = true
					ledger.Finish(n, 10*n, 3)
				}
			},
			"cancel": func(t *rapid.T) { ledger.Cancel(number(t)) },
			"acknowledge": func(t *rapid.T) {
				n := number(t)
				floor = max(floor, n)
				ledger.Acknowledge(n)
			},
			"": func(t *rapid.T) {
				bytes := 0
				for n, entry := range ledger.entries {
					if n < floor {
						t.Fatalf("command %d is remembered below the floor %d", n, floor)
					}
					bytes += entry.size
				}
				if bytes != ledger.bytes {
					t.Fatalf("counts %d bytes, holds %d", ledger.bytes, bytes)
				}
			},
		})
	})
}

func TestLedgerIsBounded(t *testing.T) {
	var byCount, byBytes Ledger[int]
	for n := uint64(1); n <= maxResults; n++ {
		if _, verdict := byCount.Begin(n); verdict != Execute {
			t.Fatalf("command %d: %v", n, verdict)
		}
	}
	byBytes.Begin(1)
	byBytes.Finish(1, 0, maxResultBytes)
	for _, ledger := range []*Ledger[int]{&byCount, &byBytes} {
		if _, verdict := ledger.Begin(maxResults + 1); verdict != Refused {
			t.Errorf("beyond the bound: %v, want Refused", verdict)
		}
		ledger.Acknowledge(2)
		if _, verdict := ledger.Begin(maxResults + 1); verdict != Execute {
			t.Errorf("after an acknowledgement: %v, want Execute", verdict)
		}
	}
}

func TestLedgerCancelsWhatHasNotCome(t *testing.T) {
	var ledger Ledger[int]
	ledger.Cancel(2)
	if _, verdict := ledger.Begin(2); verdict != Cancelled {
		t.Errorf("a cancelled command: %v, want Cancelled", verdict)
	}
	ledger.Begin(3)
	ledger.Cancel(3)
	ledger.Finish(3, 7, 1)
	if result, verdict := ledger.Begin(3); verdict != Finished || result != 7 {
		t.Errorf("cancelled while it ran: %v %d, want its result", verdict, result)
	}
}

func TestNumbersKnowTheFloor(t *testing.T) {
	var numbers Sequence
	if floor := numbers.Floor(); floor != 1 {
		t.Errorf("floor %d before the first command, want 1", floor)
	}
	first, second, third := numbers.Next(), numbers.Next(), numbers.Next()
	for _, step := range []struct{ done, floor uint64 }{{second, 1}, {first, 3}, {third, 4}} {
		if numbers.Done(step.done); numbers.Floor() != step.floor {
			t.Errorf("after %d: floor %d, want %d", step.done, numbers.Floor(), step.floor)
		}
	}
}

func TestInboxDropsWhatItHas(t *testing.T) {
	var inbox Inbox
	for _, step := range []struct {
		number uint64
		isNew  bool
	}{{1, true}, {2, true}, {2, false}, {1, false}, {5, true}} {
		if got := inbox.Accept(step.number); got != step.isNew {
			t.Errorf("event %d: %v, want %v", step.number, got, step.isNew)
		}
	}
	inbox.Published(5)
	inbox.Published(3)
	if received, published := inbox.Position(); received != 5 || published != 5 {
		t.Errorf("received %d, published %d, want 5 and 5", received, published)
	}
}
