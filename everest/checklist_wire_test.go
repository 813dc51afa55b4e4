package everest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

func TestChecklist20_PublishesVariables(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), nil, nil)
		for _, value := range []any{12, map[string]string{"text": "ding"}, json.RawMessage(`{"b":1.50,"a":[]}`), nil} {
			if err := b.tower.Provides("main").Publish(patient(t), "rung", value); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			`{"data":{"data":12},"msg_type":"Var"}`, `{"data":{"data":{"text":"ding"}},"msg_type":"Var"}`,
			`{"data":{"data":{"b":1.50,"a":[]}},"msg_type":"Var"}`, `{"data":{"data":null},"msg_type":"Var"}`,
		}
		messages := b.waitFor(t, b.topic("var/rung"), len(want))
		if diff := cmp.Diff(want, payloads(messages)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, message := range messages {
			if message.QoS != 2 {
				t.Errorf("QoS %d", message.QoS)
			}
		}
		late := everesttest.NewRecorder(t, broker, b.prefix+"modules/#")
		if err := b.tower.Provides("main").Publish(patient(t), "rung", 13); err != nil {
			t.Fatal(err)
		}
		first, err := late.Wait(patient(t), func(messages []everesttest.Message) bool { return len(messages) > 0 })
		if err != nil || string(first[0].Payload) != `{"data":{"data":13},"msg_type":"Var"}` {
			t.Errorf("a late subscriber hears %s, %v", payloads(first), err)
		}
	})
}

func TestChecklist21_EncodesNumbersAndTexts(t *testing.T) {
	type colour string
	for _, test := range []struct {
		value any
		want  string
	}{
		{5, `5`}, {int64(1) << 53, `9007199254740992`}, {uint64(1) << 63, `9223372036854775808`}, {-1, `-1`}, {5.0, `5`}, {1e6, `1000000`},
		{0.5, `0.5`}, {true, `true`}, {colour("red"), `"red"`}, {"<&>", `"<&>"`}, {"a\xffb", `"a\ufffdb"`}, {"Ä\u2028", `"Ä\u2028"`},
		{json.RawMessage(`4.0`), `4.0`}, {json.RawMessage(nil), `null`},
	} {
		everestValue(t, test.value, test.want)
	}
}

// everestValue publishes a value and compares its text with what a subscriber gets.
func everestValue(t *testing.T, value any, want string) {
	t.Helper()
	sent := make(chan string, 1)
	module := offlineTower(t, func(_ string, payload []byte) { sent <- string(payload) })
	if err := module.Provides("main").Publish(t.Context(), "rung", value); err != nil {
		t.Errorf("%v: %v", value, err)
		return
	}
	if got := <-sent; got != `{"data":{"data":`+want+`},"msg_type":"Var"}` {
		t.Errorf("%#v is sent as %s, want %s", value, got, want)
	}
}

func TestChecklist21_RefusesWhatIsNoJSON(t *testing.T) {
	module := offlineTower(t, func(topic string, payload []byte) { t.Errorf("%s: %s", topic, payload) })
	for _, value := range []any{json.RawMessage(`{`), json.RawMessage("\"\xff\""), json.RawMessage(`1 2`), make(chan int), func() {}} {
		if err := module.Provides("main").Publish(t.Context(), "rung", value); err == nil {
			t.Errorf("%v is published", value)
		}
	}
}

// offlineTower is a module whose messages go nowhere but to publish.
func offlineTower(t *testing.T, publish func(topic string, payload []byte)) *everest.Module {
	t.Helper()
	options := scriptedTower(t, everest.Broker{})
	options.OpenTransport = func(_ context.Context, config everest.TransportConfig) (everest.Transport, error) {
		return &offline{config: config, publish: publish, done: make(chan struct{})}, nil
	}
	module, err := everest.Connect(patient(t), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { module.Close() })
	return module
}

// offline is a transport without a wire; it answers the question for the configuration itself.
type offline struct {
	config  everest.TransportConfig
	publish func(topic string, payload []byte)
	done    chan struct{}
}

func (o *offline) Publish(_ context.Context, topic string, payload []byte, _ everest.Delivery) error {
	if strings.HasSuffix(topic, "config/request") {
		o.config.Receive(everest.Message{Topic: ownPrefix + "modules/tower/response", Payload: []byte(`{"msg_type":"GetConfigResponse","data":` + towerAnswer + `}`)})
		return nil
	}
	o.publish(topic, payload)
	return nil
}

func (o *offline) Subscribe(context.Context, everest.Delivery, ...string) error { return nil }
func (o *offline) Unsubscribe(context.Context, ...string) error                 { return nil }
func (o *offline) Acknowledged(done func())                                     { done() }
func (o *offline) Resumed() bool                                                { return false }
func (o *offline) Carry(func(string) everest.CarryDecision)                     {}
func (o *offline) Flush(context.Context) error                                  { return nil }
func (o *offline) Done() <-chan struct{}                                        { return o.done }
func (o *offline) Err() error                                                   { return nil }
func (o *offline) Close() error                                                 { return nil }

func TestChecklist22_KeepsPacketsSmall(t *testing.T) {
	onlyFamilyC(t) // that of newest main has no bound of its own
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) {
			m.Provides("main").Handle("ring", func(context.Context, everest.Args) (any, error) {
				return strings.Repeat("x", everest.MaxPacketSize), nil
			})
		}, nil)
		topic := b.topic("var/last")
		// Fixed header with three bytes of length, topic with two, message id, envelope.
		overhead := 1 + 3 + 2 + len(topic) + 2 + len(`{"data":{"data":""},"msg_type":"Var"}`)
		largest := strings.Repeat("x", everest.MaxPacketSize-overhead)
		main := b.tower.Provides("main")
		for _, value := range []string{largest + "x", strings.Repeat("x", 3*everest.MaxPacketSize)} {
			err := main.Publish(patient(t), "last", value)
			if !errors.Is(err, everest.ErrTooLarge) || !strings.Contains(err.Error(), topic) {
				t.Errorf("error %v for %d bytes", err, len(value))
			}
		}
		if err := main.Publish(patient(t), "last", largest); err != nil {
			t.Error(err)
		}
		if message := b.waitFor(t, topic, 1)[0]; len(message.Payload)+overhead != everest.MaxPacketSize+len(`{"data":{"data":""},"msg_type":"Var"}`) {
			t.Errorf("the first message on the wire has %d bytes of payload", len(message.Payload))
		}
		if err := b.bell().Call(patient(t), "ring", map[string]any{"text": largest + largest, "times": 1}, nil); !errors.Is(err, everest.ErrTooLarge) {
			t.Errorf("error %v for a large argument", err)
		}
		var failed *everest.CommandError
		if err := b.bell().Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, nil); !errors.As(err, &failed) || failed.Type != everest.HandlerException {
			t.Errorf("error %v for a large result", err)
		}
	})
}

// TestChecklist23_PublishesNothingThatIsMalformed has both modules do everything they can, and looks at every message.
func TestChecklist23_PublishesNothingThatIsMalformed(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		config.EverestPrefix = "belfry"
		everything := everesttest.NewRecorder(t, broker, "belfry/#")
		b := newBelfry(t, config, func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
			m.Provides("main").Handle("stop", func(context.Context, everest.Args) (any, error) { return nil, errors.New("it does not stop") })
			m.Provides("second").Handle("ring", func(context.Context, everest.Args) (any, error) { panic("crack") })
			m.Provides("second").Handle("stop", func(context.Context, everest.Args) (any, error) {
				return nil, &everest.CommandError{Type: "Own", Message: "unknown to others"}
			})
		}, nil)
		main := b.tower.Provides("main")
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		check(main.Publish(patient(t), "rung", 1))
		check(main.Raise(patient(t), everest.Error{Type: "bell/Stuck", SubType: "a/b", Message: "stuck"}))
		check(main.Raise(patient(t), everest.Error{Type: "bell/Cracked", Severity: everest.SeverityHigh}))
		check(main.Clear(patient(t), "bell/Stuck", "a/b"))
		check(main.ClearWhere(patient(t), nil))
		check(b.bell().Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, nil))
		for _, failing := range []struct {
			bell    int
			command string
			args    map[string]any
		}{{0, "stop", nil}, {0, "wait", nil}, {1, "ring", map[string]any{"text": "x", "times": 1}}, {1, "stop", nil}} {
			if err := b.ringer.Requires("bell")[failing.bell].Call(patient(t), failing.command, failing.args, nil); err == nil {
				t.Errorf("%+v succeeds", failing)
			}
		}
		if _, err := b.ringer.AllConfig(patient(t)); err != nil {
			t.Error(err)
		}
		if err := b.tower.Provides("main").Publish(patient(t), "rung", 2); err != nil {
			t.Error(err)
		}
		// The recorder may hear of what was done later than those who did it.
		messages, err := everything.Wait(patient(t), func(messages []everesttest.Message) bool {
			return len(kindsMissing(messages)) == 0 && count(messages, b.topic("var/rung")) == 2
		})
		if err != nil {
			t.Errorf("among %d messages there are none of %v: %v", len(messages), kindsMissing(messages), err)
		}
		for _, message := range messages {
			if err := b.manager.CheckMessage(message); err != nil {
				t.Error(err)
			}
		}
	})
}

// kindsMissing are the kinds of messages that a busy belfry has to publish, and that are not there.
func kindsMissing(messages []everesttest.Message) []everesttest.Kind {
	missing := []everesttest.Kind{everesttest.KindVariable, everesttest.KindCommand, everesttest.KindReply, everesttest.KindError, everesttest.KindReady}
	for _, message := range messages {
		kind := everesttest.SubjectOf("belfry/", message.Topic).Kind
		missing = slices.DeleteFunc(missing, func(k everesttest.Kind) bool { return k == kind })
	}
	return missing
}

func count(messages []everesttest.Message, topic string) (n int) {
	for _, message := range messages {
		if message.Topic == topic {
			n++
		}
	}
	return n
}

func TestChecklist24_SurvivesWhatCannotBeRead(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		heard := make(chan int, 100)
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
		}, func(m *everest.Module) {
			everest.Subscribe(m.Requires("bell")[0], "rung", func(_ context.Context, count int) { heard <- count })
			m.Requires("bell")[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) { t.Errorf("an error out of nothing: %s", event.Raw) })
			m.SubscribeGlobalErrors(func(_ context.Context, event everest.ErrorEvent) { t.Errorf("an error out of nothing: %s", event.Raw) })
		})
		wire := newWireClient(t, broker)
		topics := []string{
			b.topic("var/rung"), b.topic("cmd/ring"), b.topic("cmd/stop"), b.topic("error/bell/Stuck"), b.topic("error/bell/Unknown"),
			b.topic("cmd/ring/response/ringer"), b.prefix + "modules/tower/response", b.prefix + "modules/ringer/response", b.prefix + "ready",
			b.prefix + "settings", b.prefix + "module_names", b.prefix + "manifests/Tower",
		}
		for _, topic := range topics {
			for _, payload := range everesttest.PoisonPayloads() {
				wire.publish(t, topic, string(payload))
			}
		}
		// A message that comes twice is delivered twice: what it means is for the module to say.
		for range 2 {
			wire.publish(t, b.topic("var/rung"), `{"msg_type":"Var","more":1,"data":{"data":7,"more":1}}`)
		}
		for range 2 {
			if got := receive(t, heard); got != 7 {
				t.Errorf("heard %d", got)
			}
		}
		var answer string
		if err := b.bell().Call(patient(t), "ring", map[string]any{"text": "still here", "times": 1}, &answer); err != nil || answer != "ding still here" {
			t.Errorf("answer %q, %v", answer, err)
		}
		if err := b.manager.Err(); err != nil {
			t.Fatal(fmt.Errorf("the manager: %w", err))
		}
	})
}
