package everesttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
)

// messageTypes are the message types of the framework. Any other type ends a C++ process that receives it.
var messageTypes = map[string]bool{
	"Var": true, "Cmd": true, "CmdResult": true, "ExternalMQTT": true, "RaiseError": true, "ClearError": true, "GetConfig": true,
	"GetConfigResponse": true, "Heartbeat": true, "ModuleReady": true, "GlobalReady": true,
}

// receive handles one message to the manager.
func (m *Manager) receive(message Message) {
	topic := strings.TrimPrefix(message.Topic, m.prefix)
	id, kind, _ := strings.Cut(strings.TrimPrefix(topic, "modules/"), "/")
	if kind == "metadata" {
		m.mu.Lock()
		m.metadata[id] = message.Payload
		m.mu.Unlock()
		return
	}
	data, messageType, err := unwrap(message.Payload)
	if err != nil {
		if errors.Is(err, ErrPoisoned) {
			m.finish(fmt.Errorf("%w: topic %s: %s", ErrPoisoned, message.Topic, messageType))
			return
		}
		m.log.Warn("message dropped", zap.String("topic", message.Topic), zap.Error(err))
		return
	}
	switch {
	case topic == "config/request" && messageType == "GetConfig":
		m.answer(data)
	case kind == "ready" && messageType == "ModuleReady":
		m.takeReady(id, data)
	default:
		m.log.Warn("message dropped", zap.String("topic", message.Topic), zap.String("msg_type", messageType))
	}
}

// unwrap decodes an envelope. It returns ErrPoisoned where a process of EVerest 2026.02.0 would end.
func unwrap(payload []byte) (data json.RawMessage, messageType string, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil {
		return nil, "", fmt.Errorf("not a JSON object: %w", err)
	}
	raw, present := members["msg_type"]
	if !present {
		return nil, "", errors.New("no msg_type")
	}
	if err := json.Unmarshal(raw, &messageType); err != nil || !messageTypes[messageType] {
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
	if !m.config.RetainTopics {
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
	payload, err := envelope(messageType, data)
	if err != nil {
		return err
	}
	return m.conn.publish(ctx, m.prefix+topic, 2, false, payload)
}
