package everest_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// The interface that the modules of these tests provide and require.
const bellInterface = `
description: A bell that can be rung
cmds:
  ring:
    description: Ring and tell how
    arguments:
      text: {description: What to say, type: string}
      times: {description: How often, type: integer, minimum: 1}
    result: {description: What was said, type: string}
  stop:
    description: Stop ringing
  wait:
    description: Answer late
    result: {description: A number, type: integer}
vars:
  rung: {description: How often, type: integer}
  last: {description: The last text, type: object, properties: {text: {description: The text, type: string}}, required: [text]}
errors:
  - reference: /errors/bell
`

const bellErrors = `
description: What can happen to a bell
errors:
  - {name: Stuck, description: The clapper is stuck}
  - {name: Cracked, description: The bell is cracked}
`

const towerManifest = `
description: Provides two bells
provides:
  main: {interface: bell, description: The large one}
  second: {interface: bell, description: The small one}
config:
  weight: {type: integer, description: In kilograms, default: 5}
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [nobody]}
enable_global_errors: true
`

const ringerManifest = `
description: Rings bells, and is one
provides:
  own: {interface: bell, description: A bell of its own}
requires:
  bell: {interface: bell, min_connections: 1, max_connections: 8}
  spare: {interface: bell, min_connections: 0}
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [nobody]}
enable_global_errors: true
enable_external_mqtt: true
`

func bellDefinitions(t testing.TB) *schema.Definitions {
	t.Helper()
	definitions, err := schema.LoadYAML(fstest.MapFS{
		"interfaces/bell.yaml": {Data: []byte(bellInterface)},
		"errors/bell.yaml":     {Data: []byte(bellErrors)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return definitions
}

// bellConfig is a station with the module tower, whose bells the module ringer rings.
func bellConfig(t testing.TB, broker everest.Broker) everesttest.ManagerConfig {
	connector := 2
	return everesttest.ManagerConfig{
		Broker:      broker,
		Family:      *familyFlag,
		Definitions: bellDefinitions(t),
		Modules: map[string]everesttest.ModuleConfig{
			"tower": {
				Module: "Tower", Manifest: []byte(towerManifest),
				Mapping: &everesttest.ModuleMapping{
					Module:          &everest.Mapping{EVSE: 1},
					Implementations: map[string]everest.Mapping{"main": {EVSE: 1, Connector: &connector}},
				},
			},
			"ringer": {
				Module: "Ringer", Manifest: []byte(ringerManifest),
				Connections: map[string][]everesttest.Connection{"bell": {
					{ModuleID: "tower", ImplementationID: "main"}, {ModuleID: "tower", ImplementationID: "second"},
				}},
			},
		},
	}
}

// ring answers the command ring in the way that the tests expect.
func ring(_ context.Context, arguments everest.Args) (any, error) {
	var text string
	if err := arguments.Decode("text", &text); err != nil {
		return nil, err
	}
	return "ding " + text, nil
}

func raw(text string) json.RawMessage { return json.RawMessage(text) }

// patient is a context for everything that must happen some time.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	t.Cleanup(cancel)
	return ctx
}

// belfry is a running station of tower and ringer, with what the tests look at.
type belfry struct {
	manager  *everesttest.Manager
	recorder *everesttest.Recorder
	tower    *everest.Module
	ringer   *everest.Module
	prefix   string

	towerProcess, ringerProcess *everesttest.Process
}

// newBelfry returns when both modules have heard the global ready. The preparations may be nil.
func newBelfry(t testing.TB, config everesttest.ManagerConfig, prepareTower, prepareRinger func(*everest.Module)) *belfry {
	t.Helper()
	b := &belfry{manager: everesttest.NewManager(t, config)}
	b.prefix = b.manager.Options("tower").EverestPrefix
	b.recorder = everesttest.NewRecorder(t, config.Broker, b.prefix+"modules/#")
	ready := make(chan struct{}, 2)
	run := func(id string, prepare func(*everest.Module)) *everesttest.Process {
		return everesttest.RunModule(t, b.manager.Options(id), func(m *everest.Module) {
			if prepare != nil {
				prepare(m)
			}
			m.OnReady(func(context.Context) error {
				ready <- struct{}{}
				return nil
			})
		})
	}
	b.towerProcess = run("tower", prepareTower)
	b.ringerProcess = run("ringer", prepareRinger)
	b.tower, b.ringer = b.towerProcess.Module, b.ringerProcess.Module
	for range 2 {
		receive(t, ready)
	}
	return b
}

// bell is the ringer's connection to the tower's large bell.
func (b *belfry) bell() *everest.Required { return b.ringer.Requires("bell")[0] }

// topic is one of the tower's large bell.
func (b *belfry) topic(rest string) string { return b.prefix + "modules/tower/impl/main/" + rest }

// waitFor returns the first count messages on a topic.
func (b *belfry) waitFor(t testing.TB, topic string, count int) []everesttest.Message {
	t.Helper()
	_, err := b.recorder.Wait(patient(t), func([]everesttest.Message) bool { return len(b.recorder.OnTopic(topic)) >= count })
	if err != nil {
		t.Fatalf("waiting for %d messages on %s: %v", count, topic, err)
	}
	return b.recorder.OnTopic(topic)
}

// eventually asks again and again, where there is nothing to wait for.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx := patient(t)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-patient(t).Done():
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// wireClient publishes what no module would.
type wireClient struct {
	client   mqtt.Client
	handlers sync.WaitGroup
}

func newWireClient(t *testing.T, broker everest.Broker) *wireClient {
	t.Helper()
	address := broker.String()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(address).SetCleanSession(true).SetAutoReconnect(false))
	if token := client.Connect(); !token.WaitTimeout(everesttest.Patience) || token.Error() != nil {
		t.Fatalf("connect to %s: %v", address, token.Error())
	}
	c := &wireClient{client: client}
	t.Cleanup(func() {
		c.handlers.Wait()
		client.Disconnect(250)
	})
	return c
}

func (c *wireClient) publish(t *testing.T, topic, payload string) {
	t.Helper()
	if token := c.client.Publish(topic, 2, false, payload); !token.WaitTimeout(everesttest.Patience) || token.Error() != nil {
		t.Errorf("publish on %s: %v", topic, token.Error())
	}
}

// subscribe answers each message on a filter in a goroutine of its own.
func (c *wireClient) subscribe(t *testing.T, filter string, handle func(topic string, payload []byte)) {
	t.Helper()
	token := c.client.Subscribe(filter, 2, func(_ mqtt.Client, m mqtt.Message) {
		c.handlers.Go(func() { handle(m.Topic(), m.Payload()) })
	})
	if !token.WaitTimeout(everesttest.Patience) || token.Error() != nil {
		t.Fatalf("subscribe %s: %v", filter, token.Error())
	}
}
