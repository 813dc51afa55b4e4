package everest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// familyStation is a tower and a ringer of a family, with what the items of the checklist look at. The items that do not
// depend on the family have their tests under family C alone.
type familyStation struct {
	w             wire.Family
	manager       *everesttest.Manager
	recorder      *everesttest.Recorder
	proxy         *everesttest.Proxy // between the tower and the broker
	client        *wireClient
	tower, ringer *everest.Module
	base          string // of the tower's large bell
	readies       atomic.Int32
	values        chan json.RawMessage
	errors        chan everest.ErrorEvent
	external      chan string
}

func newFamilyStation(t *testing.T, name string) *familyStation {
	broker := everesttest.NewBroker(t)
	config := bellConfig(t, broker)
	config.Family, config.EverestPrefix, config.ExternalPrefix, config.Settings.Prefix = name, "own", "ext/", t.TempDir()
	config.Settings.ValidateSchema, config.Settings.TelemetryEnabled = true, true
	number := 5
	tower := config.Modules["tower"]
	tower.Manifest, tower.Telemetry = []byte(towerManifest+"enable_telemetry: true\n"), &number
	config.Modules["tower"] = tower
	release, _ := wire.Find(name)
	s := &familyStation{
		w: release.New("own/"), values: make(chan json.RawMessage, 10), errors: make(chan everest.ErrorEvent, 10), external: make(chan string, 10),
		manager: everesttest.NewManager(t, config), recorder: everesttest.NewRecorder(t, broker, "#"), proxy: everesttest.NewProxy(t, broker), client: newWireClient(t, broker),
	}
	s.base = s.w.Implementation("tower", "main")
	// Item 1: as a manager starts a module.
	options, err := program.ParseOptions(s.manager.Arguments("tower"), nil)
	if err != nil {
		t.Fatal(err)
	}
	options.Definitions, options.Manifest, options.Spawned, options.ReadyReminder = config.Definitions, tower.Manifest, new(false), everesttest.Patience
	s.tower = everesttest.RunModule(t, through(s.proxy, options), func(m *everest.Module) {
		m.Provides("main").Handle("ring", ring)
		m.OnReady(func(context.Context) error { s.readies.Add(1); return nil })
	}).Module
	// Item 13: before the global ready.
	if _, err := s.recorder.WaitTopic(patient(t), s.w.ModuleReadyTopic("tower")); err != nil {
		t.Fatal(err)
	}
	call := wire.Command{ID: "early", Name: "ring", Origin: "ringer", Arguments: raw(`{"text":"a","times":1,"more":true}`)}
	s.client.publish(t, s.w.CommandTopic(s.base, "ring"), string(s.w.Command(call)))
	if result := s.result(t, "ringer", "early"); string(result.Value) != `"ding a"` {
		t.Errorf("before the global ready: %+v", result)
	}
	options = s.manager.Options("ringer")
	options.ReadyReminder = everesttest.Patience
	s.ringer = everesttest.RunModule(t, options, func(m *everest.Module) {
		bell := m.Requires("bell")[0]
		bell.Subscribe("last", func(_ context.Context, value json.RawMessage) { s.values <- value })
		bell.SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) { s.errors <- event })
		m.SubscribeExternal("+/x", func(_ context.Context, topic string, payload []byte) { s.external <- topic + " " + string(payload) })
	}).Module
	everesttest.WaitReady(t, s.manager)
	return s
}

// result waits for the reply to a call of a caller.
func (s *familyStation) result(t *testing.T, caller, id string) (found wire.Result) {
	t.Helper()
	topic := s.w.ResultTopic(s.w.CommandTopic(s.base, "ring"), caller)
	_, err := s.recorder.Wait(patient(t), func([]everesttest.Message) bool {
		for _, message := range s.recorder.OnTopic(topic) {
			result, err := s.w.ReadResult(message.Payload)
			key, keyErr := s.w.Key(topic, message.Payload)
			if err == nil && keyErr == nil && result.ID == id && strings.HasSuffix(key, s.w.ResultSuffix(caller)) {
				found = result
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatalf("no reply %s: %v", id, err)
	}
	return found
}

// The items of the checklist whose messages or rules depend on the family, with the manager of each.
func TestChecklistOfEveryFamily(t *testing.T) {
	for _, name := range everesttest.Families() {
		t.Run(name, func(t *testing.T) {
			s := newFamilyStation(t, name)
			s.checkStart(t)
			s.checkCommands(t)
			s.checkVariables(t)
			s.checkErrors(t)
			s.checkOutside(t)
			if s.readies.Load() != 1 {
				t.Errorf("ready ran %d times", s.readies.Load())
			}
			for _, message := range s.recorder.Messages() {
				payload := string(message.Payload)
				if strings.Contains(payload, "poison") || strings.Contains(payload, `"origin":"ringer"`) {
					continue // the test's own
				}
				if err := s.manager.CheckMessage(message); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Items 5, 10, 11 and 12.
func (s *familyStation) checkStart(t *testing.T) {
	t.Helper()
	packets := s.proxy.Packets()
	if topic := s.w.ConfigRequestTopic("tower"); topic != "" {
		if asked := index(t, packets, 0, "request", published(topic)); acknowledged(t, packets, s.w.ConfigResponseTopic("tower")) > asked {
			t.Error("the answer was not subscribed before the request")
		}
	}
	ready := index(t, packets, 0, "ready", published(s.w.ModuleReadyTopic("tower")))
	if sent := packets[ready]; string(sent.Payload) != string(s.w.ModuleReady()) || sent.QoS != 2 || sent.Retained {
		t.Errorf("ready: %+v", sent)
	}
	filters := []string{s.w.GlobalReadyTopic()}
	for _, implementation := range []string{"main", "second"} {
		for _, command := range []string{"ring", "stop", "wait"} {
			filters = append(filters, s.w.CommandTopic(s.w.Implementation("tower", implementation), command))
		}
	}
	for _, filter := range filters {
		if acknowledged(t, packets, filter) > ready {
			t.Errorf("%s is acknowledged after ready", filter)
		}
	}
	for range 2 {
		s.client.publish(t, s.w.GlobalReadyTopic(), map[bool]string{true: `{"data":true,"msg_type":"GlobalReady"}`, false: "true"}[s.w.Has(wire.OwnTopics)])
	}
}

// Items 14, 15, 16 and 32.
func (s *familyStation) checkCommands(t *testing.T) {
	t.Helper()
	topic := s.w.CommandTopic(s.base, "ring")
	for i, arguments := range []string{`null`, `{}`, `{"text":7,"times":1}`, `{"text":"a","times":0}`} {
		id := string(rune('a' + i))
		s.client.publish(t, topic, string(s.w.Command(wire.Command{ID: id, Name: "ring", Origin: "ringer", Arguments: raw(arguments)})))
		if !s.w.Has(wire.Failures) {
			continue // no reply of this family can refuse a text: the next reply shows that there was none
		}
		if result := s.result(t, "ringer", id); result.Failure == nil || result.Failure.Type != everest.SchemaValidationError {
			t.Errorf("arguments %s: %+v", arguments, result)
		}
	}
	s.client.publish(t, topic, strings.Replace(string(s.w.Command(wire.Command{ID: "poison", Name: "ring", Origin: "x", Arguments: raw(`{}`)})), `"id"`, `"no"`, 1))
	var said string
	if err := s.ringer.Requires("bell")[0].Call(patient(t), "ring", map[string]any{"text": "<é>", "times": 2}, &said); err != nil || said != "ding <é>" {
		t.Errorf("ring: %q, %v", said, err)
	}
	replies := func() (count int) {
		for _, message := range s.recorder.OnTopic(s.w.ResultTopic(topic, "ringer")) {
			if key, err := s.w.Key(message.Topic, message.Payload); err == nil && strings.HasSuffix(key, s.w.ResultSuffix("ringer")) {
				count++
			}
		}
		return count
	}
	want := 2 + map[bool]int{true: 4}[s.w.Has(wire.Failures)]
	_, err := s.recorder.Wait(patient(t), func([]everesttest.Message) bool { return replies() >= want })
	if got := replies(); err != nil || got != want {
		t.Errorf("%d replies, want %d", got, want)
	}
	if err := s.ringer.Requires("bell")[0].Call(patient(t), "ring", map[string]any{"text": 1, "times": 1}, nil); err == nil {
		t.Error("wrong arguments leave the module")
	}
}

// Items 20, 22 and 32.
func (s *familyStation) checkVariables(t *testing.T) {
	t.Helper()
	main := s.tower.Provides("main")
	s.client.publish(t, s.w.VariableTopic(s.base, "last"), string(s.w.Variable("last", raw(`{"text":"poison","text":1}`))))
	err := main.Publish(patient(t), "last", map[string]any{"text": strings.Repeat("x", everest.MaxPacketSize)})
	if s.w.Has(wire.LargePackets) != (err == nil) || err != nil && !errors.Is(err, everest.ErrTooLarge) {
		t.Errorf("a large value: %v", err)
	}
	if err := main.Publish(patient(t), "last", map[string]any{"text": 1}); err == nil {
		t.Error("an invalid value is published")
	}
	if err := main.Publish(patient(t), "last", raw(`{"text":"a",  "more":1.50}`)); err != nil {
		t.Error(err)
	}
	if s.w.Has(wire.LargePackets) {
		receive(t, s.values)
	}
	if got := receive(t, s.values); string(got) != `{"text":"a",  "more":1.50}` {
		t.Errorf("value %s", got)
	}
}

// Items 25, 26 and 28.
func (s *familyStation) checkErrors(t *testing.T) {
	t.Helper()
	main := s.tower.Provides("main")
	stuck := everest.Error{Type: "bell/Stuck", SubType: "cold", Message: "too cold"}
	clear := func() error { return main.Clear(patient(t), "bell/Stuck", "cold") }
	raise := func() error { return main.Raise(patient(t), stuck) }
	if err := errors.Join(clear(), raise(), raise(), clear(), clear(), main.Raise(patient(t), everest.Error{Type: "bell/Cracked"})); err != nil {
		t.Error(err)
	}
	var first everest.Error
	for i, want := range []string{"bell/Stuck true", "bell/Stuck false", "bell/Cracked true"} {
		event := receive(t, s.errors)
		if got := event.Error.Type + map[bool]string{true: " true", false: " false"}[event.Raised]; got != want {
			t.Fatalf("event %d is %s, want %s", i, got, want)
		}
		if mapping := event.Error.Origin.Mapping; mapping == nil || mapping.EVSE != 1 || *mapping.Connector != 2 {
			t.Errorf("%s: mapping %v", want, mapping)
		}
		switch i {
		case 0:
			first = event.Error
		case 1:
			if event.Error.UUID != first.UUID || !event.Error.Timestamp.Equal(first.Timestamp) {
				t.Errorf("cleared %+v, raised %+v", event.Error, first)
			}
		}
	}
	if active := main.ActiveErrors(); len(active) != 1 {
		t.Errorf("active: %+v", active)
	}
}

// Items 33 and 34.
func (s *familyStation) checkOutside(t *testing.T) {
	t.Helper()
	s.client.publish(t, "ext/abc/x", "\x00 raw")
	if got := receive(t, s.external); got != "abc/x \x00 raw" {
		t.Errorf("external: %q", got)
	}
	if err := errors.Join(s.ringer.PublishExternal(patient(t), "out", []byte("\x00raw")),
		s.tower.PublishTelemetry(patient(t), "livedata", "power", raw(`{"a":1}`))); err != nil {
		t.Fatal(err)
	}
	payload, once := s.w.Telemetry(raw(`{"a":1}`))
	for topic, want := range map[string]string{"ext/out": "\x00raw", "everest-telemetry/livedata/5/power": string(payload)} {
		message, err := s.recorder.WaitTopic(patient(t), topic)
		delivery := byte(0)
		if once && topic != "ext/out" {
			delivery = 2
		}
		if err != nil || string(message.Payload) != want || message.QoS != delivery || message.Retained {
			t.Errorf("%s: %+v, %v", topic, message, err)
		}
	}
}
