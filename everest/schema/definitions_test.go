package schema_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

var lampYAML = fstest.MapFS{
	"interfaces/lamp.yaml": {Data: []byte(`
description: A lamp
cmds:
  switch:
    description: Switches the lamp
    arguments:
      on: {description: on or off, type: boolean}
      colour: {description: which colour, type: object, $ref: /light/colours#/Colour}
    result: {description: whether it did, type: boolean}
  blink: {description: Blinks once}
vars:
  brightness: {description: in percent, type: integer, minimum: 0, maximum: 100, qos: 1}
errors:
  - reference: /errors/lamp
  - reference: /errors/generic#/VendorError
`)},
	"types/light/colours.yaml": {Data: []byte(`
description: Colours
types:
  Colour:
    description: A colour
    type: object
    additionalProperties: false
    required: [name]
    properties:
      name: {description: its name, type: string, enum: [red, "on", 2026-01-01]}
      since: {description: when, type: string, format: date-time}
`)},
	"types/README.md":     {Data: []byte(`no YAML`)},
	"errors/lamp.yaml":    {Data: []byte("description: Lamp errors\nerrors:\n  - {name: Broken, description: The bulb is broken}\n  - {name: Hot, description: Too hot}\n")},
	"errors/generic.yaml": {Data: []byte("description: Errors\nerrors:\n  - {name: VendorError, description: Something}\n  - {name: Other, description: Other}\n")},
}

func loadLamp(t *testing.T) *schema.Definitions {
	t.Helper()
	loaded, err := schema.LoadYAML(lampYAML)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestLoadYAML(t *testing.T) {
	loaded := loadLamp(t)
	if err := loaded.Compile(); err != nil {
		t.Fatal(err)
	}
	lamp, ok := loaded.Interface("lamp")
	if !ok || lamp.Description != "A lamp" {
		t.Fatalf("interface lamp: %+v", lamp)
	}
	var arguments []string
	for _, argument := range lamp.Commands["switch"].Arguments {
		arguments = append(arguments, argument.Name)
	}
	if diff := cmp.Diff([]string{"on", "colour"}, arguments); diff != "" {
		t.Error("the order of arguments is lost", diff)
	}
	if got := string(lamp.Commands["blink"].Result); got != `{"type":"null"}` {
		t.Errorf("result of blink is %s", got)
	}
	if got := lamp.Variables["brightness"].QoS; got != 1 {
		t.Errorf("QoS of brightness is %d", got)
	}
	if diff := cmp.Diff([]string{"lamp/Broken", "lamp/Hot", "generic/VendorError"}, lamp.ErrorTypes); diff != "" {
		t.Error(diff)
	}
	if got := loaded.ErrorDescription("lamp/Hot"); got != "Too hot" {
		t.Errorf("description %q", got)
	}
	if got := loaded.ErrorDescription("lamp/Cold"); got != "" {
		t.Errorf("description %q of an error that is not declared", got)
	}
	if diff := cmp.Diff([]string{"/light/colours#/Colour"}, loaded.TypeNames()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"generic", "lamp"}, loaded.ErrorNamespaces()); diff != "" {
		t.Error(diff)
	}
}

func TestLoadYAMLErrors(t *testing.T) {
	for _, test := range []struct{ file, content, want string }{
		{"interfaces/lamp.yaml", "cmds: [", "interfaces/lamp.yaml"},
		{"interfaces/lamp.yaml", "cmds: 3", "interface lamp: cmds"},
		{"interfaces/lamp.yaml", "vars: {v: 3}", "interface lamp: variable v"},
		{"interfaces/lamp.yaml", "cmds: {c: {arguments: 3}}", "command c: arguments"},
		{"interfaces/lamp.yaml", "cmds:\n  a: {}\n  a: {}\n", `key "a" stands there twice`},
		{"interfaces/lamp.yaml", "errors: [{reference: /errors/none}]", `"/errors/none" names an error list that is not there`},
		{"interfaces/lamp.yaml", "errors: [{reference: /types/none}]", `"/types/none" does not start with /errors/`},
		{"interfaces/lamp.yaml", "errors: [{reference: '/errors/lamp#/Cold'}]", `names an error that "lamp" does not declare`},
		{"interfaces/lamp.yaml", "errors: [{reference: /errors/lamp}, {reference: '/errors/lamp#/Hot'}]", "lamp/Hot is referenced twice"},
		{"types/light/colours.yaml", "types: 3", "type file light/colours: types"},
		{"errors/lamp.yaml", "errors: [{description: none}]", "error file lamp: an error without a name"},
	} {
		files := fstest.MapFS{}
		for name, file := range lampYAML {
			files[name] = file
		}
		files[test.file] = &fstest.MapFile{Data: []byte(test.content)}
		_, err := schema.LoadYAML(files)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.file) {
			t.Errorf("%s: %s: error %v, want %q", test.file, test.content, err, test.want)
		}
	}
}

func TestLoadYAMLFromNothing(t *testing.T) {
	loaded, err := schema.LoadYAML(fstest.MapFS{})
	if err != nil || len(loaded.InterfaceNames()) != 0 {
		t.Errorf("%v, %v", loaded.InterfaceNames(), err)
	}
}

func TestLoadJSONErrors(t *testing.T) {
	for _, test := range []struct{ interfaces, types, errors, want string }{
		{`{`, ``, ``, "interface facts"},
		{`{"interfaces":{"a":3}}`, ``, ``, "interface a"},
		{`{}`, `[]`, ``, "type facts"},
		{`{}`, `{"types":{"Colour":{}}}`, ``, `"Colour" is not of the form /file#/Name`},
		{`{}`, ``, `[]`, "error facts"},
		{`{}`, ``, `{"error_types":{"lamp":["other/Hot"]}}`, `"other/Hot" is listed under "lamp"`},
	} {
		_, err := schema.LoadJSON([]byte(test.interfaces), []byte(test.types), []byte(test.errors))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v", test, err)
		}
	}
}

// The manager publishes interfaces with their errors expanded; what it publishes loads like any other definition.
func TestLoadJSONInTheManagersForm(t *testing.T) {
	loaded, err := schema.LoadJSON([]byte(`{"interfaces":{"lamp":{"cmds":{},"vars":{},
		"errors":{"lamp":{"Hot":{"name":"Hot","namespace":"lamp","description":"Too hot"}}}}}}`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	lamp, _ := loaded.Interface("lamp")
	if !lamp.HasErrorType("lamp/Hot") || lamp.HasErrorType("lamp/Broken") {
		t.Errorf("error types %v", lamp.ErrorTypes)
	}
}

func TestMerge(t *testing.T) {
	lamp := loadLamp(t)
	other, err := schema.LoadJSON([]byte(`{"_meta":{"rev":"1"},"interfaces":{"other":{"errors":["/errors/lamp"]}}}`),
		[]byte(`{"types":{"/light/colours#/Colour":{"description":"A colour","additionalProperties":false,"type":"object","required":["name"],
		"properties":{"name":{"description":"its name","type":"string","enum":["red","on","2026-01-01"]},"since":{"description":"when","type":"string","format":"date-time"}}}}}`),
		[]byte(`{"error_types":{"lamp":["lamp/Broken","lamp/Hot"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Merge(lamp, other); err == nil || !strings.Contains(err.Error(), `error declarations "lamp" is defined twice`) {
		t.Errorf("error %v: descriptions differ", err)
	}
	merged, err := schema.Merge(nil, lamp, lamp)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lamp.InterfaceNames(), merged.InterfaceNames()); diff != "" {
		t.Error(diff)
	}
}

func TestNilDefinitions(t *testing.T) {
	var none *schema.Definitions
	if _, ok := none.Interface("lamp"); ok || none.InterfaceNames() != nil || none.TypeNames() != nil || none.ErrorNamespaces() != nil {
		t.Error("an empty set knows something")
	}
	if err := none.Compile(); err != nil {
		t.Error(err)
	}
	if err := none.CheckArguments("lamp", "switch", nil); err != nil {
		t.Error(err)
	}
	if err := none.CheckVariable("lamp", "brightness", []byte(`1`)); err != nil {
		t.Error(err)
	}
}
