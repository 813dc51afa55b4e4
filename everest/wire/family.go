package wire

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Family makes and reads the topics and messages of the releases that share them. The methods whose results are topics
// take ids that ValidLevel accepts. Writers put keys in alphabetical order, as the C++ framework does.
type Family interface {
	// Name returns the family's name in Families.
	Name() string
	// Has reports whether the family has something that others lack.
	Has(Capability) bool

	// ConfigRequestTopic is the topic on which a module asks the manager for its configuration.
	ConfigRequestTopic(module string) string
	// ConfigResponseTopic is the topic of the manager's responses to a module.
	ConfigResponseTopic(module string) string
	// ConfigRequest returns the message with a request to the manager. A family without ConfigService has only one
	// request, that for the module's whole configuration.
	ConfigRequest(request json.RawMessage) []byte
	// ReadConfigResponse returns a response to a module in the form of family C: an object with a status and a response.
	ReadConfigResponse(module string, payload []byte) (json.RawMessage, error)

	// MetadataTopic is the topic of a module's Metadata.
	MetadataTopic(module string) string
	// ModuleReadyTopic is the topic on which a module reports that it is ready.
	ModuleReadyTopic(module string) string
	// GlobalReadyTopic is the topic on which the manager reports that all modules are ready.
	GlobalReadyTopic() string
	// ShutdownTopic is the topic on which the manager asks its modules to end.
	ShutdownTopic() string
	// SettingsTopic is the retained topic of the manager's settings.
	SettingsTopic() string
	// ModuleNamesTopic is the retained topic of the list that gives each module's type.
	ModuleNamesTopic() string
	// ManagerStartTopic is a topic on which only a manager that starts publishes.
	ManagerStartTopic() string
	// ManifestFilter is the filter of the retained manifests.
	ManifestFilter() string
	// Manifests returns the manifests in a message by the name of the module's type. ok is false for another topic.
	Manifests(topic string, data json.RawMessage) (manifests map[string]json.RawMessage, ok bool)
	// ReadStart returns the data of one of the manager's retained topics.
	ReadStart(payload []byte) (json.RawMessage, error)
	// Metadata returns the message in which a module describes itself and the implementations that it provides.
	Metadata(description json.RawMessage) []byte
	// ModuleReady returns the message that a module is ready.
	ModuleReady() []byte
	// ReadGlobalReady reports whether all modules are ready.
	ReadGlobalReady(payload []byte) (bool, error)

	// Implementation returns the start of all topics of an implementation. The name "+" makes a filter for all names.
	Implementation(module, implementation string) string
	// Key returns what a message is about. It is the topic, or where messages of several commands or variables share a
	// topic, the topic with the name behind it.
	Key(topic string, payload []byte) (string, error)
	// Split splits the key of a command, variable or error. implementation is the part that Implementation makes. kind
	// is "cmd", "var" or "error". Both are empty for any other key.
	Split(key string) (implementation, kind string)
	// CommandKey is the key of the calls of a command.
	CommandKey(implementation, command string) string
	// VariableKey is the key of a variable's values.
	VariableKey(implementation, variable string) string
	// ResultSuffix is the end of the keys of all replies to a caller.
	ResultSuffix(caller string) string

	// CommandTopic is the topic of the calls of a command.
	CommandTopic(implementation, command string) string
	// ResultTopic returns the topic of the reply to a call. commandTopic is the topic of the call.
	ResultTopic(commandTopic, caller string) string
	// ResultFilter returns a filter for the replies to a caller, for all commands of an implementation.
	ResultFilter(implementation, caller string) string
	// VariableTopic is the topic of a variable's values.
	VariableTopic(implementation, variable string) string
	// ErrorTopic is the topic on which an implementation raises or clears errors of a type "namespace/Name".
	ErrorTopic(implementation, errorType string, raise bool) string
	// ErrorFilters returns the filters for all errors of an implementation.
	ErrorFilters(implementation string) []string

	// Variable returns the message with a value of a variable.
	Variable(name string, value json.RawMessage) []byte
	// ReadVariable returns the value in a variable's message.
	ReadVariable(payload []byte) (json.RawMessage, error)
	// Command returns the message of a call.
	Command(Command) []byte
	// ReadCommand reads a call. A call without an id or an origin is an error, because no reply is possible.
	ReadCommand(payload []byte) (Command, error)
	// Result returns the message of a reply. A family without Failures cannot express that of the Result.
	Result(Result) []byte
	// ReadResult reads a reply, except for its origin. The value is null when the message has none.
	ReadResult(payload []byte) (Result, error)
	// Error returns the message with which an implementation raises or clears an error. object is the error object.
	Error(implementation string, raise bool, object json.RawMessage) []byte
	// ReadError returns the error object in a message, and whether the message raises the error. When the object has a
	// state, the state takes precedence; ReadError does not read it.
	ReadError(topic string, payload []byte) (object json.RawMessage, raise bool, err error)
	// ClearTopic is the topic on which the manager answers a request to clear an error. It is empty where modules clear their
	// errors themselves.
	ClearTopic() string
	// ReadCleared returns the UUID of the error in such an answer. ok is false for any other message.
	ReadCleared(payload []byte) (uuid string, ok bool)
	// Telemetry returns the message with a value for the backend. onlyOnce is false for QoS 0.
	Telemetry(value json.RawMessage) (payload []byte, onlyOnce bool)
}

// Capability is something that some families have.
type Capability int

// The capabilities.
const (
	// Failures means that the reply to a command may be an error.
	Failures Capability = iota
	// ConfigService means that a module may ask for any parameter and change it.
	ConfigService
	// ConfigValues means that the config service answers a request for one parameter.
	ConfigValues
	// ConfigFiles means that a module reads its configuration from files, and that the manager publishes nothing at its
	// start. The methods for the config service and the retained topics then return no topics.
	ConfigFiles
	// OwnTopics means that each command has a topic of its own, and each caller one for its replies. Without it a module
	// also receives calls and replies that are not for it.
	OwnTopics
	// LargePackets means that modules take every packet that the broker takes. Those of others end when they receive one
	// of more than 512 000 bytes.
	LargePackets
)

// Release is a row of the table of families.
type Release struct {
	// Name is the name of the family.
	Name string
	// EVerest names the releases.
	EVerest string
	// New returns the family with the prefix of its topics.
	New func(prefix string) Family
}

// Of returns the family as a release of EVerest has it. version is that of the release, such as "2026.02.1", or empty.
func (r Release) Of(prefix, version string) Family {
	if c, ok := r.New(prefix).(FamilyC); ok && !c.isD {
		at, patch := parseVersion(version)
		c.plainTelemetry, c.largePackets = at > 202602 || at == 202602 && patch >= 1, at > 202602
		return c
	}
	return r.New(prefix)
}

// parseVersion returns 202602 and 1 for "2026.02.1". It returns 0 for what is no version.
func parseVersion(version string) (at, patch int) {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return 0, 0
	}
	year, err := strconv.Atoi(parts[0])
	month, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil || month < 1 || month > 12 {
		return 0, 0
	}
	if len(parts) > 2 {
		patch, _ = strconv.Atoi(parts[2]) // without a number it is the first of its release
	}
	return year*100 + month, patch
}

// Families returns the table of all families, from the oldest to the newest.
func Families() []Release {
	return []Release{
		{"A1", "2024.3 and 2024.4", newA(&stepA1)},
		{"A2", "2024.5", newA(&stepA2)},
		{"A3", "2024.6 to 2024.10", newA(&stepA3)},
		{"B1", "2024.11", newB(&stepB1)},
		{"B2", "2025.1 to 2025.4, and 2024.9.2", newB(&stepB2)},
		{"B3", "2025.5", newB(&stepB3)},
		{"B4a", "2025.6 and 2025.7", newB(&stepB4a)},
		{"B4b", "2025.8 to 2025.10", newB(&stepB4b)},
		{"C", "2025.12 to 2026.02.1, and main until August 2026", func(prefix string) Family { return FamilyC{Prefix: prefix} }},
		{"D", "main from August 2026 on", newD},
	}
}

// Find returns the row of a family, whatever the case of its name.
func Find(name string) (Release, bool) {
	for _, release := range Families() {
		if strings.EqualFold(release.Name, name) {
			return release, true
		}
	}
	return Release{}, false
}

// FindRelease returns the family of a release of EVerest, such as "2025.9" or "2026.02.0". Of 2024.9.2 it is another one
// than of 2024.9.
func FindRelease(text string) (Release, bool) {
	if text == "2024.9.2" {
		return Find("B2")
	}
	at, _ := parseVersion(text)
	for _, row := range []struct {
		from, to int
		family   string
	}{
		{202403, 202404, "A1"}, {202405, 202405, "A2"}, {202406, 202410, "A3"}, {202411, 202411, "B1"}, {202501, 202504, "B2"},
		{202505, 202505, "B3"}, {202506, 202507, "B4a"}, {202508, 202510, "B4b"}, {202512, 202602, "C"},
	} {
		if at >= row.from && at <= row.to {
			return Find(row.family)
		}
	}
	return Release{}, false
}

// Names returns the names of all families.
func Names() []string {
	var names []string
	for _, release := range Families() {
		names = append(names, release.Name)
	}
	return names
}
