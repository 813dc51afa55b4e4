package schema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Shape is what EVerest's C++ modules need of a value in order to read it. They parse the text with one library and fill
// their generated types from it. A value that these types do not take ends the module, or its reader at least.
//
// A value has the shape when:
//   - each number is in the range of a double, also below unknown keys
//   - each member and element has the declared kind. An integer may have a fraction, which C++ drops. Null may stand for
//     a list that is a member, and for an object without required members: C++ reads both as empty
//   - each required member is there
//   - each enumeration has one of the declared texts, or a declared index in a list inside an object
//
// Ranges, lengths, patterns and formats are not checked, because the generated types ignore them. Unknown keys pass.
//
// A Shape never changes and may be used from any goroutine.
type Shape struct {
	// subject names the value in errors.
	subject string
	root    *node
}

// Check reads a value once and returns an [*Error] when the value does not have the shape. It allocates nothing for a
// value that has the shape, unless a text has escapes or an object more than 64 required members.
func (s *Shape) Check(value json.RawMessage) error {
	r := rawjson.NewReader(value)
	found := s.root.read(&r)
	err := r.Close()
	switch {
	case found == nil && err == nil:
		return nil
	case found != nil && rawjson.Check(value) == nil:
		place := found.place()
		if place == "" {
			return &Error{Message: s.subject + ": " + found.text}
		}
		return &Error{Message: s.subject + ": at " + place + ": " + found.text, Place: place}
	case found != nil:
		err = rawjson.Check(value)
	}
	return errorf("%s: %v", s.subject, err)
}

// kinds is a set of JSON's kinds of values.
type kinds uint8

const (
	kindNull kinds = 1 << iota
	kindBoolean
	kindNumber
	kindString
	kindArray
	kindObject

	anyKind = kindNull | kindBoolean | kindNumber | kindString | kindArray | kindObject
)

// kindOf returns the kind of the value that starts with a byte, 0 for a byte with which no value starts.
func kindOf(first byte) kinds {
	switch first {
	case '{':
		return kindObject
	case '[':
		return kindArray
	case '"':
		return kindString
	case 't', 'f':
		return kindBoolean
	case 'n':
		return kindNull
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return kindNumber
	}
	return 0
}

// String implements fmt.Stringer.
func (k kinds) String() string {
	var names []string
	for i, name := range []string{"null", "boolean", "number", "string", "array", "object"} {
		if k>>i&1 == 1 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// node is the shape of one value. Nodes refer to each other in circles where a type contains itself.
type node struct {
	kinds kinds
	// nullable is set where C++ reads null as empty.
	nullable bool
	// enumeration lists the texts that a string must be one of. It is nil for any text, as texts is.
	enumeration []string
	texts       map[string]bool
	// indices is how many values the enumeration has whose index stands here. It is 0 elsewhere.
	indices int
	// element is nil where the elements may be anything.
	element *node
	members map[string]member
	// required lists the names of the required members.
	required []string
}

type member struct {
	node *node
	// required is the place in the list of required members, -1 for a member that is not required.
	required int
}

var anything = &node{kinds: anyKind}

// mistake is why a value does not have a shape.
type mistake struct {
	text string
	// steps lead to the place of the mistake, the last one first.
	steps []string
}

// within adds the step before the others. It returns m.
func (m *mistake) within(step string) *mistake {
	m.steps = append(m.steps, step)
	return m
}

// maxPlace is how many bytes of a place stand in an error. The rest is cut off.
const maxPlace = 500

// place returns the JSON pointer (RFC 6901) of the mistake.
func (m *mistake) place() string {
	var pointer strings.Builder
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for _, step := range slices.Backward(m.steps) {
		if pointer.Len()+len(step) > maxPlace {
			pointer.WriteString("/...")
			break
		}
		pointer.WriteByte('/')
		pointer.WriteString(escape.Replace(step))
	}
	return pointer.String()
}

// read reads the next value. After an error of the reader it returns nil or any mistake.
func (n *node) read(r *rawjson.Reader) *mistake {
	kind := kindOf(r.Kind())
	switch {
	case kind == kindNull && n.nullable:
		r.Value()
		return nil
	case kind&n.kinds == 0:
		return n.wrongKind(r, kind)
	case kind == kindObject:
		return n.readObject(r)
	case kind == kindArray:
		return n.readArray(r)
	}
	literal := r.Value()
	switch kind {
	case kindNumber:
		return n.checkNumber(literal)
	case kindString:
		if n.texts != nil && !n.texts[string(rawjson.Text(literal))] {
			return &mistake{text: "got " + clip(literal) + ", want one of " + strings.Join(n.enumeration, ", ")}
		}
	}
	return nil
}

func (n *node) wrongKind(r *rawjson.Reader, kind kinds) *mistake {
	switch {
	case kind == 0:
		r.Value() // the reader keeps the error
		return nil
	case n.indices > 0:
		return &mistake{text: "got " + kind.String() + ", want " + n.wantIndex()}
	}
	return &mistake{text: "got " + kind.String() + ", want " + n.kinds.String()}
}

func (n *node) readObject(r *rawjson.Reader) *mistake {
	var one [1]uint64
	seen := one[:] // a bit for each required member
	if len(n.required) > 64 {
		seen = make([]uint64, (len(n.required)+63)/64)
	}
	for r.Object(); ; {
		name, more := r.Next()
		if !more {
			break
		}
		known, declared := n.members[string(name)]
		if !declared {
			known = member{anything, -1}
		}
		if found := known.node.read(r); found != nil {
			return found.within(clip(name))
		}
		if known.required >= 0 {
			seen[known.required/64] |= 1 << (known.required % 64)
		}
	}
	for i, name := range n.required {
		if seen[i/64]>>(i%64)&1 == 0 {
			return &mistake{text: "member " + name + " is missing"}
		}
	}
	return nil
}

func (n *node) readArray(r *rawjson.Reader) *mistake {
	element := n.element
	if element == nil {
		element = anything
	}
	index := 0
	for r.Array(); r.More(); index++ {
		if found := element.read(r); found != nil {
			return found.within(strconv.Itoa(index))
		}
	}
	return nil
}

func (n *node) checkNumber(literal []byte) *mistake {
	switch {
	case !finite(literal):
		return &mistake{text: clip(literal) + " is beyond the range of a double"}
	case n.indices > 0 && !indexBelow(n.indices).holds(string(literal)):
		return &mistake{text: "got " + clip(literal) + ", want " + n.wantIndex()}
	}
	return nil
}

func (n *node) wantIndex() string {
	return "an index from 0 to " + strconv.Itoa(n.indices-1) + ", as EVerest's C++ modules write enumerations in such a list"
}

// finite reports whether a number is in the range of a double. The parser of EVerest's C++ modules throws at any other,
// and the module ends.
func finite(literal []byte) bool {
	const digits = 300 // fewer than the largest double has
	if len(literal) < digits && bytes.IndexByte(literal, 'e') < 0 && bytes.IndexByte(literal, 'E') < 0 {
		return true
	}
	_, err := strconv.ParseFloat(string(literal), 64)
	return err == nil
}

// CheckNumbers returns an [*Error] when a value has a number beyond the range of a double, or is not JSON. Each module of
// EVerest that receives such a value ends, whatever the value is for.
func CheckNumbers(value json.RawMessage) error {
	shape := Shape{subject: "value", root: anything}
	return shape.Check(value)
}

// maxClip is how many bytes of a value or of an unknown name stand in an error.
const maxClip = 80

func clip(text []byte) string {
	if len(text) <= maxClip {
		return string(text)
	}
	return string(text[:maxClip]) + "..."
}
