package satellite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// scriptedAgent is the C++ agent as it was recorded: it answers each function
// with the bytes of its recorded answers, one after the other, and remembers what
// it was asked.
type scriptedAgent struct {
	t        *testing.T
	listener net.Listener
	answers  map[string][]exchange
	// lacks reports whether the agent has no such function, nil for link_hello alone.
	lacks func(function string) bool
	// tells are what polls beyond the recording bring.
	tells chan string
	polls atomic.Int64
	asked chan request
}

type request struct {
	function  string
	arguments []any
	// tail is the request's bytes behind the message id.
	tail []byte
}

func startScriptedAgent(t *testing.T, exchanges []exchange) *scriptedAgent {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	agent := &scriptedAgent{t: t, listener: listener, answers: map[string][]exchange{}, asked: make(chan request, 10_000)}
	for _, exchange := range exchanges {
		agent.answers[exchange.Function] = append(agent.answers[exchange.Function], exchange)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			agent.serve(connection)
			connection.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return agent
}

func (a *scriptedAgent) serve(connection net.Conn) {
	for {
		content, message, err := readWhole(connection)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset by peer") {
				a.t.Errorf("the controller sent %x: %v", content, err)
			}
			return
		}
		id, function := message[1], message[2].(string)
		arguments := message[3].([]any)
		if function == link.FunctionHello || a.lacks != nil && a.lacks(function) {
			// What rpclib answers for a function that it does not have.
			answer := encoded(a.t, []any{1, id,
				fmt.Sprintf("rpclib: server could not find function '%s' with argument count %d.", function, len(arguments)), nil})
			if _, err := connection.Write(answer); err != nil {
				return
			}
			continue
		}
		if function == link.FunctionRetrieve {
			a.polls.Add(1)
		} else {
			a.asked <- request{function, arguments, afterID(content)}
		}
		if _, err := connection.Write(a.answer(id, function)); err != nil {
			return
		}
		if function == link.FunctionExit {
			return
		}
	}
}

// answer takes the next recorded answer and gives it the id of the request; a
// poll beyond the recording brings nothing.
func (a *scriptedAgent) answer(id any, function string) []byte {
	head := append([]byte{0x94, 0x01}, encoded(a.t, id)...)
	waiting := a.answers[function]
	if len(waiting) > 0 {
		a.answers[function] = waiting[1:]
		if recorded := waiting[0]; recorded.Response != nil {
			return append(head, afterID(recorded.Response)...)
		}
	}
	var result any
	switch {
	case len(waiting) > 0:
		result = waiting[0].Result
	case function == link.FunctionRetrieve:
		result = `{"errors":[],"vars":[]}`
		select {
		case result = <-a.tells:
		default:
		}
	}
	return append(append(head, 0xc0), encoded(a.t, result)...)
}

// afterID cuts the array head, the type and the message id off.
func afterID(message []byte) []byte {
	size := map[byte]int{0xcc: 2, 0xcd: 3, 0xce: 5}[message[2]]
	return message[2+max(size, 1):]
}

// The Go controller sends the bytes that the C++ controller sent, and makes of
// the C++ agent's answers what the recording says.
func TestControllerDrivesALegacyAgent(t *testing.T) {
	t.Parallel()
	exchanges := append(readExchanges(t, "startup.jsonl")[:2], readExchanges(t, "charging-session.jsonl")...)
	agent := startScriptedAgent(t, exchanges)
	s := &station{arrivals: make(chan arrival, 10_000)}
	s.main = startMainWith(t, everesttest.NewBroker(t), agent.listener.Addr().(*net.TCPAddr).Port, satellite.ControllerConfig{}, verbatim(), s.listen)
	s.main.waitReady()

	var wantRequests, gotRequests []string
	var wantArrivals, gotArrivals []arrival
	for _, exchange := range exchanges {
		if exchange.Function == link.FunctionRetrieve {
			wantArrivals = append(wantArrivals, recordedArrivals(t, exchange.result(t).(string))...)
			continue
		}
		s.main.cause(t, exchange.Function, exchange.arguments(t))
		// One after the other: that different functions overtake each other is allowed.
		got := receive(t, agent.asked, exchange.Function)
		gotRequests = append(gotRequests, string(got.tail))
		wantRequests = append(wantRequests, string(agedAs(t, exchange, got)))
	}
	if diff := cmp.Diff(wantRequests, gotRequests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	for range wantArrivals {
		gotArrivals = append(gotArrivals, receive(t, s.arrivals, "a recorded variable"))
	}
	if diff := cmp.Diff(wantArrivals, gotArrivals); diff != "" {
		t.Errorf("arrivals (-want +got):\n%s", diff)
	}
	s.main.process.stop()
	if last := receive(t, agent.asked, "exit"); last.function != link.FunctionExit || len(last.arguments) != 0 {
		t.Errorf("the last call is %s%v, want exit", last.function, last.arguments)
	}
}

var validFor = regexp.MustCompile(`"valid_for":(\d+)`)

// agedAs returns the tail of the recorded request. The controller shortens valid_for by the time that limits wait for the answer
// before them, so the tail has got's valid_for where that is smaller.
func agedAs(t *testing.T, recorded exchange, got request) []byte {
	t.Helper()
	text := fmt.Sprint(recorded.arguments(t)...)
	whole, aged := validFor.FindStringSubmatch(text), validFor.FindStringSubmatch(fmt.Sprint(got.arguments...))
	if whole == nil || aged == nil {
		return afterID(recorded.Request)
	}
	recordedSeconds, _ := strconv.Atoi(whole[1])
	if seconds, err := strconv.Atoi(aged[1]); err != nil || seconds >= recordedSeconds {
		return afterID(recorded.Request)
	}
	return afterID(encoded(t, []any{0, 0, recorded.Function, []any{strings.Replace(text, whole[0], aged[0], 1)}}))
}

func recordedArrivals(t *testing.T, answer string) []arrival {
	t.Helper()
	var events recordedEvents
	if err := json.Unmarshal([]byte(answer), &events); err != nil {
		t.Fatal(err)
	}
	var arrivals []arrival
	for _, variable := range events.Vars {
		arrivals = append(arrivals, arrival{variable.Interface, variable.Var, string(variable.Value)})
	}
	return arrivals
}

// cause makes the main board's modules do what made the C++ controller call the
// function.
func (m *mainBoard) cause(t *testing.T, function string, recorded []any) {
	t.Helper()
	if function == link.FunctionPushVar {
		var pushed struct {
			Interface, Var string
			Value          json.RawMessage
		}
		if err := json.Unmarshal([]byte(recorded[0].(string)), &pushed); err != nil {
			t.Fatal(err)
		}
		if err := m.main.module.Provides(pushed.Interface).Publish(t.Context(), pushed.Var, pushed.Value); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, r := range route.Standard() {
		for _, command := range r.Commands {
			if command.Function != function {
				continue
			}
			arguments := map[string]json.RawMessage{}
			for i, argument := range command.Arguments {
				if argument.Kind != route.JSON {
					t.Fatalf("no argument of kind %d is in the recordings", argument.Kind)
				}
				arguments[argument.Name] = json.RawMessage(recorded[i].(string))
			}
			if err := m.required(r.ID).Call(t.Context(), command.Name, arguments, nil); err != nil {
				t.Fatalf("%s: %v", function, err)
			}
		}
	}
}

// An agent in the EVerest of its controller hears what the controller raises. It is not raised again.
func TestErrorsDoNotGoRound(t *testing.T) {
	t.Parallel()
	agent := startScriptedAgent(t, readExchanges(t, "startup.jsonl")[:2])
	agent.tells = make(chan string, 1)
	tell := func(action string, e everest.Error) {
		t.Helper()
		object, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		agent.tells <- fmt.Sprintf(`{"vars":[],"errors":[{"action":%q,"error":%s}]}`, action, object)
	}
	heard := make(chan everest.ErrorEvent, 10)
	main := startMain(t, everesttest.NewBroker(t), agent.listener.Addr().(*net.TCPAddr).Port, satellite.ControllerConfig{}, func(main *standIn) {
		main.module.Requires("satellite")[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) { heard <- event })
	})
	main.waitReady()
	raised := everest.Error{
		Type: "generic/VendorWarning", Severity: everest.SeverityLow, State: everest.StateActive, Message: "m", Description: "d", UUID: "u",
		Timestamp: time.Unix(1_700_000_000, 0).UTC(), Origin: everest.Origin{ModuleID: "port", ImplementationID: "evse"},
	}
	tell("raise", raised)
	first := receive(t, heard, "the error")
	if !first.Raised || !strings.HasSuffix(first.Error.SubType, "port/evse") {
		t.Fatalf("the main board hears %+v", first)
	}
	tell("raise", first.Error)
	waitUntil(t, "the controller drops its own error", func() bool { return main.controller.Status().Dropped == 1 })
	tell("clear", raised)
	if last := receive(t, heard, "the end of the error"); last.Raised || last.Error.SubType != first.Error.SubType {
		t.Errorf("the main board hears %+v", last)
	}
	tell("clear", first.Error)
	raised.SubType = "another"
	tell("raise", raised)
	if next := receive(t, heard, "the other error"); next.Error.SubType != "another port/evse" {
		t.Errorf("the main board hears %+v", next)
	}
}

// An answer that is none of a satellite's agent is a clear error, not a panic,
// and nothing that was good in it is lost.
func TestControllerSurvivesABadAgent(t *testing.T) {
	t.Parallel()
	exchanges := readExchanges(t, "startup.jsonl")[:2]
	poll := func(text string) exchange { return exchange{Function: link.FunctionRetrieve, Result: text} }
	exchanges = append(exchanges,
		poll(`nonsense`),
		poll(`{"vars":[{"interface":"nobody","var":"v","value":1},{"interface":"evse_manager","var":"evse_id","value":"DE*TST*E1"}],"errors":[]}`),
		poll(`{"vars":[],"errors":[{"action":"raise","error":{"type":"nosuch/Error"}},{"action":"raise","error":7}]}`),
		poll(`{"vars":[{"interface":"evse_manager","var":"evse_id","value":"DE*TST*E2"}],"errors":[]}`),
	)
	agent := startScriptedAgent(t, exchanges)
	s := &station{arrivals: make(chan arrival, 100)}
	s.main = startMain(t, everesttest.NewBroker(t), agent.listener.Addr().(*net.TCPAddr).Port, satellite.ControllerConfig{}, s.listen)
	s.main.waitReady()
	for _, want := range []string{`"DE*TST*E1"`, `"DE*TST*E2"`} {
		if got := receive(t, s.arrivals, want); got.Value != want {
			t.Errorf("arrived: %v, want %s", got, want)
		}
	}
	// A variable may arrive before the controller has counted it.
	waitUntil(t, "both variables are counted", func() bool { return s.main.controller.Status().Variables == 2 })
	if status := s.main.controller.Status(); status.Dropped != 4 {
		t.Errorf("status %+v, want 4 dropped", status)
	}
}
