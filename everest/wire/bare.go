package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// bare makes and reads what all families without envelopes have in common. An implementation has one topic for its
// variables, and one for its commands and their results:
//
//	modules/meter_1/impl/main/var {"data":{"energy_Wh_import":{"total":12.50}},"name":"powermeter"}
//	modules/meter_1/impl/main/cmd {"data":{"args":{},"id":"7f","origin":"caller"},"name":"reset","type":"call"}
//	modules/meter_1/impl/main/cmd {"data":{"id":"7f","origin":"meter_1","retval":true},"name":"reset","type":"result"}
type bare struct {
	*step
	prefix string // of all topics
	root   string // of the topics of modules
	infix  string // between the ids of a module and an implementation
}

// step is what differs between the families of bare messages.
type step struct {
	name string
	has  []Capability
	// The topics of the manager's config service, behind that of the module where moduleRequest is true.
	configRequest, configResponse string
	moduleRequest                 bool
	// noStart is true where the manager has no start-up topics.
	noStart bool
	// oneManifest is true where one retained topic has all manifests.
	oneManifest bool
	// lastTopic is the last topic on which a manager publishes at its start.
	lastTopic string
	// noArguments is true where a call may have no member args.
	noArguments bool
	// errorByTopic is true where the topic tells a raised error from a cleared one, and each type has two topics.
	errorByTopic bool
	// managerClears is true where a module asks the manager to clear its errors.
	managerClears bool
	// failureType and failureText are the keys of an error in a reply, and failures its types by those of family C.
	failureType, failureText string
	failures                 map[string]string
}

// replySuffix is the end of the key of each reply. No command has a name with a slash.
const replySuffix = "/response/result"

// newB returns a family of EVerest 2024.11 to 2025.10.
func newB(step *step) func(prefix string) Family {
	return func(prefix string) Family { return &bare{step, prefix, prefix + "modules/", "/impl/"} }
}

func (b *bare) Name() string          { return b.name }
func (b *bare) Has(c Capability) bool { return slices.Contains(b.has, c) }

func (b *bare) MetadataTopic(module string) string    { return b.root + module + "/metadata" }
func (b *bare) ModuleReadyTopic(module string) string { return b.root + module + "/ready" }
func (b *bare) GlobalReadyTopic() string              { return b.prefix + "ready" }
func (b *bare) ShutdownTopic() string                 { return b.prefix + "shutdown" }

func (b *bare) ManifestFilter() string {
	if b.oneManifest {
		return b.startTopic("manifests")
	}
	return b.startTopic("manifests/+")
}

func (b *bare) Manifests(topic string, data json.RawMessage) (map[string]json.RawMessage, bool) {
	if b.noStart {
		return nil, false
	}
	if !b.oneManifest {
		return manifestOf(b.prefix, topic, data)
	}
	if topic != b.ManifestFilter() {
		return nil, false
	}
	var all map[string]json.RawMessage
	_ = json.Unmarshal(data, &all) // without an object there are none
	return all, true
}

func (b *bare) ConfigRequestTopic(module string) string {
	if b.moduleRequest {
		return b.root + module + b.configRequest
	}
	return b.startTopic(b.configRequest)
}

func (b *bare) ConfigResponseTopic(module string) string {
	if b.noStart {
		return ""
	}
	return b.root + module + b.configResponse
}

func (b *bare) ConfigRequest(request json.RawMessage) []byte {
	if b.moduleRequest {
		return []byte(`{"type":"full"}`)
	}
	return request
}

func (b *bare) ReadConfigResponse(module string, payload []byte) (json.RawMessage, error) {
	if b.moduleRequest {
		return readWholeConfig(module, payload)
	}
	return b.ReadStart(payload)
}

func (b *bare) Implementation(module, implementation string) string {
	return b.root + module + b.infix + implementation
}

// parse cuts a topic or a key into its parts.
func (b *bare) parse(key string) (implementation, kind, content string) {
	rest, ok := strings.CutPrefix(key, b.root)
	if ok {
		_, rest, ok = strings.Cut(rest, b.infix)
	}
	if ok {
		_, rest, ok = strings.Cut(rest, "/")
	}
	if !ok {
		return "", "", ""
	}
	kind, content, _ = strings.Cut(rest, "/")
	return key[:len(key)-len(rest)-1], kind, content
}

func (b *bare) Key(topic string, payload []byte) (string, error) {
	_, kind, content := b.parse(topic)
	if kind != "cmd" && kind != "var" || content != "" {
		return topic, nil
	}
	name, direction, err := readName(payload)
	switch {
	case err != nil:
		return "", err
	case !ValidLevel(name):
		return "", fmt.Errorf("name %.40q is none", name)
	case kind == "cmd" && direction == "result":
		return topic + "/" + name + replySuffix, nil
	case kind == "cmd" && direction != "call":
		return "", fmt.Errorf("type %.40q is neither call nor result", direction)
	}
	return topic + "/" + name, nil
}

// readName reads the members that say what a message is about.
func readName(payload []byte) (name, direction string, err error) {
	r := rawjson.NewReader(payload)
	for r.Object(); ; {
		member, ok := r.Next()
		if !ok {
			return name, direction, r.Close()
		}
		switch value := r.Value(); string(member) {
		case "name":
			name = rawjson.String(value)
		case "type":
			direction = rawjson.String(value)
		}
	}
}

func (b *bare) Split(key string) (implementation, kind string) {
	implementation, kind, content := b.parse(key)
	switch {
	case kind == "error" || kind == "error-cleared" && content != "":
		return implementation, "error"
	case (kind == "cmd" || kind == "var") && content != "":
		return implementation, kind
	}
	return "", ""
}

func (*bare) CommandKey(implementation, command string) string {
	return implementation + "/cmd/" + command
}

func (*bare) VariableKey(implementation, variable string) string {
	return implementation + "/var/" + variable
}

func (*bare) ResultSuffix(string) string                     { return replySuffix }
func (*bare) CommandTopic(implementation, _ string) string   { return implementation + "/cmd" }
func (*bare) ResultTopic(commandTopic, _ string) string      { return commandTopic }
func (*bare) ResultFilter(implementation, _ string) string   { return implementation + "/cmd" }
func (*bare) VariableTopic(implementation, _ string) string  { return implementation + "/var" }
func (*bare) Metadata(description json.RawMessage) []byte    { return description }
func (*bare) ModuleReady() []byte                            { return []byte("true") }
func (*bare) Telemetry(value json.RawMessage) ([]byte, bool) { return value, false }

func (*bare) ReadStart(payload []byte) (json.RawMessage, error) {
	return payload, rawjson.Check(payload)
}

func (*bare) ReadGlobalReady(payload []byte) (bool, error) {
	switch text := strings.TrimSpace(string(payload)); text {
	case "true", "false":
		return text == "true", nil
	}
	return false, fmt.Errorf("want true, not %.40q", payload)
}

func (*bare) Variable(name string, value json.RawMessage) []byte {
	out := make([]byte, 0, len(value)+len(name)+30)
	out = append(out, `{"data":`...)
	out = append(out, value...)
	out = append(out, `,"name":`...)
	out = rawjson.AppendString(out, name)
	return append(out, '}')
}

func (*bare) ReadVariable(payload []byte) (json.RawMessage, error) { return readBare(payload) }

// readBare returns the member data.
func readBare(payload []byte) (data json.RawMessage, err error) {
	r := rawjson.NewReader(payload)
	for r.Object(); ; {
		member, ok := r.Next()
		if !ok {
			break
		}
		if value := r.Value(); string(member) == "data" {
			data = value
		}
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	if data == nil {
		return nil, errors.New("no data")
	}
	return data, nil
}

func (*bare) Command(command Command) []byte {
	out := make([]byte, 0, len(command.Arguments)+len(command.ID)+len(command.Origin)+len(command.Name)+70)
	out = append(out, `{"data":{"args":`...)
	out = append(out, command.Arguments...)
	out = append(out, `,"id":`...)
	out = rawjson.AppendString(out, command.ID)
	out = append(out, `,"origin":`...)
	out = rawjson.AppendString(out, command.Origin)
	return closeCommand(out, command.Name, "call")
}

// closeCommand ends the message of a call or a result.
func closeCommand(out []byte, name, direction string) []byte {
	out = append(out, `},"name":`...)
	out = rawjson.AppendString(out, name)
	out = append(out, `,"type":"`...)
	out = append(out, direction...)
	return append(out, `"}`...)
}

func (b *bare) ReadCommand(payload []byte) (Command, error) {
	data, err := readBare(payload)
	if err != nil {
		return Command{}, err
	}
	var command Command
	m := envelopeReader{Reader: rawjson.NewReader(data)}
	m.readCommand(&command)
	if err := m.Reader.Close(); err != nil {
		return Command{}, err
	}
	if command.Arguments == nil && b.noArguments {
		command.Arguments = json.RawMessage("null")
	}
	return command, command.check()
}

func (b *bare) Result(result Result) []byte {
	if result.Failure == nil || b.failureType == "" {
		return bareResult(result, nil)
	}
	kind := result.Failure.Type
	if other, differs := b.failures[kind]; differs {
		kind = other
	}
	failure := append([]byte(`{"`+b.failureType+`":`), rawjson.AppendString(nil, kind)...)
	failure = append(failure, `,"`+b.failureText+`":`...)
	failure = rawjson.AppendString(failure, result.Failure.Message)
	return bareResult(result, append(failure, '}'))
}

// bareResult writes a reply. failure is the error object, or nil.
func bareResult(result Result, failure json.RawMessage) []byte {
	out := make([]byte, 0, len(result.Value)+len(failure)+len(result.ID)+len(result.Origin)+len(result.Name)+80)
	out = append(out, `{"data":{`...)
	if failure != nil {
		out = append(out, `"error":`...)
		out = append(out, failure...)
		out = append(out, ',')
	}
	out = append(out, `"id":`...)
	out = rawjson.AppendString(out, result.ID)
	out = append(out, `,"origin":`...)
	out = rawjson.AppendString(out, result.Origin)
	if failure == nil {
		out = append(out, `,"retval":`...)
		out = append(out, result.Value...)
	}
	return closeCommand(out, result.Name, "result")
}

func (*bare) ReadResult(payload []byte) (Result, error) {
	data, err := readBare(payload)
	if err != nil {
		return Result{}, err
	}
	result := Result{Value: json.RawMessage("null")}
	m := envelopeReader{Reader: rawjson.NewReader(data)}
	m.readResult(&result)
	if err := m.Reader.Close(); err != nil {
		return Result{}, err
	}
	if result.ID == "" {
		return Result{}, errors.New("no id")
	}
	return result, nil
}

func (b *bare) ErrorTopic(implementation, errorType string, raise bool) string {
	switch {
	case !b.errorByTopic:
		return implementation + "/error"
	case raise:
		return implementation + "/error/" + errorType
	case b.managerClears:
		return b.ClearTopic()
	}
	return implementation + "/error-cleared/" + errorType
}

func (b *bare) ErrorFilters(implementation string) []string {
	if b.errorByTopic {
		return []string{implementation + "/error/#", implementation + "/error-cleared/#"}
	}
	return []string{implementation + "/error"}
}

func (b *bare) Error(implementation string, raise bool, object json.RawMessage) []byte {
	if b.managerClears {
		return b.errorOfA1(implementation, raise, object)
	}
	return object
}

// ReadError returns true for raise where only the state of the object tells. Where the topic tells, the object gets the
// state: the framework does not change that of some errors which it clears.
func (b *bare) ReadError(topic string, payload []byte) (object json.RawMessage, raise bool, err error) {
	if !b.errorByTopic {
		return payload, true, rawjson.Check(payload)
	}
	_, kind, _ := b.parse(topic)
	raise = kind == "error"
	if b.managerClears {
		if payload, err = withOrigin(payload); err != nil {
			return nil, false, err
		}
	}
	state := json.RawMessage(`"ClearedByModule"`)
	if raise {
		state = json.RawMessage(`"Active"`)
	}
	object, err = rawjson.Complete(payload, []rawjson.Member{{Name: "state", Value: state}}, func(member rawjson.Member) json.RawMessage {
		cleared := rawjson.String(member.Value) != "Active"
		if member.Name == "state" && cleared == raise {
			return state
		}
		return nil
	})
	return object, raise, err
}
