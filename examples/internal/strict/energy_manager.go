package strict

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// unlimited is the limit in ampere of a node that has none.
const unlimited = 1000.0

// slice is how many ampere an EVSE buys at a time.
const slice = 0.5

// energyManager stands in for EnergyManager. It sells what the fuses allow in slices, EVSE after EVSE, and sends each
// EVSE its share under the uuid of the request.
type energyManager struct {
	board *Board
	trunk *everest.Required

	mu       sync.Mutex
	flow     *energyFlow
	priority chan struct{}
}

func newEnergyManager(board *Board) *energyManager {
	return &energyManager{board: board, priority: make(chan struct{}, 1)}
}

func (m *energyManager) setUp(module *everest.Module) error {
	m.trunk = module.Requires("energy_trunk")[0]
	everest.Subscribe(m.trunk, "energy_flow_request", func(_ context.Context, flow energyFlow) {
		m.mu.Lock()
		m.flow = &flow
		m.mu.Unlock()
		if hasPriority(flow) {
			select {
			case m.priority <- struct{}{}:
			default:
			}
		}
	})
	module.OnReady(func(ctx context.Context) error {
		m.distribute(ctx)
		return nil
	})
	return nil
}

func hasPriority(flow energyFlow) bool {
	for _, child := range flow.Children {
		if hasPriority(child) {
			return true
		}
	}
	return flow.Priority
}

func (m *energyManager) distribute(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-m.priority:
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		flow := m.flow
		m.mu.Unlock()
		if flow == nil {
			continue
		}
		for _, limits := range shares(*flow) {
			limits.ValidFor = cmp.Or(m.board.ValidFor, limits.ValidFor)
			// A call that fails is made again in the next round.
			_ = m.trunk.Call(ctx, "enforce_limits", map[string]any{"value": limits}, nil)
		}
	}
}

// market is a node of the tree with what is left of its limit.
type market struct {
	left   float64
	parent *market
}

// sell reports whether the node and all above it had that many ampere left.
func (m *market) sell(amount float64) bool {
	for node := m; node != nil; node = node.parent {
		if node.left < amount {
			return false
		}
	}
	for node := m; node != nil; node = node.parent {
		node.left -= amount
	}
	return true
}

type buyer struct {
	uuid   string
	market *market
	bought float64
}

// shares returns the limits of each EVSE of a tree.
func shares(root energyFlow) []enforcedLimits {
	var buyers []*buyer
	var visit func(flow energyFlow, parent *market)
	visit = func(flow energyFlow, parent *market) {
		node := &market{demanded(flow), parent}
		if flow.NodeType == "Evse" {
			buyers = append(buyers, &buyer{uuid: flow.UUID, market: node})
		}
		for _, child := range flow.Children {
			visit(child, node)
		}
	}
	visit(root, nil)
	for traded := true; traded; {
		traded = false
		for _, b := range buyers {
			if b.market.sell(slice) {
				b.bought += slice
				traded = true
			}
		}
	}
	limits := make([]enforcedLimits, 0, len(buyers))
	for _, b := range buyers {
		side := energyLimits{&ampere{"", b.bought}}
		limits = append(limits, enforcedLimits{
			UUID: b.uuid, ValidFor: 10, RootSide: side,
			Schedule: []energyShare{{timestamp(), side}},
		})
	}
	return limits
}

// demanded returns the lower limit of a node's two sides.
func demanded(flow energyFlow) float64 {
	limit := unlimited
	if len(flow.Import) == 0 {
		return 0
	}
	for _, side := range []energyLimits{flow.Import[0].ToRoot, flow.Import[0].ToLeaves} {
		if side.Current != nil {
			limit = min(limit, side.Current.Value)
		}
	}
	return limit
}
