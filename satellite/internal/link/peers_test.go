package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

const peerError = `{"origin":{"implementation_id":"main","module_id":"m"},"type":"a/B"}`

// peerEvents are the events of all variables of the peer, and an error where it tells errors.
func (f peerFacts) peerEvents() (events []Event) {
	for i, variable := range f.variables {
		value := json.RawMessage(fmt.Sprint(i))
		if variable[1] == "supported_energy_transfer_modes" {
			value = json.RawMessage(everestValues[route.EnumList])
		}
		events = append(events, Event{Interface: variable[0], Name: variable[1], Value: value})
	}
	if f.poll == FunctionRetrieve {
		events = append(events, Event{Kind: Raised, Value: json.RawMessage(peerError)})
	}
	return events
}

// pollText is the answer of the peer's poll with these events.
func (f peerFacts) pollText(events []Event) string {
	var variables, raised []string
	for _, event := range events {
		value := string(event.Value)
		switch {
		case event.Kind == Raised:
			raised = append(raised, `{"action":"raise","error":`+value+`}`)
			continue
		case event.Name == "supported_energy_transfer_modes":
			value = wireValues[route.EnumList].(string)
		}
		variables = append(variables, fmt.Sprintf(`{"interface":%q,"value":%s,"var":%q}`, event.Interface, value, event.Name))
	}
	list := "[" + strings.Join(variables, ",") + "]"
	if f.poll == FunctionRetrieveVars {
		return list
	}
	return `{"errors":[` + strings.Join(raised, ",") + `],"vars":` + list + `}`
}

// cppAgent plays the C++ agent of a tag. Without i_am_here all its functions exist from the start.
type cppAgent struct {
	facts  peerFacts
	server *rpc.Server

	mu     sync.Mutex
	events []Event
}

func (a *cppAgent) handle(t *testing.T, one peerFunction, answer func() any) {
	t.Helper()
	err := a.server.Handle(one.name, func(_ context.Context, request *rpc.Request) (any, error) {
		if err := one.readPeerArguments(request); err != nil {
			t.Errorf("%s: %v", one.name, err)
		}
		return answer(), nil
	})
	if err != nil {
		t.Error(err)
	}
}

func (a *cppAgent) work(t *testing.T) {
	for _, one := range a.facts.functions {
		if one.name == FunctionPushVar {
			a.takePush(t)
			continue
		}
		a.handle(t, one, func() any { return wireValues[one.result] })
	}
	err := a.server.Handle(a.facts.poll, func(context.Context, *rpc.Request) (any, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		events := a.events
		a.events = nil
		return a.facts.pollText(events), nil
	})
	if err != nil {
		t.Error(err)
	}
}

const pushed = `{"interface":"auth","value":1,"var":"v"}`

func (a *cppAgent) takePush(t *testing.T) {
	err := a.server.Handle(FunctionPushVar, func(_ context.Context, request *rpc.Request) (any, error) {
		var text string
		if err := request.Decode(&text); err != nil || text != pushed {
			t.Errorf("pushed %s, %v", text, err)
		}
		return nil, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func (a *cppAgent) start(t *testing.T, listener net.Listener) {
	a.server = rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	if !a.facts.has(FunctionIAmHere) {
		a.work(t)
	}
	for _, one := range a.facts.announce {
		a.handle(t, one, func() any {
			if one.name == FunctionIAmHere {
				a.work(t)
				return false
			}
			return nil
		})
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = a.server.Serve(context.Background(), listener) }) // until Close
	t.Cleanup(func() {
		a.server.Close()
		serving.Wait()
	})
}

// The controller drives the C++ agent of each tag: it finds out by asking what the agent has. What the agent lacks is not
// tunnelled, and harms nothing.
func TestControllerDrivesTheAgentsOfAllTags(t *testing.T) {
	forEachPeer(t, func(t *testing.T, facts peerFacts) {
		synctest.Test(t, func(t *testing.T) {
			wire := &wire{listener: rpctest.Listen("agent")}
			agent := &cppAgent{facts: facts, events: facts.peerEvents()}
			agent.start(t, wire.listener)
			routes := routesOfPeers(t)
			arrived := make(chan Event, 100)
			client := NewClient(ClientConfig{
				Protocol:       handshake.ControllerConfig{Dialects: handshake.AnyDialect, HeartbeatTimeout: 1500 * time.Millisecond, ResumeWindow: 30 * time.Second},
				CommandTimeout: patience, Peer: "the agent", Logger: zap.NewNop(), Routes: routes,
				MainBoard: MainBoard{
					Dial: wire.dial, Connected: func(*rpc.Client) {}, NotConnected: func(error) {}, Disconnected: func(error) {},
					Compare:     func(context.Context, handshake.Dialect, func(context.Context, string) (string, error)) {},
					Publish:     func(_ context.Context, event Event) { arrived <- event },
					Unreadable:  func(err error) { t.Error(err) },
					Established: func(bool) {}, Isolated: func(handshake.Reason) {}, Changed: func(ClientState) {}, Suspected: func() {},
				},
			})
			runEnd(t, client.Run)
			agreed(t, client)
			client.BoardReady()
			var got []Event
			for range facts.peerEvents() {
				select {
				case event := <-arrived:
					got = append(got, event)
				case <-time.After(time.Second):
				}
			}
			if diff := cmp.Diff(facts.peerEvents(), got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if _, _, function, err := client.Ping(t.Context(), 0); err != nil || function != facts.poll {
				t.Errorf("the poll is %s, %v", function, err)
			}
			if err := client.Push(t.Context(), route.Push{ID: "auth", Variable: "v"}, json.RawMessage("1")); err != nil {
				t.Error(err)
			}
			known := map[string]bool{}
			for _, one := range facts.functions {
				known[one.name] = true
			}
			for _, r := range routes {
				for _, command := range r.Commands {
					callPeer(t, client, r, command, known[command.Function])
				}
			}
		})
	})
}

// callPeer calls a command of the satellite, which has its function or lacks it.
func callPeer(t *testing.T, client *Client, r route.Route, command route.Command, known bool) {
	t.Helper()
	arguments := everest.Args{}
	for _, argument := range command.Arguments {
		arguments[argument.Name] = json.RawMessage(everestValues[argument.Kind])
	}
	result, err := client.Call(t.Context(), r, command, arguments)
	switch {
	case !known && !errors.Is(err, ErrNotTunnelled):
		t.Errorf("%s: %s, %v, want ErrNotTunnelled", command.Function, result, err)
	case known && (err != nil || string(result) != everestValues[command.Result]):
		t.Errorf("%s: %s, %v, want %s", command.Function, result, err, everestValues[command.Result])
	}
}

// The agent serves the C++ controller of each tag: under the names that this controller has, and without errors for one
// that does not know them. i_am_ready alone is the handshake of 2024.3.
func TestAgentServesTheControllersOfAllTags(t *testing.T) {
	forEachPeer(t, func(t *testing.T, facts peerFacts) {
		synctest.Test(t, func(t *testing.T) {
			listener := rpctest.Listen("agent")
			var executed []string
			server := NewServer(ServerConfig{
				Protocol: handshake.AgentConfig{Dialects: handshake.AnyDialect}, CommandTimeout: patience, Routes: routesOfPeers(t),
				Logger: zap.NewNop(), Admission: new(openAdmission),
				SatelliteBoard: SatelliteBoard{
					Listen: func() (net.Listener, error) { return listener, nil }, Listening: func() {},
					Execute: func(_ context.Context, _ route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
						executed = append(executed, command.Function)
						for _, argument := range command.Arguments {
							if got := string(arguments[argument.Name]); got != everestValues[argument.Kind] {
								t.Errorf("%s: %s is %s", command.Function, argument.Name, got)
							}
						}
						return json.RawMessage(everestValues[command.Result]), nil
					},
					Publish:      func(context.Context, string, string, json.RawMessage) error { return nil },
					Connected:    func(string) bool { return true },
					LegacyFilter: func() func(Event) bool { return func(Event) bool { return true } },
					Fail:         func(err error) { t.Error(err) }, Changed: func(ServerState) {}, Suspected: func(int) {},
				},
			})
			runEnd(t, server.Run)
			var starting sync.WaitGroup
			starting.Go(func() { server.Start(t.Context()) })
			synctest.Wait()
			conn, err := listener.Dial(t.Context(), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			controller := rpc.NewClient(conn, rpc.Config{})
			defer controller.Close()
			if facts.has(FunctionIAmHere) {
				var known bool
				if err := controller.Call(t.Context(), FunctionIAmHere, &known); err != nil || known {
					t.Fatalf("%s: %v, %v", FunctionIAmHere, known, err)
				}
			}
			if err := controller.Call(t.Context(), FunctionIAmReady, nil); err != nil {
				t.Fatalf("%s: %v", FunctionIAmReady, err)
			}
			starting.Wait()
			server.BoardReady()
			for _, event := range facts.peerEvents() {
				if event.Kind == Variable {
					server.Record(event)
				}
			}
			server.RecordError(everest.ErrorEvent{Raised: true, Raw: json.RawMessage(peerError), Error: everest.Error{Type: "a/B"}})
			var polled string
			if err := controller.Call(t.Context(), facts.poll, &polled); err != nil || polled != facts.pollText(facts.peerEvents()) {
				t.Errorf("%s: %v (-want +got):\n%s", facts.poll, err, cmp.Diff(facts.pollText(facts.peerEvents()), polled))
			}
			if left := server.Stats().Journal.Events; left != 0 {
				t.Errorf("%d events wait for a poll that never takes them", left)
			}
			if err := controller.Call(t.Context(), FunctionPushVar, nil, pushed); err != nil {
				t.Error(err)
			}
			var wanted []string
			for _, one := range facts.functions {
				if one.name != FunctionPushVar && one.name != "sytem_reset" { // the latter ends the connection
					wanted = append(wanted, one.name)
					callAgent(t, controller, one)
				}
			}
			if diff := cmp.Diff(wanted, executed); diff != "" {
				t.Errorf("executed (-want +got):\n%s", diff)
			}
		})
	})
}

// callAgent calls a function of the agent as the C++ controller does, and compares the result.
func callAgent(t *testing.T, controller *rpc.Client, one peerFunction) {
	t.Helper()
	var arguments []any
	for _, kind := range one.arguments {
		arguments = append(arguments, wireValues[kind])
	}
	var target any
	switch one.result {
	case route.Null:
	case route.Boolean:
		target = new(bool)
	default:
		target = new(string)
	}
	if err := controller.Call(t.Context(), one.name, target, arguments...); err != nil || peerValue(target) != wireValues[one.result] {
		t.Errorf("%s: %v, %v", one.name, peerValue(target), err)
	}
}
