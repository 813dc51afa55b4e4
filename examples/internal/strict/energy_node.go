package strict

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
)

// energyFlow is an EnergyFlowRequest.
type energyFlow struct {
	UUID      string         `json:"uuid"`
	Children  []energyFlow   `json:"children"`
	NodeType  string         `json:"node_type"`
	Priority  bool           `json:"priority_request"`
	EVSEState string         `json:"evse_state,omitempty"`
	Import    []energyDemand `json:"schedule_import"`
	Export    []energyDemand `json:"schedule_export"`
	Setpoints []any          `json:"schedule_setpoints"`
}

// energyDemand is one time slot of an EnergyFlowRequest.
type energyDemand struct {
	Timestamp string       `json:"timestamp"`
	ToRoot    energyLimits `json:"limits_to_root"`
	ToLeaves  energyLimits `json:"limits_to_leaves"`
}

type energyLimits struct {
	Current *ampere `json:"ac_max_current_A,omitempty"`
}

type ampere struct {
	Source string  `json:"source"`
	Value  float64 `json:"value"`
}

// enforcedLimits is an EnforcedLimits.
type enforcedLimits struct {
	UUID     string        `json:"uuid"`
	ValidFor int           `json:"valid_for"`
	RootSide energyLimits  `json:"limits_root_side"`
	Schedule []energyShare `json:"schedule"`
}

// energyShare is one time slot of an EnforcedLimits.
type energyShare struct {
	Timestamp string       `json:"timestamp"`
	ToRoot    energyLimits `json:"limits_to_root"`
}

// energyNode stands in for EnergyNode. It keeps the last request of each child by the uuid that the request has, so two
// children with one uuid are one child. Limits for another uuid than its own go to every child.
type energyNode struct {
	provided *everest.Provided
	children []*everest.Required

	mu   sync.Mutex
	flow energyFlow
}

func newEnergyNode() *energyNode { return new(energyNode) }

func (n *energyNode) setUp(module *everest.Module) error {
	var config struct {
		Fuse float64 `everest:"fuse_limit_A"`
	}
	if err := module.DecodeConfig(&config); err != nil {
		return err
	}
	n.provided, n.children = module.Provides("energy_grid"), module.Requires("energy_consumer")
	fuse := energyLimits{&ampere{module.ID() + "/module_config", config.Fuse}}
	slots := []energyDemand{{timestamp(), fuse, fuse}}
	n.flow = energyFlow{UUID: module.ID(), Children: []energyFlow{}, NodeType: "Generic", Import: slots, Export: slots, Setpoints: []any{}}
	for _, child := range n.children {
		everest.Subscribe(child, "energy_flow_request", n.request)
	}
	n.provided.Handle("enforce_limits", n.enforce)
	module.OnReady(func(ctx context.Context) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.provided.Publish(ctx, "energy_flow_request", n.flow)
	})
	return nil
}

func (n *energyNode) request(ctx context.Context, request energyFlow) {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := false
	for i := range n.flow.Children {
		if n.flow.Children[i].UUID == request.UUID {
			n.flow.Children[i], found = request, true
		}
	}
	if !found {
		n.flow.Children = append(n.flow.Children, request)
	}
	// A broker that is gone ends the module elsewhere.
	_ = n.provided.Publish(ctx, "energy_flow_request", n.flow)
}

func (n *energyNode) enforce(ctx context.Context, arguments everest.Args) (any, error) {
	var limits enforcedLimits
	if err := strictly(arguments["value"], &limits, "uuid", "valid_for", "schedule", "limits_root_side"); err != nil {
		return nil, err
	}
	// The lock is held while the children are called, as in the real module: one slow child holds all others.
	n.mu.Lock()
	defer n.mu.Unlock()
	if limits.UUID == n.flow.UUID {
		return nil, nil
	}
	for _, child := range n.children {
		if err := child.Call(ctx, "enforce_limits", map[string]json.RawMessage{"value": arguments["value"]}, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
