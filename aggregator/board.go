package aggregator

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/everest"
)

// board is one board of the station: its system and, for a satellite, the controller that links it.
type board struct {
	index     int
	name      string
	system    *everest.Required
	satellite *everest.Required // nil for the main board
	// tellsLinkStatus is false where the installed interface satellite has no command get_link_status.
	tellsLinkStatus bool
	// noLinkStatus is when the command had no answer.
	noLinkStatus atomic.Pointer[time.Time]
	// aliveAt is when the satellite's agent is known to have run last, zero where it is not known. The loop has it.
	aliveAt time.Time
	// awayAt is when the link was seen away last, zero for never. The loop has it.
	awayAt time.Time
	// refusal is how the board refused the newest firmware update, empty where it took it.
	refusal atomic.Pointer[string]
	timeout time.Duration
	log     *zap.Logger
}

// newBoards pairs the connections: satellite i belongs to system i+1.
func newBoards(systems, satellites []*everest.Required, timeout time.Duration, log *zap.Logger) []*board {
	boards := make([]*board, len(systems))
	for i, system := range systems {
		b := &board{index: i, system: system, timeout: timeout}
		b.name = fmt.Sprintf("%d_%s", i, system.ModuleID())
		if i > 0 && i-1 < len(satellites) {
			b.satellite = satellites[i-1]
		}
		b.log = log.With(zap.String("board", b.name))
		boards[i] = b
	}
	return boards
}

// call calls a command of the board's system, and logs an error.
func (b *board) call(ctx context.Context, command string, arguments, result any) error {
	waiting, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	err := b.system.Call(waiting, command, arguments, result)
	if err != nil && ctx.Err() == nil {
		b.log.Warn("a board did not answer, which counts as its refusal", zap.String("command", command), zap.Error(err))
	}
	return err
}

// ownAddress returns this board's address as the other board reaches it.
func (b *board) ownAddress(ctx context.Context) (string, error) {
	if b.index == 0 {
		return "127.0.0.1", nil
	}
	if b.satellite == nil {
		return "", fmt.Errorf("aggregator: board %s: no satellite is connected at index %d", b.name, b.index-1)
	}
	address, err := everest.Call[string](ctx, b.satellite, "get_local_endpoint_address", nil)
	if err != nil {
		return "", fmt.Errorf("aggregator: board %s: its link has no address: %w", b.name, err)
	}
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return "", fmt.Errorf("aggregator: board %s: the link's own address %.60q is not an IP address; is the link up?", b.name, address)
	}
	return parsed.String(), nil
}

// addresses returns the addresses of the board's connections, or none where they are unknown, for example because only
// multicast DNS resolves its name.
func (b *board) addresses(ctx context.Context) []netip.Addr {
	if b.index == 0 {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	if b.satellite == nil {
		return nil
	}
	host, err := everest.Call[string](ctx, b.satellite, "get_remote_endpoint_address", nil)
	if err != nil {
		b.log.Warn("the board's address is not known", zap.Error(err))
		return nil
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}
	}
	// The rest of the timeout is for the board itself.
	ctx, cancel := context.WithTimeout(ctx, b.timeout/4)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		b.log.Warn("the board's name cannot be resolved: the first address with its credentials is taken for its own", zap.Error(err))
		return nil
	}
	return addresses
}

// connected asks the controller whether it has a link to the board, and reports the reply.
func (b *board) connected(ctx context.Context) bool {
	if b.satellite == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	connected, err := everest.Call[bool](ctx, b.satellite, "is_connected", nil)
	return err == nil && connected
}

// watchBoards looks at the links of the satellites while they have work to do, and logs a loss. A board takes longer to
// restart than the pause between two looks.
func (a *Aggregator) watchBoards(ctx context.Context) {
	ticker := time.NewTicker(5 * a.station.unit)
	defer ticker.Stop()
	lost := make([]bool, len(a.station.boards))
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		a.firmware.readBootReasons(ctx)
		busy := make(chan bool, 1)
		a.station.loop.post(func(context.Context) { busy <- a.firmware.busy() || a.logs.busy() })
		select {
		case <-ctx.Done():
			return
		case working := <-busy:
			if !working {
				continue
			}
		}
		for _, b := range a.station.boards {
			gone := !b.connected(ctx)
			if gone {
				a.station.loop.post(func(context.Context) { b.awayAt = time.Now() })
			}
			if gone == lost[b.index] || ctx.Err() != nil {
				continue
			}
			lost[b.index] = gone
			a.station.tellLink(b, !gone)
			if gone {
				a.station.loop.post(func(ctx context.Context) { a.firmware.step(ctx, firmware.Away{Board: b.index}) })
				b.log.Warn("the link to a board is lost while it has work to do")
			} else {
				a.station.loop.post(func(ctx context.Context) { a.firmware.step(ctx, firmware.Back{Board: b.index}) })
				b.log.Info("the link to a board is back")
			}
		}
	}
}

// logSharedEVSEs logs each satellite that has the EVSE of another one in its mapping. Auth and OCPP take both for one.
func logSharedEVSEs(satellites []*everest.Required, log *zap.Logger) {
	first := make(map[int]string)
	for _, satellite := range satellites {
		mapping := satellite.Mapping()
		if mapping == nil {
			continue
		}
		if other, taken := first[mapping.EVSE]; taken {
			log.Error("two satellites stand for one EVSE: give each controller a mapping of its own",
				zap.Int("evse", mapping.EVSE), zap.Strings("modules", []string{other, satellite.ModuleID()}))
			continue
		}
		first[mapping.EVSE] = satellite.ModuleID()
	}
}
