package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// generator writes Go packages from interface definitions.
type generator struct {
	definitions *schema.Definitions
	// importPath is the import path of the output folder.
	importPath string
	typeNames  map[string]string // reference -> Go name
	reached    map[string]bool   // references of the types to declare
}

func newGenerator(definitions *schema.Definitions, importPath string) *generator {
	g := &generator{definitions: definitions, importPath: importPath, typeNames: map[string]string{}, reached: map[string]bool{}}
	references, whole, taken := definitions.TypeNames(), map[string]bool{}, names{}
	for _, reference := range references {
		file, name, _ := strings.Cut(reference, "#/")
		whole[exported(file)+part(name)] = true
	}
	for _, reference := range references {
		file, name, _ := strings.Cut(reference, "#/")
		long := exported(file) + part(name)
		// A name that another type needs in full is left to it.
		if short := joined(exported(file), part(name)); short != long && !whole[short] && !taken[short] {
			long = short
		}
		g.typeNames[reference] = taken.unique(long)
	}
	return g
}

// generate returns the content of each file by its path below the output folder. Equal definitions and names give equal
// bytes.
func generate(definitions *schema.Definitions, importPath string, interfaces []string) (map[string][]byte, error) {
	g := newGenerator(definitions, importPath)
	written := map[string][]byte{}
	packages := map[string]string{}
	for _, name := range interfaces {
		definition, ok := definitions.Interface(name)
		if !ok {
			return nil, fmt.Errorf("there is no interface %s", name)
		}
		folder := packageName(name)
		if other, taken := packages[folder]; taken {
			return nil, fmt.Errorf("interfaces %s and %s would both be package %s", other, name, folder)
		}
		packages[folder] = name
		content, err := g.interfaceFile(folder, definition)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
		written[folder+"/"+folder+".go"] = content
	}
	types, err := g.typesFiles()
	if err != nil {
		return nil, err
	}
	for path, content := range types {
		written[path] = content
	}
	if len(types) > 0 {
		written["types/doc.go"] = []byte(header + "\n// Package types has the types of EVerest interfaces. An optional property is a pointer. An optional enumeration, list or time is\n" +
			"// omitted when it is zero. Unknown values and properties survive decoding and encoding.\npackage types\n")
	}
	return written, nil
}

// reach marks a type of a type file for declaration.
func (g *generator) reach(reference string) (goType, error) {
	name, ok := g.typeNames[reference]
	if !ok {
		return goType{}, fmt.Errorf("there is no type %s", reference)
	}
	g.reached[reference] = true
	raw, _ := g.definitions.Type(reference)
	kind, err := g.kindOf(raw, 32)
	return goType{name, kind}, err
}

func (g *generator) kindOf(raw json.RawMessage, depth int) (kind, error) {
	parsed, err := parseSchema(raw)
	if err != nil {
		return 0, err
	}
	if depth == 0 {
		return 0, errors.New("a chain of references without end")
	}
	if parsed.Reference != "" {
		referred, ok := g.definitions.Type(parsed.Reference)
		if !ok {
			return 0, fmt.Errorf("there is no type %s", parsed.Reference)
		}
		return g.kindOf(referred, depth-1)
	}
	switch parsed.typeName() {
	case "boolean", "integer", "number":
		return byPointer, nil
	case "string":
		if values, isEnum := parsed.enumValues(); isEnum {
			return enumKind(values), nil
		}
		if parsed.Format == "date-time" {
			return byOmission, nil
		}
		return byPointer, nil
	case "object":
		if len(parsed.Properties) > 0 {
			return byPointer, nil
		}
	}
	return byOmission, nil
}

// resolved returns the schema at the end of a chain of references. A schema that cannot be read is empty; typeOf returns
// its error.
func (g *generator) resolved(raw json.RawMessage) (json.RawMessage, parsedSchema) {
	// The bound ends a circle of references.
	for range 32 {
		parsed, err := parseSchema(raw)
		if err != nil {
			return nil, parsedSchema{}
		}
		if parsed.Reference == "" {
			return raw, parsed
		}
		raw, _ = g.definitions.Type(parsed.Reference)
	}
	return nil, parsedSchema{}
}

// isEnum reports whether a schema is an enumeration of texts, or refers to one.
func (g *generator) isEnum(raw json.RawMessage) bool {
	_, parsed := g.resolved(raw)
	_, isEnum := parsed.enumValues()
	return isEnum && parsed.typeName() == "string"
}

// listOf returns the list that a schema is or refers to, and false for any other schema.
func (g *generator) listOf(raw json.RawMessage) (json.RawMessage, bool) {
	list, parsed := g.resolved(raw)
	return list, parsed.typeName() == "array"
}
