package satellite_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// exchange is one recorded call between the C++ controller and the C++ agent.
type exchange struct {
	Function  string
	Arguments []json.RawMessage `json:"arguments"`
	Request   hexBytes          `json:"request_hex"`
	Response  hexBytes          `json:"response_hex"`
	// Result is the answer where the recording of its bytes was cut.
	Result any `json:"result"`
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readExchanges(t *testing.T, name string) []exchange {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	for line := range bytes.Lines(content) {
		var one exchange
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no exchange", name)
	}
	return all
}

func decodeMessage(t *testing.T, content []byte) []any {
	t.Helper()
	var message []any
	if err := rpc.Raw(content).Decode(&message); err != nil {
		t.Fatalf("%x: %v", content, err)
	}
	return message
}

// result returns what the recorded answer carried.
func (e exchange) result(t *testing.T) any {
	t.Helper()
	if e.Response == nil {
		return e.Result
	}
	return decodeMessage(t, e.Response)[3]
}

func (e exchange) arguments(t *testing.T) []any {
	t.Helper()
	return decodeMessage(t, e.Request)[3].([]any)
}

// The Go agent answers the bytes that the C++ controller sent with the bytes that
// the C++ agent answered.
func TestAgentAnswersALegacyController(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"charging-session.jsonl", "errors.jsonl"} {
		t.Run(name, func(t *testing.T) {
			exchanges := append(readExchanges(t, "startup.jsonl")[:2], readExchanges(t, name)...)
			results := newRecordedResults(t, exchanges)
			s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{answer: results.answer})
			connection := dialAgent(t, s)
			defer connection.Close()
			reader := bufio.NewReader(connection)
			for i, exchange := range exchanges {
				if i == 2 {
					s.waitReady()
				}
				if exchange.Function == link.FunctionRetrieve {
					publishRecorded(t, s, exchange.result(t).(string))
				}
				if _, err := connection.Write(exchange.Request); err != nil {
					t.Fatal(err)
				}
				compareAnswer(t, exchange, readMessage(t, reader))
			}
		})
	}
}

func dialAgent(t *testing.T, s *satelliteBoard) net.Conn {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		connection, err := net.Dial("tcp", s.address)
		if err == nil {
			if err := connection.SetDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			return connection
		}
		select {
		case err := <-s.process.ended:
			t.Fatalf("the agent ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("the agent does not open its port")
	return nil
}

// readMessage reads one answer, to the byte.
func readMessage(t *testing.T, reader *bufio.Reader) []byte {
	t.Helper()
	content, _, err := readWhole(reader)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// readWhole reads one message and not a byte more. It returns the message's bytes and members.
func readWhole(reader io.Reader) ([]byte, []any, error) {
	var content []byte
	for {
		chunk := make([]byte, 1)
		if _, err := io.ReadFull(reader, chunk); err != nil {
			return content, nil, err
		}
		content = append(content, chunk[0])
		var message []any
		if err := rpc.Raw(content).Decode(&message); err == nil && len(message) == 4 {
			return content, message, nil
		}
	}
}

func encoded(t *testing.T, value any) []byte {
	t.Helper()
	raw, err := rpc.Encode(value)
	if err != nil {
		t.Error(err)
	}
	return raw
}

func compareAnswer(t *testing.T, exchange exchange, got []byte) {
	t.Helper()
	if exchange.Response != nil && bytes.Equal(exchange.Response, got) {
		return
	}
	// Only JSON text may differ, in the order of keys.
	message := decodeMessage(t, got)
	want := exchange.result(t)
	wantText, wantJSON := want.(string)
	gotText, gotJSON := message[3].(string)
	if !wantJSON || !gotJSON {
		t.Fatalf("%s answered %x, want %x", exchange.Function, got, exchange.Response)
	}
	if diff := cmp.Diff(decodeJSON(t, wantText), decodeJSON(t, gotText)); diff != "" {
		t.Fatalf("%s answered (-want +got):\n%s", exchange.Function, diff)
	}
	if !strings.Contains(wantText, `"action"`) && exchange.Response != nil {
		t.Fatalf("%s answered the same values in other bytes:\n%s\nwant\n%s", exchange.Function, gotText, wantText)
	}
}

func decodeJSON(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return value
}

type recordedEvents struct {
	Errors []struct {
		Action string
		Error  json.RawMessage
	}
	Vars []struct {
		Interface, Var string
		Value          json.RawMessage
	}
}

// publishRecorded makes the satellite's modules do what they did before the
// recorded answer, and waits until the agent has seen all of it.
func publishRecorded(t *testing.T, s *satelliteBoard, answer string) {
	t.Helper()
	var events recordedEvents
	if err := json.Unmarshal([]byte(answer), &events); err != nil {
		t.Fatal(err)
	}
	for _, variable := range events.Vars {
		if err := s.port.module.Provides(variable.Interface).Publish(t.Context(), variable.Var, variable.Value); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "the agent has collected the variables", func() bool { return s.agent.Status().Journal == len(events.Vars) })
	for _, event := range events.Errors {
		var object everest.Error
		if err := json.Unmarshal(event.Error, &object); err != nil {
			t.Fatal(err)
		}
		kind := map[string]string{"raise": "RaiseError", "clear": "ClearError"}[event.Action]
		s.publishRaw(t, "everest/modules/"+portID+"/impl/evse_manager/error/"+object.Type,
			`{"data":`+string(event.Error)+`,"msg_type":"`+kind+`"}`)
	}
	want := len(events.Vars) + len(events.Errors)
	waitUntil(t, "the agent has collected the events", func() bool { return s.agent.Status().Journal == want })
}

// publishRaw publishes what no Go module would: an error as the recording has it.
func (b *board) publishRaw(t *testing.T, topic, payload string) {
	t.Helper()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(b.manager.Options(portID).Broker.String()).SetClientID(rand.Text()))
	for _, act := range []func() mqtt.Token{
		client.Connect,
		func() mqtt.Token { return client.Publish(topic, 2, false, payload) },
	} {
		if token := act(); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatalf("publishing %s: %v", topic, token.Error())
		}
	}
	client.Disconnect(100)
}

func waitUntil(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// recordedResults answers commands with what was answered in the recording.
type recordedResults struct {
	lock    sync.Mutex
	results map[string][]any
}

func newRecordedResults(t *testing.T, exchanges []exchange) *recordedResults {
	t.Helper()
	r := &recordedResults{results: map[string][]any{}}
	for _, exchange := range exchanges {
		r.results[exchange.Function] = append(r.results[exchange.Function], exchange.result(t))
	}
	return r
}

// answer answers a command of the charge port.
func (r *recordedResults) answer(_ context.Context, call invocation) (any, error) {
	for _, routed := range route.Standard() {
		for _, command := range routed.Commands {
			if routed.ID != call.Implementation || command.Name != call.Command {
				continue
			}
			result, _ := r.next(command.Function)
			if text, isText := result.(string); isText && command.Result == route.JSON {
				return json.RawMessage(text), nil
			}
			return result, nil
		}
	}
	return nil, nil
}

func (r *recordedResults) next(function string) (any, bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	waiting := r.results[function]
	if len(waiting) == 0 {
		return nil, false
	}
	r.results[function] = waiting[1:]
	return waiting[0], true
}
