package schema_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// variablesOf returns the names of all variables of a set, in the form "interface.variable".
func variablesOf(known *schema.Definitions) (all []string) {
	for _, name := range known.InterfaceNames() {
		definition, _ := known.Interface(name)
		for variable := range definition.Variables {
			all = append(all, name+"."+variable)
		}
	}
	slices.Sort(all)
	return all
}

// expectNoStricter fails when a value fits the schema of a variable but does not have its shape. There are two reasons
// for which that may be: the schema takes a text beside an index, and numbers of any size. C++ takes neither.
func expectNoStricter(t rapid.TB, known *schema.Definitions, what, value string) (fits bool) {
	name, variable, _ := strings.Cut(what, ".")
	shape := known.VariableShape(name, variable)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := shape.Check(json.RawMessage(value))
	runtime.ReadMemStats(&after)
	if cost, most := after.TotalAlloc-before.TotalAlloc, 4*uint64(len(value))+32<<10; cost > most {
		t.Fatalf("checking %d bytes of %s allocates %d, want at most %d", len(value), what, cost, most)
	}
	fits = known.CheckVariable(name, variable, json.RawMessage(value)) == nil
	if fits && err != nil && !strings.Contains(err.Error(), "got string, want an index") && !strings.Contains(err.Error(), "beyond the range of a double") {
		t.Fatalf("%s: %s fits the schema, but: %v", what, value, err)
	}
	return fits
}

// FuzzShape checks any text against any variable.
func FuzzShape(f *testing.F) {
	known, err := schema.BuiltIn()
	if err != nil {
		f.Fatal(err)
	}
	variables := variablesOf(known)
	for _, p := range published(f) {
		f.Add(uint16(slices.Index(variables, p.interfaceName+"."+p.variable)), string(p.value))
	}
	f.Add(uint16(0), strings.Repeat(`{"children":[`, 300))
	f.Add(uint16(1), strings.Repeat(`{"`+strings.Repeat("~", 100)+`":`, 500)+`1e999`+strings.Repeat(`}`, 500))
	f.Add(uint16(2), `["\ud800","\u0000",1e400,-0,1E-999]`)
	f.Fuzz(func(t *testing.T, which uint16, value string) {
		expectNoStricter(t, known, variables[int(which)%len(variables)], value)
	})
}

// Every value that fits the schema of a variable has its shape. The values are made from the schemas; some are changed at
// one place.
func TestShapeIsNoStricterThanTheSchema(t *testing.T) {
	known := builtIn(t)
	variables := variablesOf(known)
	fitted := 0
	rapid.Check(t, func(t *rapid.T) {
		what := rapid.SampledFrom(variables).Draw(t, "variable")
		name, variable, _ := strings.Cut(what, ".")
		definition, _ := known.Interface(name)
		maker := valueMaker{t: t, known: known, change: rapid.IntRange(0, 20).Draw(t, "change")}
		value := maker.value(definition.Variables[variable].Schema, 0)
		if expectNoStricter(t, known, what, value) {
			fitted++
		} else if maker.change > 0 {
			t.Fatalf("%s: the value %s was made to fit: %v", what, value, known.CheckVariable(name, variable, json.RawMessage(value)))
		}
	})
	if fitted < 20 {
		t.Errorf("only %d values fitted their schema", fitted)
	}
}

// valueMaker makes values that fit a schema.
type valueMaker struct {
	t     *rapid.T
	known *schema.Definitions
	// change is how many values it makes before it makes one that need not fit.
	change int
}

type madeSchema struct {
	Ref        string                     `json:"$ref"`
	Type       string                     `json:"type"`
	Enum       []json.RawMessage          `json:"enum"`
	Format     string                     `json:"format"`
	Pattern    string                     `json:"pattern"`
	Minimum    float64                    `json:"minimum"`
	Maximum    *float64                   `json:"maximum"`
	MinLength  int                        `json:"minLength"`
	MinItems   int                        `json:"minItems"`
	Items      json.RawMessage            `json:"items"`
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
}

func (m *valueMaker) value(raw json.RawMessage, depth int) string {
	var of madeSchema
	if err := json.Unmarshal(raw, &of); err != nil {
		m.t.Fatal(err)
	}
	if of.Ref != "" {
		referenced, _ := m.known.Type(of.Ref)
		return m.value(referenced, depth)
	}
	if m.change--; m.change == 0 {
		return rapid.SampledFrom([]string{`null`, `true`, `-1`, `1.5`, `1e400`, `"a"`, `[]`, `{}`, `[1]`, `{"a":[1e-5]}`}).Draw(m.t, "changed")
	}
	switch {
	case len(of.Enum) > 0:
		return string(rapid.SampledFrom(of.Enum).Draw(m.t, "enumeration"))
	case of.Format == "date-time":
		return `"2026-11-22T10:43:28.006Z"`
	case of.Format == "uri":
		return `"a://b"`
	case of.Pattern != "":
		return `"AA:BB:CC:DD:EE:FF"` // the only one that a variable has
	}
	switch of.Type {
	case "boolean":
		return fmt.Sprint(rapid.Bool().Draw(m.t, "boolean"))
	case "integer":
		return fmt.Sprint(max(int(of.Minimum), 1))
	case "number":
		tails := []string{"", ".0", "e0", ".25"}
		if of.Maximum != nil {
			tails = tails[:3]
		}
		return fmt.Sprint(max(of.Minimum, 1)) + rapid.SampledFrom(tails).Draw(m.t, "tail")
	case "string":
		return `"` + strings.Repeat("x", max(of.MinLength, 1)) + `"`
	case "array":
		length := of.MinItems + rapid.IntRange(0, max(0, 2-depth)).Draw(m.t, "length")
		elements := make([]string, length)
		for i := range elements {
			elements[i] = m.value(of.Items, depth+1)
		}
		return "[" + strings.Join(elements, ",") + "]"
	case "object":
		var members []string
		for _, name := range slices.Sorted(maps.Keys(of.Properties)) {
			if slices.Contains(of.Required, name) || depth < 3 && rapid.Bool().Draw(m.t, name) {
				members = append(members, fmt.Sprintf("%q:%s", name, m.value(of.Properties[name], depth+1)))
			}
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	m.t.Fatalf("no value for the schema %s", raw)
	return ""
}
