package satellite_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// What real modules have on MQTT: texts in a list that is a whole value, indices in a list inside an object.
const (
	supportedModes = `["DC_extended","DC_core"]`
	allowedModes   = `{"allowed_energy_transfer_modes":["AC_three_phase_core"]}`
	modesResult    = `"NoHlc"`
	authorisation  = `{"provided_token":{"authorization_type":"OCPP","id_token":{"type":"ISO14443","value":"ABC"}},` +
		`"validation_result":{"allowed_energy_transfer_modes":[2],"authorization_status":"Accepted","tariff_messages":[]}}`
)

// enumerationExchanges are the start, a poll, update_allowed_energy_transfer_modes and authorize_response.
func enumerationExchanges(t *testing.T) []exchange {
	t.Helper()
	return readExchanges(t, "enumerations.jsonl")
}

// listedVariables are the variables of the poll as they are on MQTT.
func listedVariables(t *testing.T) []arrival {
	t.Helper()
	variables := recordedArrivals(t, enumerationExchanges(t)[2].result(t).(string))
	if variables[0].Value != `[4,3]` {
		t.Fatalf("the first variable of the recording is %v", variables[0])
	}
	variables[0].Value = supportedModes
	return variables
}

// pausedSession is the session that the recording's session event belongs to.
const pausedSession = "78aac4e8-6a73-4543-b24c-9a3e7f7ca337"

// withSession adds a poll before the recorded one, in which that session begins.
func withSession(t *testing.T, exchanges []exchange) []exchange {
	t.Helper()
	event := begun(pausedSession)
	poll := `{"errors":[],"vars":[{"interface":"` + event.Interface + `","value":` + event.Value + `,"var":"` + event.Variable + `"}]}`
	return slices.Insert(exchanges, 2, exchange{Function: link.FunctionRetrieve, Result: poll})
}

func answerModes(_ context.Context, call invocation) (any, error) {
	if call.Command == "update_allowed_energy_transfer_modes" {
		return json.RawMessage(modesResult), nil
	}
	return nil, nil
}

func publishListed(t *testing.T, s *satelliteBoard) {
	t.Helper()
	for _, variable := range listedVariables(t) {
		if err := s.port.module.Provides(variable.Interface).Publish(t.Context(), variable.Variable, json.RawMessage(variable.Value)); err != nil {
			t.Fatal(err)
		}
	}
}

// callListed calls both commands on the main board.
func callListed(t *testing.T, main *mainBoard) {
	t.Helper()
	var result json.RawMessage
	err := main.required("evse_manager").Call(t.Context(), "update_allowed_energy_transfer_modes", json.RawMessage(allowedModes), &result)
	if err != nil || string(result) != modesResult {
		t.Errorf("the modes are answered %s, %v, want %s", result, err, modesResult)
	}
	if err := main.required("evse_manager").Call(t.Context(), "authorize_response", json.RawMessage(authorisation), nil); err != nil {
		t.Error(err)
	}
}

// checkListedCalls checks what reached the satellite's modules.
func checkListedCalls(t *testing.T, port *standIn) {
	t.Helper()
	for _, want := range []string{allowedModes, authorisation} {
		call := receive(t, port.calls, "a command")
		got, err := json.Marshal(call.Arguments)
		if err != nil || string(got) != want {
			t.Errorf("%s has reached the satellite with %s, %v, want %s", call.Command, got, err, want)
		}
	}
}

func checkArrivals(t *testing.T, want []arrival, arrivals <-chan arrival) {
	t.Helper()
	var got []arrival
	for range want {
		got = append(got, receive(t, arrivals, "a variable"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arrivals (-want +got):\n%s", diff)
	}
}

func TestListsOfEnumerationsBetweenGoModules(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect, answer: answerModes})
			s.satellite.begin(pausedSession)
			publishListed(t, s.satellite)
			checkArrivals(t, slices.Insert(listedVariables(t), 0, begun(pausedSession)), s.arrivals)
			callListed(t, s.main)
			checkListedCalls(t, s.satellite.port)
		})
	}
}

func TestListsOfEnumerationsFromALegacyController(t *testing.T) {
	t.Parallel()
	exchanges := enumerationExchanges(t)
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{answer: answerModes})
	connection := dialAgent(t, s)
	defer connection.Close()
	reader := bufio.NewReader(connection)
	for i, exchange := range exchanges {
		if i == 2 {
			s.waitReady()
			publishListed(t, s)
			waitUntil(t, "the agent has collected the variables", func() bool { return s.agent.Status().Journal == 3 })
		}
		if _, err := connection.Write(exchange.Request); err != nil {
			t.Fatal(err)
		}
		compareAnswer(t, exchange, readMessage(t, reader))
	}
	checkListedCalls(t, s.port)
}

func TestListsOfEnumerationsToALegacyAgent(t *testing.T) {
	t.Parallel()
	exchanges := withSession(t, enumerationExchanges(t))
	agent := startScriptedAgent(t, exchanges)
	s := &station{arrivals: make(chan arrival, 100)}
	s.main = startMainWith(t, everesttest.NewBroker(t), agent.listener.Addr().(*net.TCPAddr).Port, satellite.ControllerConfig{}, nil, s.listen)
	s.main.waitReady()
	checkArrivals(t, slices.Insert(listedVariables(t), 0, begun(pausedSession)), s.arrivals)
	callListed(t, s.main)
	for _, exchange := range slices.Delete(exchanges, 2, 4) {
		if got := receive(t, agent.asked, exchange.Function); string(got.tail) != string(afterID(exchange.Request)) {
			t.Errorf("the controller sent %x, want %x", got.tail, afterID(exchange.Request))
		}
	}
}

// A Go module of an earlier release writes texts into the legacy dialect.
func TestTextsOfAnEarlierReleaseAreRead(t *testing.T) {
	t.Parallel()
	exchanges := enumerationExchanges(t)
	exchanges[2] = exchange{Function: link.FunctionRetrieve, Result: strings.Replace(exchanges[2].result(t).(string), `[4,3]`, supportedModes, 1)}
	exchanges[3] = exchange{Function: exchanges[3].Function, Result: modesResult}
	agent := startScriptedAgent(t, withSession(t, exchanges))
	s := &station{arrivals: make(chan arrival, 100)}
	s.main = startMainWith(t, everesttest.NewBroker(t), agent.listener.Addr().(*net.TCPAddr).Port, satellite.ControllerConfig{}, nil, s.listen)
	s.main.waitReady()
	checkArrivals(t, slices.Insert(listedVariables(t), 0, begun(pausedSession)), s.arrivals)
	callListed(t, s.main)
}

// What an EVerest does not know is dropped, or refused, before a C++ module can end of it.
func TestUnknownValuesOfAnEnumeration(t *testing.T) {
	t.Parallel()
	t.Run("from a legacy agent", func(t *testing.T) {
		t.Parallel()
		exchanges := enumerationExchanges(t)
		poll := exchanges[2].result(t).(string)
		exchanges = slices.Insert(exchanges, 2,
			exchange{Function: link.FunctionRetrieve, Result: strings.Replace(poll, `[4,3]`, `[4,17]`, 1)},
			exchange{Function: link.FunctionRetrieve, Result: strings.Replace(poll, `[4,3]`, `["Hovering"]`, 1)},
			exchange{Function: link.FunctionRetrieve, Result: strings.Replace(poll, `[4,3]`, `4`, 1)})
		exchanges[6].Response, exchanges[6].Result = nil, `4`
		agent := startScriptedAgent(t, withSession(t, exchanges))
		s := &station{arrivals: make(chan arrival, 100)}
		s.main = startMainWith(t, everesttest.NewBroker(t), agent.listener.Addr().(*net.TCPAddr).Port, satellite.ControllerConfig{}, nil, s.listen)
		s.main.waitReady()
		all := listedVariables(t)
		checkArrivals(t, slices.Concat([]arrival{begun(pausedSession)}, all[1:], all[1:], all[1:], all), s.arrivals)
		waitUntil(t, "the lists are counted", func() bool { return s.main.controller.Status().Dropped == 3 })
		err := callUnchecked(t, s.main, "evse_manager", "update_allowed_energy_transfer_modes", `{"allowed_energy_transfer_modes":["Hovering"]}`)
		if failed, ok := errors.AsType[*everest.CommandError](err); !ok || failed.Type != everest.SchemaValidationError {
			t.Errorf("an unknown mode: %v, want SchemaValidationError", err)
		}
		err = s.main.required("evse_manager").Call(t.Context(), "update_allowed_energy_transfer_modes", json.RawMessage(allowedModes), nil)
		if err == nil || !strings.Contains(err.Error(), "4 is neither a value nor an index of its enumeration, which has 4 values here") {
			t.Errorf("an unknown result: %v", err)
		}
	})
	t.Run("from a legacy controller", func(t *testing.T) {
		t.Parallel()
		exchanges := enumerationExchanges(t)
		s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{answer: func(context.Context, invocation) (any, error) {
			return json.RawMessage(`"Hovered"`), nil
		}})
		connection := dialAgent(t, s)
		defer connection.Close()
		reader := bufio.NewReader(connection)
		ask := func(request []byte) []any {
			t.Helper()
			if _, err := connection.Write(request); err != nil {
				t.Fatal(err)
			}
			return decodeMessage(t, readMessage(t, reader))
		}
		ask(exchanges[0].Request)
		ask(exchanges[1].Request)
		s.waitReady()
		for _, variable := range []string{`["Hovering"]`, `{"DC":1}`, supportedModes} {
			if err := s.port.module.Provides("evse_manager").Publish(t.Context(), "supported_energy_transfer_modes", json.RawMessage(variable)); err != nil {
				t.Fatal(err)
			}
		}
		waitUntil(t, "the agent has collected the variables", func() bool { return s.agent.Status().Journal == 3 })
		want := `{"errors":[],"vars":[{"interface":"evse_manager","value":[4,3],"var":"supported_energy_transfer_modes"}]}`
		if got := ask(exchanges[2].Request)[3]; got != want {
			t.Errorf("the poll is answered %v, want %s", got, want)
		}
		unknownIndex := []byte(strings.Replace(string(exchanges[3].Request), "[2]", "[:]", 1))
		if answer := ask(unknownIndex); answer[2] == nil {
			t.Errorf("a list that is no JSON is answered %v", answer)
		}
		if answer := ask([]byte(strings.Replace(string(exchanges[3].Request), "\xa3[2]", "\xa4[17]", 1))); answer[2] == nil || len(s.port.calls) != 0 {
			t.Errorf("an unknown index is answered %v and has reached %d modules", answer, len(s.port.calls))
		} else if failed := answer[2].(map[string]any); failed["__everest__error_type"] != everest.SchemaValidationError {
			t.Errorf("an unknown index is answered %v, want SchemaValidationError", answer)
		}
		if answer := ask(exchanges[3].Request); answer[2] == nil {
			t.Errorf("an unknown result is answered %v", answer)
		}
	})
}
