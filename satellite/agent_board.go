package satellite

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
	"github.com/remotechargeport/remotechargeport/satellite/internal/update"
)

// satelliteBoard is the board that an agent serves: the modules behind its requirements, and its own implementations.
type satelliteBoard struct {
	module *everest.Module
	log    *zap.Logger
	table  route.Table
	// definitions are those of this board, set by resolve.
	definitions *schema.Definitions
	intake      valueIntake
	updates     *update.Keeper
	evse        *boardEVSE
	hooks       *hook.Runner
	changes     *stateChanges
	// ready is closed when the board's modules are ready.
	ready     chan struct{}
	readyOnce sync.Once
}

func newSatelliteBoard(module *everest.Module, changes *stateChanges, log *zap.Logger) *satelliteBoard {
	b := &satelliteBoard{
		module: module, log: log, ready: make(chan struct{}), evse: newBoardEVSE(changes.evse), hooks: changes.hooks, changes: changes,
	}
	b.intake.log, b.intake.table = log, &b.table
	return b
}

// becomeReady lets commands through. A standalone module becomes ready again after its broker was lost.
func (b *satelliteBoard) becomeReady() { b.readyOnce.Do(func() { close(b.ready) }) }

// resolve resolves the route table. It logs what cannot be tunnelled, and leaves that out.
func (b *satelliteBoard) resolve(interfaces map[string]string, definitions *schema.Definitions, tunnel string) error {
	b.definitions = definitions
	problems, err := b.table.Resolve(interfaces, definitions, tunnel)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		b.log.Error("an interface is not tunnelled", zap.String("problem", problem))
	}
	for _, id := range b.table.Extras() {
		connections := b.required(id)
		if len(connections) == 0 {
			b.log.Warn("nothing is connected to a tunnelled requirement: its commands are answered with an error", zap.String("requirement", id))
			continue
		}
		b.table.Connect(id, connections[0].ModuleID(), connections[0].ImplementationID())
	}
	return nil
}

// required returns what a route's requirement is connected to. Where this board's EVerest, and with it the manifest,
// lacks the interface, that is nothing.
func (b *satelliteBoard) required(id string) []*everest.Required {
	if !b.table.HasInterface(id) {
		return nil
	}
	return b.module.Requires(id)
}

func (b *satelliteBoard) connected(id string) bool { return len(b.required(id)) > 0 }

// collect subscribes every variable of the route table whose requirement is connected, and every error of this board.
// All of them share one queue: so they are recorded in the order in which MQTT delivered them.
func (b *satelliteBoard) collect(server *link.Server, watch func(link.Event)) {
	order := everest.OnQueue(b.module.NewQueue("journal"))
	var ends endFinder
	for _, r := range b.table.Routes() {
		for _, required := range b.required(r.ID) {
			for _, variable := range r.Variables {
				required.Subscribe(variable.Name, func(_ context.Context, value json.RawMessage) {
					event := link.Event{Interface: r.ID, Name: variable.Name, Value: value, NewestOnly: variable.NewestOnly, GivenUpLast: variable.GivenUpLast}
					if !b.intake.takes(event) {
						return
					}
					watch(event)
					b.evse.published(event)
					b.changes.progress(event)
					event.Ends = ends.session(event)
					if !route.IsFirmwareStatus(r.ID, variable.Name) {
						server.Record(event)
						return
					}
					b.updates.Reported(value)
					server.Record(event)
					b.updates.Recorded(server.Stats().Journal.Collected)
				}, order)
			}
		}
	}
	b.module.SubscribeGlobalErrors(func(_ context.Context, event everest.ErrorEvent) {
		b.evse.changed(event)
		if taken := link.EventOf(event); b.intake.takes(taken) {
			watch(taken)
			server.RecordError(event)
		}
	}, order)
}

// execute carries out a command. It waits until the board's modules are ready, because before that a command may reach
// nobody. Arguments that this board's modules in C++ cannot read are refused. An update that is accepted is on disk before its reply.
func (b *satelliteBoard) execute(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	required := b.required(r.ID)
	if len(required) == 0 || command.Missing {
		return b.absent(r, command)
	}
	if waitFor(ctx, b.ready) != nil {
		return nil, &everest.CommandError{Type: everest.NotReady, Message: "the satellite's modules are not ready"}
	}
	arguments, err := b.definitions.ReadableArguments(r.Interface, command.Name, arguments)
	if err != nil {
		return nil, err
	}
	var result json.RawMessage
	if r.ID == route.System && command.Name == "is_reset_allowed" && (b.updates.Flashing() || !b.mayReset(ctx, arguments)) {
		return json.RawMessage("false"), nil
	}
	if r.ID == route.System && command.Name == "reset" {
		b.updates.ResetAsked()
	}
	err = required[0].Call(ctx, command.Name, arguments, &result)
	switch {
	case err != nil:
	case command.AcceptsUpdate(result):
		b.updates.Accepted(arguments[updateRequest])
	case r.ID == route.System && command.Name == "get_boot_reason":
		result = b.bootReason(result)
	}
	return result, err
}

// bootReason returns the boot reason of this board, given that of its System.
func (b *satelliteBoard) bootReason(result json.RawMessage) json.RawMessage {
	var reason string
	if err := json.Unmarshal(result, &reason); err != nil {
		return result
	}
	if known := b.updates.BootReason(reason); known != reason {
		b.log.Info("the board has gone down at the end of its firmware update", zap.String("boot_reason", reason))
		return json.RawMessage(`"` + known + `"`)
	}
	return result
}

// absent returns the result of a command that nobody on this board can carry out: that of the C++ agent where it has
// one, else an error with the reason.
func (b *satelliteBoard) absent(r route.Route, command route.Command) (json.RawMessage, error) {
	reason := "this satellite's EVerest has no command " + r.Interface + "." + command.Name
	result := command.UnavailableResult()
	if !b.connected(r.ID) {
		if !command.Derived {
			return command.AbsentResult(), nil // as an optional interface that is not connected
		}
		reason, result = "nothing on this satellite is connected to the requirement "+r.ID, nil
	}
	if b.table.First(reason) {
		b.log.Warn("a command cannot be carried out", zap.String("interface", r.ID), zap.String("command", command.Name), zap.String("reason", reason))
	}
	if result != nil {
		return result, nil
	}
	return nil, fmt.Errorf("%w: %w", link.ErrNotTunnelled, &everest.CommandError{Type: everest.NotReady, Message: reason})
}

// publish publishes a variable of the main board, once this board's modules are ready. It ignores one that is not in
// the table of pushes.
func (b *satelliteBoard) publish(ctx context.Context, id, name string, value json.RawMessage) error {
	for _, push := range route.Pushes() {
		if push.ID != id || push.Variable != name {
			continue
		}
		if err := waitFor(ctx, b.ready); err != nil {
			return err
		}
		return b.module.Provides(push.ID).Publish(ctx, push.Variable, value)
	}
	b.log.Debug("pushed variable is not one of ours", zap.String("interface", id), zap.String("variable", name))
	return nil
}

// reset asks this board's system for a reset.
func (b *satelliteBoard) reset(ctx context.Context) error {
	return b.resetWith(ctx, map[string]any{"type": "Soft", "scheduled": false})
}

func (b *satelliteBoard) resetWith(ctx context.Context, arguments any) error {
	b.updates.ResetAsked()
	return b.required(route.System)[0].Call(ctx, "reset", arguments, nil)
}

// compare takes the controller's summary and returns this board's.
func (b *satelliteBoard) compare(summary string) (string, error) {
	peer, err := route.ParseSummary(summary)
	if err != nil {
		return "", err
	}
	b.report(b.table.Compare(peer, "the main board"))
	return b.table.Summary()
}

func (b *satelliteBoard) report(differences []string) {
	if b.table.SetDifferences(differences) {
		b.log.Warn("the main board does not tunnel the same", zap.Strings("differences", differences))
	}
}

// legacyFilter returns what reports whether a legacy controller can publish an event. One that has not compared the
// tables before it polls is a C++ controller: it gets no variables of extras. That is logged once.
func (b *satelliteBoard) legacyFilter() func(link.Event) bool {
	extras := b.table.Extras()
	if len(extras) == 0 || b.table.Peer() != nil {
		return func(link.Event) bool { return true }
	}
	if b.table.Differences() == nil {
		b.report([]string{strings.Join(extras, ", ") + ": the main board's module has no tunnel for it: give it the same key tunnel, or replace the C++ module there"})
	}
	return func(event link.Event) bool { return !slices.Contains(extras, event.Interface) }
}

// answerOwn handles the commands of the agent's own implementations. These exist for their variables only.
func (b *satelliteBoard) answerOwn(definitions *schema.Definitions) {
	for implementation, commands := range ownAnswers(definitions) {
		for command, result := range commands {
			b.module.Provides(implementation).Handle(command, func(context.Context, everest.Args) (any, error) {
				return result, nil
			})
		}
	}
}

// ownAnswers returns the answers of the agent's own implementations: those of the C++ agent for the commands that this
// EVerest has, and a refusal for further ones, which newer releases have.
func ownAnswers(definitions *schema.Definitions) map[string]map[string]json.RawMessage {
	answers := map[string]map[string]json.RawMessage{
		route.Auth: {
			"set_connection_timeout":   nil,
			"set_master_pass_group_id": nil,
			"withdraw_authorization":   json.RawMessage(`"Rejected"`),
		},
		route.System: {
			"update_firmware":             json.RawMessage(`"Rejected"`),
			"allow_firmware_installation": nil,
			"upload_logs":                 json.RawMessage(`{"upload_logs_status":"Rejected"}`),
			"is_reset_allowed":            json.RawMessage(`false`),
			"reset":                       nil,
			"set_system_time":             json.RawMessage(`false`),
			"get_boot_reason":             json.RawMessage(`"Unknown"`),
		},
	}
	for implementation, commands := range answers {
		declared, known := definitions.Interface(implementation)
		if !known {
			continue
		}
		maps.DeleteFunc(commands, func(command string, _ json.RawMessage) bool { return declared.Commands[command] == nil })
		for command := range declared.Commands {
			if _, answered := commands[command]; answered {
				continue
			}
			if refusal, ok := definitions.Refusal(implementation, command); ok {
				commands[command] = refusal
			}
		}
	}
	return answers
}
