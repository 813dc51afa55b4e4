package everest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// configService is the connection to the manager's config service. Responses carry no id, so only one request is made
// at a time.
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

// fits reports whether a response is one to a request. A refusal may have no type.
func (a configAnswer) fits(request, kind string) bool {
	if a.Type == "" {
		return a.Status == "Error"
	}
	return a.Type == request && (request == "Set" || a.Response == nil || a.Response.Type == kind)
}

func newConfigService() configService {
	return configService{turn: make(chan struct{}, 1), answers: make(chan configAnswer, 8)}
}

func (m *Module) takeConfigResponse(message Message) {
	data, err := m.wire.ReadConfigResponse(m.options.ModuleID, message.Payload)
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
	for len(m.service.answers) > 0 { // responses to an earlier request that timed out
		<-m.service.answers
	}
	link := m.link.Load()
	if link == nil {
		return configAnswer{}, ErrNotConnected
	}
	if err := m.send(ctx, m.wire.ConfigRequestTopic(m.options.ModuleID), m.wire.ConfigRequest(data), ExactlyOnce); err != nil {
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
	if m.wire.Has(wire.ConfigFiles) {
		return m.configOfFiles()
	}
	request := configRequest{Type: "Get", Origin: m.options.ModuleID, Request: configQuery{Type: "Module"}}
	for attempt := 1; ; attempt++ {
		m.watchdog.passBy()
		if err := m.sameFamily(); err != nil {
			return nil, err
		}
		answer, err := m.ask(ctx, request, func(answer configAnswer) bool {
			return answer.fits("Get", "Module")
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

// String returns "module.parameter" or "module.implementation.parameter".
func (id ConfigID) String() string {
	if id.Implementation == "" {
		return id.Module + "." + id.Parameter
	}
	return id.Module + "." + id.Implementation + "." + id.Parameter
}

// Errors of the config service.
var (
	// ErrAccessDenied means that the manager's configuration does not allow the module to make the request.
	ErrAccessDenied = errors.New("everest: access to the configuration denied")
	// ErrConfigRejected means that the manager rejected the request, for example because of an unknown parameter or an
	// unfit value.
	ErrConfigRejected = errors.New("everest: configuration request rejected")
)

// ConfigError means that the config service refused a request. It matches ErrAccessDenied or ErrConfigRejected.
type ConfigError struct {
	// Request describes the request.
	Request string
	// Status is the status in the manager's response: "AccessDenied", "Error" or "Rejected".
	Status string
	// Info is the explanation in the manager's response, often empty.
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

// Is reports whether target is ErrAccessDenied or ErrConfigRejected, whichever belongs to the error's status.
func (e *ConfigError) Is(target error) bool {
	if e.Status == "AccessDenied" {
		return target == ErrAccessDenied
	}
	return target == ErrConfigRejected
}

// ConfigValue requests one parameter from the manager. A module may always read its own parameters. To read a parameter
// of another module, it needs an access right in the manager's configuration.
//
// EVerest before 2025.6 has no config service; the error then matches errors.ErrUnsupported.
func (m *Module) ConfigValue(ctx context.Context, id ConfigID) (Parameter, error) {
	if m.wire.Has(wire.ConfigService) && !m.wire.Has(wire.ConfigValues) {
		return m.configValueOfAll(ctx, id)
	}
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

// configValueOfAll finds the value among all parameters, because the managers of EVerest 2025.6 to 2025.10 lose the value
// in their response.
func (m *Module) configValueOfAll(ctx context.Context, id ConfigID) (Parameter, error) {
	all, err := m.AllConfig(ctx)
	if err != nil {
		return Parameter{}, err
	}
	parameters, readable := all[id.Module]
	if parameter, found := findParameter(parameters[cmp.Or(id.Implementation, ownParameters)], id.Parameter); found {
		return parameter, nil
	}
	status := "Error"
	if !readable {
		status = "AccessDenied"
	}
	return Parameter{}, &ConfigError{Request: "value of " + id.String(), Status: status}
}

// AllConfig requests all parameters that the module may read. The result lists them by module id, then by
// implementation id. A module's own parameters are listed under "!module".
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

// ModuleMapping holds the mapping of a module, and the mappings of its implementations that have their own.
type ModuleMapping struct {
	Module          *Mapping
	Implementations map[string]*Mapping
}

// AllMappings requests the mappings of all modules, by module id. A module without a mapping has the zero value.
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

// needConfigService returns an error for a family without one.
func (m *Module) needConfigService(what string) error {
	if m.wire.Has(wire.ConfigService) {
		return nil
	}
	return fmt.Errorf("everest: config service: %s: this EVerest has none (family %s): %w", what, m.wire.Name(), errors.ErrUnsupported)
}

func (m *Module) get(ctx context.Context, what string, query configQuery) (json.RawMessage, error) {
	if err := m.needConfigService(what); err != nil {
		return nil, err
	}
	request := configRequest{Type: "Get", Origin: m.options.ModuleID, Request: query}
	answer, err := m.ask(ctx, request, func(answer configAnswer) bool {
		return answer.fits("Get", query.Type)
	})
	if err != nil {
		return nil, fmt.Errorf("everest: config service: %s: %w", what, err)
	}
	if answer.Status != "Ok" || answer.Response == nil || rawjson.IsNull(answer.Response.Data) {
		return nil, &ConfigError{Request: what, Status: answer.Status, Info: answer.Info}
	}
	return bytes.Clone(answer.Response.Data), nil
}

// SetResult reports when a changed parameter takes effect.
type SetResult string

// The results of SetConfig.
const (
	// SetAccepted means that the change takes effect at once.
	SetAccepted SetResult = "Accepted"
	// SetRebootRequired means that the change takes effect when the manager starts again. EVerest 2026.02.0 always
	// returns it.
	SetRebootRequired SetResult = "RebootRequired"
)

// SetConfig asks the manager to change a parameter. The value is text, as in a configuration file: "true", "9", "name".
// The module that owns the parameter is not notified.
//
// The caller must check the value, because the manager of EVerest 2026.02.0 lets many wrong values pass. The manager
// accepts any text that begins with a fitting number. It also accepts changes of read-only parameters and values beyond
// the manifest's bounds. A value out of bounds makes the manager's next start fail. For an unknown implementation the
// manager sends no response, and SetConfig fails after Options.ConfigTimeout. The managers of main from August 2026 on
// answer it, and reject every change until all modules are ready.
func (m *Module) SetConfig(ctx context.Context, id ConfigID, value string) (SetResult, error) {
	what := "set " + id.String()
	if err := m.needConfigService(what); err != nil {
		return "", err
	}
	if id.Implementation == "" {
		// A manager with a configuration database does not store a parameter without an implementation id.
		id.Implementation = ownParameters
	}
	request := configRequest{Type: "Set", Origin: m.options.ModuleID, Request: configQuery{Identifier: &id, Value: &value}}
	answer, err := m.ask(ctx, request, func(answer configAnswer) bool { return answer.fits("Set", "") })
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
