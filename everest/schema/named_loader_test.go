package schema

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var meterFiles = fstest.MapFS{
	"interfaces/meter.yaml": {Data: []byte(`
description: A vendor's meter.
cmds:
  read:
    description: Reads.
    arguments:
      phase: {description: Which., type: string, $ref: "/meter#/Phase"}
      often: {description: How often., type: integer}
    result: {description: What was read., type: object, $ref: "/meter#/Reading"}
vars:
  reading: {description: Last., type: object, $ref: "/meter#/Reading"}
errors:
  - reference: /errors/meter
  - reference: /errors/generic#/VendorError
`)},
	"interfaces/broken.yaml":  {Data: []byte("vars: {a: {description: A., $ref: \"/gone#/Type\"}}\n")},
	"interfaces/broken2.yaml": {Data: []byte("errors: [{reference: /errors/gone}]\n")},
	"interfaces/unread.yaml":  {Data: []byte("not: [yaml")},
	"types/meter.yaml": {Data: []byte(`
description: Types of the meter.
types:
  Phase: {description: Phase., type: string, enum: [L1, L2, L3]}
  Reading:
    description: Reading.
    type: object
    required: [value]
    properties:
      value: {description: Value., type: number}
      description: {description: A member of that name., type: string}
      parts: {description: Parts., type: array, items: {description: Part., type: object, $ref: "/meter#/Reading"}}
  Unused: {description: Nobody refers to it., type: string}
`)},
	"types/unread.yaml":   {Data: []byte("not: [yaml")},
	"errors/meter.yaml":   {Data: []byte("description: Errors.\nerrors: [{name: Broken, description: It is broken.}]\n")},
	"errors/generic.yaml": {Data: []byte("description: Errors.\nerrors: [{name: VendorError, description: Vendor.}, {name: Other, description: Other.}]\n")},
}

func TestLoadInterfacesReadsWhatIsReached(t *testing.T) {
	loaded, err := LoadInterfaces(meterFiles, "meter", "missing")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"meter"}, loaded.InterfaceNames()); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/meter#/Phase", "/meter#/Reading"}, loaded.TypeNames()); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	meter, _ := loaded.Interface("meter")
	if diff := cmp.Diff([]string{"meter/Broken", "generic/VendorError"}, meter.ErrorTypes); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if err := loaded.Compile(); err != nil {
		t.Error(err)
	}
	if err := loaded.CheckVariable("meter", "reading", []byte(`{"value":1,"parts":[{"value":"2"}]}`)); err == nil {
		t.Error("a wrong reading is taken")
	}
}

func TestLoadInterfacesNamesWhatIsWrong(t *testing.T) {
	loaded, err := LoadInterfaces(meterFiles, "broken", "meter", "broken2", "unread")
	for _, want := range []string{"interfaces/broken.yaml", "/gone#/Type", "interfaces/broken2.yaml", "/errors/gone", "interfaces/unread.yaml"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	if diff := cmp.Diff([]string{"meter"}, loaded.InterfaceNames()); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
	if loaded, err := LoadInterfaces(fstest.MapFS{}, "meter", "../meter"); err != nil || len(loaded.InterfaceNames()) != 0 {
		t.Errorf("of nothing: %v, %v", loaded.InterfaceNames(), err)
	}
}

// changed is meterFiles with one text replaced by another in one file.
func changed(t *testing.T, file, old, replacement string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for name, content := range meterFiles {
		files[name] = content
	}
	text := string(meterFiles[file].Data)
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %q", file, old)
	}
	files[file] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(text, old, replacement))}
	return files
}

// countingFS counts how often each file is opened.
type countingFS struct {
	fs.FS
	opened map[string]int
}

func (c countingFS) Open(name string) (fs.File, error) {
	c.opened[name]++
	return c.FS.Open(name)
}

// TestLoadErrorsReadsEachFileOnce: an interface may refer to every error of a list by its own reference.
func TestLoadErrorsReadsEachFileOnce(t *testing.T) {
	files := countingFS{meterFiles, map[string]int{}}
	loaded, err := LoadErrors(files, "generic", "meter", "generic", "gone", "generic")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"generic", "meter"}, loaded.ErrorNamespaces()); diff != "" {
		t.Errorf("lists (-want +got):\n%s", diff)
	}
	if files.opened["errors/generic.yaml"] != 1 || files.opened["errors/meter.yaml"] != 1 || files.opened["errors/gone.yaml"] == 0 {
		t.Errorf("opened %v", files.opened)
	}
	_, err = LoadErrors(fstest.MapFS{"errors/generic.yml": {Data: []byte("errors: [{description: It has no name.}]\n")}}, "generic")
	if err == nil || !strings.Contains(err.Error(), "without a name (errors/generic.yml)") {
		t.Errorf("a list with an error without a name: %v", err)
	}
}

func TestDigestChangesWithTheMeaning(t *testing.T) {
	digest := func(files fs.FS) map[string]string {
		t.Helper()
		loaded, err := LoadInterfaces(files, "meter")
		if err != nil {
			t.Fatal(err)
		}
		return loaded.Digest("meter")
	}
	plain := digest(meterFiles)
	if len(plain) != 4 || plain["command read"] == "" || plain["variable reading"] == "" {
		t.Fatalf("digest %v", plain)
	}
	for _, test := range []struct {
		file, old, replacement string
		want                   []string // members that differ
	}{
		{"interfaces/meter.yaml", "description: Which.", "description: Something else.", nil},
		{"interfaces/meter.yaml", "type: object, $ref", "type: string, $ref", nil},
		{"types/meter.yaml", "enum: [L1, L2, L3]", "enum: [L3, L2, L1]", nil},
		{"interfaces/meter.yaml", `type: string, $ref: "/meter#/Phase"`, "type: string, enum: [L1, L2, L3]", nil},
		{"types/meter.yaml", "enum: [L1, L2, L3]", "enum: [L1, L2]", []string{"command read"}},
		{"interfaces/meter.yaml", "type: integer", "type: number", []string{"command read"}},
		{"types/meter.yaml", "description: {description: A member", "text: {description: A member", []string{"command read", "variable reading"}},
		{"errors/meter.yaml", "name: Broken", "name: Dead", []string{"error meter/Broken", "error meter/Dead"}},
	} {
		other := digest(changed(t, test.file, test.old, test.replacement))
		var got []string
		for member := range plain {
			if value, there := other[member]; !there || value != plain[member] {
				got = append(got, member)
			}
		}
		for member := range other {
			if _, there := plain[member]; !there {
				got = append(got, member)
			}
		}
		if diff := cmp.Diff(test.want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("%q instead of %q: members that differ (-want +got):\n%s", test.replacement, test.old, diff)
		}
	}
	if got := (*Definitions)(nil).Digest("meter"); got != nil {
		t.Errorf("digest of nothing: %v", got)
	}
}

func TestOverPrefersItsOwn(t *testing.T) {
	one, err := LoadInterfaces(changed(t, "interfaces/meter.yaml", "reading:", "other:"), "meter")
	if err != nil {
		t.Fatal(err)
	}
	two, err := LoadJSON([]byte(`{"interfaces":{"meter":{},"clock":{"vars":{"time":{"type":"string"}}}}}`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	united := one.Over(two)
	if diff := cmp.Diff([]string{"clock", "meter"}, united.InterfaceNames()); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
	if meter, _ := united.Interface("meter"); meter.Variables["other"] == nil {
		t.Error("the meter is the other set's")
	}
	if err := united.Compile(); err != nil {
		t.Error(err)
	}
}

func TestWithInterfaceKeepsTheOriginalSet(t *testing.T) {
	declared, err := LoadJSON([]byte(`{"interfaces":{}}`), []byte(`{"types":{}}`), []byte(`{"error_types":{"generic":["generic/VendorError"]}}`))
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
	extended, err = declared.WithInterface("own", []byte("errors:\n  - reference: /errors/nosuch\n  - reference: /errors/generic\n"))
	if definition, _ := extended.Interface("own"); err != nil || len(definition.ErrorTypes) != 1 {
		t.Errorf("a list that the set lacks: %v", err)
	}
	if _, err := declared.WithInterface("own", []byte("errors:\n  - reference: /errors/generic#/Other\n")); err == nil || !strings.Contains(err.Error(), "Other") {
		t.Errorf("error %v does not name the unknown error", err)
	}
}
