package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// kind is how an optional property of a Go type is omitted.
type kind int

const (
	byPointer  kind = iota // structs, texts, numbers: the zero value is a value
	byOmission             // enumerations, lists, times: the zero value means that there is none
)

// goType is a Go type, written as an expression.
type goType struct {
	expression string
	kind       kind
}

// context is how EVerest's C++ code writes the lists of enumerations that a schema has outside of objects: as texts in a
// variable and an argument, as indices in a result and inside an object.
type context int

const (
	asTexts context = iota
	asIndices
)

// typeOf returns the Go type for a schema in a context. A type that has to be declared for the schema is named name.
func (f *file) typeOf(raw json.RawMessage, name string, within context) (goType, error) {
	parsed, err := parseSchema(raw)
	if err != nil {
		return goType{}, fmt.Errorf("%s: %w", name, err)
	}
	if parsed.Reference != "" {
		if within == asIndices {
			// A list is not the declared alias, which has texts.
			if list, isList := f.generator.listOf(raw); isList {
				return f.inlined(list, parsed.Reference, name)
			}
		}
		return f.referred(parsed.Reference)
	}
	switch parsed.typeName() {
	case "boolean":
		return goType{"bool", byPointer}, nil
	case "integer":
		return goType{"int", byPointer}, nil
	case "number":
		return goType{"float64", byPointer}, nil
	case "string":
		if values, ok := parsed.enumValues(); ok {
			declared := f.names.unique(name)
			f.declareEnum(declared, parsed, values)
			return goType{declared, enumKind(values)}, nil
		}
		if parsed.Format == "date-time" {
			f.use("bindings")
			return goType{"bindings.Time", byOmission}, nil
		}
		return goType{"string", byPointer}, nil
	case "array":
		element, list := goType{expression: "json.RawMessage"}, "List"
		if len(parsed.Items) > 0 && parsed.Items[0] == '{' {
			if element, err = f.typeOf(parsed.Items, name+"Item", within); err != nil {
				return goType{}, err
			}
			if within == asIndices && f.generator.isEnum(parsed.Items) {
				list = "EnumList"
			}
		}
		f.useIn(element)
		f.use("bindings")
		return goType{"bindings." + list + "[" + element.expression + "]", byOmission}, nil
	case "object":
		if len(parsed.Properties) > 0 {
			declared := f.names.unique(name)
			return goType{declared, byPointer}, f.declareStruct(declared, "", parsed)
		}
		if len(parsed.Additional) > 0 && parsed.Additional[0] == '{' {
			element, err := f.typeOf(parsed.Additional, name+"Value", asIndices)
			return goType{"map[string]" + element.expression, byOmission}, err
		}
	}
	f.use("json")
	return goType{"json.RawMessage", byOmission}, nil
}

// inlined returns the Go type for a declared list that has indices.
func (f *file) inlined(list json.RawMessage, reference, name string) (goType, error) {
	if slices.Contains(f.inlining, reference) {
		return goType{}, fmt.Errorf("%s: the list %s contains itself", name, reference)
	}
	f.inlining = append(f.inlining, reference)
	defer func() { f.inlining = f.inlining[:len(f.inlining)-1] }()
	return f.typeOf(list, name, asIndices)
}

func (f *file) useIn(element goType) {
	if strings.HasPrefix(element.expression, "json.") {
		f.use("json")
	}
}

// referred returns the Go type for a reference to a declared type.
func (f *file) referred(reference string) (goType, error) {
	declared, err := f.generator.reach(reference)
	if f.qualifier != "" {
		declared.expression = f.qualifier + declared.expression
		f.use("types")
	}
	return declared, err
}

// declareType declares a type of a type file.
func (f *file) declareType(name, reference string, raw json.RawMessage) error {
	parsed, err := parseSchema(raw)
	if err != nil {
		return err
	}
	values, isEnum := parsed.enumValues()
	switch {
	case parsed.Reference == "" && parsed.typeName() == "string" && isEnum:
		f.declareEnum(name, parsed, values)
		return nil
	case parsed.Reference == "" && parsed.typeName() == "object" && len(parsed.Properties) > 0:
		return f.declareStruct(name, reference, parsed)
	}
	aliased, err := f.typeOf(raw, name+"Value", asTexts)
	if err != nil {
		return err
	}
	f.useIn(aliased)
	f.comment(name+" is an alias.", parsed)
	f.line("type %s = %s", name, aliased.expression)
	f.line("")
	return nil
}

// enumKind returns byOmission, unless the empty text is one of the values.
func enumKind(values []string) kind {
	if slices.Contains(values, "") {
		return byPointer
	}
	return byOmission
}

func (f *file) declareEnum(name string, parsed parsedSchema, values []string) {
	f.comment(name+" is an enumeration.", parsed)
	f.line("type %s string", name)
	f.line("")
	f.line("// The values of %s.", name)
	f.line("const (")
	var constants []string
	for _, value := range values {
		constant := f.names.unique(name + part(value))
		constants = append(constants, constant)
		f.line("%s %s = %q", constant, name, value)
	}
	f.line(")")
	f.line("")
	f.line("// String returns the value as it is on the wire.")
	f.line("func (v %s) String() string { return string(v) }", name)
	f.line("")
	f.line("// Valid reports whether v is one of the constants above. A newer EVerest may have further values.")
	f.line("func (v %s) Valid() bool {", name)
	f.line("switch v {")
	f.line("case %s:", strings.Join(constants, ", "))
	f.line("return true")
	f.line("}")
	f.line("return false")
	f.line("}")
	f.line("")
	f.line("// Values returns the constants above in declared order.")
	f.line("func (%s) Values() []%s {", name, name)
	f.line("return []%s{%s}", name, strings.Join(constants, ", "))
	f.line("}")
	f.line("")
}

func (f *file) declareStruct(name, reference string, parsed parsedSchema) error {
	properties, err := parsed.properties()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// Finding a field's type may declare further types in the same file, so the lines of this struct wait until all are
	// known.
	var body []string
	var required, optional []string
	fields := namesBesides("Extra", "MarshalJSON", "UnmarshalJSON")
	for _, declared := range properties {
		field := fields.unique(exported(declared.name))
		fieldType, err := f.typeOf(declared.schema, name+field, asIndices)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", name, declared.name, err)
		}
		f.useIn(fieldType)
		// The error is nil: typeOf has parsed this schema.
		detail, _ := parseSchema(declared.schema)
		expression, tag := fieldType.expression, declared.name
		comment := field + " is the property " + declared.name + "."
		release, isLater := laterRequired[reference][declared.name]
		switch {
		case parsed.requires(declared.name) && isLater:
			optional = append(optional, declared.name)
			comment += " EVerest before " + release + " may not have it: it is zero then."
		case parsed.requires(declared.name):
			required = append(required, declared.name)
		default:
			optional = append(optional, declared.name)
			tag += ",omitzero"
			if fieldType.kind == byPointer {
				expression = "*" + expression
			}
		}
		body = append(body, commentLines(comment, detail)...)
		body = append(body, fmt.Sprintf("\t%s %s `json:%q`", field, expression, tag))
	}
	f.use("json")
	f.use("bindings")
	f.comment(name+" is an object.", parsed)
	f.line("type %s struct {", name)
	for _, line := range body {
		f.line("%s", line)
	}
	f.line("")
	f.line("// Extra has the properties that are not fields, for example those of a newer EVerest. Encoding writes them again.")
	f.line("Extra map[string]json.RawMessage `json:\"-\"`")
	f.line("}")
	f.line("")
	f.line("// MarshalJSON implements json.Marshaler.")
	f.line("func (v %s) MarshalJSON() ([]byte, error) {", name)
	f.line("type plain %s", name)
	f.line("return bindings.Marshal(plain(v), v.Extra)")
	f.line("}")
	f.line("")
	f.line("// UnmarshalJSON implements json.Unmarshaler.")
	f.line("func (v *%s) UnmarshalJSON(data []byte) error {", name)
	f.line("type plain %s", name)
	f.line("return bindings.Unmarshal(data, (*plain)(v), &v.Extra, %s, %s)", stringsLiteral(required), stringsLiteral(optional))
	f.line("}")
	f.line("")
	return nil
}

func stringsLiteral(values []string) string {
	if len(values) == 0 {
		return "nil"
	}
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("%q", value)
	}
	return "[]string{" + strings.Join(quoted, ", ") + "}"
}

// typesFiles returns a Go file for each type file that the interfaces refer to.
func (g *generator) typesFiles() (map[string][]byte, error) {
	written := map[string][]byte{}
	done := map[string]bool{}
	sources := map[string]*file{}
	scope := names{}
	for _, name := range g.typeNames {
		scope[name] = true
	}
	// Declaring a type may reach further types.
	for len(done) < len(g.reached) {
		for _, reference := range slices.Sorted(maps.Keys(g.reached)) {
			if done[reference] {
				continue
			}
			done[reference] = true
			typeFile, _, _ := strings.Cut(reference, "#/")
			if sources[typeFile] == nil {
				sources[typeFile] = g.newFile("types", "", scope)
			}
			raw, _ := g.definitions.Type(reference)
			if err := sources[typeFile].declareType(g.typeNames[reference], reference, raw); err != nil {
				return nil, fmt.Errorf("type %s: %w", reference, err)
			}
			sources[typeFile].cut(g.typeNames[reference])
		}
	}
	for typeFile, source := range sources {
		source.sortParts()
		content, err := source.format("")
		if err != nil {
			return nil, fmt.Errorf("types %s: %w", typeFile, err)
		}
		written["types/"+strings.ReplaceAll(strings.TrimPrefix(typeFile, "/"), "/", "_")+"_types.go"] = content
	}
	return written, nil
}
