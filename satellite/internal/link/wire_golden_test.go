package link

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// recorded is one message of testdata/wire-v2.txt.
type recorded struct {
	name string
	// older: an older release sent it, this one only reads it.
	older bool
	bytes []byte
}

// readRecorded reads the messages of a file: a line with a name, then lines of bytes
// in hexadecimal with comments behind them.
func readRecorded(t *testing.T) []recorded {
	t.Helper()
	content, err := os.ReadFile("testdata/wire-v2.txt")
	if err != nil {
		t.Fatal(err)
	}
	var messages []recorded
	for line := range strings.Lines(string(content)) {
		line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), "#")
		switch {
		case strings.TrimSpace(line) == "":
		case line[0] != ' ':
			name, older := strings.CutSuffix(strings.TrimSpace(line), " older")
			messages = append(messages, recorded{name: name, older: older})
		default:
			part, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(line, " ", ""), "\t", ""))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			last := &messages[len(messages)-1]
			last.bytes = append(last.bytes, part...)
		}
	}
	return messages
}

// message is one message of v2 in Go: what it is written from, and how it is read.
type message struct {
	value any
	write func() (rpc.Raw, error)
	read  func(rpc.Raw) (any, error)
}

// call is a message from the controller to the agent.
func call[T any](value T, arguments func(T) []any, read func(*rpc.Request) (T, error)) message {
	return message{
		value: value,
		write: func() (rpc.Raw, error) { return rpc.Encode(arguments(value)) },
		read:  func(raw rpc.Raw) (any, error) { return read(&rpc.Request{Args: raw}) },
	}
}

// calledWith is a numbered call with its own arguments.
type calledWith struct {
	Call numbered
	Rest []string
}

func numberedCall(number, floor uint64, limit time.Duration, rest ...string) message {
	return call(calledWith{numbered{number, floor, limit}, rest}, func(c calledWith) []any {
		var values []any
		for _, text := range c.Rest {
			values = append(values, text)
		}
		return c.Call.arguments(values...)
	}, func(request *rpc.Request) (calledWith, error) {
		texts := make([]string, len(rest))
		var targets []any
		for i := range texts {
			targets = append(targets, &texts[i])
		}
		call, err := readNumbered(request, targets...)
		return calledWith{call, texts}, err
	})
}

func helloArguments(versions ...uint64) message {
	hello := newHelloCall(0x0102030405060708, 3, 1500*time.Millisecond, 30*time.Second)
	if versions != nil {
		hello.versions = versions
	}
	return call(hello, helloCall.arguments, readHelloCall)
}

func eventsQueried(query eventsQuery) message {
	return call(query, eventsQuery.arguments, readEventsQuery)
}

// readAnswer is an eventsAnswer whose events are decoded.
type readAnswer struct {
	Evicted uint64
	Held    time.Duration
	Events  []Event
}

func eventsAnswered(evicted uint64, held time.Duration, events ...Event) message {
	return message{
		value: readAnswer{evicted, held, events},
		write: func() (rpc.Raw, error) { return appendHeld(appendEvents(nil, evicted, events), held), nil },
		read: func(raw rpc.Raw) (any, error) {
			read, err := readEvents(raw, everything)
			return readAnswer{read.evicted, read.held, decoded(read.events)}, err
		},
	}
}

func welcomed(version uint64, known bool) message {
	return welcome(helloAnswer{version: version, instanceID: 0xf102030405060708, known: known})
}

func welcomedAt(clock time.Time) message {
	return welcome(helloAnswer{version: versionCodes, instanceID: 0xf102030405060708, clock: clock})
}

func welcome(welcome helloAnswer) message {
	return message{
		value: welcome,
		write: func() (rpc.Raw, error) { return rpc.Encode(welcome.answer()) },
		read:  func(raw rpc.Raw) (any, error) { return readHelloAnswer(raw) },
	}
}

// plain is a message of one Go value.
func plain[T any](value T) message {
	return message{
		value: value,
		write: func() (rpc.Raw, error) { return rpc.Encode(value) },
		read: func(raw rpc.Raw) (any, error) {
			var read T
			err := raw.Decode(&read)
			return read, err
		},
	}
}

// answered returns the error value that a server answers for a handler's error.
func answered(failure error) any {
	const reserve = "link_command:evse_manager.reserve"
	server, listener := rpc.NewServer(rpc.ServerConfig{}), rpctest.Listen("agent")
	defer server.Close()
	err := server.Handle(reserve, func(context.Context, *rpc.Request) (any, error) { return nil, failure })
	if err != nil {
		return err.Error()
	}
	go server.Serve(context.Background(), listener)
	conn, err := listener.Dial(context.Background(), nil, nil)
	if err != nil {
		return err.Error()
	}
	client := rpc.NewClient(conn, rpc.Config{})
	defer client.Close()
	err = client.Call(context.Background(), reserve, nil, 1, 1, 1, "{}")
	if remote, ok := errors.AsType[*rpc.RemoteError](err); ok {
		return remote.Value
	}
	return err
}

// refused is the error value of a refusal.
func refused(refusal refusal, version uint64) message {
	return message{
		value: refusal,
		write: func() (rpc.Raw, error) {
			return rpc.Encode(answered(refusal.forVersion(version)))
		},
		read: func(raw rpc.Raw) (any, error) {
			remote := &rpc.RemoteError{}
			err := raw.Decode(&remote.Value)
			return refusalOf(remote), err
		},
	}
}

var messages = map[string]message{
	"link_hello call":             helloArguments(),
	"link_hello call, version 2":  helloArguments(versionTexts),
	"link_hello reply, unknown":   welcomed(versionCodes, false),
	"link_hello reply, known":     welcomed(versionCodes, true),
	"link_hello reply, version 2": welcomed(versionTexts, true),
	"link_hello reply with clock": welcomedAt(time.Date(2026, 11, 27, 3, 0, 0, 7e6, time.UTC)),

	"link_events call":            eventsQueried(eventsQuery{after: 300, published: 299, floor: 7, maxBytes: 256 << 10, wait: 500 * time.Millisecond}),
	"link_events call, heartbeat": eventsQueried(eventsQuery{after: 1, published: 0, floor: 1, maxBytes: 0, wait: 0}),
	"link_events reply, none":     eventsAnswered(0, 499*time.Millisecond),
	"link_events reply": eventsAnswered(200, 7*time.Microsecond,
		Event{Number: 1, Interface: "evse_manager", Name: "evse_id", Value: json.RawMessage(`"DE*TST*E0001*2"`)},
		Event{Number: 2, Kind: Raised, Value: json.RawMessage(`{"type":"evse_manager/Inoperative"}`)},
		Event{Number: 3, Kind: Cleared, Value: json.RawMessage(`{"type":"evse_manager/Inoperative"}`)},
		Event{Number: 300, Kind: Active, Value: json.RawMessage(`[]`)}),
	"link_events reply without held": eventsAnswered(0, -1, Event{Number: 5, Interface: "energy", Name: "energy_flow_request", Value: json.RawMessage(`{}`)}),

	"link_command call":    numberedCall(300, 7, 290*time.Second, `{"reservation_id":7}`),
	"link_command reply":   plain(`{"connectors":[{"id":1}],"id":2}`),
	"link_command failure": plain(map[string]string{keyErrorMessage: "no", keyErrorType: "HandlerException"}),
	"link_push call":       numberedCall(8, 7, time.Second, "auth", "token_validation_status", `{"a":1}`),
	"link_cancel call":     plain([]uint64{300}),
	"link_ping call":       plain([]any{}),
	"link_status call":     plain([]any{}),
	"link_status reply":    plain(`{"module":"SatelliteAgent"}`),

	"refusal not_the_link":            refused(notTheLink, versionCodes),
	"refusal forgotten":               refused(forgotten, versionCodes),
	"refusal too_many":                refused(tooMany, versionCodes),
	"refusal cancelled":               refused(cancelled, versionCodes),
	"refusal not_the_link, version 2": refused(notTheLink, versionTexts),
	"refusal forgotten, version 2":    refused(forgotten, versionTexts),
	"refusal too_many, version 2":     refused(tooMany, versionTexts),
}

// A board of any release in the field sends and reads these bytes: a change that
// breaks one of them breaks a fleet of mixed releases.
func TestRecordedWire(t *testing.T) {
	seen := map[string]bool{}
	for _, recorded := range readRecorded(t) {
		t.Run(recorded.name, func(t *testing.T) {
			seen[recorded.name] = true
			message, known := messages[recorded.name]
			if !known {
				t.Fatal("no such message")
			}
			read, err := message.read(recorded.bytes)
			if err != nil {
				t.Errorf("cannot be read: %v", err)
			}
			if !reflect.DeepEqual(read, message.value) {
				t.Errorf("read %+v, want %+v", read, message.value)
			}
			if recorded.older {
				return
			}
			written, err := message.write()
			if err != nil || !bytes.Equal(written, recorded.bytes) {
				t.Errorf("written (-recorded +now), %v:\n%s", err, cmp.Diff(hexOf(recorded.bytes), hexOf(written)))
			}
		})
	}
	for name := range messages {
		if !seen[name] {
			t.Errorf("%s is not recorded", name)
		}
	}
}

func hexOf(raw []byte) string { return fmt.Sprintf("% x", raw) }

// What a later release adds behind the members that this one knows is skipped.
func TestLaterMembersAreSkipped(t *testing.T) {
	welcome, err := rpc.Encode([]any{versionTexts, 7, true, 1, "later", map[string]any{"a": []any{1}}})
	if err != nil {
		t.Fatal(err)
	}
	if read, err := readHelloAnswer(welcome); err != nil || !read.known {
		t.Errorf("link_hello: %+v, %v", read, err)
	}
	answer := append(appendHeld(appendEvents(nil, 0, nil), time.Second), "\xa5later"...)
	answer[0]++
	if read, err := readEvents(answer, everything); err != nil || read.held != time.Second {
		t.Errorf("link_events: %+v, %v", read, err)
	}
	if version := (helloCall{versions: []uint64{2, 3, 99}}).version(); version != versionCodes {
		t.Errorf("version %d is chosen", version)
	}
}

func TestFunctionNamesStay(t *testing.T) {
	for got, want := range map[string]string{
		FunctionHello: "link_hello", FunctionEvents: "link_events", FunctionPush: "link_push", FunctionCancel: "link_cancel",
		FunctionPing: "link_ping", FunctionEcho: "link_echo", FunctionStatus: "link_status", commandFunction("evse_manager", "reserve"): "link_command:evse_manager.reserve",
		FunctionIAmHere: "i_am_here", FunctionIAmReady: "i_am_ready", FunctionExit: "exit",
		FunctionPushVar: "push_var", FunctionRetrieve: "retrieve_vars_and_errors",
	} {
		if got != want {
			t.Errorf("a function is called %s, want %s", got, want)
		}
	}
}
