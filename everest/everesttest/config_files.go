package everesttest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
)

// This file has what the managers of EVerest 2024.5 to 2024.10 do. They publish nothing but the global ready: modules
// read the same files as the manager.

// startWithFiles writes the files and listens for the modules.
func (m *Manager) startWithFiles(ctx context.Context) error {
	if m.config.Settings.Prefix == "/usr" {
		return errors.New("everesttest: set Settings.Prefix to a folder in which the manager may write its configuration")
	}
	if err := m.writeFiles(); err != nil {
		return err
	}
	for _, id := range m.awaited() {
		if err := m.conn.subscribe(ctx, 2, m.prefix+id+"/metadata", m.prefix+id+"/ready"); err != nil {
			return err
		}
	}
	if m.dialect().clearsErrors {
		return m.conn.subscribe(ctx, 2, m.prefix+clearTopic, m.prefix+"+/+/error/#")
	}
	return nil
}

const clearTopic = "request-clear-error"

// storedError is an error that the manager can clear.
type storedError struct {
	topic   string
	from    errorSource
	payload []byte
}

type errorSource struct {
	Module         string `json:"module"`
	Implementation string `json:"implementation"`
}

// receiveError stores an error of EVerest 2024.3 or 2024.4. One without its keys ends the manager.
func (m *Manager) receiveError(topic string, payload []byte) error {
	members, err := membersOf(payload, "type", "message", "description", "from", "severity", "timestamp", "uuid", "state")
	var from errorSource
	var uuid string
	if err != nil || json.Unmarshal(members["from"], &from) != nil || json.Unmarshal(members["uuid"], &uuid) != nil {
		return ErrPoisoned
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stored[uuid] = storedError{topic, from, payload}
	return nil
}

// clearError clears the error that a module names, and answers on the same topic.
func (m *Manager) clearError(payload []byte) error {
	var request struct {
		Type string `json:"type"`
		Data struct {
			Error  string      `json:"error_id"`
			Origin errorSource `json:"origin"`
			Kind   string      `json:"request-clear-type"`
			ID     string      `json:"request-id"`
		} `json:"data"`
	}
	if json.Unmarshal(payload, &request) != nil || request.Type == "" {
		return ErrPoisoned
	}
	if request.Type == "result" {
		return nil
	}
	m.mu.Lock()
	stored, known := m.stored[request.Data.Error]
	known = known && stored.from == request.Data.Origin && request.Data.Kind == "ClearUUID"
	if known {
		delete(m.stored, request.Data.Error)
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	if known {
		topic := strings.Replace(stored.topic, "/error/", "/error-cleared/", 1)
		if err := m.conn.publish(ctx, m.prefix+topic, 2, false, stored.payload); err != nil {
			return err
		}
	}
	return m.publish(ctx, clearTopic, "", map[string]any{
		"name": clearTopic, "type": "result", "data": map[string]any{"id": request.Data.ID, "success": known},
	})
}

func (m *Manager) configFile() string { return filepath.Join(m.config.Settings.EtcDir, "config.yaml") }

// writeFiles writes the configuration as JSON, which is YAML, and the manifests.
func (m *Manager) writeFiles() error {
	active := map[string]any{}
	for id, module := range m.modules {
		active[id] = module.entry()
		directory := filepath.Join(m.config.Settings.ModulesDir, module.config.Module)
		if err := writeFile(filepath.Join(directory, "manifest.yaml"), module.config.Manifest); err != nil {
			return err
		}
	}
	s := m.config.Settings
	settings := map[string]any{
		"mqtt_everest_prefix": m.prefix, "mqtt_external_prefix": m.config.ExternalPrefix, "modules_dir": s.ModulesDir,
		"telemetry_enabled": s.TelemetryEnabled, "telemetry_prefix": s.TelemetryPrefix, "validate_schema": s.ValidateSchema,
	}
	if m.config.Broker.SocketPath != "" {
		settings["mqtt_broker_socket_path"] = m.config.Broker.SocketPath
	} else {
		_, address := brokerEndpoint(m.config.Broker)
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		settings["mqtt_broker_host"], settings["mqtt_broker_port"] = host, number
	}
	content, err := json.MarshalIndent(map[string]any{"settings": settings, "active_modules": active}, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(m.configFile(), content)
}

func writeFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// entry is the module's entry in active_modules, with the spelling of mappings of EVerest 2024.7 to 2024.9.
func (m *managedModule) entry() map[string]any {
	entry := map[string]any{"module": m.config.Module}
	if m.config.Config != nil {
		entry["config_module"] = m.config.Config
	}
	if m.config.ImplementationConfig != nil {
		entry["config_implementation"] = m.config.ImplementationConfig
	}
	connections := map[string]any{}
	for requirement, providers := range m.config.Connections {
		list := []any{}
		for _, provider := range providers {
			list = append(list, map[string]string{"module_id": provider.ModuleID, "implementation_id": provider.ImplementationID})
		}
		connections[requirement] = list
	}
	entry["connections"] = connections
	if m.config.Telemetry != nil {
		entry["telemetry"] = map[string]int{"id": *m.config.Telemetry}
	}
	if mapping := m.config.Mapping; mapping != nil {
		if mapping.Module != nil {
			entry["evse"] = mapping.Module.EVSE
			if mapping.Module.Connector != nil {
				entry["connector"] = *mapping.Module.Connector
			}
		}
		implementations := map[string]everest.Mapping{}
		for id, place := range mapping.Implementations {
			implementations[id] = place
		}
		entry["mapping"] = implementations
	}
	return entry
}
