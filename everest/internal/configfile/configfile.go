// Package configfile reads the configuration of a module from the files of EVerest 2024.3 to 2024.10, as the modules of
// these releases do. The result has the form in which later managers send it.
//
//	PREFIX/etc/everest/config.yaml              settings and active_modules
//	PREFIX/etc/everest/user-config/config.yaml  a merge patch for active_modules, if it exists
//	PREFIX/libexec/everest/modules/NAME/manifest.yaml
package configfile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/install"
)

// Source says what to read.
type Source struct {
	// File is the path of the configuration, or a name without a folder and an ending.
	File string
	// Prefix is the prefix of the installation. When it is empty, the file has it.
	Prefix string
	// Module is the module's id.
	Module string
}

// Config is what the files say.
type Config struct {
	// Module is the module's configuration in the form of the config service's answer.
	Module json.RawMessage
	// Settings are the manager's settings in the form of its retained topic.
	Settings json.RawMessage
	// Names holds the name of each module's type by the module's id.
	Names map[string]string
	// Provides holds the implementations of a type of module by its name, where its manifest can be read.
	Provides map[string][]string

	SocketPath, Host              string
	Port                          int
	EverestPrefix, ExternalPrefix string
}

// settings are those of the file, with defaults.
type settings struct {
	prefix, etc, data, modules, telemetryPrefix string
	telemetry, validate                         bool
}

// Load reads the files. An error names the file and what is wrong with it.
func Load(source Source) (*Config, error) {
	file, main, err := source.read()
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*Config, error) { return nil, fmt.Errorf("configuration %s: %w", file, err) }
	config := &Config{Names: map[string]string{}, Provides: map[string][]string{}}
	set, err := config.readSettings(source.Prefix, main["settings"])
	if err != nil {
		return fail(err)
	}
	user := filepath.Join(filepath.Dir(file), "user-config", filepath.Base(file))
	switch patch, err := readFile(user); {
	case err == nil:
		main, _ = merge(main, patch).(map[string]any)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("configuration %s: %w", user, err)
	}
	active, _ := main["active_modules"].(map[string]any)
	own, present := active[source.Module].(map[string]any)
	if !present {
		return fail(fmt.Errorf("active_modules has no module %s", source.Module))
	}
	for id, entry := range active {
		members, _ := entry.(map[string]any)
		name, _ := textOf(members["module"])
		if name == "" {
			return fail(fmt.Errorf("module %s: the name of its module is missing", id))
		}
		config.Names[id] = name
	}
	manifests := readManifests(set.modules, config.Names)
	for name, read := range manifests {
		if read.err == nil {
			config.Provides[name] = read.manifest.ImplementationIDs()
		}
	}
	manifest := manifests[config.Names[source.Module]]
	if manifest.err != nil {
		return fail(fmt.Errorf("module %s: %w", source.Module, manifest.err))
	}
	if config.Module, err = moduleConfig(source.Module, own, active, manifest.manifest); err != nil {
		return fail(fmt.Errorf("module %s: %w", source.Module, err))
	}
	config.Settings, err = json.Marshal(map[string]any{
		"prefix": set.prefix, "etc_dir": set.etc, "data_dir": set.data, "modules_dir": set.modules,
		"telemetry_enabled": set.telemetry, "telemetry_prefix": set.telemetryPrefix, "validate_schema": set.validate,
	})
	return config, err
}

// read reads the main file. A name without a folder is one of etc. Where a YAML file is missing, JSON is tried.
func (s Source) read() (file string, main map[string]any, err error) {
	file = s.File
	if !strings.Contains(file, "/") && filepath.Ext(file) == "" {
		file = filepath.Join(etcDirectory(s.Prefix), file+".yaml")
	}
	if filepath.Ext(file) != ".yaml" {
		return "", nil, fmt.Errorf("configuration %s: the file's name must end in .yaml", file)
	}
	content, err := readFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		other := strings.TrimSuffix(file, ".yaml") + ".json"
		if fallback, second := readFile(other); second == nil {
			file, content, err = other, fallback, nil
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("configuration %s: %w", file, err)
	}
	main, isObject := content.(map[string]any)
	if !isObject {
		return "", nil, fmt.Errorf("configuration %s: it has no active_modules", file)
	}
	return file, main, nil
}

func etcDirectory(prefix string) string {
	if prefix == "/usr" {
		return "/etc/everest"
	}
	return filepath.Join(prefix, "etc/everest")
}

func (c *Config) readSettings(prefix string, value any) (settings, error) {
	members, _ := value.(map[string]any)
	var wrong error
	text := func(name, fallback string) string {
		given, present := members[name]
		if !present {
			return fallback
		}
		text, ok := textOf(given)
		if !ok && wrong == nil {
			wrong = fmt.Errorf("settings: %s is not a text", name)
		}
		return text
	}
	flag := func(name string) bool {
		text := text(name, "false")
		if text != "true" && text != "false" && wrong == nil {
			wrong = fmt.Errorf("settings: %s is neither true nor false", name)
		}
		return text == "true"
	}
	set := settings{prefix: cmp.Or(prefix, text("prefix", ""))}
	set.etc, set.data = etcDirectory(set.prefix), filepath.Join(set.prefix, "share/everest")
	set.modules = text("modules_dir", "libexec/everest/modules")
	if !filepath.IsAbs(set.modules) {
		set.modules = filepath.Join(set.prefix, set.modules)
	}
	set.telemetryPrefix = withSlash(text("telemetry_prefix", "everest-telemetry"))
	set.telemetry, set.validate = flag("telemetry_enabled"), flag("validate_schema")
	c.SocketPath, c.Host = text("mqtt_broker_socket_path", ""), text("mqtt_broker_host", "")
	c.EverestPrefix, c.ExternalPrefix = withSlash(text("mqtt_everest_prefix", "everest")), text("mqtt_external_prefix", "")
	if port := text("mqtt_broker_port", ""); port != "" && wrong == nil {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			wrong = fmt.Errorf("settings: mqtt_broker_port %q is not one of 1 to 65535", port)
		}
		c.Port = int(number)
	}
	if wrong == nil && c.SocketPath != "" && c.Host != "" {
		wrong = errors.New("settings: mqtt_broker_socket_path and mqtt_broker_host: give one of them")
	}
	return set, wrong
}

func withSlash(text string) string { return strings.TrimSuffix(text, "/") + "/" }

type readManifest struct {
	manifest *install.Manifest
	err      error
}

// readManifests reads the manifest of each type of module.
func readManifests(directory string, names map[string]string) map[string]readManifest {
	manifests := map[string]readManifest{}
	for _, name := range names {
		if _, known := manifests[name]; known {
			continue
		}
		var read readManifest
		content, err := os.ReadFile(filepath.Join(directory, name, "manifest.yaml"))
		if err == nil {
			read.manifest, err = install.ParseManifest(content)
		}
		read.err = err
		manifests[name] = read
	}
	return manifests
}
