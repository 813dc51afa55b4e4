package schema

import (
	"strings"
)

// VariableShape returns what EVerest's C++ modules need of a variable's value. Of a variable that the set does not
// declare, only the numbers are checked. The shape should be kept: compiling it takes longer than a check.
func (d *Definitions) VariableShape(interfaceName, variable string) *Shape {
	return d.shape("variable "+interfaceName+"."+variable, interfaceName, "variables", variable)
}

// ResultShape returns what EVerest's C++ modules need of a command's result. A command without a result takes anything,
// because its callers do not read the result.
func (d *Definitions) ResultShape(interfaceName, command string) *Shape {
	return d.shape("result of "+interfaceName+"."+command, interfaceName, "results", command)
}

// ErrorShape returns what EVerest's C++ modules need of an error object. They take any text as severity, state and
// timestamp.
func ErrorShape() *Shape {
	text, number := &node{kinds: kindString}, &node{kinds: kindNumber}
	mapping := objectNode(map[string]*node{"evse": number, "connector": number}, "evse")
	origin := objectNode(map[string]*node{"module_id": text, "implementation_id": text, "mapping": mapping}, "module_id", "implementation_id")
	members := map[string]*node{"origin": origin}
	names := []string{"origin"}
	for _, name := range []string{"description", "message", "severity", "state", "sub_type", "timestamp", "type", "uuid", "vendor_id"} {
		members[name] = text
		names = append(names, name)
	}
	return &Shape{"error object", objectNode(members, names...)}
}

func objectNode(members map[string]*node, required ...string) *node {
	n := &node{kinds: kindObject, required: required, members: make(map[string]member, len(members))}
	for name, of := range members {
		n.members[name] = member{of, -1}
	}
	for i, name := range required {
		n.members[name] = member{members[name], i}
	}
	return n
}

// shape compiles a schema of an interface's document. names lead to the schema there, as in "variables", "limits".
func (d *Definitions) shape(subject, interfaceName string, names ...string) *Shape {
	if _, known := d.Interface(interfaceName); !known {
		return &Shape{subject, anything}
	}
	d.compiling.Lock()
	defer d.compiling.Unlock()
	if d.shapes.nodes == nil {
		d.shapes = shapeCompiler{definitionLoader{d}, map[string]map[string]any{}, map[string]*node{}}
	}
	var schema any = d.shapes.document(interfaceFolder + interfaceName)
	for _, name := range names {
		group, _ := schema.(map[string]any)
		schema = group[name]
	}
	return &Shape{subject, d.shapes.compile(schema, false)}
}

// shapeCompiler compiles shapes from the documents that the schema checks use, so that both have indices in the same
// places.
type shapeCompiler struct {
	loader    definitionLoader
	documents map[string]map[string]any // by their path
	nodes     map[string]*node          // by the reference of the type
}

// document returns nil where there is none.
func (c *shapeCompiler) document(path string) map[string]any {
	document, loaded := c.documents[path]
	if !loaded {
		content, err := c.loader.Load(schemaBase + path)
		if err == nil {
			document, _ = content.(map[string]any)
		}
		c.documents[path] = document
	}
	return document
}

// compile returns the node of a schema. EVerest generates C++ types for type files only. It takes any object and any
// text where an interface declares one without a reference, so members and texts are compiled in type files only.
func (c *shapeCompiler) compile(schema any, inTypeFile bool) *node {
	object, _ := schema.(map[string]any)
	if reference, refers := object["$ref"].(string); refers {
		return c.reference(reference)
	}
	n := &node{}
	c.fill(n, object, inTypeFile)
	return n
}

// reference returns the node of a type, anything for a type that is not defined. The node may be empty still, where the
// type contains itself.
func (c *shapeCompiler) reference(reference string) *node {
	// The bound ends a circle of references.
	for range 32 {
		if n, known := c.nodes[reference]; known {
			return n
		}
		file, name, _ := strings.Cut(reference, "#/")
		schema, defined := c.document(file)[name].(map[string]any)
		if !defined {
			return anything
		}
		next, refers := schema["$ref"].(string)
		if !refers {
			n := &node{}
			c.nodes[reference] = n
			c.fill(n, schema, true)
			return n
		}
		reference = next
	}
	return anything
}

// fill makes n the node of a schema without reference.
func (c *shapeCompiler) fill(n *node, schema map[string]any, inTypeFile bool) {
	n.kinds = kindsOf(schema["type"])
	if length := indexedValues(schema); length > 0 {
		n.kinds, n.indices = kindNumber, length
		return
	}
	if items, listed := schema["items"]; listed {
		n.element = c.compile(items, inTypeFile)
	}
	if !inTypeFile {
		return
	}
	if n.enumeration = enumTexts(schema); n.enumeration != nil {
		n.texts = make(map[string]bool, len(n.enumeration))
		for _, text := range n.enumeration {
			n.texts[text] = true
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	n.members = make(map[string]member, len(properties))
	for name, property := range properties {
		of := c.compile(property, true)
		if of.kinds == kindArray && !refers(property) { // other members may share the node of a reference
			of.nullable = true
		}
		n.members[name] = member{of, -1}
	}
	required, _ := schema["required"].([]any)
	for _, entry := range required {
		name, _ := entry.(string)
		if of, declared := n.members[name]; declared && of.required < 0 {
			n.members[name] = member{of.node, len(n.required)}
			n.required = append(n.required, name)
		}
	}
	n.nullable = n.kinds == kindObject && len(n.required) == 0
}

func refers(schema any) bool {
	object, _ := schema.(map[string]any)
	_, is := object["$ref"].(string)
	return is
}

// kindsOf returns the kinds that a schema's keyword type names. A schema without it, and one of type null, take
// anything: C++ does not read such a value.
func kindsOf(keyword any) kinds {
	names, several := keyword.([]any)
	if !several {
		names = []any{keyword}
	}
	var of kinds
	for _, name := range names {
		switch name {
		case "null":
			of |= kindNull
		case "boolean":
			of |= kindBoolean
		case "integer", "number":
			of |= kindNumber
		case "string":
			of |= kindString
		case "array":
			of |= kindArray
		case "object":
			of |= kindObject
		}
	}
	if of&^kindNull == 0 {
		return anyKind
	}
	return of
}
