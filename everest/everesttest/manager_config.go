package everesttest

import (
	"path"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
)

// ManagerConfig is what EVerest's manager reads from its configuration file and from its installation.
type ManagerConfig struct {
	// Broker is the broker to connect to.
	Broker everest.Broker
	// Family is the family of messages, one of Families. With A2 and A3 the manager writes its configuration and manifests
	// below Settings.Prefix, which must be a folder of the test. The default is "C", that of EVerest 2026.02.
	Family string
	// EverestPrefix goes before all topics. A missing slash is appended. The default is "everest/".
	EverestPrefix string
	// ExternalPrefix is the prefix of external topics. The default is empty.
	ExternalPrefix string
	// Modules are the modules by module id.
	Modules  map[string]ModuleConfig
	Settings Settings
	// RetainTopics leaves the start-up topics on the broker when all modules are ready.
	RetainTopics bool
	// Definitions has the interface definitions. The default is the result of schema.BuiltIn.
	Definitions *schema.Definitions
	// Logger is the logger of the manager and, by Options, of its modules. By default nothing is logged.
	Logger *zap.Logger
}

// ModuleConfig configures one module: an entry of active_modules in EVerest's configuration file.
type ModuleConfig struct {
	// Module is the module's name. Several ids may run the same module.
	Module string
	// Manifest is the module's manifest.yaml. If several ids run the same module, one of them needs the manifest and
	// the others may omit it.
	Manifest []byte
	// Config has the module's parameters. The manifest's defaults replace missing ones.
	Config map[string]any
	// ImplementationConfig has the parameters of each provided implementation.
	ImplementationConfig map[string]map[string]any
	// Connections are the connections by requirement, in the order of their indices.
	Connections map[string][]Connection
	Mapping     *ModuleMapping
	// Access is the access to other modules' parameters. The default is none.
	Access *Access
	// Telemetry is the id under which the module may publish telemetry. If it is nil, the module may not publish
	// telemetry.
	Telemetry *int
	// Capabilities are sent to the module as they are.
	Capabilities []string
	// Standalone is true for a module that EVerest's manager does not start, but waits for.
	Standalone bool
	// Ignored is true for a module that the manager lists, but neither starts nor waits for.
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

// Access is the right of a module to read and write the parameters of other modules. A module may always read and write
// its own parameters.
type Access struct {
	GlobalRead, GlobalWrite bool
	// SetReadOnly makes read-only parameters appear as ReadWrite when the module requests all parameters. It does not
	// affect writes: like EVerest's manager, Manager accepts a write to a read-only parameter even without SetReadOnly.
	SetReadOnly bool
	Modules     map[string]ModuleAccess
}

// ModuleAccess is the right to read and write the parameters of one other module.
type ModuleAccess struct {
	Read, Write, SetReadOnly bool
}

// Settings are the part of the manager's settings that modules see. The zero value means an installation in /usr, no
// validation and no telemetry.
type Settings struct {
	Prefix, DataDir, EtcDir, ModulesDir string
	ValidateSchema                      bool
	ForwardExceptions                   bool
	TelemetryEnabled                    bool
	// TelemetryPrefix goes before telemetry topics. The default is "everest-telemetry/".
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
