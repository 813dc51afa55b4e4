package everest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// index is the position of the first packet from position on for which match says true; the test ends where there is none.
func index(t *testing.T, packets []everesttest.Packet, from int, what string, match func(everesttest.Packet) bool) int {
	t.Helper()
	i := slices.IndexFunc(packets[from:], match)
	if i < 0 {
		t.Fatalf("no packet: %s", what)
	}
	return from + i
}

func published(topicSuffix string) func(everesttest.Packet) bool {
	return func(p everesttest.Packet) bool {
		return p.FromClient && p.Type == "PUBLISH" && strings.HasSuffix(p.Topic, topicSuffix)
	}
}

// acknowledged returns the position of the SUBACK for a filter.
func acknowledged(t *testing.T, packets []everesttest.Packet, filter string) int {
	t.Helper()
	asked := index(t, packets, 0, "SUBSCRIBE "+filter, func(p everesttest.Packet) bool {
		return p.FromClient && p.Type == "SUBSCRIBE" && slices.Contains(p.Filters, filter)
	})
	if packets[asked].QoS != 2 {
		t.Errorf("%s is subscribed with QoS %d", filter, packets[asked].QoS)
	}
	return index(t, packets, asked, "SUBACK for "+filter, func(p everesttest.Packet) bool {
		return p.Type == "SUBACK" && p.MessageID == packets[asked].MessageID
	})
}

// through returns the options with the broker replaced by a proxy.
func through(proxy *everesttest.Proxy, options everest.Options) everest.Options {
	options.Broker = proxy.Address()
	return options
}

func TestChecklist04_ConnectsCleanAndWithoutWill(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		spawned := true
		options := through(proxy, manager.Options("tower"))
		options.Spawned = &spawned
		everesttest.RunModule(t, options, nil)
		everesttest.RunModule(t, options, nil)
		clients := map[string]bool{}
		for _, packet := range proxy.Packets() {
			if packet.Connect == nil {
				continue
			}
			clients[packet.Connect.ClientID] = true
			if !packet.Connect.CleanSession || packet.Connect.Will || packet.Connect.KeepAlive <= 0 {
				t.Errorf("CONNECT says %+v", *packet.Connect)
			}
		}
		if len(clients) != 2 {
			t.Errorf("two connections of one module have the client ids %v", clients)
		}
	})
}

func TestChecklist05_SubscribesTheAnswerBeforeAskingForTheConfig(t *testing.T) {
	onlyFamilyC(t)
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		options := through(proxy, manager.Options("tower"))
		everesttest.RunModule(t, options, nil)
		packets := proxy.Packets()
		answer := acknowledged(t, packets, options.EverestPrefix+"modules/tower/response")
		request := index(t, packets, 0, "the request", published("config/request"))
		if answer > request {
			t.Errorf("the answer's topic is acknowledged at %d, asked is at %d", answer, request)
		}
		if packets[request].QoS != 2 || packets[request].Retained {
			t.Errorf("request with QoS %d, retained %v", packets[request].QoS, packets[request].Retained)
		}
		want := `{"msg_type":"GetConfig","data":{"type":"Get","origin":"tower","request":{"type":"Module"}}}`
		if diff := cmp.Diff(decoded(t, []byte(want)), decoded(t, packets[request].Payload)); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	})
}

func decoded(t *testing.T, payload []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(payload, &value); err != nil {
		t.Fatalf("%v in %s", err, payload)
	}
	return value
}

// ownPrefix keeps what a test says on the wire away from others on the same broker.
const ownPrefix = "bells/"

// answerConfig plays a config service that answers every request with the given messages, one after the other.
func answerConfig(t *testing.T, broker everest.Broker, id string, answers ...string) *wireClient {
	t.Helper()
	wire := newWireClient(t, broker)
	wire.subscribe(t, ownPrefix+"config/request", func(string, []byte) {
		for _, answer := range answers {
			// A client that is disconnected at the end of the test cannot answer any more.
			_ = wire.client.Publish(ownPrefix+"modules/"+id+"/response", 2, false, `{"msg_type":"GetConfigResponse","data":`+answer+`}`).WaitTimeout(everesttest.Patience)
		}
	})
	return wire
}

const towerAnswer = `{"status":"Ok","status_info":"","type":"Get","response":{"type":"Module","data":{"mappings":{"tower":null},"module_config":{
	"module_id":"tower","module_name":"Tower","standalone":false,"access":null,"configuration_parameters":{"!module":[{"name":"weight","value":7,"characteristics":{"datatype":"integer","mutability":"ReadOnly"}}],"main":[],"second":[]},
	"connections":{},"mapping":null,"telemetry_enabled":false}}}}`

func scriptedTower(t *testing.T, broker everest.Broker) everest.Options {
	spawned := false
	return everest.Options{
		ModuleID: "tower", Wire: "C", EverestPrefix: ownPrefix, Broker: broker, Spawned: &spawned,
		Manifest: []byte(towerManifest), Definitions: bellDefinitions(t), StartDataTimeout: time.Millisecond,
	}
}

func TestChecklist05_MatchesTheAnswer(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		answerConfig(t, broker, "tower",
			`{"status":"Ok","status_info":"","type":"Set","response":{"status":"RebootRequired"}}`,
			`{"status":"Ok","status_info":"","type":"Get","response":{"type":"AllMappings","data":{}}}`,
			towerAnswer)
		module, err := everest.Connect(patient(t), scriptedTower(t, broker))
		if err != nil {
			t.Fatal(err)
		}
		defer module.Close()
		if module.Name() != "Tower" {
			t.Errorf("name %q", module.Name())
		}
	})
}

func TestChecklist05_RefusedConfigIsAnError(t *testing.T) {
	broker := everesttest.NewBroker(t)
	answerConfig(t, broker, "tower", `{"status":"Error","status_info":"out of order","type":"Get","response":{"type":"Module","data":null}}`)
	_, err := everest.Connect(patient(t), scriptedTower(t, broker))
	if err == nil || !strings.Contains(err.Error(), "tower") || !strings.Contains(err.Error(), "Error out of order") {
		t.Errorf("error %v", err)
	}
}

func TestChecklist06_AsksAgainUntilAnswered(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		lost := proxy.Drop(3, everesttest.FromClient("config/request"))
		options := through(proxy, manager.Options("tower"))
		options.ConfigTimeout = 50 * time.Millisecond
		module, err := everest.Connect(patient(t), options)
		if err != nil {
			t.Fatal(err)
		}
		defer module.Close()
		if lost.Hits() != 3 {
			t.Errorf("asked %d times in vain, 3 questions were to be lost", lost.Hits())
		}
	})
}

func TestChecklist06_GivesUpByPolicyOnly(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		// What an earlier manager left on the broker says nothing about a living one.
		wire := newWireClient(t, broker)
		for _, topic := range []string{"settings", "module_names"} {
			retained := wire.client.Publish(ownPrefix+topic, 2, true, `{"msg_type":"GetConfigResponse","data":{"tower":"Tower"}}`)
			if !retained.WaitTimeout(everesttest.Patience) || retained.Error() != nil {
				t.Fatal(retained.Error())
			}
			t.Cleanup(func() { wire.client.Publish(ownPrefix+topic, 0, true, "").WaitTimeout(everesttest.Patience) })
		}
		proxy := everesttest.NewProxy(t, broker)
		options := through(proxy, scriptedTower(t, broker))
		options.ConfigTimeout, options.ConfigAttempts = 20*time.Millisecond, 3
		_, err := everest.Connect(patient(t), options)
		if err == nil || !strings.Contains(err.Error(), "config service does not answer") {
			t.Errorf("error %v", err)
		}
		asked := slices.DeleteFunc(proxy.Packets(), func(p everesttest.Packet) bool { return !published("config/request")(p) })
		if len(asked) != 3 {
			t.Errorf("asked %d times, the policy was 3", len(asked))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		options.ConfigAttempts = 0
		if _, err := everest.Connect(ctx, options); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
	})
}

func TestChecklist07_RestartsWithoutStartTopics(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		everesttest.RunModule(t, manager.Options("ringer"), nil)
		first := everesttest.RunModule(t, manager.Options("tower"), nil)
		everesttest.WaitReady(t, manager)
		if err := first.Stop(); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		heard := make(chan struct{}, 1)
		everesttest.RunModule(t, manager.Options("tower"), func(m *everest.Module) {
			if m.Settings().Known {
				t.Error("the manager has not cleared its start-up topics")
			}
			m.OnReady(func(context.Context) error {
				heard <- struct{}{}
				return nil
			})
		})
		receive(t, heard)
	})
}

func TestChecklist07_TakesStartTopicsLive(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		wire := answerConfig(t, broker, "tower", towerAnswer)
		options := scriptedTower(t, broker)
		options.StartDataTimeout = everesttest.Patience
		wire.subscribe(t, ownPrefix+"config/request", func(string, []byte) {
			for topic, data := range map[string]string{
				"settings": `{"prefix":"/p","validate_schema":true}`, "module_names": `{"tower":"Tower"}`,
				"manifests/Tower": `{"provides":{"main":{"interface":"bell"},"second":{"interface":"bell"}}}`,
			} {
				_ = wire.client.Publish(ownPrefix+topic, 2, false, `{"msg_type":"GetConfigResponse","data":`+data+`}`).WaitTimeout(everesttest.Patience)
			}
			_ = wire.client.Publish(ownPrefix+"modules/tower/response", 2, false, `{"msg_type":"GetConfigResponse","data":`+towerAnswer+`}`).WaitTimeout(everesttest.Patience)
		})
		module, err := everest.Connect(patient(t), options)
		if err != nil {
			t.Fatal(err)
		}
		defer module.Close()
		if settings := module.Settings(); !settings.Known || !settings.ValidateSchema || settings.Prefix != "/p" {
			t.Errorf("settings %+v", settings)
		}
	})
}

func TestChecklist08_ReadsTheConfig(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		tower := config.Modules["tower"]
		tower.Manifest = []byte(strings.Replace(towerManifest, "config:", `config:
  flag: {type: boolean, description: A flag, default: true}
  name: {type: string, description: A name}
  ratio: {type: number, description: A ratio, default: 4}
  speed: {type: number, description: A speed}`, 1))
		tower.Config = map[string]any{"name": "Big Ben", "speed": 0.25}
		config.Modules["tower"] = tower
		manager := everesttest.NewManager(t, config)

		module, err := everest.Connect(patient(t), manager.Options("tower"))
		if err != nil {
			t.Fatal(err)
		}
		defer module.Close()
		type parameters struct {
			Flag   bool    `everest:"flag"`
			Name   string  `everest:"name"`
			Ratio  float64 `everest:"ratio"`
			Speed  float32 `everest:"speed"`
			Weight int     `everest:"weight"`
		}
		var got parameters
		if err := module.DecodeConfig(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(parameters{true, "Big Ben", 4, 0.25, 5}, got); diff != "" {
			t.Error(diff)
		}
		var missing struct {
			Height int `everest:"height"`
		}
		if err := module.DecodeConfig(&missing); err == nil || !strings.Contains(err.Error(), "height") {
			t.Errorf("error %v does not name the missing parameter", err)
		}
		if mapping := module.Mapping(); mapping == nil || mapping.EVSE != 1 {
			t.Errorf("mapping %+v", mapping)
		}
		if err := module.DecodeImplementationConfig("second", &struct{}{}); err != nil {
			t.Error(err)
		}

		ringer, err := everest.Connect(patient(t), manager.Options("ringer"))
		if err != nil {
			t.Fatal(err)
		}
		defer ringer.Close()
		if ringer.Mapping() != nil || ringer.MappingOf("own") != nil {
			t.Error("a mapping of null maps to something")
		}
		if spare := ringer.Requires("spare"); len(spare) != 0 {
			t.Errorf("a requirement that is not connected has %d connections", len(spare))
		}
		if mapping := ringer.Requires("bell")[0].Mapping(); mapping == nil || mapping.Connector == nil || *mapping.Connector != 2 {
			t.Errorf("mapping of the connected implementation %+v", mapping)
		}
	})
}

func TestChecklist09_ThePositionIsTheIndex(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		connection := func(implementation string, number int) string {
			return fmt.Sprintf(`{"module_id":"tower","implementation_id":%q,"requirement":{"id":"bell","index":%d}}`, implementation, number)
		}
		answer := strings.NewReplacer(`"connections":{}`, `"connections":{"bell":[`+connection("second", 1)+`,`+connection("main", 0)+`]}`,
			`"!module":[{"name":"weight","value":7,"characteristics":{"datatype":"integer","mutability":"ReadOnly"}}],"main":[],"second":[]`, `"!module":[],"own":[]`,
			`"module_id":"tower","module_name":"Tower"`, `"module_id":"ringer","module_name":"Ringer"`).Replace(towerAnswer)
		answerConfig(t, broker, "ringer", answer)
		options := scriptedTower(t, broker)
		options.ModuleID, options.Manifest = "ringer", []byte(ringerManifest)
		module, err := everest.Connect(patient(t), options)
		if err != nil {
			t.Fatal(err)
		}
		defer module.Close()
		var got []string
		for _, bell := range module.Requires("bell") {
			got = append(got, bell.ModuleID()+"."+bell.ImplementationID())
		}
		if diff := cmp.Diff([]string{"tower.second", "tower.main"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestChecklist10_EverySubscriptionIsAcknowledgedBeforeReady(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		towerProxy, ringerProxy := everesttest.NewProxy(t, broker), everesttest.NewProxy(t, broker)
		prefix := manager.Options("tower").EverestPrefix
		everesttest.RunModule(t, through(towerProxy, manager.Options("tower")), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
		})
		everesttest.RunModule(t, through(ringerProxy, manager.Options("ringer")), func(m *everest.Module) {
			m.Requires("bell")[0].SubscribeErrors(func(context.Context, everest.ErrorEvent) {})
			m.OnInit(func(context.Context) error {
				m.Requires("bell")[1].Subscribe("rung", func(context.Context, json.RawMessage) {})
				return nil
			})
		})
		everesttest.WaitReady(t, manager)
		check := func(proxy *everesttest.Proxy, filters ...string) {
			t.Helper()
			packets := proxy.Packets()
			ready := index(t, packets, 0, "ready", published("/ready"))
			for _, filter := range filters {
				if at := acknowledged(t, packets, prefix+filter); at > ready {
					t.Errorf("%s is acknowledged at %d, ready is said at %d", filter, at, ready)
				}
			}
		}
		// All commands of the interface, for one without a handler is answered too.
		check(towerProxy, "ready", "modules/tower/impl/main/cmd/ring", "modules/tower/impl/main/cmd/stop", "modules/tower/impl/main/cmd/wait",
			"modules/tower/impl/second/cmd/ring", "modules/tower/impl/second/cmd/stop", "modules/tower/impl/second/cmd/wait")
		check(ringerProxy, "ready", "modules/ringer/impl/own/cmd/ring", "modules/tower/impl/second/var/rung", "modules/tower/impl/main/error/#")
	})
}

func TestChecklist11_SaysReadyAfterInit(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		released := make(chan struct{})
		everesttest.RunModule(t, through(proxy, manager.Options("tower")), func(m *everest.Module) {
			m.OnInit(func(ctx context.Context) error {
				if slices.ContainsFunc(proxy.Packets(), published("/ready")) {
					t.Error("ready before init")
				}
				<-released
				return nil
			})
		})
		// The module is in its init as soon as it has subscribed its commands; it must not say ready from then on.
		if _, err := proxy.Wait(patient(t), func(packets []everesttest.Packet) bool {
			return slices.ContainsFunc(packets, published("/metadata"))
		}); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(proxy.Packets(), published("/ready")) {
			t.Error("ready during init")
		}
		close(released)
		packets, err := proxy.Wait(patient(t), func(packets []everesttest.Packet) bool { return slices.ContainsFunc(packets, published("/ready")) })
		if err != nil {
			t.Fatal(err)
		}
		ready := packets[index(t, packets, 0, "ready", published("/ready"))]
		if ready.Topic != manager.Options("tower").EverestPrefix+"modules/tower/ready" || ready.QoS != 2 || ready.Retained {
			t.Errorf("%+v", ready)
		}
		if diff := cmp.Diff(decoded(t, []byte(`{"msg_type":"ModuleReady","data":true}`)), decoded(t, ready.Payload)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestChecklist11_FailedInitSaysNothing(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		failure := errors.New("no rope")
		process := everesttest.RunModule(t, through(proxy, manager.Options("tower")), func(m *everest.Module) {
			m.OnInit(func(context.Context) error { return failure })
		})
		if err := process.Wait(patient(t)); !errors.Is(err, failure) {
			t.Errorf("error %v", err)
		}
		if slices.ContainsFunc(proxy.Packets(), published("/ready")) {
			t.Error("ready after a failed init")
		}
	})
}

// A manager that has just started serves the configuration before it listens for ready. What it misses is said again.
func TestChecklist11_ALostReadyIsSaidAgain(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		lost := proxy.Drop(3, everesttest.FromClient("modules/tower/ready"))
		options := through(proxy, manager.Options("tower"))
		options.ReadyReminder = 20 * time.Millisecond
		everesttest.RunModule(t, options, nil)
		everesttest.RunModule(t, manager.Options("ringer"), nil)
		everesttest.WaitReady(t, manager)
		if lost.Hits() != 3 {
			t.Errorf("%d were lost", lost.Hits())
		}
	})
}

func TestChecklist12_RunsReadyOnceOnTheFirstGlobalReady(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		prefix := manager.Options("tower").EverestPrefix
		var runs atomic.Int32
		started := make(chan struct{}, 10)
		everesttest.RunModule(t, through(proxy, manager.Options("tower")), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
			m.OnReady(func(context.Context) error {
				runs.Add(1)
				started <- struct{}{}
				return nil
			})
		})
		if _, err := proxy.Wait(patient(t), func(packets []everesttest.Packet) bool { return slices.ContainsFunc(packets, published("/ready")) }); err != nil {
			t.Fatal(err)
		}
		wire := newWireClient(t, broker)
		replies := everesttest.NewRecorder(t, broker, prefix+"modules/tower/impl/main/cmd/ring/response/somebody")
		settle := func(id string) {
			t.Helper()
			wire.publish(t, prefix+"modules/tower/impl/main/cmd/ring", `{"msg_type":"Cmd","data":{"id":"`+id+`","origin":"somebody","args":{"text":"x","times":1}}}`)
			if _, err := replies.Wait(patient(t), func(messages []everesttest.Message) bool {
				return slices.ContainsFunc(messages, func(m everesttest.Message) bool { return strings.Contains(string(m.Payload), `"id":"`+id+`"`) })
			}); err != nil {
				t.Fatal(err)
			}
		}
		for _, data := range []string{`false`, `"true"`, `1`, `null`, `{}`} {
			wire.publish(t, prefix+"ready", `{"msg_type":"GlobalReady","data":`+data+`}`)
		}
		settle("1")
		if got := runs.Load(); got != 0 {
			t.Errorf("ready ran %d times on messages that are none", got)
		}
		for range 3 {
			wire.publish(t, prefix+"ready", `{"msg_type":"GlobalReady","data":true}`)
		}
		receive(t, started)
		settle("2")
		if got := runs.Load(); got != 1 {
			t.Errorf("ready ran %d times", got)
		}
	})
}

func TestChecklist13_AnswersBeforeGlobalReady(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, bellConfig(t, broker))
		prefix := manager.Options("tower").EverestPrefix
		answered := make(chan struct{})
		wire := newWireClient(t, broker)
		wire.subscribe(t, prefix+"modules/tower/impl/main/cmd/ring/response/somebody", func(string, []byte) { close(answered) })
		everesttest.RunModule(t, manager.Options("tower"), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
			m.OnInit(func(ctx context.Context) error {
				wire.publish(t, prefix+"modules/tower/impl/main/cmd/ring", `{"msg_type":"Cmd","data":{"id":"1","origin":"somebody","args":{"text":"x","times":1}}}`)
				select {
				case <-answered:
				case <-ctx.Done():
				}
				return ctx.Err()
			})
		})
		receive(t, answered)
		if manager.Ready() {
			t.Error("the manager is ready without the ringer")
		}
	})
}
