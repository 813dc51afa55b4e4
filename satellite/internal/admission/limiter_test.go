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
		if g.admit(at(host), false) == nil {
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

// The link's peer is not kept out by its own failures.
func TestThePeerIsNotLimited(t *testing.T) {
	g := newLimited()
	g.fail("192.0.2.1", maxFailures)
	if err := g.admit(at("192.0.2.1"), false); !errors.Is(err, errRateLimited) {
		t.Errorf("a stranger: %v", err)
	}
	if err := g.admit(at("192.0.2.1"), true); err != nil {
		t.Errorf("the peer: %v", err)
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
}

func TestAPortThatIsClosedIsNobodysFailure(t *testing.T) {
	g := newLimited()
	for _, err := range []error{context.Canceled, net.ErrClosed} {
		if err := g.admit(at("192.0.2.1"), false); err != nil {
			t.Fatal(err)
		}
		g.reject(at("192.0.2.1"), fmt.Errorf("%w: %w", rpc.ErrHandshake, err))
	}
	if g.lines.Len() != 0 || g.log.rejections.Load() != 0 {
		t.Errorf("%v", g.lines.All())
	}
	if err := g.admit(at("192.0.2.1"), false); err != nil {
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
