package everest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

const meterManifest = `
description: Uses a meter.
requires:
  meter: {interface: meter}
  clock: {interface: clock, min_connections: 0}
metadata: {license: "https://example.org", authors: [test]}
`

func TestOptionsFromTheInstallation(t *testing.T) {
	builtIn := func() (*schema.Definitions, error) {
		return schema.LoadJSON([]byte(`{"interfaces":{"meter":{"vars":{"built_in":{}}},"clock":{"vars":{"time":{}}}}}`), nil, nil)
	}
	given := func(interfaces string) *schema.Definitions {
		definitions, err := schema.LoadJSON([]byte(`{"interfaces":{`+interfaces+`}}`), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return definitions
	}
	for _, test := range []struct {
		name string
		// files of the installation by path, nil for none at all.
		files     map[string]string
		options   Options
		noBuiltIn bool
		// want: the manifest's description, where the meter's and the clock's definitions come from, and warnings.
		manifest, meter, clock string
		warnings               []string
		failure                string
	}{
		{name: "no installation", manifest: "Uses a meter.", meter: "built_in", clock: "time"},
		{name: "all of it", files: map[string]string{
			"libexec/everest/modules/Meter/manifest.yaml": strings.Replace(meterManifest, "Uses a meter.", "Installed.", 1),
			"share/everest/interfaces/meter.yaml":         "vars: {installed: {type: string}}",
			"share/everest/interfaces/clock.yaml":         "vars: {tick: {type: string}}",
		}, noBuiltIn: true, manifest: "Installed.", meter: "installed", clock: "tick"},
		{name: "a part of it", files: map[string]string{
			"share/everest/interfaces/meter.yaml": "vars: {installed: {type: string}}",
		}, manifest: "Uses a meter.", meter: "installed", clock: "time"},
		{name: "unreadable", files: map[string]string{
			"libexec/everest/modules/Meter/manifest.yaml": "description: [",
			"share/everest/interfaces/meter.yaml":         "vars: [",
		}, manifest: "Uses a meter.", meter: "built_in", clock: "time", warnings: []string{
			"the installed manifest cannot be read: the built-in one counts",
			"interface definitions of the installation cannot be read: built-in ones count in their place",
		}},
		{name: "given", files: map[string]string{
			"libexec/everest/modules/Meter/manifest.yaml": strings.Replace(meterManifest, "Uses a meter.", "Installed.", 1),
		}, options: Options{Manifest: []byte(strings.Replace(meterManifest, "Uses a meter.", "Given.", 1)),
			Definitions: given(`"meter":{"vars":{"given":{}}},"clock":{"vars":{"given":{}}}`)},
			noBuiltIn: true, manifest: "Given.", meter: "given", clock: "given"},
		{name: "a part is given", options: Options{Definitions: given(`"meter":{"vars":{"given":{}}}`)},
			manifest: "Uses a meter.", meter: "given", clock: "time"},
		{name: "given and wrong", options: Options{Manifest: []byte("description: [")}, failure: "manifest of Meter"},
		{name: "nothing is built in", noBuiltIn: true, failure: "nothing is built in"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.files != nil {
				test.options.InstallPrefix = t.TempDir()
			}
			for name, content := range test.files {
				path := filepath.Join(test.options.InstallPrefix, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			core, logs := observer.New(zap.WarnLevel)
			test.options.Logger = zap.New(core)
			known := builtIn
			if test.noBuiltIn {
				known = func() (*schema.Definitions, error) { return nil, errors.New("nothing is built in") }
			}
			options, manifest, err := test.options.Installed("Meter", []byte(meterManifest), known)
			if test.failure != "" {
				if err == nil || !strings.Contains(err.Error(), test.failure) {
					t.Fatalf("error %v, want one with %q", err, test.failure)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if manifest.Description != test.manifest || !strings.Contains(string(options.Manifest), test.manifest) {
				t.Errorf("the manifest is that of %q, want %q", manifest.Description, test.manifest)
			}
			for name, want := range map[string]string{"meter": test.meter, "clock": test.clock} {
				definition, found := options.Definitions.Interface(name)
				if found != (want != "") || found && definition.Variables[want] == nil {
					t.Errorf("interface %s is %+v, want the one with %q", name, definition, want)
				}
			}
			var warnings []string
			for _, entry := range logs.All() {
				warnings = append(warnings, entry.Message)
			}
			if diff := cmp.Diff(test.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
