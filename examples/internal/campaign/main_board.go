//go:build linux

package campaign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/satellite"
)

const controllerID = "connector_2"

const mainManifest = `
description: The main board's modules, all in one.
provides:
  auth: {interface: auth, description: Authorisation.}
requires:
  evse_manager: {interface: evse_manager}
  energy: {interface: energy}
  uk_random_delay: {interface: uk_random_delay}
  system: {interface: system}
  satellite: {interface: satellite}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

// mainModules returns the configuration of the main board. It connects through the forwarder or without it, which may differ
// between its lives.
func (c *campaign) mainModules() map[string]everesttest.ModuleConfig {
	connections := map[string][]everesttest.Connection{}
	for _, implementation := range []string{"evse_manager", "energy", "uk_random_delay", "system", "satellite"} {
		connections[implementation] = []everesttest.Connection{{ModuleID: controllerID, ImplementationID: implementation}}
	}
	modules := map[string]everesttest.ModuleConfig{
		standInID: {Module: "Main", Manifest: []byte(mainManifest), Connections: connections},
		controllerID: {
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
			Config: c.secured(c.main, map[string]any{
				"hostname": c.hostname(), "discovery_interfaces": "eth0", "link_timeout_ms": int(c.flags.Silence.Milliseconds()),
				"identities": "verbatim", // numbers are found in values, and they must come as they were sent
				"on_loss":    c.onLoss(), "resume_window_s": int(c.flags.Window.Seconds()), "control_socket": c.main.controlSocket(),
			}),
			Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: standInID, ImplementationID: "auth"}}},
		},
	}
	if c.liar != nil {
		modules[liarID] = c.liarModule()
	}
	return modules
}

// secured adds the keys of a protected link to a module's configuration.
func (c *campaign) secured(board *board, config map[string]any) map[string]any {
	if c.flags.Secure {
		config["security"], config["identity_directory"] = "mutual-tls", filepath.Join(board.folder, board.name)
	}
	return config
}

func (c *campaign) onLoss() string {
	if c.flags.Isolate {
		return "isolate"
	}
	return "restart"
}

// setUpMain records all that arrives from the satellite, in its order.
func (c *campaign) setUpMain(_ *life, module *everest.Module) error {
	if err := standin.AnswerAll(c.definitions, module.Provides("auth"), standin.PlainAnswer); err != nil {
		return err
	}
	order := module.NewQueue("satellite")
	for _, requirement := range []string{"evse_manager", "energy"} {
		err := standin.SubscribeAll(c.definitions, module.Requires(requirement)[0], order, func(variable string, value json.RawMessage) {
			number, err := numberOf(value)
			switch {
			case err != nil && c.flags.Isolate && ofController(variable, value):
				return
			case err != nil:
				c.problem(fmt.Sprintf("%s without a number arrived: %s", variable, value))
				return
			}
			c.events.Arrive(variableKey(variable, number), string(value))
		})
		if err != nil {
			return err
		}
	}
	active := map[string]bool{}
	module.Requires("satellite")[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
		key := errorKey(event.Error.UUID, event.Raised)
		switch {
		case event.Error.Type == communicationFault && event.Error.SubType == duplicateSerial:
			if way(c.way.Load()) != discovered || c.flags.Secure {
				c.problem(fmt.Sprintf("%s/%s: raised %v", communicationFault, duplicateSerial, event.Raised))
			}
			return
		case c.flags.Isolate && event.Error.Type == communicationFault:
			c.isolated(event.Raised)
			return
		case c.flags.Isolate && c.killing.Load() && !event.Raised && active[event.Error.UUID] && !c.events.IsNext(key):
			// The satellite has started afresh without this error. An earlier clear may be lost.
		default:
			c.events.Arrive(key, event.Error.Type)
		}
		active[event.Error.UUID] = event.Raised
	}, everest.OnQueue(order))
	return nil
}

// communicationFault is raised on the main board while the port is out of service.
const communicationFault = "generic/CommunicationFault"

// duplicateSerial is its sub type while several boards announce the serial number of a satellite on a plain link.
const duplicateSerial = "DuplicateSerial"

// isolated records that the port went out of service, or came back.
func (c *campaign) isolated(raised bool) {
	switch {
	case raised == c.outOfService.Swap(raised):
		c.problem(fmt.Sprintf("%s: raised %v twice", communicationFault, raised))
	case raised && !c.killing.Load():
		c.problem("the port went out of service, and nothing was killed")
	case raised:
		c.isolations.Add(1)
	}
}

type uploadRequest struct {
	Location  string `json:"location"`
	RequestID int    `json:"request_id"`
}

// long makes a command, and its answer, longer than a packet.
var long = strings.Repeat("long", 1000)

func logFile(number int) string { return fmt.Sprintf("log-%d-%s.gz", number, long) }

// answerLimit is how long a command may take: longer than any fault and the restart after it.
const answerLimit = 2 * time.Minute

// errNegative is the negative answer of a command, which it gets while the link is away.
var errNegative = errors.New("the negative answer")

// call calls one kind of command over and over, while the main board is up.
func (c *campaign) call(ctx context.Context, kind commandKind, requirement string, pause time.Duration, arguments func(int) any, check func(int, json.RawMessage) error) {
	for {
		current, err := c.main.await(ctx, 0)
		if err != nil {
			return
		}
		number := c.commands.Call(kind)
		kills, killing := c.kills.Load(), c.killing.Load()
		troubles, troubled := c.troubles.Load(), c.troubled.Load()
		lifetime, release := current.during()
		limited, cancel := context.WithTimeout(lifetime, answerLimit)
		var answer json.RawMessage
		err = current.standIn.Requires(requirement)[0].Call(limited, kind.name, arguments(number), &answer)
		cancel()
		release()
		switch {
		case err != nil && !c.flags.Standalone && (errors.Is(err, everest.ErrBrokerLost) || current.over()) && current.endsSoon(ctx):
			c.commands.Abandon(number)
		default:
			if err == nil && check != nil {
				err = check(number, answer)
			}
			met := metNothing
			switch {
			case killing || c.kills.Load() != kills || c.killing.Load():
				met = metKill
			case troubled || c.troubles.Load() != troubles || c.troubled.Load():
				met = excuse(c.trouble.Load())
			}
			if errors.Is(err, errNegative) {
				c.commands.Refuse(number, met)
				break
			}
			c.commands.Answer(number, err, met)
		}
		if recording.Sleep(ctx, pause) != nil {
			return
		}
	}
}

// callers returns a function for each kind of command, which calls it until its context ends.
func (c *campaign) callers() ([]func(context.Context), error) {
	session, err := recording.ChargingSession()
	if err != nil {
		return nil, err
	}
	limits, err := recording.CommandArguments(session, enforceLimits.name)
	if err != nil {
		return nil, err
	}
	var recorded []map[string]json.RawMessage
	for _, arguments := range limits {
		var fields struct {
			Value map[string]json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(arguments, &fields); err != nil {
			return nil, fmt.Errorf("recorded %s: %w", enforceLimits.name, err)
		}
		recorded = append(recorded, fields.Value)
	}
	return []func(context.Context){
		func(ctx context.Context) {
			c.call(ctx, reserve, "evse_manager", 30*time.Millisecond, func(number int) any {
				return map[string]int{"reservation_id": number}
			}, func(_ int, answer json.RawMessage) error {
				switch string(answer) {
				case "true":
					return nil
				case "false":
					return errNegative
				}
				return fmt.Errorf("answered %s", answer)
			})
		},
		func(ctx context.Context) {
			c.call(ctx, setDuration, "uk_random_delay", 100*time.Millisecond, func(number int) any {
				return map[string]int{"value": number}
			}, nil)
		},
		func(ctx context.Context) {
			c.call(ctx, enforceLimits, "energy", 100*time.Millisecond, func(number int) any {
				limits := maps.Clone(recorded[number%len(recorded)])
				limits["uuid"] = numbered(json.RawMessage(`"limits"`), number) // the definition has no place for another member
				return map[string]any{"value": limits}
			}, nil)
		},
		func(ctx context.Context) {
			c.call(ctx, uploadLogs, "system", 50*time.Millisecond, func(number int) any {
				return map[string]any{"upload_logs_request": uploadRequest{Location: "ftp://192.0.2.1/" + long, RequestID: number}}
			}, func(number int, answer json.RawMessage) error {
				var fields struct {
					Status string `json:"upload_logs_status"`
					File   string `json:"file_name"`
				}
				switch err := json.Unmarshal(answer, &fields); {
				case err == nil && fields.Status == "Rejected":
					return errNegative
				case err != nil || fields.File != logFile(number):
					return fmt.Errorf("answered %s, the answer of another", answer)
				}
				return nil
			})
		},
	}, nil
}

// push publishes variables for the satellite over and over, while the main board is up.
func (c *campaign) push(ctx context.Context) error {
	session, err := recording.ChargingSession()
	if err != nil {
		return err
	}
	var recorded []json.RawMessage
	for _, row := range session {
		if row.Kind == "var" && row.Name == "token_validation_status" {
			recorded = append(recorded, row.Value)
		}
	}
	number := 1
	return c.main.inEachLife(ctx, func(lifetime context.Context, current *life) error {
		c.pushes.Fresh()
		killing := false
		for ctx.Err() == nil && lifetime.Err() == nil {
			value := numbered(recorded[number%len(recorded)], number)
			// A variable for a satellite that is away is lost, in this life of the main board.
			before := killing
			if killing = c.flags.Isolate && c.killing.Load(); killing || before {
				c.pushes.Fresh()
			}
			c.pushes.Publish(variableKey("token_validation_status", number), string(value))
			number++
			if err := current.standIn.Provides("auth").Publish(lifetime, "token_validation_status", value); err != nil {
				return err
			}
			_ = recording.Sleep(lifetime, 50*time.Millisecond)
		}
		return nil
	})
}
