package everest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// errorObject is an error message as it stands on the wire, with all its keys.
type errorObject struct {
	kind string
	keys map[string]any
}

func readErrorObject(t *testing.T, m everesttest.Message) errorObject {
	t.Helper()
	envelope, ok := m.Envelope()
	var object errorObject
	if err := json.Unmarshal(envelope.Data, &object.keys); !ok || err != nil {
		t.Fatalf("%s: %v", m.Payload, err)
	}
	object.kind = envelope.MessageType
	return object
}

func TestChecklist25_RaiseAndClear(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), nil, nil)
		bell, ctx := b.tower.Provides("main"), patient(t)
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(bell.Clear(ctx, "bell/Stuck", "")) // not active: nothing is published
		check(bell.Raise(ctx, everest.Error{Type: "bell/Stuck", SubType: "cold", Message: "too cold", Severity: everest.SeverityHigh}))
		check(bell.Raise(ctx, everest.Error{Type: "bell/Stuck", SubType: "cold", Message: "still too cold"})) // active already
		check(bell.Raise(ctx, everest.Error{Type: "bell/Stuck"}))
		if err := bell.Raise(ctx, everest.Error{Type: "bell/Melted"}); err == nil {
			t.Error("an error that the interface does not list was raised")
		}
		if !bell.IsActive("bell/Stuck", "cold") || bell.IsActive("bell/Cracked", "") || len(bell.ActiveErrors()) != 2 {
			t.Errorf("active: %+v", bell.ActiveErrors())
		}
		check(bell.Clear(ctx, "bell/Stuck", "cold"))
		check(bell.Clear(ctx, "bell/Stuck", "cold"))
		check(bell.Raise(ctx, everest.Error{Type: "bell/Stuck", SubType: "cold"}))
		check(bell.ClearWhere(ctx, func(e everest.Error) bool { return e.Type == "bell/Stuck" }))
		check(bell.Raise(ctx, everest.Error{Type: "bell/Cracked"}))
		check(bell.ClearWhere(ctx, nil))

		stuck := b.waitFor(t, b.topic("error/bell/Stuck"), 6)
		cracked := b.waitFor(t, b.topic("error/bell/Cracked"), 2)
		if len(stuck) != 6 || len(cracked) != 2 {
			t.Fatalf("%d and %d messages: %s", len(stuck), len(cracked), payloads(stuck))
		}
		var story []string
		var objects []errorObject
		for _, m := range stuck {
			object := readErrorObject(t, m)
			objects = append(objects, object)
			story = append(story, fmt.Sprint(object.kind, " ", object.keys["state"], " ", object.keys["sub_type"]))
			var keys []string
			for key := range object.keys {
				keys = append(keys, key)
			}
			slices.Sort(keys)
			want := []string{"description", "message", "origin", "severity", "state", "sub_type", "timestamp", "type", "uuid", "vendor_id"}
			if diff := cmp.Diff(want, keys); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if _, err := time.Parse("2006-01-02T15:04:05.000Z", object.keys["timestamp"].(string)); err != nil {
				t.Error(err)
			}
		}
		wantStory := []string{
			"RaiseError Active cold", "RaiseError Active ", "ClearError ClearedByModule cold", "RaiseError Active cold",
		}
		if diff := cmp.Diff(wantStory, story[:4]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		cleared := objects[2].keys
		cleared["state"] = "Active"
		if diff := cmp.Diff(objects[0].keys, cleared); diff != "" {
			t.Errorf("the clear differs from the raise in more than its state (-raise +clear):\n%s", diff)
		}
		if first := objects[0].keys; first["message"] != "too cold" || first["severity"] != "High" || first["vendor_id"] != "everest" ||
			first["description"] != "The clapper is stuck" || first["type"] != "bell/Stuck" {
			t.Errorf("raised %v", first)
		}
		if second := objects[1].keys; second["message"] != "no message provided" || second["severity"] != "Low" {
			t.Errorf("raised %v", second)
		}
	})
}

// Errors relayed on behalf of others keep who and when, and are told apart by their origin.
func TestChecklist25_RelayedErrors(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		b := newBelfry(t, bellConfig(t, broker), nil, nil)
		bell, ctx := b.tower.Provides("main"), patient(t)
		connector := 4
		of := func(module string) json.RawMessage {
			object, err := json.Marshal(everest.Error{
				Type: "elsewhere/Fault", Message: "m", Description: "d", Severity: everest.SeverityMedium, VendorID: "v", UUID: "uuid of " + module,
				Timestamp: time.Date(2026, 11, 22, 10, 32, 38, 363e6, time.FixedZone("", 3600)),
				Origin:    everest.Origin{ModuleID: module, ImplementationID: "impl", Mapping: &everest.Mapping{EVSE: 3, Connector: &connector}},
			})
			if err != nil {
				t.Fatal(err)
			}
			return object
		}
		for _, step := range []func() error{
			func() error { return bell.RelayError(ctx, of("a"), true) },
			func() error { return bell.RelayError(ctx, of("a"), true) },
			func() error { return bell.RelayError(ctx, of("b"), true) },
			func() error { return bell.Clear(ctx, "elsewhere/Fault", "") }, // is not an own one
			func() error { return bell.RelayError(ctx, of("a"), false) },
			func() error { return bell.RelayError(ctx, of("a"), false) },
			func() error { return bell.ClearWhere(ctx, nil) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		messages := b.waitFor(t, b.topic("error/elsewhere/Fault"), 4)
		var story []string
		for _, m := range messages {
			object := readErrorObject(t, m)
			origin := object.keys["origin"].(map[string]any)
			story = append(story, fmt.Sprint(object.kind, " ", origin["module_id"], " ", object.keys["uuid"], " ", object.keys["timestamp"]))
		}
		want := []string{
			"RaiseError a uuid of a 2026-11-22T09:32:38.363Z", "RaiseError b uuid of b 2026-11-22T09:32:38.363Z",
			"ClearError a uuid of a 2026-11-22T09:32:38.363Z", "ClearError b uuid of b 2026-11-22T09:32:38.363Z",
		}
		if diff := cmp.Diff(want, story); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestChecklist26_ReceivedErrors(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		events := make(chan everest.ErrorEvent, 20)
		b := newBelfry(t, bellConfig(t, broker), nil, func(m *everest.Module) {
			m.Requires("bell")[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) { events <- event })
		})
		wire := newWireClient(t, broker)
		send := func(messageType, state, subType, timestamp, rest string) {
			wire.publish(t, b.topic("error/bell/Stuck"), fmt.Sprintf(`{"msg_type":%q,"data":{"type":"bell/Stuck","sub_type":%q,"message":"m","description":"d",
				"origin":{"module_id":"tower","implementation_id":"main"},"severity":"Strange","timestamp":%q,"uuid":"u","vendor_id":"v","state":%q%s}}`,
				messageType, subType, timestamp, state, rest))
		}
		send("ClearError", "ClearedByModule", "unknown", "", "") // no raise: ignored
		send("ClearError", "Active", "a", "2026-11-22T10:32:38.363Z", "")
		send("RaiseError", "Active", "a", "2026-11-22T10:32:39Z", "") // again: ignored
		send("RaiseError", "Other", "b", "2026-11-22T10:32:38.5+junk", "")
		send("RaiseError", "Active", "c", "yesterday", `,"more":1.50`)
		wire.publish(t, b.topic("error/bell/Stuck"), `{"msg_type":"RaiseError","data":{"sub_type":"no type"}}`)
		wire.publish(t, b.topic("error/bell/Stuck"), `{"msg_type":"RaiseError","data":[]}`)
		send("RaiseError", "ClearedByModule", "a", "2026-11-22T10:32:38.363Z", "")
		send("RaiseError", "ClearedByReboot", "b", "", "")
		send("RaiseError", "Active", "last", "", "")

		var story []string
		for {
			event := receive(t, events)
			if event.Error.SubType == "last" {
				break
			}
			story = append(story, fmt.Sprintf("%s %v %s %s %s", event.Error.SubType, event.Raised, event.Error.State, event.Error.Severity,
				event.Error.Timestamp.Format(time.RFC3339Nano)))
			if event.Error.SubType == "c" && !strings.Contains(string(event.Raw), `"more":1.50`) {
				t.Errorf("raw object %s", event.Raw)
			}
		}
		want := []string{
			"a true Active High 2026-11-22T10:32:38.363Z",
			"b true Active High 2026-11-22T10:32:38.5Z",
			"c true Active High 0001-01-01T00:00:00Z",
			"a false ClearedByModule High 2026-11-22T10:32:38.363Z",
			"b false ClearedByReboot High 0001-01-01T00:00:00Z",
		}
		if diff := cmp.Diff(want, story); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// What is active can be asked for; the answer follows the messages on a queue of its own.
		eventually(t, "two errors are active", func() bool { return len(b.bell().ActiveErrors()) == 2 })
	})
}

func TestChecklist27_GlobalErrors(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		config.EverestPrefix = "global"
		events := make(chan everest.ErrorEvent, 20)
		prepare := func(m *everest.Module) {
			m.SubscribeGlobalErrors(func(_ context.Context, event everest.ErrorEvent) { events <- event })
			m.Requires("bell")[0].SubscribeErrors(func(context.Context, everest.ErrorEvent) {}) // does not take them away
		}
		b := newBelfry(t, config, nil, prepare)
		expectFromEverybody(t, b, events)

		// A module that is restarted alone finds no module names and manifests, and hears all modules the same.
		if err := b.ringerProcess.Stop(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := b.tower.Provides("main").ClearWhere(patient(t), nil); err != nil {
			t.Fatal(err)
		}
		ready := make(chan struct{})
		b.ringer = everesttest.RunModule(t, b.manager.Options("ringer"), func(m *everest.Module) {
			prepare(m)
			m.OnReady(func(context.Context) error { close(ready); return nil })
		}).Module
		receive(t, ready)
		expectFromEverybody(t, b, events)
	})
}

func expectFromEverybody(t *testing.T, b *belfry, events <-chan everest.ErrorEvent) {
	t.Helper()
	raise := []*everest.Provided{b.tower.Provides("main"), b.tower.Provides("second"), b.ringer.Provides("own")}
	want := map[string]bool{"tower.main": true, "tower.second": true, "ringer.own": true}
	for _, raised := range []bool{true, false} {
		for _, provided := range raise {
			err := provided.ClearWhere(patient(t), nil)
			if raised {
				err = provided.Raise(patient(t), everest.Error{Type: "bell/Stuck"})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]bool{}
		for range raise {
			event := receive(t, events)
			if event.Raised != raised || event.Error.Type != "bell/Stuck" {
				t.Errorf("event %+v", event)
			}
			got[event.Error.Origin.ModuleID+"."+event.Error.Origin.ImplementationID] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("raised %v (-want +got):\n%s", raised, diff)
		}
	}
}

func TestChecklist28_MappingOfAnErrorsOrigin(t *testing.T) {
	one, two := 1, 2
	tests := []struct {
		name           string
		module         *everest.Mapping
		implementation *everest.Mapping
		want           string
	}{
		{"none", nil, nil, `{"implementation_id":"main","module_id":"tower"}`},
		{"module", &everest.Mapping{EVSE: 3}, nil, `{"implementation_id":"main","mapping":{"evse":3},"module_id":"tower"}`},
		{"implementation", nil, &everest.Mapping{EVSE: 3, Connector: &two}, `{"implementation_id":"main","mapping":{"connector":2,"evse":3},"module_id":"tower"}`},
		{"overlay", &everest.Mapping{EVSE: 3, Connector: &one}, &everest.Mapping{EVSE: 4}, `{"implementation_id":"main","mapping":{"connector":1,"evse":4},"module_id":"tower"}`},
	}
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				config := bellConfig(t, broker)
				config.EverestPrefix = "mapping-" + test.name
				tower := config.Modules["tower"]
				tower.Mapping = &everesttest.ModuleMapping{Module: test.module}
				if test.implementation != nil {
					tower.Mapping.Implementations = map[string]everest.Mapping{"main": *test.implementation}
				}
				if test.module == nil && test.implementation == nil {
					tower.Mapping = nil
				}
				config.Modules["tower"] = tower
				b := newBelfry(t, config, nil, nil)
				if err := b.tower.Provides("main").Raise(patient(t), everest.Error{Type: "bell/Stuck"}); err != nil {
					t.Fatal(err)
				}
				object := readErrorObject(t, b.waitFor(t, b.topic("error/bell/Stuck"), 1)[0])
				origin, err := json.Marshal(object.keys["origin"])
				if err != nil || string(origin) != test.want {
					t.Errorf("origin %s, want %s (%v)", origin, test.want, err)
				}
				// The caller sees the mapping of its connection as well.
				want := test.implementation
				if want == nil {
					want = test.module
				}
				if diff := cmp.Diff(want, b.bell().Mapping()); diff != "" {
					t.Errorf("mapping of the connection (-want +got):\n%s", diff)
				}
			})
		}
	})
}
