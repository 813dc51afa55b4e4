package configfile

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const peerManifest = `
description: A peer
config:
  name: {description: A text, type: string, default: nobody}
  num: {description: An integer, type: integer, default: 1}
  ratio: {description: A number, type: number, default: 1.5}
  flag: {description: A boolean, type: boolean, default: true}
provides:
  main:
    interface: empty
    description: The main one
    config:
      impl_opt: {description: An integer, type: integer}
requires:
  other: {interface: empty, min_connections: 0, max_connections: 3}
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [nobody]}
`

const mainFile = `
settings:
  mqtt_broker_host: 127.0.0.1
  mqtt_broker_port: 1884
  mqtt_everest_prefix: board
  telemetry_enabled: true
active_modules:
  peer_1:
    module: Peer
    config_module: {name: 10.0.0.1, num: 3, ratio: 4, unknown: x}
    config_implementation: {main: {impl_opt: 42}}
    evse: 1
    mapping: {main: {evse: 1, connector: 2}}
    connections:
      other:
        - {module_id: peer_2, implementation_id: main}
        - {module_id: gone, implementation_id: main}
    telemetry: {id: 5}
  peer_2:
    module: Peer
    config_implementation: {main: {impl_opt: 1}}
    mapping: {module: {evse: 2}, implementations: {main: {evse: 3}}}
  gone: {module: Gone}
`

// write makes an installation, with the file's content as config.yaml unless others are given.
func write(t *testing.T, files map[string]string) Source {
	t.Helper()
	prefix := t.TempDir()
	all := map[string]string{"etc/everest/config.yaml": mainFile, "libexec/everest/modules/Peer/manifest.yaml": peerManifest}
	maps.Copy(all, files)
	for name, content := range all {
		if content == "" {
			continue
		}
		path := filepath.Join(prefix, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Source{File: filepath.Join(prefix, "etc/everest/config.yaml"), Prefix: prefix, Module: "peer_1"}
}

type answer struct {
	Mappings map[string]*mapping
	Config   struct {
		Name        string                  `json:"module_name"`
		Parameters  map[string][]parameter  `json:"configuration_parameters"`
		Connections map[string][]connection `json:"connections"`
	} `json:"module_config"`
	Telemetry *struct{ ID int } `json:"telemetry_config"`
}

func load(t *testing.T, source Source) (*Config, answer) {
	t.Helper()
	config, err := Load(source)
	if err != nil {
		t.Fatal(err)
	}
	var read answer
	if err := json.Unmarshal(config.Module, &read); err != nil {
		t.Fatal(err)
	}
	return config, read
}

func (a answer) values() map[string]string {
	values := map[string]string{}
	for implementation, parameters := range a.Config.Parameters {
		for _, parameter := range parameters {
			values[implementation+"."+parameter.Name] = string(parameter.Value)
		}
	}
	return values
}

func TestLoad(t *testing.T) {
	source := write(t, map[string]string{"etc/everest/user-config/config.yaml": `
settings: {mqtt_broker_port: 1}
active_modules:
  peer_1:
    config_module: {num: 33, ratio: null}
    connections: {other: [{module_id: peer_2, implementation_id: main}]}
  gone: null
`})
	config, read := load(t, source)
	want := map[string]string{"!module.name": `"10.0.0.1"`, "!module.num": "33", "!module.ratio": "1.5", "!module.flag": "true", "main.impl_opt": "42"}
	if diff := cmp.Diff(want, read.values()); diff != "" {
		t.Error(diff)
	}
	if config.Host != "127.0.0.1" || config.Port != 1884 || config.EverestPrefix != "board/" || config.ExternalPrefix != "" {
		t.Errorf("%+v", config)
	}
	if read.Config.Name != "Peer" || len(read.Config.Connections["other"]) != 1 || read.Telemetry == nil || read.Telemetry.ID != 5 {
		t.Errorf("%+v", read)
	}
	connector := 2
	wantMappings := map[string]*mapping{
		"peer_1": {Module: &place{EVSE: 1}, Implementations: map[string]*place{"main": {EVSE: 1, Connector: &connector}}},
		"peer_2": {Module: &place{EVSE: 2}, Implementations: map[string]*place{"main": {EVSE: 3}}},
	}
	if diff := cmp.Diff(wantMappings, read.Mappings); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"peer_1": "Peer", "peer_2": "Peer"}, config.Names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]string{"Peer": {"main"}}, config.Provides); diff != "" {
		t.Error(diff)
	}
	var settings map[string]any
	if err := json.Unmarshal(config.Settings, &settings); err != nil || settings["telemetry_enabled"] != true || settings["telemetry_prefix"] != "everest-telemetry/" ||
		settings["modules_dir"] != source.Prefix+"/libexec/everest/modules" {
		t.Errorf("%v, %v", settings, err)
	}
}

// The ways to name a file, and JSON in the place of a YAML file that is not there.
func TestNamesOfFiles(t *testing.T) {
	source := write(t, nil)
	source.File = "config"
	load(t, source)
	source = write(t, map[string]string{"etc/everest/config.yaml": "", "etc/everest/config.json": `{"active_modules":{"peer_1":{"module":"Peer","config_implementation":{"main":{"impl_opt":"7"}}}}}`})
	if _, err := Load(source); err == nil || !strings.Contains(err.Error(), "impl_opt") || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("%v, want that of a text for an integer", err)
	}
}

func TestBadFiles(t *testing.T) {
	change := func(old, new string) map[string]string {
		return map[string]string{"etc/everest/config.yaml": strings.Replace(mainFile, old, new, 1)}
	}
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no file":         {map[string]string{"etc/everest/config.yaml": ""}, "config.yaml"},
		"empty":           {map[string]string{"etc/everest/config.yaml": "\n"}, "empty"},
		"no YAML":         {map[string]string{"etc/everest/config.yaml": "a: [b"}, "config.yaml"},
		"a list":          {map[string]string{"etc/everest/config.yaml": "[a]"}, "active_modules"},
		"an alias":        {change("gone: {module: Gone}", "gone: *x"), "config.yaml"},
		"an anchor":       {change("module: Peer\n    config_module", "module: &x Peer\n    x: *x\n    config_module"), "aliases"},
		"own module":      {change("peer_1:", "peer_3:"), "no module peer_1"},
		"no type":         {change("gone: {module: Gone}", "gone: {}"), "module gone"},
		"no manifest":     {map[string]string{"libexec/everest/modules/Peer/manifest.yaml": ""}, "manifest.yaml"},
		"bad manifest":    {map[string]string{"libexec/everest/modules/Peer/manifest.yaml": "description: ["}, "module peer_1"},
		"a wrong type":    {change("num: 3", "num: three"), `parameter num: it must be of the type integer, not "three"`},
		"too large":       {change("num: 3", "num: 3000000000"), "32 bits"},
		"a list of names": {change("name: 10.0.0.1", "name: [a]"), "parameter name"},
		"missing":         {change("{main: {impl_opt: 42}}", "{}"), "impl_opt is missing"},
		"port":            {change("1884", "80000"), "80000"},
		"two brokers":     {change("mqtt_broker_port: 1884", "mqtt_broker_socket_path: /x"), "one of them"},
		"a connection":    {change("{module_id: peer_2, implementation_id: main}", "{module_id: peer_2}"), "connection 0 of requirement other"},
		"a mapping":       {change("evse: 1\n", "evse: one\n"), "evse"},
		"user config":     {map[string]string{"etc/everest/user-config/config.yaml": "a: [b"}, "user-config"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, test.files))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A merge patch, by the examples of RFC 7396.
func TestMerge(t *testing.T) {
	a := scalar{text: "a"}
	got := merge(map[string]any{"x": a, "y": map[string]any{"z": a, "k": a}, "l": []any{a, a}},
		map[string]any{"x": nil, "y": map[string]any{"z": nil, "new": a}, "l": []any{a}, "n": map[string]any{"o": nil}})
	want := map[string]any{"y": map[string]any{"k": a, "new": a}, "l": []any{a}, "n": map[string]any{}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(scalar{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzReadFile(f *testing.F) {
	f.Add([]byte(mainFile))
	f.Add([]byte("a: &x [*x]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		name := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
		// It must not panic nor hang.
		_, _ = Load(Source{File: name, Module: "peer_1"})
	})
}
