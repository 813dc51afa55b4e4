package route

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Extra is one interface of the configuration key tunnel. ID names the agent's requirement and the controller's
// implementation.
type Extra struct{ ID, Interface string }

// String returns the entry of the configuration key.
func (e Extra) String() string {
	if e.ID == e.Interface {
		return e.ID
	}
	return e.ID + ":" + e.Interface
}

// extraName matches the ids and names of interfaces that EVerest accepts, except those with a dot: it separates names
// on the wire.
var extraName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_-]*$`)

// ParseExtras reads the configuration key tunnel, such as "powermeter,output_meter:powermeter". Its entries are names
// of interfaces. An id with a colon precedes the name where the two differ.
func ParseExtras(key string) ([]Extra, error) {
	var extras []Extra
	for entry := range strings.SplitSeq(key, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		id, name, named := strings.Cut(entry, ":")
		if !named {
			name = id
		}
		switch {
		case !extraName.MatchString(id) || !extraName.MatchString(name) || len(name) < 3:
			return nil, fmt.Errorf("%q is neither the name of an interface, such as powermeter, nor an id with one, such as output_meter:powermeter", entry)
		case id == Satellite || id == Auth || slices.ContainsFunc(Standard(), func(r Route) bool { return r.ID == id }):
			return nil, fmt.Errorf("%q is tunnelled or used already: give it another id, as in other:%s", id, name)
		case slices.ContainsFunc(extras, func(e Extra) bool { return e.ID == id }):
			return nil, fmt.Errorf("the id %q is used twice: give the second one another, as in other:%s", id, name)
		}
		extras = append(extras, Extra{ID: id, Interface: name})
	}
	return extras, nil
}

// FormatExtras writes the configuration key tunnel.
func FormatExtras(extras []Extra) string {
	texts := make([]string, len(extras))
	for i, extra := range extras {
		texts[i] = extra.String()
	}
	return strings.Join(texts, ",")
}
