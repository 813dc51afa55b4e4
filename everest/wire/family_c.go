package wire

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// FamilyC makes and reads the topics and messages of EVerest 2025.12 to 2026.02.1, and of main until August 2026. Each
// message is an envelope {"data":...,"msg_type":"..."}. Each command, variable and error type has its own topic.
type FamilyC struct {
	// Prefix is the prefix of all topics. It ends with a slash.
	Prefix string
	isD    bool
	// plainTelemetry is set from 2026.02.1 on, and largePackets after 2026.02.
	plainTelemetry, largePackets bool
}

// Name returns "C".
func (c FamilyC) Name() string {
	if c.isD {
		return "D"
	}
	return "C"
}

// Has returns true for all capabilities but ConfigFiles. LargePackets depends on the release.
func (c FamilyC) Has(capability Capability) bool {
	if capability == LargePackets {
		return c.isD || c.largePackets
	}
	return capability != ConfigFiles
}

func (c FamilyC) module(id string) string { return c.Prefix + "modules/" + id }

// ConfigRequestTopic is the topic of requests to the manager's config service.
func (c FamilyC) ConfigRequestTopic(string) string { return c.Prefix + "config/request" }

// ConfigResponseTopic is the topic of the config service's responses to a module.
func (c FamilyC) ConfigResponseTopic(module string) string { return c.module(module) + "/response" }

// MetadataTopic is the topic of a module's Metadata.
func (c FamilyC) MetadataTopic(module string) string { return c.module(module) + "/metadata" }

// ModuleReadyTopic is the topic on which a module reports that it is ready.
func (c FamilyC) ModuleReadyTopic(module string) string { return c.module(module) + "/ready" }

// GlobalReadyTopic is the topic on which the manager reports that all modules are ready.
func (c FamilyC) GlobalReadyTopic() string { return c.Prefix + "ready" }

// ShutdownTopic is the topic on which the manager asks its modules to end.
func (c FamilyC) ShutdownTopic() string { return c.Prefix + "shutdown" }

// SettingsTopic is the retained topic of the manager's settings.
func (c FamilyC) SettingsTopic() string { return c.Prefix + "settings" }

// ModuleNamesTopic is the retained topic of the list that gives each module's type.
func (c FamilyC) ModuleNamesTopic() string { return c.Prefix + "module_names" }

// ManagerStartTopic is the last of the topics on which a manager publishes at its start.
func (c FamilyC) ManagerStartTopic() string { return c.ModuleNamesTopic() }

// ManifestFilter is the filter of the retained manifests. Each module type has its own topic.
func (c FamilyC) ManifestFilter() string { return c.Prefix + "manifests/+" }

// Manifests returns the manifest in a message by the name of the module's type. ok is false for another topic.
func (c FamilyC) Manifests(topic string, data json.RawMessage) (manifests map[string]json.RawMessage, ok bool) {
	return manifestOf(c.Prefix, topic, data)
}

func manifestOf(prefix, topic string, data json.RawMessage) (map[string]json.RawMessage, bool) {
	name, ok := strings.CutPrefix(topic, prefix)
	if ok {
		name, ok = strings.CutPrefix(name, "manifests/")
	}
	if !ok {
		return nil, false
	}
	return map[string]json.RawMessage{name: data}, true
}

// Implementation returns the start of all topics of an implementation. The name "+" makes a filter for all names.
func (c FamilyC) Implementation(module, implementation string) string {
	return c.module(module) + "/impl/" + implementation
}

// Key returns the topic, because no two commands or variables share one.
func (FamilyC) Key(topic string, _ []byte) (string, error) { return topic, nil }

// CommandKey is the topic of the calls of a command.
func (c FamilyC) CommandKey(implementation, command string) string {
	return c.CommandTopic(implementation, command)
}

// VariableKey is the topic of a variable's values.
func (c FamilyC) VariableKey(implementation, variable string) string {
	return c.VariableTopic(implementation, variable)
}

// Split splits the topic of a command, variable or error. implementation is the part that Implementation makes. kind is
// the topic level after it: "cmd", "var" or "error". Both are empty for any other topic.
func (c FamilyC) Split(topic string) (implementation, kind string) {
	module, ok := strings.CutPrefix(topic, c.Prefix)
	if ok {
		module, ok = strings.CutPrefix(module, "modules/")
	}
	if !ok {
		return "", ""
	}
	_, after, ok := strings.Cut(module, "/impl/")
	if !ok {
		return "", ""
	}
	_, after, ok = strings.Cut(after, "/")
	if !ok {
		return "", ""
	}
	kind, content, ok := strings.Cut(after, "/")
	if !ok || content == "" {
		return "", ""
	}
	return topic[:len(topic)-len(after)-1], kind
}

// CommandTopic is the topic of the calls of a command.
func (FamilyC) CommandTopic(implementation, command string) string {
	return implementation + "/cmd/" + command
}

// ResultTopic returns the topic of the reply to a call. commandTopic is the topic of the call.
func (c FamilyC) ResultTopic(commandTopic, caller string) string {
	return commandTopic + c.ResultSuffix(caller)
}

// ResultSuffix returns the suffix of the topics of all replies to a caller.
func (FamilyC) ResultSuffix(caller string) string { return "/response/" + caller }

// ResultFilter returns a filter for the replies to a caller, for all commands of an implementation.
func (c FamilyC) ResultFilter(implementation, caller string) string {
	return c.ResultTopic(c.CommandTopic(implementation, "+"), caller)
}

// VariableTopic is the topic of a variable's values.
func (FamilyC) VariableTopic(implementation, variable string) string {
	return implementation + "/var/" + variable
}

// ErrorTopic is the topic on which an implementation raises and clears errors of a type "namespace/Name".
func (FamilyC) ErrorTopic(implementation, errorType string, _ bool) string {
	return implementation + "/error/" + errorType
}

// ErrorFilters returns the filter for all errors of an implementation.
func (FamilyC) ErrorFilters(implementation string) []string {
	return []string{implementation + "/error/#"}
}

// The values of msg_type.
const (
	typeVariable       = "Var"
	typeCommand        = "Cmd"
	typeResult         = "CmdResult"
	typeRaiseError     = "RaiseError"
	typeClearError     = "ClearError"
	typeConfigRequest  = "GetConfig"
	typeConfigResponse = "GetConfigResponse"
	typeModuleReady    = "ModuleReady"
	typeGlobalReady    = "GlobalReady"
	typeExternal       = "ExternalMQTT"
)

// Variable returns the message with a value of a variable.
func (FamilyC) Variable(_ string, value json.RawMessage) []byte {
	out := make([]byte, 0, len(value)+40)
	out = append(out, `{"data":{"data":`...)
	out = append(out, value...)
	return append(out, `},"msg_type":"Var"}`...)
}

// ReadVariable returns the value in a variable's message.
func (FamilyC) ReadVariable(payload []byte) (json.RawMessage, error) {
	var value json.RawMessage
	m := openEnvelope(payload)
	for m.toData() {
		for m.Object(); ; {
			name, ok := m.Next()
			if !ok {
				break
			}
			if element := m.Value(); string(name) == "data" {
				value = element
			}
		}
	}
	if _, err := m.close(typeVariable); err != nil {
		return nil, err
	}
	if value == nil {
		return nil, errors.New("no data.data")
	}
	return value, nil
}

// Command returns the message of a call.
func (FamilyC) Command(command Command) []byte {
	out := make([]byte, 0, len(command.Arguments)+len(command.ID)+len(command.Origin)+70)
	out = append(out, `{"data":{"args":`...)
	out = append(out, command.Arguments...)
	out = append(out, `,"id":`...)
	out = rawjson.AppendString(out, command.ID)
	out = append(out, `,"origin":`...)
	out = rawjson.AppendString(out, command.Origin)
	return append(out, `},"msg_type":"Cmd"}`...)
}

// ReadCommand reads a call. A call without an id or an origin is an error, because no reply is possible.
func (FamilyC) ReadCommand(payload []byte) (Command, error) {
	var command Command
	m := openEnvelope(payload)
	for m.toData() {
		m.readCommand(&command)
	}
	if _, err := m.close(typeCommand); err != nil {
		return Command{}, err
	}
	return command, command.check()
}

func (m *envelopeReader) readCommand(command *Command) {
	for m.Object(); ; {
		name, ok := m.Next()
		if !ok {
			return
		}
		switch string(name) {
		case "id":
			command.ID = rawjson.String(m.Value())
		case "origin":
			command.Origin = rawjson.String(m.Value())
		case "args":
			command.Arguments, command.Named = m.Members()
		default:
			m.Value()
		}
	}
}

// Result returns the message of a reply.
func (FamilyC) Result(result Result) []byte {
	out := make([]byte, 0, len(result.Value)+len(result.ID)+len(result.Origin)+100)
	out = append(out, `{"data":{"data":{`...)
	if result.Failure != nil {
		out = append(out, `"error":{"__everest__error_msg":`...)
		out = rawjson.AppendString(out, result.Failure.Message)
		out = append(out, `,"__everest__error_type":`...)
		out = rawjson.AppendString(out, result.Failure.Type)
		out = append(out, `},`...)
	}
	out = append(out, `"id":`...)
	out = rawjson.AppendString(out, result.ID)
	out = append(out, `,"origin":`...)
	out = rawjson.AppendString(out, result.Origin)
	if result.Failure == nil {
		out = append(out, `,"retval":`...)
		out = append(out, result.Value...)
	}
	return append(out, `},"type":"result"},"msg_type":"CmdResult"}`...)
}

// ReadResult reads a reply, except for its origin. The value is null when the message has none.
func (FamilyC) ReadResult(payload []byte) (Result, error) {
	result := Result{Value: json.RawMessage("null")}
	m := openEnvelope(payload)
	for m.toData() {
		for m.Object(); ; {
			name, ok := m.Next()
			if !ok {
				break
			}
			if string(name) == "data" {
				m.readResult(&result)
			} else {
				m.Value()
			}
		}
	}
	if _, err := m.close(typeResult); err != nil {
		return Result{}, err
	}
	if result.ID == "" {
		return Result{}, errors.New("no id")
	}
	return result, nil
}

func (m *envelopeReader) readResult(result *Result) {
	for m.Object(); ; {
		name, ok := m.Next()
		if !ok {
			return
		}
		switch value := m.Value(); string(name) {
		case "id":
			result.ID = rawjson.String(value)
		case "retval":
			result.Value = value
		case "error":
			result.Failure = readFailure(value)
		}
	}
}

// Error returns the message that raises or clears an error. object is the error object.
func (FamilyC) Error(_ string, raise bool, object json.RawMessage) []byte {
	if raise {
		return envelope(typeRaiseError, object)
	}
	return envelope(typeClearError, object)
}

// ClearTopic returns no topic, because modules clear their errors themselves.
func (FamilyC) ClearTopic() string { return "" }

// ReadCleared returns false.
func (FamilyC) ReadCleared([]byte) (uuid string, ok bool) { return "", false }

// ReadError returns the error object in a message, and whether the message raises the error. When the object has a
// state, the state takes precedence; ReadError does not read it.
func (FamilyC) ReadError(_ string, payload []byte) (object json.RawMessage, raise bool, err error) {
	object, kind, err := readData(payload, typeRaiseError, typeClearError)
	return object, kind == typeRaiseError, err
}

// ConfigRequest returns the message with a request to the config service.
func (c FamilyC) ConfigRequest(request json.RawMessage) []byte {
	if c.isD {
		return envelope(typeConfigurationRequest, request)
	}
	return envelope(typeConfigRequest, request)
}

// ReadConfigResponse returns the data of a config service's response.
func (c FamilyC) ReadConfigResponse(_ string, payload []byte) (json.RawMessage, error) {
	return c.ReadStart(payload)
}

// ReadStart returns the data of one of the manager's retained topics.
func (c FamilyC) ReadStart(payload []byte) (json.RawMessage, error) {
	data, _, err := readData(payload, c.configResponse())
	return data, err
}

// Metadata returns the message in which a module describes itself and the implementations that it provides.
func (c FamilyC) Metadata(description json.RawMessage) []byte {
	return envelope(c.configResponse(), description)
}

func (c FamilyC) configResponse() string {
	if c.isD {
		return typeConfigurationResponse
	}
	return typeConfigResponse
}

// ModuleReady returns the message that a module is ready.
func (FamilyC) ModuleReady() []byte { return envelope(typeModuleReady, []byte("true")) }

// ReadGlobalReady reports whether all modules are ready.
func (FamilyC) ReadGlobalReady(payload []byte) (bool, error) {
	data, _, err := readData(payload, typeGlobalReady)
	return string(data) == "true", err
}

// Telemetry returns the message with a value for the backend. Its data is a string that holds the value's JSON text. From
// 2026.02.1 on, the message is the value itself.
func (c FamilyC) Telemetry(value json.RawMessage) (payload []byte, onlyOnce bool) {
	if c.isD || c.plainTelemetry {
		return value, false
	}
	return envelope(typeExternal, rawjson.AppendString(nil, string(value))), true
}
