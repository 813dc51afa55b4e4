package everest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/internal/rawjson"
)

// configService is the connection to the manager's config service. Its responses have no id, so one request is made at
// a time.
type configService struct {
	turn    chan struct{} // full while a request is under way
	answers chan configAnswer
}

// configAnswer is the data of a response.
type configAnswer struct {
	Status   string `json:"status"`
	Info     string `json:"status_info"`
	Type     string `json:"type"`
	Response *struct {
		Type   string          `json:"type"`
		Status string          `json:"status"`
		Data   json.RawMessage `json:"data"`
	} `json:"response"`
}

func newConfigService() configService {
	return configService{turn: make(chan struct{}, 1), answers: make(chan configAnswer, 8)}
}

func (m *Module) takeConfigResponse(message Message) {
	data, err := m.wire.ReadConfig(message.Payload)
	if err != nil {
		m.logDrop(message, err)
		return
	}
	var answer configAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		m.logDrop(message, err)
		return
	}
	select {
	case m.service.answers <- answer:
	default:
		m.logDrop(message, errors.New("nobody asked"))
	}
}

// errNoAnswer ends a request to which the config service did not respond in time.
var errNoAnswer = errors.New("the manager's config service does not answer; is the manager running, with the same MQTT prefix and a module of this id?")

// ask makes one request and waits for a response that fits.
func (m *Module) ask(ctx context.Context, request any, fits func(configAnswer) bool) (configAnswer, error) {
	select {
	case m.service.turn <- struct{}{}:
		defer func() { <-m.service.turn }()
	case <-ctx.Done():
		return configAnswer{}, context.Cause(ctx)
	}
	data, err := encodeValue(request)
	if err != nil {
		return configAnswer{}, err
	}
	for len(m.service.answers) > 0 { // of an earlier request that was given up
		<-m.service.answers
	}
	link := m.link.Load()
	if link == nil {
		return configAnswer{}, ErrNotConnected
	}
	if err := m.send(ctx, m.wire.ConfigRequestTopic(), m.wire.ConfigRequest(data), ExactlyOnce); err != nil {
		return configAnswer{}, err
	}
	timer := time.NewTimer(m.options.ConfigTimeout)
	defer timer.Stop()
	for {
		select {
		case answer := <-m.service.answers:
			if fits(answer) {
				return answer, nil
			}
		case <-timer.C:
			return configAnswer{}, errNoAnswer
		case <-link.transport.Done():
			return configAnswer{}, link.transport.Err()
		case <-ctx.Done():
			return configAnswer{}, context.Cause(ctx)
		}
	}
}

type configRequest struct {
	Type    string `json:"type"`
	Origin  string `json:"origin"`
	Request any    `json:"request"`
}

type configQuery struct {
	Type       string    `json:"type,omitempty"`
	Identifier *ConfigID `json:"identifier,omitempty"`
	Value      *string   `json:"value,omitempty"`
}

// requestConfig requests the module's configuration until a response arrives.
func (m *Module) requestConfig(ctx context.Context) (*moduleConfig, error) {
	request := configRequest{Type: "Get", Origin: m.options.ModuleID, Request: configQuery{Type: "Module"}}
	for attempt := 1; ; attempt++ {
		m.watchdog.passBy()
		answer, err := m.ask(ctx, request, func(answer configAnswer) bool {
			return answer.Type == "Get" && (answer.Response == nil || answer.Response.Type == "Module")
		})
		switch {
		case err == nil && (answer.Status != "Ok" || answer.Response == nil):
			return nil, fmt.Errorf("the manager answered %s %s", answer.Status, answer.Info)
		case err == nil:
			return readModuleConfig(answer.Response.Data)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%w: %w", errNoAnswer, context.Cause(ctx))
		case !errors.Is(err, errNoAnswer) || m.options.ConfigAttempts > 0 && attempt >= m.options.ConfigAttempts:
			return nil, err
		}
		m.log.Warn("waiting for the manager", zap.Int("attempt", attempt), zap.Error(err))
	}
}

// ConfigID names one configuration parameter of any module.
type ConfigID struct {
	Module    string `json:"module_id"`
	Parameter string `json:"configuration_parameter_name"`
	// Implementation is empty for the module's own parameters.
	Implementation string `json:"module_implementation_id,omitempty"`
}

// String reads "module.parameter" or "module.implementation.parameter".
func (id ConfigID) String() string {
	if id.Implementation == "" {
		return id.Module + "." + id.Parameter
	}
	return id.Module + "." + id.Implementation + "." + id.Parameter
}

// Errors of the config service.
var (
	// ErrAccessDenied is a request for which the manager's configuration gives the module no right.
	ErrAccessDenied = errors.New("everest: access to the configuration denied")
	// ErrConfigRejected is a request that the manager could not fulfil, for an unknown parameter or an unfit value.
	ErrConfigRejected = errors.New("everest: configuration request rejected")
)

// ConfigError is a refused request to the config service. It matches ErrAccessDenied or ErrConfigRejected.
type ConfigError struct {
	// Request describes the request.
	Request string
	// Status is the manager's: "AccessDenied", "Error" or "Rejected".
	Status string
	// Info is the manager's text, often empty.
	Info string
}

// Error implements error.
func (e *ConfigError) Error() string {
	text := "everest: config service: " + e.Request + ": " + e.Status
	if e.Info != "" {
		text += ": " + e.Info
	}
	return text
}

// Is makes it match the sentinel of its status.
func (e *ConfigError) Is(target error) bool {
	if e.Status == "AccessDenied" {
		return target == ErrAccessDenied
	}
	return target == ErrConfigRejected
}

// ConfigValue asks the manager for one parameter. The own ones are always readable; others need an access right.
func (m *Module) ConfigValue(ctx context.Context, id ConfigID) (Parameter, error) {
	data, err := m.get(ctx, "value of "+id.String(), configQuery{Type: "Value", Identifier: &id})
	if err != nil {
		return Parameter{}, err
	}
	var parameter Parameter
	if err := json.Unmarshal(data, &parameter); err != nil {
		return Parameter{}, fmt.Errorf("everest: config service: value of %s: %w", id, err)
	}
	return parameter, nil
}

// AllConfig asks for the parameters of all modules that this module may read, by module id and implementation id; a
// module's own parameters are listed under "!module".
func (m *Module) AllConfig(ctx context.Context) (map[string]map[string][]Parameter, error) {
	data, err := m.get(ctx, "all parameters", configQuery{Type: "All"})
	if err != nil {
		return nil, err
	}
	var all map[string]map[string][]Parameter
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("everest: config service: all parameters: %w", err)
	}
	return all, nil
}

// ModuleMapping is the mapping of a module and of those implementations that have one of their own.
type ModuleMapping struct {
	Module          *Mapping
	Implementations map[string]*Mapping
}

// AllMappings asks for the mappings of all modules by module id. A module without one has the zero value.
func (m *Module) AllMappings(ctx context.Context) (map[string]ModuleMapping, error) {
	data, err := m.get(ctx, "all mappings", configQuery{Type: "AllMappings"})
	if err != nil {
		return nil, err
	}
	var all map[string]*moduleMapping
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("everest: config service: all mappings: %w", err)
	}
	mappings := make(map[string]ModuleMapping, len(all))
	for id, mapping := range all {
		if mapping == nil {
			mappings[id] = ModuleMapping{}
			continue
		}
		mappings[id] = ModuleMapping(*mapping)
	}
	return mappings, nil
}

func (m *Module) get(ctx context.Context, what string, query configQuery) (json.RawMessage, error) {
	request := configRequest{Type: "Get", Origin: m.options.ModuleID, Request: query}
	answer, err := m.ask(ctx, request, func(answer configAnswer) bool {
		return answer.Type == "Get" && (answer.Response == nil || answer.Response.Type == query.Type)
	})
	if err != nil {
		return nil, fmt.Errorf("everest: config service: %s: %w", what, err)
	}
	if answer.Status != "Ok" || answer.Response == nil || rawjson.IsNull(answer.Response.Data) {
		return nil, &ConfigError{Request: what, Status: answer.Status, Info: answer.Info}
	}
	return bytes.Clone(answer.Response.Data), nil
}

// SetResult is when a changed parameter takes effect.
type SetResult string

// The results of SetConfig.
const (
	// SetAccepted: at once.
	SetAccepted SetResult = "Accepted"
	// SetRebootRequired: at the next start of the manager; EVerest 2026.02.0 always returns this.
	SetRebootRequired SetResult = "RebootRequired"
)

// SetConfig asks the manager to change a parameter. The value is text, as in a configuration file: "true", "9", "name".
// The module that owns the parameter is not notified.
//
// Check the value yourself. The manager of EVerest 2026.02.0 takes what begins with a fitting number, also for a
// parameter that is read only and beyond the manifest's bounds; with a value out of bounds its next start fails. For an
// implementation that does not exist it does not respond at all.
func (m *Module) SetConfig(ctx context.Context, id ConfigID, value string) (SetResult, error) {
	what := "set " + id.String()
	if id.Implementation == "" {
		// A manager that keeps its configuration in a database does not store a parameter without it.
		id.Implementation = ownParameters
	}
	request := configRequest{Type: "Set", Origin: m.options.ModuleID, Request: configQuery{Identifier: &id, Value: &value}}
	answer, err := m.ask(ctx, request, func(answer configAnswer) bool { return answer.Type == "Set" })
	if err != nil {
		return "", fmt.Errorf("everest: config service: %s: %w", what, err)
	}
	if answer.Status != "Ok" || answer.Response == nil {
		return "", &ConfigError{Request: what, Status: answer.Status, Info: answer.Info}
	}
	if answer.Response.Status == "Rejected" {
		return "", &ConfigError{Request: what, Status: "Rejected", Info: answer.Info}
	}
	return SetResult(answer.Response.Status), nil
}
