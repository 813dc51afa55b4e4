package everesttest

import (
	"strings"
	"testing"
)

const peerParameters = `{"!module":[
	{"name":"flag","value":false,"characteristics":{"datatype":"bool","mutability":"ReadOnly"}},
	{"name":"name","value":"Peer eins","characteristics":{"datatype":"string","mutability":"ReadOnly"}},
	{"name":"num","value":3,"characteristics":{"datatype":"integer","mutability":"ReadWrite"}},
	{"name":"ratio","value":4.0,"characteristics":{"datatype":"number","mutability":"ReadOnly"}}],
	"main":[{"name":"impl_opt","value":42,"characteristics":{"datatype":"integer","mutability":"ReadOnly"}}],"second":[]}`

const gomodParameters = `{"!module":[],"gi":[{"name":"k","value":true,"characteristics":{"datatype":"bool","mutability":"ReadOnly"}}]}`

const peerMapping = `{"module":{"evse":1},"implementations":{"main":{"connector":2,"evse":1}}}`

// TestConfigService sends the requests of a module and compares the replies with those of EVerest's manager.
func TestConfigService(t *testing.T) {
	for _, test := range []struct{ name, origin, kind, request, want string }{
		{"own config", "peer_1", "Get", `{"type":"Module"}`, `{"status":"Ok","status_info":"","type":"Get","response":{"type":"Module","data":
			{"mappings":{"gomod":null,"peer_1":` + peerMapping + `},"module_config":{"module_id":"peer_1","module_name":"CppPeer","standalone":false,"access":null,
			"configuration_parameters":` + peerParameters + `,
			"connections":{"req0":[{"module_id":"gomod","implementation_id":"gi","requirement":{"id":"req0"}}]},
			"mapping":` + peerMapping + `,"telemetry_config":{"id":5},"telemetry_enabled":false},"telemetry_config":{"id":5}}}}`},
		{"unfulfilled requirement and access", "gomod", "Get", `{"type":"Module"}`, `{"status":"Ok","status_info":"","type":"Get","response":{"type":"Module","data":
			{"mappings":{"gomod":null,"peer_1":` + peerMapping + `},"module_config":{"module_id":"gomod","module_name":"GoMod","standalone":true,
			"access":{"config":{"allow_global_read":false,"allow_global_write":false,"allow_set_read_only":false,"modules":{"peer_1":{"allow_read":true,"allow_write":true,"allow_set_read_only":false}}}},
			"configuration_parameters":` + gomodParameters + `,
			"connections":{"peer":[{"module_id":"peer_1","implementation_id":"main","requirement":{"id":"peer"}}]},
			"mapping":null,"telemetry_enabled":false}}}}`},
		{"all with a right", "gomod", "Get", `{"type":"All"}`, `{"status":"Ok","status_info":"","type":"Get","response":{"type":"All","data":{"gomod":` + gomodParameters + `,"peer_1":` + peerParameters + `}}}`},
		{"all without", "peer_1", "Get", `{"type":"All"}`, `{"status":"Ok","status_info":"","type":"Get","response":{"type":"All","data":{"peer_1":` + peerParameters + `}}}`},
		{"all mappings", "gomod", "Get", `{"type":"AllMappings"}`, `{"status":"Ok","status_info":"","type":"Get","response":{"type":"AllMappings","data":{"gomod":null,"peer_1":` + peerMapping + `}}}`},
		{"mappings without a right", "peer_1", "Get", `{"type":"AllMappings"}`, `{"status":"Ok","status_info":"","type":"Get","response":{"type":"AllMappings","data":{"peer_1":` + peerMapping + `}}}`},
		{"value", "gomod", "Get", `{"type":"Value","identifier":{"module_id":"peer_1","configuration_parameter_name":"num"}}`,
			`{"status":"Ok","status_info":"","type":"Get","response":{"type":"Value","data":{"characteristics":{"datatype":"integer","mutability":"ReadWrite"},"name":"num","value":3}}}`},
		{"value of implementation", "gomod", "Get", `{"type":"Value","identifier":{"module_id":"peer_1","configuration_parameter_name":"impl_opt","module_implementation_id":"main"}}`,
			`{"status":"Ok","status_info":"","type":"Get","response":{"type":"Value","data":{"characteristics":{"datatype":"integer","mutability":"ReadOnly"},"name":"impl_opt","value":42}}}`},
		{"unknown parameter", "gomod", "Get", `{"type":"Value","identifier":{"module_id":"peer_1","configuration_parameter_name":"none"}}`,
			`{"response":{"data":null,"type":"Value"},"status":"Error","status_info":"","type":"Get"}`},
		{"unknown module", "gomod", "Get", `{"type":"Value","identifier":{"module_id":"ghost","configuration_parameter_name":"none"}}`,
			`{"response":{"data":null,"type":"Value"},"status":"AccessDenied","status_info":"Access to config item denied: gomod cannot access ghost","type":"Get"}`},
		{"unknown implementation", "gomod", "Get", `{"type":"Value","identifier":{"module_id":"peer_1","configuration_parameter_name":"num","module_implementation_id":"ghost"}}`,
			`{"response":{"data":null,"type":"Value"},"status":"Error","status_info":"","type":"Get"}`},
		{"no identifier", "gomod", "Get", `{"type":"Value"}`,
			`{"response":{"data":null,"type":"Value"},"status":"Error","status_info":"No identifier provided","type":"Get"}`},
		{"no right to read", "peer_1", "Get", `{"type":"Value","identifier":{"module_id":"gomod","configuration_parameter_name":"k"}}`,
			`{"response":{"data":null,"type":"Value"},"status":"AccessDenied","status_info":"Access to config item denied: peer_1 cannot access gomod","type":"Get"}`},
		{"set", "gomod", "Set", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"num"},"value":"9"}`,
			`{"response":{"status":"RebootRequired"},"status":"Ok","status_info":"","type":"Set"}`},
		{"set unparsable", "gomod", "Set", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"num"},"value":"abc"}`,
			`{"response":{"status":"Rejected"},"status":"Error","status_info":"Could not set config entry num of module peer_1: Failed to parse config value 'abc' as type integer: stoi","type":"Set"}`},
		{"set unknown parameter", "gomod", "Set", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"none"},"value":"9"}`,
			`{"response":{"status":"Rejected"},"status":"Error","status_info":"","type":"Set"}`},
		{"set read only", "gomod", "Set", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"name"},"value":"9"}`,
			`{"response":{"status":"RebootRequired"},"status":"Ok","status_info":"","type":"Set"}`},
		{"set an integer to a fraction", "gomod", "Set", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"num"},"value":"4.7"}`,
			`{"response":{"status":"RebootRequired"},"status":"Ok","status_info":"","type":"Set"}`},
		{"set unparsable number", "gomod", "Set", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"ratio"},"value":"x"}`,
			`{"response":{"status":"Rejected"},"status":"Error","status_info":"Could not set config entry ratio of module peer_1: Failed to parse config value 'x' as type number: stod","type":"Set"}`},
		{"set unknown module", "gomod", "Set", `{"identifier":{"module_id":"ghost","configuration_parameter_name":"num"},"value":"9"}`,
			`{"response":{"status":"Rejected"},"status":"AccessDenied","status_info":"Access to config item denied: gomod cannot access ghost","type":"Set"}`},
		{"no right to set", "peer_1", "Set", `{"identifier":{"module_id":"gomod","configuration_parameter_name":"k"},"value":"true"}`,
			`{"response":{"status":"Rejected"},"status":"AccessDenied","status_info":"Access to config item denied: peer_1 cannot access gomod","type":"Set"}`},
		// A request without a reply shows by the reply to the next request, which arrives first.
		{"unknown request type", "gomod", "Get", `{"type":"Everything"}`, ""},
		{"set without value", "gomod", "Set", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"num"}}`, ""},
		{"set without identifier", "gomod", "Set", `{"value":"9"}`, ""},
		{"set unknown implementation", "gomod", "Set", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"num","module_implementation_id":"ghost"},"value":"9"}`, ""},
		{"unknown type", "gomod", "Delete", `{"type":"Module"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			broker := NewBroker(t)
			manager := startTestManager(t, testConfig(t, broker))
			p := dialPeer(t, broker, "everest/modules/"+test.origin+"/response")
			p.send(t, "everest/config/request", `{"msg_type":"GetConfig","data":{"type":"`+test.kind+`","origin":"`+test.origin+`","request":`+test.request+`}}`)
			want := test.want
			if want == "" {
				p.send(t, "everest/config/request", `{"msg_type":"GetConfig","data":{"type":"Get","origin":"ghost","request":{"type":"AllMappings"}}}`)
				p.send(t, "everest/config/request", `{"msg_type":"GetConfig","data":{"type":"Get","origin":"`+test.origin+`","request":{"type":"AllMappings"}}}`)
				want = `{"status":"Ok","status_info":"","type":"Get","response":{"type":"AllMappings","data":{"gomod":null,"peer_1":` + peerMapping + `}}}`
			}
			answer := p.receive(t)
			if answer.QoS != 2 || answer.Retained {
				t.Errorf("QoS %d, retained %v", answer.QoS, answer.Retained)
			}
			equalJSON(t, answer.Payload, `{"msg_type":"GetConfigResponse","data":`+want+`}`)
			if test.name == "set" {
				if value, ok := manager.UserConfig("peer_1", "", "num"); !ok || value != "9" {
					t.Errorf("stored %q, %v", value, ok)
				}
			}
		})
	}
}

func TestConfigServiceShowsReadOnlyAsWritable(t *testing.T) {
	broker := NewBroker(t)
	config := testConfig(t, broker)
	gomod := config.Modules["gomod"]
	gomod.Access = &Access{GlobalRead: true, GlobalWrite: true, Modules: map[string]ModuleAccess{"peer_1": {SetReadOnly: true}}}
	config.Modules["gomod"] = gomod
	manager := startTestManager(t, config)
	p := dialPeer(t, broker, "everest/modules/gomod/response")
	p.send(t, "everest/config/request", `{"msg_type":"GetConfig","data":{"type":"Get","origin":"gomod","request":{"type":"Value","identifier":{"module_id":"peer_1","configuration_parameter_name":"name"}}}}`)
	equalJSON(t, p.receive(t).Payload, `{"msg_type":"GetConfigResponse","data":{"status":"Ok","status_info":"","type":"Get","response":{"type":"Value",
		"data":{"characteristics":{"datatype":"string","mutability":"ReadOnly"},"name":"name","value":"Peer eins"}}}}`)
	p.send(t, "everest/config/request", `{"msg_type":"GetConfig","data":{"type":"Get","origin":"gomod","request":{"type":"All"}}}`)
	equalJSON(t, p.receive(t).Payload, `{"msg_type":"GetConfigResponse","data":{"status":"Ok","status_info":"","type":"Get","response":{"type":"All",
		"data":{"gomod":`+gomodParameters+`,"peer_1":`+strings.ReplaceAll(peerParameters, "ReadOnly", "ReadWrite")+`}}}}`)
	p.send(t, "everest/config/request", `{"msg_type":"GetConfig","data":{"type":"Set","origin":"gomod","request":{"identifier":{"module_id":"peer_1","configuration_parameter_name":"name"},"value":"new"}}}`)
	equalJSON(t, p.receive(t).Payload, `{"msg_type":"GetConfigResponse","data":{"response":{"status":"RebootRequired"},"status":"Ok","status_info":"","type":"Set"}}`)
	if value, ok := manager.UserConfig("peer_1", "", "name"); !ok || value != "new" {
		t.Errorf("stored %q, %v", value, ok)
	}
	if _, ok := manager.UserConfig("peer_1", "main", "name"); ok {
		t.Error("stored for an implementation as well")
	}
}

// TestConfigServiceOfNewestMainSets: from August 2026 on the answer has its reason twice, and nothing is changed before all modules are ready.
func TestConfigServiceOfNewestMainSets(t *testing.T) {
	broker := NewBroker(t)
	config := testConfig(t, broker)
	config.Family = "D"
	gomod := config.Modules["gomod"]
	gomod.Access = &Access{GlobalWrite: true}
	config.Modules["gomod"] = gomod
	manager := startTestManager(t, config)
	p := dialPeer(t, broker, "everest/modules/gomod/response", "everest/modules/peer_1/response", "everest/modules/ghost/response")
	set := func(origin, request, want string) {
		t.Helper()
		p.send(t, "everest/config/request", `{"msg_type":"ConfigurationRequest","data":{"type":"Set","origin":"`+origin+`","request":`+request+`}}`)
		equalJSON(t, p.receive(t).Payload, `{"msg_type":"ConfigurationResponse","data":`+want+`}`)
	}
	const num = `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"num"},"value":"9"}`
	set("gomod", num, `{"status":"Ok","status_info":"","type":"Set","response":{"status":"Rejected","status_info":""}}`)
	for id := range config.Modules {
		p.send(t, "everest/modules/"+id+"/ready", `{"msg_type":"ModuleReady","data":true}`)
	}
	if err := manager.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ origin, request, want string }{
		{"gomod", num, `{"status":"Ok","status_info":"Module not responding","type":"Set","response":{"status":"RebootRequired","status_info":"Module not responding"}}`},
		{"gomod", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"name"},"value":"new"}`,
			`{"status":"Ok","status_info":"","type":"Set","response":{"status":"RebootRequired","status_info":""}}`},
		{"gomod", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"num"},"value":"abc"}`,
			`{"status":"Ok","status_info":"Failed to parse config value 'abc' as type integer: stoi","type":"Set",
			"response":{"status":"Rejected","status_info":"Failed to parse config value 'abc' as type integer: stoi"}}`},
		{"gomod", `{"identifier":{"module_id":"peer_1","configuration_parameter_name":"none"},"value":"9"}`,
			`{"status":"Error","status_info":"Config parameter none not found in module peer_1","type":"Set",
			"response":{"status":"Rejected","status_info":"Unknown parameter: none in module: peer_1"}}`},
		{"gomod", `{"identifier":{"module_id":"ghost","configuration_parameter_name":"num"},"value":"9"}`,
			`{"status":"Error","status_info":"Config parameter num not found in module ghost","type":"Set",
			"response":{"status":"Rejected","status_info":"Unknown target module: ghost"}}`},
		{"peer_1", `{"identifier":{"module_id":"gomod","configuration_parameter_name":"k"},"value":"true"}`,
			`{"status":"AccessDenied","status_info":"Access to config item denied: peer_1 cannot access gomod","type":"Set","response":{"status":"Rejected","status_info":""}}`},
		{"ghost", num, `{"status":"Error","status_info":"Unknown origin module: ghost","type":"Set","response":{"status":"Rejected","status_info":""}}`},
	} {
		set(test.origin, test.request, test.want)
	}
	for parameter, want := range map[string]string{"num": "9", "name": "new"} {
		if value, _ := manager.UserConfig("peer_1", "", parameter); value != want {
			t.Errorf("%s is stored as %q, want %q", parameter, value, want)
		}
	}
}
