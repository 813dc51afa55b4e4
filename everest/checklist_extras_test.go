package everest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

func TestChecklist29_ConfigService(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		ringer := config.Modules["ringer"]
		ringer.Access = &everesttest.Access{Modules: map[string]everesttest.ModuleAccess{"tower": {Read: true, Write: true, SetReadOnly: true}}}
		config.Modules["ringer"] = ringer
		b := newBelfry(t, config, nil, nil)
		ctx := patient(t)
		weight := everest.ConfigID{Module: "tower", Parameter: "weight"}
		parameter, err := b.ringer.ConfigValue(ctx, weight)
		var number int
		if err == nil {
			err = parameter.Decode(&number)
		}
		if err != nil || number != 5 || parameter.Datatype != "integer" {
			t.Errorf("weight: %+v, %v", parameter, err)
		}
		recorder := everesttest.NewRecorder(t, broker, "everest/config/request")
		if result, err := b.ringer.SetConfig(ctx, weight, "9"); err != nil || result != everest.SetRebootRequired {
			t.Errorf("set: %q, %v", result, err)
		}
		request, err := recorder.WaitTopic(ctx, "everest/config/request")
		identifier := `"identifier":{"module_id":"tower","configuration_parameter_name":"weight","module_implementation_id":"!module"},"value":"9"`
		if err != nil || !strings.Contains(string(request.Payload), identifier) {
			t.Errorf("asked %s, %v, want %s in it", request.Payload, err, identifier)
		}
		if value, _ := b.manager.UserConfig("tower", "!module", "weight"); value != "9" {
			t.Errorf("the manager has stored %q", value)
		}
		if _, err := b.ringer.SetConfig(ctx, weight, "heavy"); !errors.Is(err, everest.ErrConfigRejected) || !strings.Contains(err.Error(), "tower.weight") {
			t.Errorf("set to a word: %v", err)
		}
		if _, err := b.tower.SetConfig(ctx, everest.ConfigID{Module: "ringer", Parameter: "x"}, "1"); !errors.Is(err, everest.ErrAccessDenied) {
			t.Errorf("set without a right: %v", err)
		}
		if _, err := b.ringer.ConfigValue(ctx, everest.ConfigID{Module: "tower", Parameter: "missing"}); !errors.Is(err, everest.ErrConfigRejected) {
			t.Errorf("unknown parameter: %v", err)
		}
		all, err := b.ringer.AllConfig(ctx)
		if err != nil || len(all["tower"]["!module"]) != 1 || len(all) != 2 {
			t.Errorf("all: %+v, %v", all, err)
		}
		connector := 2
		mappings, err := b.ringer.AllMappings(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]everest.ModuleMapping{
			"ringer": {},
			"tower":  {Module: &everest.Mapping{EVSE: 1}, Implementations: map[string]*everest.Mapping{"main": {EVSE: 1, Connector: &connector}}},
		}
		if diff := cmp.Diff(want, mappings); diff != "" {
			t.Errorf("mappings (-want +got):\n%s", diff)
		}

		// Requests of many at once are made one after the other.
		failures := make(chan error, 20)
		for range cap(failures) {
			go func() {
				_, err := b.ringer.ConfigValue(ctx, weight)
				failures <- err
			}()
		}
		for range cap(failures) {
			if err := receive(t, failures); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestChecklist33_ExternalTopics(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		config.ExternalPrefix = "ext/"
		heard := make(chan string, 10)
		b := newBelfry(t, config, nil, func(m *everest.Module) {
			m.SubscribeExternal("+/x", func(_ context.Context, topic string, payload []byte) { heard <- topic + " " + string(payload) })
			m.SubscribeExternal("end", func(context.Context, string, []byte) { heard <- "end" })
		})
		recorder := everesttest.NewRecorder(t, broker, "ext/#")
		wire := newWireClient(t, broker)
		wire.publish(t, "ext/abc/x", "\x00\xff raw")
		wire.publish(t, "ext/def/x", `{"msg_type":"Var","data":1}`)
		wire.publish(t, "other/abc/x", "without the prefix")
		wire.publish(t, "ext/end", "")
		got := map[string]bool{}
		for !got["end"] || len(got) < 3 {
			got[receive(t, heard)] = true
		}
		want := map[string]bool{"abc/x \x00\xff raw": true, `def/x {"msg_type":"Var","data":1}`: true, "end": true}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := b.ringer.PublishExternal(patient(t), "out", []byte("\x00raw")); err != nil {
			t.Fatal(err)
		}
		message, err := recorder.WaitTopic(patient(t), "ext/out")
		if err != nil || string(message.Payload) != "\x00raw" || message.QoS != 0 || message.Retained {
			t.Errorf("published %+v, %v", message, err)
		}
		if err := b.ringer.PublishExternal(patient(t), "a/#", nil); err == nil {
			t.Error("published on a filter")
		}
		if err := b.tower.PublishExternal(patient(t), "out", nil); err == nil {
			t.Error("published without enable_external_mqtt")
		}
	})
}

// A topic that starts with the framework's prefix would be framework traffic.
func TestTrap20_ExternalTopicsBelowThePrefixAreRefused(t *testing.T) {
	broker := everesttest.NewBroker(t)
	b := newBelfry(t, bellConfig(t, broker), nil, nil)
	if err := b.ringer.PublishExternal(patient(t), b.prefix+"modules/x", nil); err == nil {
		t.Error("published below the EVerest prefix")
	}
}

func TestChecklist34_Telemetry(t *testing.T) {
	onlyFamilyC(t)
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		config.Settings.TelemetryEnabled = true
		manifest := []byte(towerManifest + "enable_telemetry: true\n")
		number := 5
		config.Modules = map[string]everesttest.ModuleConfig{
			"tower":  {Module: "Tower", Manifest: manifest, Telemetry: &number},
			"silent": {Module: "Tower"},
		}
		manager := everesttest.NewManager(t, config)
		recorder := everesttest.NewRecorder(t, broker, "everest-telemetry/#")
		publish := func(id string) {
			options := manager.Options(id)
			options.Manifest = manifest
			m := everesttest.RunModule(t, options, nil).Module
			if m.TelemetryEnabled() != (id == "tower") {
				t.Errorf("%s: telemetry is %v", id, m.TelemetryEnabled())
			}
			if err := m.PublishTelemetry(patient(t), "livedata", "power", raw(`{"connector_id":5,"type":"power"}`)); err != nil {
				t.Fatal(err)
			}
		}
		publish("silent")
		publish("tower")
		message, err := recorder.WaitTopic(patient(t), "everest-telemetry/livedata/5/power")
		if want := `{"data":"{\"connector_id\":5,\"type\":\"power\"}","msg_type":"ExternalMQTT"}`; err != nil || string(message.Payload) != want || message.QoS != 2 {
			t.Errorf("%s, %v", message.Payload, err)
		}
		if messages := recorder.Messages(); len(messages) != 1 {
			t.Errorf("%d messages", len(messages))
		}
	})
}

func TestChecklist32_Validation(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		config.Settings.ValidateSchema = true
		values := make(chan int, 10)
		results := map[string]any{"good": "ding", "bad": 5}
		b := newBelfry(t, config, func(m *everest.Module) {
			m.Provides("main").Handle("ring", func(_ context.Context, arguments everest.Args) (any, error) {
				var text string
				err := arguments.Decode("text", &text)
				return results[text], err
			})
		}, func(m *everest.Module) {
			everest.Subscribe(m.Requires("bell")[0], "rung", func(_ context.Context, value int) { values <- value })
		})
		ctx := patient(t)
		isValidationError := func(err error) bool {
			failure, ok := errors.AsType[*everest.CommandError](err)
			return ok && failure.Type == everest.SchemaValidationError
		}
		if err := b.bell().Call(ctx, "ring", map[string]any{"text": "good", "times": 1}, nil); err != nil {
			t.Error(err)
		}
		if err := b.bell().Call(ctx, "ring", map[string]any{"text": "bad", "times": 1}, nil); !isValidationError(err) {
			t.Errorf("a result of another type: %v", err)
		}
		wire := newWireClient(t, broker)
		wire.publish(t, b.topic("cmd/ring"), `{"msg_type":"Cmd","data":{"id":"1","origin":"wire","args":{"text":"good","times":0}}}`)
		wire.publish(t, b.topic("cmd/ring"), `{"msg_type":"Cmd","data":{"id":"2","origin":"wire","args":{"text":"good","times":1,"more":1}}}`)
		replies := b.waitFor(t, b.topic("cmd/ring/response/wire"), 2)
		if !strings.Contains(string(replies[0].Payload), `"__everest__error_type":"SchemaValidationError"`) || !strings.Contains(string(replies[1].Payload), `"retval":"ding"`) {
			t.Errorf("replies %s", payloads(replies))
		}
		if err := b.tower.Provides("main").Publish(ctx, "rung", "often"); err == nil {
			t.Error("a value of another type was published")
		}
		if err := b.tower.Provides("main").Publish(ctx, "unknown", 1); err == nil {
			t.Error("an unknown variable was published")
		}
		wire.publish(t, b.topic("var/rung"), `{"msg_type":"Var","data":{"data":1.5}}`)
		if err := b.tower.Provides("main").Publish(ctx, "rung", 7); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, values); got != 7 {
			t.Errorf("value %d", got)
		}
	})
}
