package everesttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/remotechargeport/remotechargeport/everest"
)

// CheckMessage returns an error for a message that would end or confuse a process of EVerest 2026.02.0. prefix is the
// EVerest prefix and ends in a slash. Messages outside of the prefix pass.
func CheckMessage(prefix string, message Message) error {
	return dialects["C"].check(prefix, message)
}

// CheckMessage is like the function CheckMessage, for the manager's family of messages. It also checks messages between
// modules against the manifests and definitions: variables, commands and errors must be declared, and values, arguments
// and results must fit. The error names the module, its implementation or requirement, and the place in the value.
func (m *Manager) CheckMessage(message Message) error {
	return describe(message, m.checkMessage(message))
}

func (m *Manager) checkMessage(message Message) error {
	if err := m.dialect().checkMessage(m.prefix, message); err != nil {
		return err
	}
	if said, ok := m.dialect().contentOf(m.prefix, message); ok {
		return m.contract().check(said)
	}
	return nil
}

func (m *Manager) contract() contract { return contract{m.modules, m.config.Definitions} }

func (d dialect) check(prefix string, message Message) error {
	return describe(message, d.checkMessage(prefix, message))
}

// describe adds a message to what is wrong with it.
func describe(message Message, wrong error) error {
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("everesttest: %w\n\ton topic %s: %.200s", wrong, message.Topic, message.Payload)
}

func (d dialect) checkMessage(prefix string, message Message) error {
	topic, below := strings.CutPrefix(message.Topic, prefix)
	if !below || topic == "shutdown" || len(message.Payload) == 0 && !strings.HasPrefix(topic, "modules/") {
		return nil
	}
	if !utf8.Valid(message.Payload) {
		return errors.New("not valid UTF-8")
	}
	if size := packetSize(message); size > everest.MaxPacketSize && !d.largePackets {
		return fmt.Errorf("%d bytes are more than a peer can receive", size)
	}
	if message.QoS != 2 && !(d.bare() && strings.HasSuffix(topic, "/config")) {
		return fmt.Errorf("QoS %d", message.QoS)
	}
	if d.bare() {
		return d.checkBare(topic, message)
	}
	data, messageType, err := d.unwrap(message.Payload)
	if err != nil {
		return err
	}
	if data == nil {
		return errors.New("no data")
	}
	wanted := d.wantedTypes(prefix, topic)
	if !slices.Contains(wanted, messageType) {
		return fmt.Errorf("msg_type is %q, the topic is for %q", messageType, wanted)
	}
	if strings.HasPrefix(topic, "modules/") && message.Retained {
		return errors.New("the message is retained")
	}
	if check := dataChecks[messageType]; check != nil {
		return check(SubjectOf(prefix, message.Topic), data)
	}
	return nil
}

// packetSize returns the size of the whole PUBLISH packet with QoS 1 or 2.
func packetSize(message Message) int {
	rest := 2 + len(message.Topic) + 2 + len(message.Payload)
	size := 2 + rest
	for length := rest; length > 127; length >>= 7 {
		size++
	}
	return size
}

// wantedTypes returns the values of msg_type that a topic allows.
func (d dialect) wantedTypes(prefix, topic string) []string {
	switch SubjectOf(prefix, prefix+topic).Kind {
	case KindVariable:
		return []string{"Var"}
	case KindCommand:
		return []string{"Cmd"}
	case KindReply:
		return []string{"CmdResult"}
	case KindError:
		return []string{"RaiseError", "ClearError"}
	case KindReady:
		return []string{"ModuleReady"}
	}
	switch {
	case topic == "ready":
		return []string{"GlobalReady"}
	case topic == "config/request":
		return []string{d.configRequest}
	case strings.HasSuffix(topic, "/heartbeat"):
		return []string{"Heartbeat"}
	}
	return []string{d.configResponse}
}

var dataChecks = map[string]func(Subject, json.RawMessage) error{
	"Var": func(_ Subject, data json.RawMessage) error {
		_, err := membersOf(data, "data")
		return err
	},
	"Cmd":                  checkCommand,
	"CmdResult":            checkReply,
	"RaiseError":           checkError,
	"ClearError":           checkError,
	"ModuleReady":          checkTruth,
	"GlobalReady":          checkTruth,
	"GetConfig":            checkConfigRequest,
	"ConfigurationRequest": checkConfigRequest,
}

func checkConfigRequest(_ Subject, data json.RawMessage) error {
	_, err := membersOf(data, "type", "origin", "request")
	return err
}

func checkTruth(_ Subject, data json.RawMessage) error {
	return json.Unmarshal(data, new(bool))
}

func checkCommand(_ Subject, data json.RawMessage) error {
	members, err := membersOf(data, "id", "origin", "args")
	if err != nil {
		return err
	}
	var id, origin string
	var arguments map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(members["id"], &id), json.Unmarshal(members["origin"], &origin), json.Unmarshal(members["args"], &arguments)); err != nil {
		return err
	}
	if id == "" || origin == "" {
		return errors.New("id or origin is empty")
	}
	return nil
}

// replyErrors are the error types that EVerest defines for a failed command.
var replyErrors = []string{
	everest.SchemaValidationError, everest.HandlerException, everest.MessageParsingError, everest.CmdTimeout, everest.Shutdown, everest.NotReady,
}

func checkReply(subject Subject, data json.RawMessage) error {
	outer, err := membersOf(data, "type", "data")
	if err != nil {
		return err
	}
	if string(outer["type"]) != `"result"` {
		return fmt.Errorf("type is %s", outer["type"])
	}
	inner, err := membersOf(outer["data"], "id", "origin")
	if err != nil {
		return err
	}
	var id, origin string
	if err := errors.Join(json.Unmarshal(inner["id"], &id), json.Unmarshal(inner["origin"], &origin)); err != nil {
		return err
	}
	if id == "" || origin != subject.ModuleID {
		return fmt.Errorf("id %q, origin %q", id, origin)
	}
	failure, failed := inner["error"]
	if !failed {
		_, err := membersOf(outer["data"], "retval")
		return err
	}
	members, err := membersOf(failure, "__everest__error_type", "__everest__error_msg")
	if err != nil {
		return err
	}
	var errorType, text string
	if err := errors.Join(json.Unmarshal(members["__everest__error_type"], &errorType), json.Unmarshal(members["__everest__error_msg"], &text)); err != nil {
		return err
	}
	if len(members) != 2 || !slices.Contains(replyErrors, errorType) {
		return fmt.Errorf("error %s", failure)
	}
	return nil
}

func checkError(subject Subject, data json.RawMessage) error {
	members, err := membersOf(data, "type", "sub_type", "message", "description", "origin", "severity", "timestamp", "uuid", "state", "vendor_id")
	if err != nil {
		return err
	}
	var fields struct {
		Type     string `json:"type"`
		Severity string `json:"severity"`
		State    string `json:"state"`
		UUID     string `json:"uuid"`
		Time     string `json:"timestamp"`
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	if _, err := membersOf(members["origin"], "module_id", "implementation_id"); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	switch {
	case fields.Type != subject.Name:
		return fmt.Errorf("type is %q", fields.Type)
	case !slices.Contains([]string{"Low", "Medium", "High"}, fields.Severity):
		return fmt.Errorf("severity is %q", fields.Severity)
	case !slices.Contains([]string{"Active", "ClearedByModule", "ClearedByReboot"}, fields.State):
		return fmt.Errorf("state is %q", fields.State)
	case fields.UUID == "":
		return errors.New("uuid is empty")
	case len(fields.Time) != len("2026-11-22T10:32:38.363Z") || !strings.HasSuffix(fields.Time, "Z"):
		return fmt.Errorf("timestamp is %q", fields.Time)
	}
	return nil
}

// membersOf returns the members of an object. A missing one of names is an error.
func membersOf(data json.RawMessage, names ...string) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, present := members[name]; !present {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	return members, nil
}

// PoisonPayloads returns payloads that no module may publish and every module must survive. Each of them ends or
// confuses a process of some release of EVerest. Malformed payloads come first, then incomplete ones of each message
// type.
func PoisonPayloads() [][]byte {
	payloads := []string{
		"", " ", "null", "true", "3", `"text"`, "[]", "[1]", "{", "{}", "}", "no JSON", "\x00", "\xff\xfe", "{\"msg_type\":\"Var\xff\"}",
		`{"data":true}`, `{"msg_type":null}`, `{"msg_type":3,"data":true}`, `{"msg_type":["Var"],"data":true}`, `{"msg_type":"Unknown","data":true}`,
		`{"msg_type":"","data":{}}`, `{"msg_type":"GlobalReady"}`, `{"msg_type":"GlobalReady","data":"yes"}`, `{"msg_type":"GlobalReady","data":false}`,
		`{"msg_type":"ModuleReady","data":1}`, `{"msg_type":"GetConfigResponse"}`, `{"msg_type":"GetConfigResponse","data":3}`,
		`{"msg_type":"GetConfigResponse","data":{"status":3}}`, `{"msg_type":"GetConfigResponse","data":{"status":"Ok","type":"Get","response":7}}`,
		`{"msg_type":"GetConfigResponse","data":{"status":"Ok","type":"Get","response":{"type":"Module","data":null}}}`,
		strings.Repeat("[", 100_000), `{"a":` + strings.Repeat(`{"a":`, 50_000),
	}
	for _, messageType := range []string{"Var", "Cmd", "CmdResult", "RaiseError", "ClearError", "ExternalMQTT", "Heartbeat", "GetConfig"} {
		for _, data := range []string{"", `,"data":null`, `,"data":3`, `,"data":"text"`, `,"data":[]`, `,"data":{}`, `,"data":{"data":{}}`, `,"data":{"type":"result","data":{"id":3}}`,
			`,"data":{"id":3,"origin":4,"args":5}`, `,"data":{"type":3,"state":[],"origin":"x"}`} {
			payloads = append(payloads, `{"msg_type":"`+messageType+`"`+data+`}`)
		}
	}
	poison := make([][]byte, len(payloads))
	for i, payload := range payloads {
		poison[i] = []byte(payload)
	}
	return poison
}

var errNotJSON = errors.New("not JSON")

// checkBare returns an error for a message that would end or confuse a process of EVerest 2024.11 to 2025.10.
func (d dialect) checkBare(topic string, message Message) error {
	if !json.Valid(message.Payload) {
		return errNotJSON
	}
	if id, rest, below := strings.Cut(topic, "/"); below && d.configFiles {
		if strings.Contains(rest, "/") {
			rest = "impl/" + rest
		}
		topic = "modules/" + id + "/" + rest
	}
	module, rest, below := strings.Cut(strings.TrimPrefix(topic, "modules/"), "/")
	if !strings.HasPrefix(topic, "modules/") || !below {
		return nil // of the manager
	}
	if message.Retained {
		return errors.New("the message is retained")
	}
	switch rest {
	case "ready":
		return json.Unmarshal(message.Payload, new(bool))
	case "metadata", "config", "get_config", "response":
		_, err := membersOf(message.Payload)
		return err
	}
	parts := strings.SplitN(rest, "/", 4)
	if len(parts) < 3 || parts[0] != "impl" {
		return errors.New("a topic of nobody")
	}
	tail := ""
	if len(parts) == 4 {
		tail = parts[3]
	}
	switch kind := parts[2]; {
	case kind == "var" && tail == "":
		members, err := membersOf(message.Payload, "name", "data")
		if err != nil {
			return err
		}
		return json.Unmarshal(members["name"], new(string))
	case kind == "cmd" && tail == "":
		return d.checkBareCommand(module, message.Payload)
	case kind == "error" && tail == "" && !d.errorByTopic:
		var object struct{ Type string }
		if err := json.Unmarshal(message.Payload, &object); err != nil {
			return err
		}
		return checkError(Subject{Kind: KindError, Name: object.Type}, message.Payload)
	case (kind == "error" || kind == "error-cleared") && tail != "" && d.errorByTopic:
		return checkError(Subject{Kind: KindError, Name: tail}, message.Payload)
	}
	return errors.New("a topic of nobody")
}

func (d dialect) checkBareCommand(module string, payload []byte) error {
	members, err := membersOf(payload, "name", "type", "data")
	if err != nil {
		return err
	}
	var name, direction string
	if err := errors.Join(json.Unmarshal(members["name"], &name), json.Unmarshal(members["type"], &direction)); err != nil {
		return err
	}
	if direction == "call" {
		return checkCommand(Subject{}, members["data"])
	}
	if direction != "result" || name == "" {
		return fmt.Errorf("type %q, name %q", direction, name)
	}
	inner, err := membersOf(members["data"], "id", "origin")
	if err != nil {
		return err
	}
	var id, origin string
	if err := errors.Join(json.Unmarshal(inner["id"], &id), json.Unmarshal(inner["origin"], &origin)); err != nil {
		return err
	}
	if id == "" || origin != module {
		return fmt.Errorf("id %q, origin %q", id, origin)
	}
	failure, failed := inner["error"]
	if !failed {
		_, err := membersOf(members["data"], "retval")
		return err
	}
	if len(d.failures) == 0 {
		return errors.New("a result of this EVerest has no error")
	}
	keys, err := membersOf(failure, d.failureType, d.failureText)
	if err != nil {
		return err
	}
	var kind, text string
	if err := errors.Join(json.Unmarshal(keys[d.failureType], &kind), json.Unmarshal(keys[d.failureText], &text)); err != nil {
		return err
	}
	if len(keys) != 2 || !slices.Contains(d.failures, kind) {
		return fmt.Errorf("error %s", failure)
	}
	return nil
}
