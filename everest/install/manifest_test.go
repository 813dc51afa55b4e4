package install_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/install"
)

const manifestHead = "description: a module\nmetadata: {license: 'https://example.org', authors: [me]}\n"

func TestParseManifest(t *testing.T) {
	manifest, err := install.ParseManifest([]byte(manifestHead + `
config:
  hostname: {description: where to, type: string}
  limit: {description: how much, type: number, default: 4.0, mutability: ReadWrite, unit: A}
provides:
  main:
    interface: lamp
    description: the lamp
    config:
      on: {description: at start, type: boolean, default: no}
requires:
  auth: {interface: auth}
  system: {interface: system, min_connections: 0, max_connections: 4, ignore: {errors: true, vars: [log_status]}}
enable_global_errors: true
enable_telemetry: true
enable_external_mqtt: true
`))
	if err == nil {
		t.Fatalf("YAML 1.1's no passes for a boolean: %+v", manifest)
	}
	manifest, err = install.ParseManifest([]byte(manifestHead + `
config:
  hostname: {description: where to, type: string}
  limit: {description: how much, type: number, default: 4.0, mutability: ReadWrite, unit: A}
provides:
  main:
    interface: lamp
    description: the lamp
    config:
      on: {description: at start, type: boolean, default: false}
requires:
  auth: {interface: auth}
  system: {interface: system, min_connections: 0, max_connections: 4, ignore: {errors: true, vars: [log_status]}}
enable_global_errors: true
enable_telemetry: true
enable_external_mqtt: true
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &install.Manifest{
		Description: "a module", License: "https://example.org", Authors: []string{"me"},
		Config: map[string]install.Parameter{
			"hostname": {Description: "where to", Type: "string", Mutability: "ReadOnly"},
			"limit":    {Description: "how much", Type: "number", Default: []byte("4.0"), Mutability: "ReadWrite", Unit: "A"},
		},
		Provides: map[string]install.Implementation{"main": {Interface: "lamp", Description: "the lamp", Config: map[string]install.Parameter{
			"on": {Description: "at start", Type: "boolean", Default: []byte("false"), Mutability: "ReadOnly"},
		}}},
		Requires: map[string]install.Requirement{
			"auth":   {Interface: "auth", MinConnections: 1, MaxConnections: 1},
			"system": {Interface: "system", MinConnections: 0, MaxConnections: 4, IgnoreErrors: true, IgnoreVariables: []string{"log_status"}},
		},
		EnableExternalMQTT: true, EnableTelemetry: true, EnableGlobalErrors: true,
	}
	if diff := cmp.Diff(want, manifest); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"auth", "system"}, manifest.RequirementIDs()); diff != "" {
		t.Error(diff)
	}
}

// What EVerest's manager takes beside the keys that it knows, is taken here as well: EVerest's own manifests have it.
func TestParseManifestTakesKeysOfTheAuthor(t *testing.T) {
	manifest, err := install.ParseManifest([]byte(`
description: a module
metadata: {license: 'https://example.org', authors: [me], base_license: 'https://example.org/base', note: {any: thing}}
config:
  reason: {description: why, type: string, default: because, minLength: 5, x-shown: {on: page}}
provides:
  main: {interface: lamp, description: the lamp, revision: 5, colour: red, nothing: null}
requires:
  system: {interface: system, ignore: {vars: log_status, note: any}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Requires["system"].IgnoreVariables; !cmp.Equal(got, []string{"log_status"}) {
		t.Errorf("ignored variables %q, want the one that is named", got)
	}
	if got := manifest.Provides["main"]; got.Interface != "lamp" || got.Description != "the lamp" {
		t.Errorf("implementation %+v", got)
	}
	if got := manifest.Config["reason"]; got.Type != "string" || string(got.Default) != `"because"` {
		t.Errorf("parameter %+v", got)
	}
}

func TestParseManifestErrors(t *testing.T) {
	for _, test := range []struct{ content, want string }{
		{``, "description must have at least 2 characters"},
		{`description: x`, "description must have at least 2 characters"},
		{`description: [`, "manifest"},
		{`description: a module`, "metadata.license must be a URI"},
		{"description: a module\nmetadata: {license: mine, authors: [me]}", "metadata.license must be a URI"},
		{"description: a module\nmetadata: {license: 'https://example.org'}", "metadata.authors must name somebody"},
		{manifestHead + "provide: {}", `unknown field "provide"`},
		{"description: a module\nmetadata: {license: 'https://example.org', authors: [m]}", `metadata.authors: "m" must have at least 2 characters`},
		{manifestHead + "provides: {}", "provides is empty"},
		{manifestHead + "provides: {9main: {interface: lamp, description: lamp}}", `provides: the name "9main"`},
		{manifestHead + "provides: {main: {interface: la, description: lamp}}", `provides.main.interface "la" must have at least 3 characters`},
		{manifestHead + "provides: {main: {interface: la mp, description: lamp}}", `provides.main.interface: the name "la mp"`},
		{manifestHead + "provides: {main: {interface: lamp, description: lamp, more: {a: 1}}}", "provides.main.more is neither"},
		{manifestHead + "provides: {main: {interface: lamp, description: lamp, vars: a}}", "provides.main.vars is neither"},
		{manifestHead + "provides: {main: {interface: lamp, description: lamp, config: [a]}}", "cannot unmarshal array"},
		{manifestHead + "provides: {main: {description: lamp}}", "provides.main.interface is missing"},
		{manifestHead + "provides: {main: {interface: lamp}}", "provides.main.description must have"},
		{manifestHead + "provides: {main: {interface: lamp, description: lamp, config: {a: {description: ab, type: bool}}}}", `provides.main.config.a.type is "bool"`},
		{manifestHead + "requires: {r: {}}", "requires.r.interface is missing"},
		{manifestHead + "requires: {a b: {interface: lamp}}", `requires: the name "a b"`},
		{manifestHead + "requires: {r: {interface: lamp, description: what for}}", `unknown field "description"`},
		{manifestHead + "requires: {r: {interface: lamp, ignore: {vars: 5}}}", "cannot unmarshal number"},
		{manifestHead + "requires: {r: {interface: lamp, min_connections: -1}}", "requires.r.min_connections is -1"},
		{manifestHead + "requires: {r: {interface: lamp, max_connections: 0}}", "requires.r.max_connections is 0"},
		{manifestHead + "requires: {r: {interface: lamp, min_connections: 3, max_connections: 2}}", "requires.r.max_connections is 2, below its min_connections 3"},
		{manifestHead + "config: {a: {type: integer}}", "config.a.description must have"},
		{manifestHead + "config: {a b: {description: ab, type: integer}}", `config: the name "a b"`},
		{manifestHead + "config: {a: {description: ab, type: integer, default: null}}", "config.a.default: null is no integer"},
		{manifestHead + "config: {a: {description: ab, type: integer, default: 1.5}}", "config.a.default: 1.5 is no integer"},
		{manifestHead + "config: {a: {description: ab, type: string, mutability: Often}}", `config.a.mutability is "Often"`},
	} {
		_, err := install.ParseManifest([]byte(test.content))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.content, err, test.want)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(manifestHead))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("a: &a {b: c}\nd: {<<: *a}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		manifest, err := install.ParseManifest(content)
		if err == nil && manifest.Description == "" {
			t.Error("a manifest without description passes")
		}
	})
}

func TestManifestParameterRange(t *testing.T) {
	manifest, err := install.ParseManifest([]byte(`
description: a module
metadata: {license: "https://example.org", authors: [somebody]}
config:
  port: {description: a port, type: integer, minimum: 1, maximum: 65535, default: 4129}
  mode: {description: a mode, type: string, enum: [fast, slow]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ parameter, value, want string }{
		{"port", `1`, ""},
		{"port", `0`, "below the minimum 1"},
		{"port", `65536`, "above the maximum 65535"},
		{"port", `"1"`, "no integer"},
		{"mode", `"slow"`, ""},
		{"mode", `"idle"`, "none of"},
	} {
		err := manifest.Config[test.parameter].CheckValue([]byte(test.value))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s = %s: error %v, want %q", test.parameter, test.value, err, test.want)
		}
	}
}
