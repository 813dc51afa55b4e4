package everesttest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
)

const goModManifest = `
description: Go module
metadata: {license: https://example.org/licence, authors: [me]}
provides:
  gi:
    interface: t_go
    description: gi
    config:
      k: {description: kk, type: boolean, default: true}
requires:
  opt: {interface: kvs, min_connections: 0}
  peer: {interface: t_peer, max_connections: 2}
enable_global_errors: true
`

const peerManifest = `
description: peer
metadata: {license: https://example.org/licence, authors: [me]}
config:
  flag: {description: flag, type: boolean, default: false}
  name: {description: name, type: string}
  num: {description: num, type: integer, default: 1, mutability: ReadWrite}
  ratio: {description: ratio, type: number, default: 4}
provides:
  main:
    interface: t_peer
    description: main
    config:
      impl_opt: {description: option, type: integer, default: 42}
  second: {interface: empty, description: second}
requires:
  req0: {interface: t_go}
`

const interfaceFacts = `{"_meta":{"rev":"test"},"interfaces":{
"t_go":{"cmds":{"ping":{"arguments":{"x":{"type":"string","description":"text"}},"result":{"type":"string"}}},"vars":{"tick":{"type":"integer"}},"errors":["/errors/generic"]},
"t_peer":{"cmds":{"reset":{"arguments":{}}},"vars":{},"errors":[]},
"kvs":{"cmds":{},"vars":{},"errors":[]},
"empty":{"cmds":{},"vars":{},"errors":[]}}}`

const typeFacts = `{"types":{"/text_message#/MessageFormat":{"type":"string","enum":["ASCII"]}}}`
const errorFacts = `{"error_types":{"generic":["generic/CommunicationFault","generic/VendorError"]}}`

func testDefinitions(t *testing.T) *schema.Definitions {
	t.Helper()
	loaded, err := schema.LoadJSON([]byte(interfaceFacts), []byte(typeFacts), []byte(errorFacts))
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func testConfig(t *testing.T, broker everest.Broker) ManagerConfig {
	t.Helper()
	connector, telemetry := 2, 5
	return ManagerConfig{
		Broker:      broker,
		Definitions: testDefinitions(t),
		Modules: map[string]ModuleConfig{
			"gomod": {
				Module: "GoMod", Manifest: []byte(goModManifest), Standalone: true,
				Connections: map[string][]Connection{"peer": {{"peer_1", "main"}}},
				Access:      &Access{Modules: map[string]ModuleAccess{"peer_1": {Read: true, Write: true}}},
			},
			"peer_1": {
				Module: "CppPeer", Manifest: []byte(peerManifest),
				Config:      map[string]any{"name": "Peer eins", "num": 3},
				Connections: map[string][]Connection{"req0": {{"gomod", "gi"}}},
				Mapping: &ModuleMapping{
					Module:          &everest.Mapping{EVSE: 1},
					Implementations: map[string]everest.Mapping{"main": {EVSE: 1, Connector: &connector}},
				},
				Telemetry: &telemetry,
			},
		},
	}
}

// peer is a client that sends any message.
type peer struct {
	*brokerConn
	inbox chan Message
}

func dialPeer(t *testing.T, broker everest.Broker, filters ...string) *peer {
	t.Helper()
	p := &peer{inbox: make(chan Message, 1000)}
	var err error
	if p.brokerConn, err = dialBroker(t.Context(), broker, "peer", func(m Message) { p.inbox <- m }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	if err := p.subscribe(t.Context(), 2, filters...); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) send(t *testing.T, topic, payload string) {
	t.Helper()
	if err := p.publish(t.Context(), topic, 2, false, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func (p *peer) receive(t *testing.T) Message {
	t.Helper()
	select {
	case m := <-p.inbox:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("no message")
		return Message{}
	}
}

func startTestManager(t *testing.T, config ManagerConfig) *Manager {
	t.Helper()
	manager, err := StartManager(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	return manager
}

func equalJSON(t *testing.T, got []byte, want string) {
	t.Helper()
	var gotValue, wantValue any
	if err := json.Unmarshal(got, &gotValue); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &wantValue); err != nil {
		t.Fatalf("%v in %s", err, want)
	}
	if diff := cmp.Diff(wantValue, gotValue); diff != "" {
		t.Errorf("differs from what is wanted (-want +got):\n%s", diff)
	}
}

func TestManagerStartTopics(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := testConfig(t, broker)
		config.Settings = Settings{Prefix: "/p", TelemetryEnabled: true}
		startTestManager(t, config)
		p := dialPeer(t, broker, "everest/#")
		topics := map[string][]byte{}
		for len(topics) < 9 {
			m := p.receive(t)
			if !m.Retained || m.QoS != 2 {
				t.Errorf("%s: retained %v, QoS %d", m.Topic, m.Retained, m.QoS)
			}
			topics[strings.TrimPrefix(m.Topic, "everest/")] = m.Payload
		}
		wanted := map[string]string{
			"interfaces": `["empty","t_go","t_peer"]`,
			"interface_definitions/t_go": `{"cmds":{"ping":{"arguments":{"x":{"type":"string"}},"result":{"type":"string"}}},
				"errors":{"generic":{"CommunicationFault":{"description":"","name":"CommunicationFault","namespace":"generic"},
				"VendorError":{"description":"","name":"VendorError","namespace":"generic"}}},"vars":{"tick":{"qos":2,"type":"integer"}}}`,
			"interface_definitions/t_peer": `{"cmds":{"reset":{"arguments":{},"result":{"type":"null"}}},"errors":{},"vars":{}}`,
			"interface_definitions/empty":  `{"cmds":{},"errors":{},"vars":{}}`,
			"types":                        `[]`,
			"settings": `{"data_dir":"/p/share/everest","etc_dir":"/p/etc/everest","forward_exceptions":false,"modules_dir":"/p/libexec/everest/modules",
				"prefix":"/p","telemetry_enabled":true,"telemetry_prefix":"everest-telemetry/","validate_schema":false}`,
			"manifests/GoMod": `{"description":"Go module","enable_external_mqtt":false,"enable_global_errors":true,"enable_telemetry":false,
				"metadata":{"authors":["me"],"license":"https://example.org/licence"},
				"provides":{"gi":{"config":{"k":{"default":true,"description":"kk","mutability":"ReadOnly","type":"boolean"}},"description":"gi","interface":"t_go"}},
				"requires":{"opt":{"interface":"kvs","max_connections":1,"min_connections":0},"peer":{"interface":"t_peer","max_connections":2,"min_connections":1}}}`,
			"module_names": `{"gomod":"GoMod","peer_1":"CppPeer"}`,
		}
		for topic, data := range wanted {
			equalJSON(t, topics[topic], `{"msg_type":"GetConfigResponse","data":`+data+`}`)
		}
		if topics["manifests/CppPeer"] == nil {
			t.Error("the manifest of CppPeer is missing")
		}
	})
}

func TestManagerStartTopicsWithValidation(t *testing.T) {
	broker := NewBroker(t)
	config := testConfig(t, broker)
	config.Settings.ValidateSchema = true
	startTestManager(t, config)
	p := dialPeer(t, broker, "everest/types", "everest/type_definitions/#", "everest/schemas")
	equalJSON(t, p.receive(t).Payload, `{"msg_type":"GetConfigResponse","data":["/text_message"]}`)
	file := p.receive(t)
	if file.Topic != "everest/type_definitions/text_message" {
		t.Errorf("topic %s", file.Topic)
	}
	equalJSON(t, file.Payload, `{"msg_type":"GetConfigResponse","data":{"MessageFormat":{"type":"string","enum":["ASCII"]}}}`)
	if m := p.receive(t); m.Topic != "everest/schemas" {
		t.Errorf("topic %s", m.Topic)
	}
}

func TestManagerReady(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := startTestManager(t, testConfig(t, broker))
		p := dialPeer(t, broker, "everest/ready", "everest/module_names")
		if m := p.receive(t); m.Topic != "everest/module_names" || len(m.Payload) == 0 {
			t.Fatalf("%s %s", m.Topic, m.Payload)
		}
		if diff := cmp.Diff([]string{"gomod", "peer_1"}, manager.Missing()); diff != "" {
			t.Error(diff)
		}
		p.send(t, "everest/modules/gomod/ready", `{"data":true,"msg_type":"ModuleReady"}`)
		p.send(t, "everest/modules/gomod/ready", `{"data":false,"msg_type":"ModuleReady"}`)
		p.send(t, "everest/modules/peer_1/ready", `{"data":true,"msg_type":"ModuleReady"}`)
		p.send(t, "everest/modules/nobody/ready", `{"data":true,"msg_type":"ModuleReady"}`)
		p.send(t, "everest/modules/gomod/ready", `{"data":true,"msg_type":"ModuleReady"}`)
		if m := p.receive(t); m.Topic != "everest/module_names" || len(m.Payload) != 0 || m.QoS != 0 {
			t.Errorf("the start-up topic is not cleared before ready: %s %q with QoS %d", m.Topic, m.Payload, m.QoS)
		}
		ready := p.receive(t)
		if ready.Topic != "everest/ready" || ready.Retained || ready.QoS != 2 {
			t.Errorf("%+v", ready)
		}
		equalJSON(t, ready.Payload, `{"data":true,"msg_type":"GlobalReady"}`)
		if err := manager.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		// A restarted module gets a ready, too.
		p.send(t, "everest/modules/gomod/ready", `{"data":true,"msg_type":"ModuleReady"}`)
		equalJSON(t, p.receive(t).Payload, `{"data":true,"msg_type":"GlobalReady"}`)
		if err := manager.WaitGlobalReady(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		late := dialPeer(t, broker, "everest/#")
		late.send(t, "everest/end", `{}`)
		if m := late.receive(t); m.Topic != "everest/end" {
			t.Errorf("%s is retained", m.Topic)
		}
	})
}

func TestManagerRetainTopics(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := testConfig(t, broker)
		config.RetainTopics = true
		manager := startTestManager(t, config)
		p := dialPeer(t, broker)
		for _, id := range []string{"gomod", "peer_1"} {
			p.send(t, "everest/modules/"+id+"/ready", `{"data":true,"msg_type":"ModuleReady"}`)
		}
		if err := manager.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := dialPeer(t, broker, "everest/module_names").receive(t); !m.Retained {
			t.Error("the topic came live")
		}
		manager.Kill()
		if m := dialPeer(t, broker, "everest/module_names").receive(t); !m.Retained {
			t.Error("the topic came live")
		}
		if err := manager.Err(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestManagerWaitReadyNamesMissing(t *testing.T) {
	manager := startTestManager(t, testConfig(t, NewBroker(t)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := manager.WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "not ready: gomod, peer_1") {
		t.Error(err)
	}
}

func TestManagerEndsAtPoison(t *testing.T) {
	for _, test := range []struct {
		topic, payload string
		ends           bool
	}{
		{"everest/config/request", `no JSON`, false},
		{"everest/config/request", ``, false},
		{"everest/config/request", `[1]`, false},
		{"everest/config/request", `{"type":"Get"}`, false},
		{"everest/config/request", `{"msg_type":"Get"}`, true},
		{"everest/config/request", `{"msg_type":3}`, true},
		{"everest/modules/gomod/ready", `{"msg_type":"Ready","data":true}`, true},
		{"everest/modules/gomod/ready", `{"msg_type":"Var","data":true}`, false},
		{"everest/modules/gomod/ready", `{"msg_type":"ModuleReady"}`, false},
	} {
		t.Run(test.payload, func(t *testing.T) {
			broker := NewBroker(t)
			manager := startTestManager(t, testConfig(t, broker))
			p := dialPeer(t, broker, "everest/modules/gomod/response")
			p.send(t, test.topic, test.payload)
			if test.ends {
				<-manager.Done()
				if err := manager.Err(); !errors.Is(err, ErrPoisoned) || !strings.Contains(err.Error(), test.topic) {
					t.Error(err)
				}
				return
			}
			p.send(t, "everest/config/request", `{"msg_type":"GetConfig","data":{"type":"Get","origin":"gomod","request":{"type":"AllMappings"}}}`)
			p.receive(t)
			if err := manager.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestManagerWithoutSpawnedModule(t *testing.T) {
	config := testConfig(t, NewBroker(t))
	peer := config.Modules["peer_1"]
	peer.Standalone = true
	config.Modules["peer_1"] = peer
	manager := startTestManager(t, config)
	<-manager.Done()
	if err := manager.WaitReady(t.Context()); !errors.Is(err, ErrNoSpawnedModule) {
		t.Error(err)
	}
}

func TestManagerLosesBroker(t *testing.T) {
	broker, err := StartBroker(BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	manager := startTestManager(t, testConfig(t, broker.Address()))
	broker.Close()
	<-manager.Done()
	if err := manager.Err(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := StartManager(t.Context(), testConfig(t, broker.Address())); err == nil || !strings.Contains(err.Error(), broker.Address().String()) {
		t.Errorf("error %v does not name the broker", err)
	}
}

func TestManagerShutdown(t *testing.T) {
	broker := NewBroker(t)
	manager := startTestManager(t, testConfig(t, broker))
	p := dialPeer(t, broker, "everest/shutdown")
	if err := manager.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := p.receive(t); string(m.Payload) != "true" || m.Retained {
		t.Errorf("%+v", m)
	}
}

func TestManagerArguments(t *testing.T) {
	broker := NewBroker(t)
	config := testConfig(t, broker)
	config.EverestPrefix = "board2"
	manager := startTestManager(t, config)
	arguments := manager.Arguments("gomod")
	want := []string{
		"--prefix", "/usr", "--module", "gomod", "--log_config", "/etc/everest/default_logging.cfg", "--mqtt_everest_prefix", "board2/",
		"--mqtt_external_prefix", "", "--everest_wire", "C", "--mqtt_broker_host", "127.0.0.1", "--mqtt_broker_port", arguments[len(arguments)-1],
	}
	if diff := cmp.Diff(want, arguments); diff != "" {
		t.Error(diff)
	}
	options := manager.Options("gomod")
	if options.EverestPrefix != "board2/" || options.Broker != broker || string(options.Manifest) != goModManifest {
		t.Errorf("%+v", options)
	}
}

func TestManagerMetadata(t *testing.T) {
	broker := NewBroker(t)
	manager := startTestManager(t, testConfig(t, broker))
	p := dialPeer(t, broker, "everest/modules/gomod/response")
	p.send(t, "everest/modules/gomod/metadata", `{"msg_type":"GetConfigResponse","data":{}}`)
	p.send(t, "everest/config/request", `{"msg_type":"GetConfig","data":{"type":"Get","origin":"gomod","request":{"type":"AllMappings"}}}`)
	p.receive(t)
	manager.mu.Lock()
	defer manager.mu.Unlock()
	if got := string(manager.metadata["gomod"]); got != `{"msg_type":"GetConfigResponse","data":{}}` {
		t.Errorf("metadata %q", got)
	}
}

func TestManagerRejectsConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(config *ManagerConfig, gomod, peer *ModuleConfig)
		want   string
	}{
		{"no modules", func(config *ManagerConfig, _, _ *ModuleConfig) { config.Modules = nil }, "the configuration has no modules"},
		{"required key", func(_ *ManagerConfig, _, peer *ModuleConfig) { peer.Config = nil }, "module peer_1 (CppPeer): config key name is missing"},
		{"unknown key", func(_ *ManagerConfig, _, peer *ModuleConfig) { peer.Config["colour"] = "red" }, "config key colour is not in the manifest, which has: flag, name, num, ratio"},
		{"wrong type", func(_ *ManagerConfig, _, peer *ModuleConfig) { peer.Config["num"] = "three" }, `config key num: "three" is no integer`},
		{"implementation key", func(_ *ManagerConfig, gomod, _ *ModuleConfig) {
			gomod.ImplementationConfig = map[string]map[string]any{"gi": {"k": 1}}
		}, "module gomod (GoMod): implementation gi: config key k: 1 is no boolean"},
		{"unknown implementation", func(_ *ManagerConfig, gomod, _ *ModuleConfig) {
			gomod.ImplementationConfig = map[string]map[string]any{"other": {}}
		}, "configuration for implementation other, the module has: gi"},
		{"too few connections", func(_ *ManagerConfig, gomod, _ *ModuleConfig) { gomod.Connections = nil }, "requirement peer has 0 connections, the manifest asks for 1 to 2"},
		{"too many connections", func(_ *ManagerConfig, _, peer *ModuleConfig) {
			peer.Connections["req0"] = slices.Repeat(peer.Connections["req0"], 2)
		}, "requirement req0 has 2 connections, the manifest asks for 1 to 1"},
		{"unknown requirement", func(_ *ManagerConfig, gomod, _ *ModuleConfig) { gomod.Connections["lamp"] = nil }, "connection lamp is not a requirement of the manifest, which has: opt, peer"},
		{"unknown module", func(_ *ManagerConfig, gomod, _ *ModuleConfig) {
			gomod.Connections["peer"] = []Connection{{"ghost", "main"}}
		}, "requirement peer is connected to module ghost, which is not in the configuration"},
		{"unknown provider", func(_ *ManagerConfig, gomod, _ *ModuleConfig) {
			gomod.Connections["peer"] = []Connection{{"peer_1", "third"}}
		}, "implementation third of module peer_1, which has: main, second"},
		{"interface", func(_ *ManagerConfig, gomod, _ *ModuleConfig) {
			gomod.Connections["peer"] = []Connection{{"peer_1", "second"}}
		}, "requirement peer needs interface t_peer, but implementation second of module peer_1 provides empty"},
		{"undefined interface", func(_ *ManagerConfig, gomod, _ *ModuleConfig) {
			gomod.Manifest = []byte(strings.Replace(goModManifest, "t_go", "t_gone", 1))
		}, "implementation gi provides interface t_gone, which is not defined"},
		{"no manifest", func(_ *ManagerConfig, gomod, _ *ModuleConfig) { gomod.Manifest = nil }, "module gomod: there is no manifest of module GoMod"},
		{"bad manifest", func(_ *ManagerConfig, gomod, _ *ModuleConfig) { gomod.Manifest = []byte("description: x") }, "description must have at least 2 characters"},
		{"no module name", func(_ *ManagerConfig, gomod, _ *ModuleConfig) { gomod.Module = "" }, "module gomod: the name of its module is missing"},
		{"module id", func(config *ManagerConfig, gomod, _ *ModuleConfig) { config.Modules["1st"] = *gomod }, `module id "1st" must start with a letter`},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := testConfig(t, everest.Broker{})
			gomod, peer := config.Modules["gomod"], config.Modules["peer_1"]
			modules := maps.Clone(config.Modules)
			test.change(&config, &gomod, &peer)
			if len(config.Modules) == len(modules) {
				config.Modules["gomod"], config.Modules["peer_1"] = gomod, peer
			}
			_, err := StartManager(t.Context(), config)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
