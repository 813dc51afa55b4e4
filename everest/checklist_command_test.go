package everest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

func TestChecklist14_RepliesToTheCallerInTheNestedShape(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
			m.Provides("main").Handle("stop", func(context.Context, everest.Args) (any, error) { return nil, nil })
		}, nil)
		wire := newWireClient(t, broker)
		wire.publish(t, b.topic("cmd/ring"), `{"msg_type":"Cmd","data":{"id":"7","origin":"somebody","args":{"text":"x","times":1}}}`)
		wire.publish(t, b.topic("cmd/stop"), `{"msg_type":"Cmd","data":{"id":"8","origin":"somebody","args":null}}`)
		for command, want := range map[string]string{
			"ring": `{"data":{"data":{"id":"7","origin":"tower","retval":"ding x"},"type":"result"},"msg_type":"CmdResult"}`,
			"stop": `{"data":{"data":{"id":"8","origin":"tower","retval":null},"type":"result"},"msg_type":"CmdResult"}`,
		} {
			reply := b.waitFor(t, b.topic("cmd/"+command+"/response/somebody"), 1)[0]
			if diff := cmp.Diff(want, string(reply.Payload)); diff != "" {
				t.Errorf("reply to %s (-want +got):\n%s", command, diff)
			}
		}
	})
}

func TestChecklist15_AcceptsArgumentsAsEVerestSendsThem(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
			m.Provides("main").Handle("stop", func(context.Context, everest.Args) (any, error) { return nil, nil })
			everest.Handle(m.Provides("second"), "ring", func(_ context.Context, arguments struct {
				Text  string `json:"text"`
				Times int    `json:"times"`
			}) (string, error) {
				return strings.Repeat(arguments.Text, arguments.Times), nil
			})
		}, nil)
		wire := newWireClient(t, broker)
		tests := []struct{ name, implementation, command, arguments, want string }{
			{"null", "main", "stop", `,"args":null`, `"retval":null`},
			{"empty object", "main", "stop", `,"args":{}`, `"retval":null`},
			{"extra argument", "main", "ring", `,"args":{"text":"a","times":1,"more":[1]}`, `"retval":"ding a"`},
			{"no args key", "main", "stop", ``, `"__everest__error_type":"HandlerException"`},
			{"args of another kind", "main", "stop", `,"args":[1]`, `"__everest__error_type":"HandlerException"`},
			{"missing argument", "main", "ring", `,"args":{"times":1}`, `"__everest__error_type":"HandlerException"`},
			{"argument of another type", "main", "ring", `,"args":{"text":5,"times":1}`, `"__everest__error_type":"HandlerException"`},
			{"decoded", "second", "ring", `,"args":{"text":"ab","times":2}`, `"retval":"abab"`},
			{"decoded, missing argument", "second", "ring", `,"args":{"text":"ab"}`, `"__everest__error_type":"HandlerException"`},
			{"decoded, argument of another type", "second", "ring", `,"args":{"text":"ab","times":"2"}`, `"__everest__error_type":"HandlerException"`},
		}
		for i, test := range tests {
			topic := b.prefix + "modules/tower/impl/" + test.implementation + "/cmd/" + test.command
			// Without an id or an origin nobody can be answered; the command that follows is.
			wire.publish(t, topic, `{"msg_type":"Cmd","data":{"origin":"caller`+fmt.Sprint(i)+`","args":{}}}`)
			wire.publish(t, topic, `{"msg_type":"Cmd","data":{"id":"noorigin","args":{}}}`)
			wire.publish(t, topic, `{"msg_type":"Cmd","data":{"id":"a/b","origin":"x/#","args":{}}}`)
			wire.publish(t, topic, fmt.Sprintf(`{"msg_type":"Cmd","data":{"id":"%d","origin":"caller%d"%s}}`, i, i, test.arguments))
		}
		for i, test := range tests {
			reply := b.waitFor(t, fmt.Sprintf("%smodules/tower/impl/%s/cmd/%s/response/caller%d", b.prefix, test.implementation, test.command, i), 1)
			if len(reply) != 1 || !strings.Contains(string(reply[0].Payload), test.want) || !strings.Contains(string(reply[0].Payload), fmt.Sprintf(`"id":"%d"`, i)) {
				t.Errorf("%s: got %s, want one reply with %s", test.name, payloads(reply), test.want)
			}
		}
		if replies := countTopics(b.recorder.Messages(), "/response/caller"); replies != len(tests) {
			t.Errorf("%d commands got %d replies", len(tests), replies)
		}
	})
}

func payloads(messages []everesttest.Message) []string {
	var texts []string
	for _, m := range messages {
		texts = append(texts, string(m.Payload))
	}
	return texts
}

func countTopics(messages []everesttest.Message, part string) (count int) {
	for _, m := range messages {
		if strings.Contains(m.Topic, part) {
			count++
		}
	}
	return count
}

func TestChecklist16_HandlerFailuresBecomeErrorReplies(t *testing.T) {
	failures := map[string]func() (any, error){
		"HandlerException: boom":      func() (any, error) { return nil, errors.New("boom") },
		"HandlerException: panic: 42": func() (any, error) { panic(42) },
		"NotReady: later":             func() (any, error) { return nil, &everest.CommandError{Type: everest.NotReady, Message: "later"} },
		"MessageParsingError: wrapped": func() (any, error) {
			return nil, fmt.Errorf("outside: %w", &everest.CommandError{Type: everest.MessageParsingError, Message: "wrapped"})
		},
		"HandlerException: OwnType: text": func() (any, error) { return nil, &everest.CommandError{Type: "OwnType", Message: "text"} },
		"HandlerException: the result cannot be encoded: json: unsupported type: chan int": func() (any, error) {
			return make(chan int), nil
		},
	}
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) {
			m.Provides("main").Handle("ring", func(_ context.Context, arguments everest.Args) (any, error) {
				var text string
				if err := arguments.Decode("text", &text); err != nil {
					return nil, err
				}
				return failures[text]()
			})
		}, nil)
		for want := range failures {
			err := b.bell().Call(patient(t), "ring", map[string]any{"text": want, "times": 1}, nil)
			reply, ok := errors.AsType[*everest.CommandError](err)
			if !ok || reply.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		// A command of the interface without a handler is answered as well.
		err := b.bell().Call(patient(t), "stop", nil, nil)
		if reply, ok := errors.AsType[*everest.CommandError](err); !ok || reply.Type != everest.HandlerException {
			t.Errorf("command without a handler: %v", err)
		}
		for _, m := range b.recorder.OnTopic(b.topic("cmd/ring/response/ringer")) {
			var reply struct {
				Data struct{ Data map[string]json.RawMessage }
			}
			var failure map[string]string
			if err := errors.Join(json.Unmarshal(m.Payload, &reply), json.Unmarshal(reply.Data.Data["error"], &failure)); err != nil {
				t.Fatalf("%s: %v", m.Payload, err)
			}
			if _, hasValue := reply.Data.Data["retval"]; hasValue || len(failure) != 2 || failure["__everest__error_type"] == "" || failure["__everest__error_msg"] == "" {
				t.Errorf("error reply %s", m.Payload)
			}
		}
	})
}

func TestChecklist17_Calls(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		manager := everesttest.NewManager(t, config)
		prefix := manager.Options("ringer").EverestPrefix
		recorder := everesttest.NewRecorder(t, broker, prefix+"modules/#")
		// The provider is not a module but a client that answers as it likes.
		wire := newWireClient(t, broker)
		command := prefix + "modules/tower/impl/main/cmd/ring"
		respond := func(id, content string) {
			wire.publish(t, command+"/response/ringer", fmt.Sprintf(
				`{"msg_type":"CmdResult","data":{"type":"result","data":{"id":"%s","origin":"tower"%s}}}`, id, content))
		}
		var waiting atomic.Pointer[string]
		together := make(chan struct{})
		wire.subscribe(t, command, func(_ string, payload []byte) {
			var request struct {
				Data struct {
					ID   string
					Args struct{ Text string }
				}
			}
			if err := json.Unmarshal(payload, &request); err != nil {
				t.Errorf("%s: %v", payload, err)
				return
			}
			switch id := request.Data.ID; request.Data.Args.Text {
			case "first": // answered after the second
				waiting.Store(&id)
				close(together)
			case "second":
				<-together
				respond(id, `,"retval":"two"`)
				respond(id, `,"retval":"again"`)
				respond(*waiting.Load(), `,"retval":"one"`)
			case "both":
				respond(id, `,"retval":"x","error":{"__everest__error_msg":"m","__everest__error_type":"SchemaValidationError"}`)
			case "unknown type":
				respond(id, `,"error":{"__everest__error_msg":"m","__everest__error_type":"Other"}`)
			case "nothing":
				respond(id, ``)
			}
		})
		ready := make(chan struct{})
		options := manager.Options("ringer")
		module := everesttest.RunModule(t, options, func(m *everest.Module) {
			m.OnReady(func(context.Context) error { close(ready); return nil })
		}).Module
		wire.publish(t, prefix+"modules/tower/ready", `{"msg_type":"ModuleReady","data":true}`)
		receive(t, ready)

		call := func(text string) (json.RawMessage, error) {
			var value json.RawMessage
			err := module.Requires("bell")[0].Call(patient(t), "ring", map[string]any{"text": text, "times": 1}, &value)
			return value, err
		}
		type outcome struct {
			value json.RawMessage
			err   error
		}
		first := make(chan outcome, 1)
		go func() {
			value, err := call("first")
			first <- outcome{value, err}
		}()
		<-together
		if value, err := call("second"); err != nil || string(value) != `"two"` {
			t.Errorf("second: %s, %v", value, err)
		}
		if got := receive(t, first); got.err != nil || string(got.value) != `"one"` {
			t.Errorf("first: %s, %v", got.value, got.err)
		}
		if value, err := call("nothing"); err != nil || string(value) != "null" {
			t.Errorf("nothing: %s, %v", value, err)
		}
		for text, want := range map[string]string{"both": "SchemaValidationError: m", "unknown type": "Other: m"} {
			_, err := call(text)
			if reply, ok := errors.AsType[*everest.CommandError](err); !ok || reply.Error() != want {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
		}
		// What would be wrong never leaves.
		const calls = 5
		sent, err := recorder.Wait(patient(t), func([]everesttest.Message) bool { return len(recorder.OnTopic(command)) >= calls })
		if err != nil {
			t.Fatalf("%d messages: %v", len(sent), err)
		}
		for _, arguments := range []any{
			map[string]any{"text": "x"}, map[string]any{"text": "x", "times": 0}, map[string]any{"text": "x", "times": 1.5},
			map[string]any{"text": "x", "times": 1, "more": 1}, nil, []int{1}, raw(`{"text":`),
		} {
			if err := module.Requires("bell")[0].Call(patient(t), "ring", arguments, nil); err == nil {
				t.Errorf("arguments %v were sent", arguments)
			}
		}
		if after := len(recorder.OnTopic(command)); after != calls {
			t.Errorf("%d commands with wrong arguments were sent", after-calls)
		}
		// Each call has an id of its own, and the replies were subscribed before.
		ids := map[string]bool{}
		uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
		for _, m := range recorder.OnTopic(command) {
			var request struct{ Data struct{ ID, Origin string } }
			if err := json.Unmarshal(m.Payload, &request); err != nil || request.Data.Origin != "ringer" || !uuid.MatchString(request.Data.ID) || ids[request.Data.ID] {
				t.Errorf("request %s: %v", m.Payload, err)
			}
			ids[request.Data.ID] = true
		}
		if stats := module.Stats(); stats.CallsWaiting != 0 {
			t.Errorf("%d calls are still waiting", stats.CallsWaiting)
		}
	})
}
