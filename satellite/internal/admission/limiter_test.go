package admission

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// limited is a limiter with a clock and a log of its own.
type limited struct {
	*limiter
	clock time.Time
	lines *observer.ObservedLogs
}

func newLimited() *limited {
	core, lines := observer.New(zap.InfoLevel)
	g := &limited{limiter: newLimiter(newSecurityLog(zap.New(core)), func(identity.Reason) []zap.Field { return nil }), clock: time.Unix(1_800_000_000, 0), lines: lines}
	g.log.now = func() time.Time { return g.clock }
	return g
}

func at(host string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(host), Port: 40000} }

func (g *limited) of(reason identity.Reason) int {
	return g.lines.FilterField(zap.String("reason", string(reason))).Len()
}

// fail lets an address in and fails its handshake, so often as it is let in.
func (g *limited) fail(host string, times int) (admitted int) {
	for range times {
		if g.admit(at(host)) == nil {
			g.reject(at(host), rpc.ErrHandshake)
			admitted++
		}
	}
	return admitted
}

func TestAnAddressThatFailsTooOften(t *testing.T) {
	g := newLimited()
	if admitted := g.fail("192.0.2.1", 1000); admitted != maxFailures {
		t.Errorf("%d attempts were let in, want %d", admitted, maxFailures)
	}
	if lines := g.of(reasonRateLimited); lines != 1 {
		t.Errorf("%d lines tell of the refused address, want 1", lines)
	}
	if count := g.log.rejections.Load(); count != 1000 {
		t.Errorf("%d were counted, want 1000", count)
	}
	if g.fail("192.0.2.2", 1) != 1 {
		t.Error("another address was kept out")
	}
	g.clock = g.clock.Add(10 * time.Second)
	if admitted := g.fail("192.0.2.1", 1000); admitted != 5 {
		t.Errorf("%d attempts were let in after 10 s, want 5", admitted)
	}
	g.clock = g.clock.Add(-time.Hour)
	if admitted := g.fail("192.0.2.1", 1000); admitted != 0 {
		t.Errorf("%d attempts were let in by a clock that was set back", admitted)
	}
}

func TestOnlySoManyHandshakesAtATime(t *testing.T) {
	g := newLimited()
	for i := range maxPending {
		if err := g.admit(at("192.0.2.1")); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	if err := g.admit(at("192.0.2.1")); !errors.Is(err, errTooManyHandshakes) {
		t.Errorf("one more handshake of an address: %v", err)
	}
	total := maxPending
	for i := 2; total < maxPendingAll; i++ {
		for range maxPending {
			if err := g.admit(at(fmt.Sprintf("192.0.2.%d", i))); err != nil {
				t.Fatalf("connection %d: %v", total, err)
			}
			total++
		}
	}
	if g.admit(at("198.51.100.1")) == nil {
		t.Error("all addresses together may have any number of handshakes under way")
	}
	// A place that becomes free is taken by whoever comes.
	g.accept(at("192.0.2.1"), true)
	if err := g.admit(at("198.51.100.1")); err != nil {
		t.Error(err)
	}
	// The controller that was there last is not kept out by others, nor by its own
	// failures.
	if err := g.admit(at("192.0.2.1")); err != nil {
		t.Error(err)
	}
	g.reject(at("192.0.2.1"), rpc.ErrHandshake)
	// A trusted board that is turned away does not take its place.
	g.accept(at("198.51.100.1"), false)
	if admitted := g.fail("192.0.2.1", 100); admitted != 100 {
		t.Errorf("the known controller was let in %d times of 100", admitted)
	}
}

func TestMemoryForAddressesIsBounded(t *testing.T) {
	g := newLimited()
	for i := range 100_000 {
		g.fail(fmt.Sprintf("2001:db8::%x:%x", i>>8, i&0xff), 1)
	}
	if len(g.addresses) != maxAddresses || g.seen.Len() != maxAddresses {
		t.Errorf("%d addresses are remembered, want %d", len(g.addresses), maxAddresses)
	}
	if g.lines.Len() > rejectionBurst+1 {
		t.Errorf("%d lines were logged in no time", g.lines.Len())
	}
	g.clock = g.clock.Add(time.Minute)
	g.fail("192.0.2.1", 1)
	last := g.lines.All()[g.lines.Len()-1].ContextMap()
	if suppressed, ok := last["repeats"].(uint64); !ok || suppressed != 100_000-rejectionBurst {
		t.Errorf("the next line tells of %v that were suppressed", last["repeats"])
	}
	if g.pending != 0 {
		t.Errorf("%d handshakes are under way", g.pending)
	}
}

func TestAPortThatIsClosedIsNobodysFailure(t *testing.T) {
	g := newLimited()
	for _, err := range []error{context.Canceled, net.ErrClosed} {
		if err := g.admit(at("192.0.2.1")); err != nil {
			t.Fatal(err)
		}
		g.reject(at("192.0.2.1"), fmt.Errorf("%w: %w", rpc.ErrHandshake, err))
	}
	if g.lines.Len() != 0 || g.pending != 0 || g.log.rejections.Load() != 0 {
		t.Errorf("%v", g.lines.All())
	}
	if err := g.admit(at("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	g.reject(at("192.0.2.1"), fmt.Errorf("%w: the limit is 256", rpc.ErrTooManyConnections))
	if g.of(reasonTooMany) != 1 {
		t.Errorf("%v", g.lines.All())
	}
	if errors.Is(errRateLimited, net.ErrClosed) {
		t.Error("a limited address is a closed connection")
	}
}
