package satellite

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// resolve resolves the route table. It logs what cannot be tunnelled, and leaves it out.
func (a *Agent) resolve(interfaces map[string]string, definitions *schema.Definitions) error {
	problems, err := a.table.Resolve(interfaces, definitions, a.parameters.Tunnel)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		a.log.Error("an interface is not tunnelled", zap.String("problem", problem))
	}
	for _, id := range a.table.Extras() {
		connections := a.required(id)
		if len(connections) == 0 {
			a.log.Warn("nothing is connected to a tunnelled requirement: its commands are answered with an error", zap.String("requirement", id))
			continue
		}
		a.table.Connect(id, connections[0].ModuleID(), connections[0].ImplementationID())
	}
	return nil
}

// required returns what a route's requirement is connected to: nothing where this
// board's EVerest, and with it the manifest, does not have the interface.
func (a *Agent) required(id string) []*everest.Required {
	if !a.table.HasInterface(id) {
		return nil
	}
	return a.module.Requires(id)
}

func (a *Agent) connected(id string) bool { return len(a.required(id)) > 0 }

// notHere answers a command that nobody on this board can carry out: as the C++
// agent does where there is such an answer, else with an error that says why.
func (a *Agent) notHere(r route.Route, command route.Command) (json.RawMessage, error) {
	reason := "this satellite's EVerest has no command " + r.Interface + "." + command.Name
	answer := command.UnavailableResult()
	if !a.connected(r.ID) {
		if !command.Derived {
			return command.AbsentResult(), nil // as an optional interface that is not connected
		}
		reason, answer = "nothing on this satellite is connected to the requirement "+r.ID, nil
	}
	if a.table.First(reason) {
		a.log.Warn("a command cannot be carried out", zap.String("interface", r.ID), zap.String("command", command.Name), zap.String("reason", reason))
	}
	if answer != nil {
		return answer, nil
	}
	a.status.commandErrors.Add(1)
	return nil, &everest.CommandError{Type: everest.NotReady, Message: reason}
}

// compareTables receives the controller's route table and returns this board's.
func (a *Agent) compareTables(_ context.Context, request *rpc.Request) (any, error) {
	var text string
	if err := request.Decode(&text); err != nil {
		return nil, err
	}
	peer, err := route.ParseSummary(text)
	if err != nil {
		return nil, err
	}
	a.report(a.table.Compare(peer, "the main board"))
	return a.table.Summary()
}

func (a *Agent) report(differences []string) {
	if a.table.SetDifferences(differences) {
		a.log.Warn("the main board does not tunnel the same", zap.Strings("differences", differences))
	}
}

// withoutExtras leaves the variables of extras out towards a controller that has not
// asked what is tunnelled, as one that can does before it polls: a C++ controller
// gets only what it always got. It is said once.
func (a *Agent) withoutExtras(events []Event) []Event {
	extras := a.table.Extras()
	if len(extras) == 0 || a.table.Peer() != nil {
		return events
	}
	if a.table.Differences() == nil {
		a.report([]string{strings.Join(extras, ", ") + ": the main board's module has no tunnel for it: give it the same key tunnel, or replace the C++ module there"})
	}
	return slices.DeleteFunc(events, func(e Event) bool { return slices.Contains(extras, e.Interface) })
}
