package satellite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// agentTable is the route table as it fits the satellite board.
type agentTable struct {
	routes      []Route
	definitions *everest.Definitions
	// has are the interfaces of the manifest's requirements, by id.
	has         map[string]string
	offer       offer
	told        told
	differences atomic.Pointer[[]string]
	// asked is true once a controller has told what it tunnels.
	asked atomic.Bool
}

// fit makes the route table. What cannot be tunnelled is reported and left out.
func (a *Agent) fit(has map[string]string, definitions *everest.Definitions) error {
	extras, err := parseTunnel(a.parameters.Tunnel)
	if err != nil {
		return fmt.Errorf("satellite: the configuration key %s: %w", parameterTunnel, err)
	}
	routes, problems := fitRoutes(has, definitions, extras)
	for _, problem := range problems {
		a.log.Error("an interface is not tunnelled", zap.String("problem", problem))
	}
	a.table.routes, a.table.has, a.table.definitions = routes, has, definitions
	a.table.offer = offerOf(routes, has, definitions)
	for id, described := range a.table.offer {
		if !described.Extra {
			continue
		}
		connections := a.required(id)
		if len(connections) == 0 {
			a.log.Warn("nothing is connected to a tunnelled requirement: its commands are answered with an error", zap.String("requirement", id))
			continue
		}
		described.Module, described.Implementation = connections[0].ModuleID(), connections[0].ImplementationID()
		a.table.offer[id] = described
	}
	a.status.tunnel.Store(ptr(a.table.offer.extras()))
	return nil
}

// required returns what a route's requirement is connected to: nothing where this
// board's EVerest, and with it the manifest, does not have the interface.
func (a *Agent) required(route string) []*everest.Required {
	if _, here := a.table.has[route]; !here {
		return nil
	}
	return a.module.Requires(route)
}

func (a *Agent) connected(route string) bool { return len(a.required(route)) > 0 }

// notHere answers a command that nobody on this board can carry out: as the C++
// agent does where there is such an answer, else with an error that says why.
func (a *Agent) notHere(route Route, command Command) (json.RawMessage, error) {
	reason := "this satellite's EVerest has no command " + route.Interface + "." + command.Name
	answer := command.unavailable()
	if !a.connected(route.ID) {
		if !command.Whole {
			return command.absent(), nil // as an optional interface that is not connected
		}
		reason, answer = "nothing on this satellite is connected to the requirement "+route.ID, nil
	}
	if a.table.told.first(reason) {
		a.log.Warn("a command cannot be carried out", zap.String("interface", route.ID), zap.String("command", command.Name), zap.String("reason", reason))
	}
	if answer != nil {
		return answer, nil
	}
	a.status.commandErrors.Add(1)
	return nil, &everest.CommandError{Type: everest.NotReady, Message: reason}
}

// answerOffer takes what the controller tunnels and answers what this board does.
func (a *Agent) answerOffer(_ context.Context, request *rpc.Request) (any, error) {
	var text string
	if err := request.Decode(&text); err != nil {
		return nil, err
	}
	theirs, err := readOffer(text)
	if err != nil {
		return nil, err
	}
	a.table.asked.Store(true)
	found := differences(a.table.offer, theirs, "the main board")
	a.table.differences.Store(&found)
	if len(found) > 0 && a.table.told.first(strings.Join(found, "\n")) {
		a.log.Warn("the main board does not tunnel the same", zap.Strings("differences", found))
	}
	answer, err := marshal(a.table.offer)
	return string(answer), err
}

// withoutExtras leaves the variables of extras out towards a controller that has not
// asked what is tunnelled, as one that can does before it polls: a C++ controller
// gets only what it always got. It is said once.
func (a *Agent) withoutExtras(events []Event) []Event {
	extras := list(&a.status.tunnel)
	if len(extras) == 0 || a.table.asked.Load() {
		return events
	}
	if a.table.differences.Load() == nil {
		found := []string{strings.Join(extras, ", ") + ": the main board's module has no tunnel for it: give it the same key tunnel, or replace the C++ module there"}
		a.table.differences.Store(&found)
		a.log.Warn("the main board does not tunnel the same", zap.Strings("differences", found))
	}
	return slices.DeleteFunc(events, func(e Event) bool { return slices.Contains(extras, e.Interface) })
}
