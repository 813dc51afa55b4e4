package everesttest

import (
	"path"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
)

// ManagerConfig is what EVerest's manager reads from its configuration file and from the installation.
type ManagerConfig struct {
	// Broker to connect to.
	Broker everest.Broker
	// EverestPrefix of all topics; a slash is appended where it has none. Default "everest/".
	EverestPrefix string
	// ExternalPrefix is what modules put before external topics. Default empty.
	ExternalPrefix string
	// Modules by module id.
	Modules  map[string]ModuleConfig
	Settings Settings
	// RetainTopics keeps the start-up topics on the broker when all modules are ready.
	RetainTopics bool
	// Definitions of the interfaces. nil: EVerest's own, see package everest/schema.
	Definitions *schema.Definitions
	// Logger is where the manager and, by Options, its modules report. nil: nowhere.
	Logger *zap.Logger
}

// ModuleConfig configures one module: an entry of active_modules in EVerest's configuration file.
type ModuleConfig struct {
	// Module is the module's name, which its manifest is for. Several ids may run the same module.
	Module string
	// Manifest is the module's manifest.yaml. Ids of the same module need it once only.
	Manifest []byte
	// Config gives the module's parameters. What is missing comes from the manifest.
	Config map[string]any
	// ImplementationConfig gives the parameters of each provided implementation.
	ImplementationConfig map[string]map[string]any
	// Connections by requirement; the position in the list is the index.
	Connections map[string][]Connection
	Mapping     *ModuleMapping
	// Access to other modules' parameters through the config service. nil: none.
	Access *Access
	// Telemetry is the id under which the module may publish telemetry. nil: it may not.
	Telemetry *int
	// Capabilities is passed through to the module.
	Capabilities []string
	// Standalone says that the manager does not start the module. It is awaited all the same.
	Standalone bool
	// Ignored modules are neither started nor awaited, but listed.
	Ignored bool
}

// Connection is one provider that a requirement is connected to.
type Connection struct {
	ModuleID         string
	ImplementationID string
}

// ModuleMapping places a module and its implementations in the charging station.
type ModuleMapping struct {
	Module          *everest.Mapping           `json:"module,omitempty"`
	Implementations map[string]everest.Mapping `json:"implementations,omitempty"`
}

// Access says which parameters of other modules a module may read and write. Its own it always may.
type Access struct {
	GlobalRead, GlobalWrite bool
	// SetReadOnly shows read only parameters as writable ones where all parameters are asked for. EVerest's manager lets
	// them be written without it as well.
	SetReadOnly bool
	Modules     map[string]ModuleAccess
}

// ModuleAccess is the access to one other module.
type ModuleAccess struct {
	Read, Write, SetReadOnly bool
}

// Settings are the manager's settings as far as modules see them. The zero value has an installation in /usr, validation
// off and telemetry off.
type Settings struct {
	Prefix, DataDir, EtcDir, ModulesDir string
	ValidateSchema                      bool
	ForwardExceptions                   bool
	TelemetryEnabled                    bool
	// TelemetryPrefix default "everest-telemetry/".
	TelemetryPrefix string
}

func (s Settings) withDefaults() Settings {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&s.Prefix, "/usr")
	fill(&s.DataDir, path.Join(s.Prefix, "share/everest"))
	if s.Prefix == "/usr" {
		fill(&s.EtcDir, "/etc/everest")
	}
	fill(&s.EtcDir, path.Join(s.Prefix, "etc/everest"))
	fill(&s.ModulesDir, path.Join(s.Prefix, "libexec/everest/modules"))
	fill(&s.TelemetryPrefix, "everest-telemetry/")
	return s
}
