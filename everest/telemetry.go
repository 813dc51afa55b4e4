package everest

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// TelemetryEnabled reports whether PublishTelemetry sends values. Both the manager's settings and the module's
// configuration must enable telemetry.
func (m *Module) TelemetryEnabled() bool {
	return m.config.telemetryID != nil && m.start.snapshot().TelemetryEnabled
}

// PublishTelemetry publishes a value for the backend under a category and a sub category, such as "livedata" and
// "power". It does nothing when TelemetryEnabled returns false. The manifest must set enable_telemetry.
func (m *Module) PublishTelemetry(ctx context.Context, category, subCategory string, value any) error {
	if m.manifest != nil && !m.manifest.EnableTelemetry {
		return fmt.Errorf("everest: module %s: telemetry: set enable_telemetry in the manifest", m.options.ModuleID)
	}
	if !m.TelemetryEnabled() {
		return nil
	}
	prefix := m.start.snapshot().TelemetryPrefix
	topic := prefix + category + "/" + strconv.Itoa(*m.config.telemetryID) + "/" + subCategory
	if !wire.ValidTopic(category) || !wire.ValidTopic(subCategory) || !wire.ValidTopic(topic) {
		return fmt.Errorf("everest: telemetry topic %q must not have empty parts nor hold + or #", topic)
	}
	encoded, err := encodeValue(value)
	if err != nil {
		return fmt.Errorf("everest: telemetry %s: %w", topic, err)
	}
	payload, onlyOnce := m.wire.Telemetry(encoded)
	delivery := AtMostOnce
	if onlyOnce {
		delivery = ExactlyOnce
	}
	if err := m.send(ctx, topic, payload, delivery); err != nil {
		return fmt.Errorf("everest: telemetry %s: %w", topic, err)
	}
	return nil
}

// Paths are the folders of the installation that belong to the module.
type Paths struct {
	// Etc holds configuration files.
	Etc string
	// Libexec holds the module's program and manifest.
	Libexec string
	// Share holds the module's data.
	Share string
}

// Paths returns the module's folders from the manager's settings. A module that is restarted alone has no settings; its
// folders follow from Options.InstallPrefix.
func (m *Module) Paths() Paths {
	settings := m.start.snapshot()
	if !settings.Known {
		prefix := m.options.InstallPrefix
		settings.EtcDir = path.Join(prefix, "etc/everest")
		if prefix == "/usr" {
			settings.EtcDir = "/etc/everest"
		} else if path.Base(prefix) == "usr" {
			settings.EtcDir = path.Join(path.Dir(prefix), "etc/everest")
		}
		settings.ModulesDir = path.Join(prefix, "libexec/everest/modules")
		settings.DataDir = path.Join(prefix, "share/everest")
	}
	return Paths{
		Etc:     settings.EtcDir,
		Libexec: path.Join(settings.ModulesDir, m.config.name),
		Share:   path.Join(settings.DataDir, "modules", m.config.name),
	}
}
