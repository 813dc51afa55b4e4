package wire

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// captured is a message that a real manager or C++ module has sent.
type captured struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"`
}

func capture(t *testing.T, name string) []captured {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var messages []captured
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var message captured
		if err := json.Unmarshal(lines.Bytes(), &message); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, message)
	}
	return messages
}

// captures names the captures of each family.
var captures = map[string][]string{
	"A1": {"a1"}, "A3": {"a3"}, "B1": {"b1"}, "B2": {"b2"}, "B4a": {"b4a", "b4a-failure", "b4a-service"},
}

// Each captured message of a module is read, and written again to the byte on the topic on which it was.
func TestCaptures(t *testing.T) {
	for family, names := range captures {
		release, _ := Find(family)
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				kinds := map[string]int{}
				for _, message := range capture(t, name) {
					kinds[checkCaptured(t, release.New("everest/"), message)]++
				}
				for _, kind := range []string{"call", "result", "var", "raise", "clear", "ready", "global ready", "metadata"} {
					if kinds[kind] == 0 && kind != "clear" {
						t.Errorf("no %s was read: %v", kind, kinds)
					}
				}
			})
		}
	}
}

// checkCaptured returns the kind of the message.
func checkCaptured(t *testing.T, w Family, message captured) (kind string) {
	t.Helper()
	payload := []byte(message.Payload)
	same := func(topic string, again []byte) {
		t.Helper()
		if topic != message.Topic || string(again) != message.Payload {
			t.Errorf("captured %s %s\nwritten  %s %s", message.Topic, message.Payload, topic, again)
		}
	}
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s %s: %v", message.Topic, message.Payload, err)
		}
	}
	key, err := w.Key(message.Topic, payload)
	fail(err)
	implementation, part := w.Split(key)
	name := key[strings.LastIndexByte(key, '/')+1:]
	switch {
	case part == "var":
		value, err := w.ReadVariable(payload)
		fail(err)
		same(w.VariableTopic(implementation, name), w.Variable(name, value))
		if key != w.VariableKey(implementation, name) {
			t.Errorf("key %s", key)
		}
		return part
	case part == "cmd" && strings.HasSuffix(key, w.ResultSuffix("caller")):
		result, err := w.ReadResult(payload)
		fail(err)
		result.Origin = "peer_1"
		result.Name = strings.TrimSuffix(strings.TrimPrefix(key, implementation+"/cmd/"), w.ResultSuffix("caller"))
		same(w.ResultTopic(w.CommandTopic(implementation, result.Name), "caller"), w.Result(result))
		return "result"
	case part == "cmd":
		command, err := w.ReadCommand(payload)
		fail(err)
		command.Name = name
		same(w.CommandTopic(implementation, name), w.Command(command))
		if key != w.CommandKey(implementation, name) {
			t.Errorf("key %s", key)
		}
		return "call"
	case part == "error":
		object, raise, err := w.ReadError(message.Topic, payload)
		fail(err)
		var e struct{ Type, State string }
		fail(json.Unmarshal(object, &e))
		if (e.State == "Active") != raise && strings.Contains(message.Topic, "/error/") {
			t.Errorf("raise %v: %s", raise, object)
		}
		if e.State == "Active" {
			again, _, err := w.ReadError(message.Topic, w.Error(implementation, true, object))
			fail(err)
			if topic := w.ErrorTopic(implementation, e.Type, true); topic != message.Topic || string(again) != string(object) {
				t.Errorf("captured %s %s\nwritten  %s %s", message.Topic, message.Payload, topic, again)
			}
			if w.Name() != "A1" {
				same(message.Topic, w.Error(implementation, true, object))
			}
			return "raise"
		}
		if topic := w.ErrorTopic(implementation, e.Type, false); topic != message.Topic && topic != "everest/request-clear-error" {
			t.Errorf("cleared on %s, not %s", message.Topic, topic)
		}
		return "clear"
	}
	module, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(message.Topic, "everest/"), "modules/"), "/")
	switch {
	case message.Topic == w.GlobalReadyTopic():
		ready, err := w.ReadGlobalReady(payload)
		fail(err)
		if !ready {
			t.Errorf("not ready: %s", payload)
		}
		return "global ready"
	case rest == "ready":
		same(w.ModuleReadyTopic(module), w.ModuleReady())
		return "ready"
	case rest == "metadata":
		same(w.MetadataTopic(module), w.Metadata(payload))
		return "metadata"
	case message.Topic == w.ConfigResponseTopic(module):
		checkCapturedConfig(t, w, module, payload)
		return "config"
	case message.Topic == w.ConfigRequestTopic(module) && !strings.Contains(message.Payload, "msg_type"):
		request := w.ConfigRequest(json.RawMessage(message.Payload))
		same(w.ConfigRequestTopic(module), request)
		return "request"
	case len(payload) == 0:
		return "cleared topic"
	}
	if strings.HasPrefix(message.Topic, "everest/manifests") {
		data, err := w.ReadStart(payload)
		fail(err)
		manifests, ok := w.Manifests(message.Topic, data)
		for name, manifest := range manifests {
			var provides struct{ Provides map[string]any }
			fail(json.Unmarshal(manifest, &provides))
			if len(provides.Provides) == 0 {
				t.Errorf("manifest of %s: %s", name, manifest)
			}
		}
		if !ok || len(manifests) == 0 {
			t.Errorf("%s has no manifests", message.Topic)
		}
		return "manifests"
	}
	return "other"
}

// checkCapturedConfig reads the configuration in the form of family C.
func checkCapturedConfig(t *testing.T, w Family, module string, payload []byte) {
	t.Helper()
	answer, err := w.ReadConfigResponse(module, payload)
	if err != nil {
		t.Errorf("%s: %v", payload, err)
		return
	}
	var read struct {
		Type, Status string
		Response     *struct {
			Type string
			Data *struct {
				Config *struct {
					Name       string `json:"module_name"`
					Parameters map[string][]struct {
						Name            string
						Value           json.RawMessage
						Characteristics struct{ Datatype string }
					} `json:"configuration_parameters"`
					Connections map[string][]struct {
						Module string `json:"module_id"`
					}
				} `json:"module_config"`
			}
		}
	}
	if err := json.Unmarshal(answer, &read); err != nil || read.Status != "Ok" {
		t.Errorf("%s: %v", answer, err)
		return
	}
	if read.Type != "Get" || read.Response == nil || read.Response.Type != "Module" {
		return // to another request
	}
	config := read.Response.Data.Config
	switch module {
	case "peer_1":
		own := map[string]string{}
		for _, parameter := range config.Parameters["!module"] {
			own[parameter.Name] = parameter.Characteristics.Datatype + " " + string(parameter.Value)
		}
		number := own["ratio"]
		if config.Name != "CppPeer" || own["flag"] != "bool true" || own["name"] != `string "Peer eins"` || own["num"] != "integer 33" ||
			number != "number 4" && number != "integer 4" && number != "number 4.0" || len(config.Parameters["main"]) != 1 {
			t.Errorf("%s: %v", config.Name, own)
		}
	case "caller":
		if config.Name != "CppCaller" || len(config.Connections["peer"]) != 1 || config.Connections["peer"][0].Module != "peer_1" {
			t.Errorf("%+v", config)
		}
	}
}

// What ends a C++ process is an error, whatever the family.
func FuzzBareMessages(f *testing.F) {
	for _, payload := range []string{`{"data":12,"name":"tick"}`, `{"data":{"args":null,"id":"1","origin":"a"},"name":"x","type":"call"}`,
		`{"data":{"id":"1","origin":"a","retval":1},"name":"x","type":"result"}`, `{"type":"call"}`, `{"name":1}`, `{"name":"a/b","type":"call"}`} {
		f.Add([]byte(payload))
	}
	b, _ := Find("B2")
	w := b.New("p/")
	addLong(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		checkMemory(t, w, payload)
		if value, err := w.ReadVariable(payload); err == nil {
			if again, err := w.ReadVariable(w.Variable("x", value)); err != nil || string(again) != string(value) {
				t.Fatalf("%s came back as %s: %v", value, again, err)
			}
		}
		for _, topic := range []string{"p/modules/m/impl/i/cmd", "p/modules/m/impl/i/var"} {
			key, err := w.Key(topic, payload)
			if err == nil && (!strings.HasPrefix(key, topic+"/") || !ValidLevel(strings.TrimSuffix(key[len(topic)+1:], w.ResultSuffix("")))) {
				t.Fatalf("key %s", key)
			}
		}
		if command, err := w.ReadCommand(payload); err == nil && command.Arguments != nil {
			if again, err := w.ReadCommand(w.Command(command)); err != nil || string(again.Arguments) != string(command.Arguments) {
				t.Fatalf("%+v came back as %+v: %v", command, again, err)
			}
		}
	})
}
