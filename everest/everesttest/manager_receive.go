package everesttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// dialect is what differs between the families of messages.
type dialect struct {
	// configRequest and configResponse are values of msg_type. They are empty for a family without envelopes.
	configRequest, configResponse string
	// answersStrangers is true for a manager that answers the request of a module that it does not know.
	answersStrangers bool
	// explainsSet is true for a manager whose answer to a changed parameter has a reason, and that takes no change before
	// all modules are ready.
	explainsSet bool
	// largePackets is true for an EVerest whose modules take every packet that the broker takes.
	largePackets bool
	// configFiles is true for an EVerest whose modules read the configuration from files.
	configFiles bool
	// configService is true for a manager of which modules can request more than their own configuration.
	configService bool
	// keepsTopics is true for a manager that never clears its start-up topics.
	keepsTopics bool
	// configQoS is the quality of service of an answer with a configuration.
	configQoS byte
	// errorByTopic is true where the topic tells a raised error from a cleared one.
	errorByTopic bool
	// clearsErrors is true for a manager that clears the errors of modules.
	clearsErrors bool
	// failures are the types of the errors of commands without an envelope, and the others the keys in the error.
	failures                 []string
	failureType, failureText string
}

var dialects = map[string]dialect{
	"A1": {configFiles: true, keepsTopics: true, errorByTopic: true, clearsErrors: true},
	"A2": {configFiles: true, keepsTopics: true, errorByTopic: true},
	"A3": {configFiles: true, keepsTopics: true, errorByTopic: true},
	"B1": {keepsTopics: true, errorByTopic: true},
	"B2": {configQoS: 2},
	"B3": {configQoS: 2},
	"B4a": {configQoS: 2, configService: true, failureType: "event", failureText: "msg", failures: []string{
		"MessageParsingFailed", "SchemaValidationFailed", "HandlerException", "Timeout", "Shutdown", "NotReady",
	}},
	"B4b": {configQoS: 2, configService: true, failureType: "__everest__error_type", failureText: "__everest__error_msg", failures: replyErrors},
	"C":   {configQoS: 2, configService: true, configRequest: "GetConfig", configResponse: "GetConfigResponse"},
	"D": {
		configQoS: 2, configService: true, configRequest: "ConfigurationRequest", configResponse: "ConfigurationResponse",
		answersStrangers: true, explainsSet: true, largePackets: true,
	},
}

func (d dialect) bare() bool { return d.configRequest == "" }

// Families returns the families of messages that Manager has, from the oldest to the newest; see wire.Families.
func Families() []string { return slices.Sorted(maps.Keys(dialects)) }

func (m *Manager) dialect() dialect { return dialects[m.family()] }

// isMessageType reports whether the framework knows a message type. Any other type ends a C++ process that receives it.
func (d dialect) isMessageType(name string) bool {
	switch name {
	case "Var", "Cmd", "CmdResult", "ExternalMQTT", "RaiseError", "ClearError", "Heartbeat", "ModuleReady", "GlobalReady", d.configRequest, d.configResponse:
		return true
	}
	return false
}

// receive handles one message to the manager.
func (m *Manager) receive(message Message) {
	topic := strings.TrimPrefix(message.Topic, m.prefix)
	if m.dialect().configFiles {
		topic = "modules/" + topic
	}
	id, kind, _ := strings.Cut(strings.TrimPrefix(topic, "modules/"), "/")
	if kind == "metadata" {
		m.mu.Lock()
		m.metadata[id] = message.Payload
		m.mu.Unlock()
		return
	}
	if m.dialect().bare() {
		switch err := m.receiveBare(topic, id, kind, message.Payload); {
		case errors.Is(err, ErrPoisoned):
			m.finish(fmt.Errorf("%w: topic %s: %.200s", ErrPoisoned, message.Topic, message.Payload))
		case err != nil:
			m.log.Warn("message dropped", zap.String("topic", message.Topic), zap.Error(err))
		}
		return
	}
	data, messageType, err := m.dialect().unwrap(message.Payload)
	if err != nil {
		if errors.Is(err, ErrPoisoned) {
			m.finish(fmt.Errorf("%w: topic %s: %s", ErrPoisoned, message.Topic, messageType))
			return
		}
		m.log.Warn("message dropped", zap.String("topic", message.Topic), zap.Error(err))
		return
	}
	switch {
	case topic == "config/request" && messageType == m.dialect().configRequest:
		m.answer(data)
	case kind == "ready" && messageType == "ModuleReady":
		m.takeReady(id, data)
	default:
		m.log.Warn("message dropped", zap.String("topic", message.Topic), zap.String("msg_type", messageType))
	}
}

// unwrap decodes an envelope. It returns ErrPoisoned where a process of EVerest would end.
func (d dialect) unwrap(payload []byte) (data json.RawMessage, messageType string, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil {
		return nil, "", fmt.Errorf("not a JSON object: %w", err)
	}
	raw, present := members["msg_type"]
	if !present {
		return nil, "", errors.New("no msg_type")
	}
	if err := json.Unmarshal(raw, &messageType); err != nil || !d.isMessageType(messageType) {
		return nil, string(raw), ErrPoisoned
	}
	return members["data"], messageType, nil
}

// takeReady records whether a module is ready, and publishes it when all modules are.
func (m *Manager) takeReady(id string, data json.RawMessage) {
	var ready bool
	if err := json.Unmarshal(data, &ready); err != nil {
		m.log.Warn("ready without a boolean", zap.String("module", id), zap.Error(err))
		return
	}
	m.mu.Lock()
	m.ready[id] = ready
	all := ready && len(m.missingLocked()) == 0
	m.mu.Unlock()
	if !all {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	if !m.config.RetainTopics && !m.dialect().keepsTopics {
		m.clearRetained(ctx)
	}
	if err := m.publish(ctx, "ready", "GlobalReady", true); err != nil {
		m.log.Warn("global ready not sent", zap.Error(err))
		return
	}
	m.mu.Lock()
	m.globalReady++
	close(m.changed)
	m.changed = make(chan struct{})
	m.mu.Unlock()
}

func (m *Manager) publish(ctx context.Context, topic, messageType string, data any) error {
	payload, err := m.dialect().wrap(messageType, data)
	if err != nil {
		return err
	}
	qos := byte(2)
	if strings.HasSuffix(topic, "/config") {
		qos = m.dialect().configQoS
	}
	return m.conn.publish(ctx, m.prefix+topic, qos, false, payload)
}
