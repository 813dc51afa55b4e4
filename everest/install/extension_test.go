package install

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

const extendedModule = `description: A module that is extended in a test.
config:
  port:
    description: The port.
    type: integer
    default: 1
metadata:
  license: https://opensource.org/licenses/Apache-2.0
  authors: [Somebody]
`

func TestExtendedAddsToTheManifest(t *testing.T) {
	base := Installation{Module: "Extended", Manifest: []byte(extendedModule)}
	extended := base.Extended(Extension{
		Manifest: `
config:
  acme_lamp_s: {description: How long the lamp is lit in seconds., type: integer, default: 30}
provides:
  acme_lamp: {interface: acme_lamp, description: The lamp of the board.}
requires:
  acme_button: {interface: auth_token_provider, min_connections: 0}
`,
		Interfaces: map[string]string{"acme_lamp": "description: A lamp.\ncmds:\n  light:\n    description: Lights the lamp.\n"},
	})
	if err := extended.Err(); err != nil {
		t.Fatal(err)
	}
	manifest, err := ParseManifest(extended.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Provides["acme_lamp"].Interface != "acme_lamp" || !slices.Equal(manifest.RequirementIDs(), []string{"acme_button"}) ||
		string(manifest.Config["acme_lamp_s"].Default) != "30" || string(manifest.Config["port"].Default) != "1" {
		t.Errorf("manifest %+v", manifest)
	}
	if !bytes.Equal(base.Manifest, []byte(extendedModule)) || base.Interfaces != nil {
		t.Error("the base has changed")
	}
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := extended.Definitions(known)
	if err != nil {
		t.Fatal(err)
	}
	if lamp, there := definitions.Interface("acme_lamp"); !there || lamp.Commands["light"] == nil {
		t.Errorf("interface %+v", lamp)
	}
	twice := extended.Extended(Extension{Manifest: "config:\n  acme_other: {description: Something else., type: boolean, default: false}\n"})
	if twice.Err() != nil || len(twice.Interfaces) != 1 {
		t.Errorf("extended twice: %v", twice.Err())
	}
}

func TestExtendedNamesWhatIsWrong(t *testing.T) {
	base := Installation{Module: "Extended", Manifest: []byte(extendedModule), Interfaces: map[string][]byte{"satellite": nil}}
	for _, test := range []struct{ manifest, want string }{
		{"config: [", "the manifest of the extension"},
		{"- a\n", "it has no sections"},
		{"metadata:\n  license: mine\n", "metadata: an extension has only"},
		{"config: 5\n", "config: an extension has only"},
		{"config:\n  port: {description: Another port., type: integer, default: 1}\n", "config.port is the module's own: choose another name"},
		{"config:\n  acme_x: {description: A key., type: colour}\n", "colour"},
		{"config:\n  acme_x: {description: A key., type: integer, default: 1}\n", "interface satellite is the module's own"},
	} {
		extended := base.Extended(Extension{Manifest: test.manifest, Interfaces: map[string]string{"satellite": ""}})
		_, err := extended.Extended(Extension{}).Install(t.TempDir(), "no-such-program", nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || extended.Err() == nil {
			t.Errorf("%q: error %v, want %q", test.manifest, err, test.want)
		}
		if !bytes.Equal(extended.Manifest, base.Manifest) {
			t.Errorf("%q: the manifest has changed", test.manifest)
		}
	}
}
