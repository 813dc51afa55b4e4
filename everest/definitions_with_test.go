package everest

import (
	"strings"
	"testing"
)

func TestWithInterfaceKeepsTheOriginalSet(t *testing.T) {
	declared, err := LoadDefinitionsJSON([]byte(`{"interfaces":{}}`), []byte(`{"types":{}}`), []byte(`{"error_types":{"generic":["generic/VendorError"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	extended, err := declared.WithInterface("own", []byte("description: own\ncmds: {}\nerrors:\n  - reference: /errors/generic\n"))
	if err != nil {
		t.Fatal(err)
	}
	definition, known := extended.Interface("own")
	if !known || !definition.HasErrorType("generic/VendorError") {
		t.Errorf("interface own is %+v, want one that may raise generic/VendorError", definition)
	}
	if _, known := declared.Interface("own"); known {
		t.Error("the original set has changed")
	}
	if _, err := declared.WithInterface("own", []byte("errors:\n  - reference: /errors/nosuch\n")); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("error %v does not name the unknown reference", err)
	}
}

func TestManifestParameterRange(t *testing.T) {
	manifest, err := ParseManifest([]byte(`
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
