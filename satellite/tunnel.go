package satellite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// extra is one interface of the configuration key tunnel: ID names the agent's
// requirement and the controller's implementation.
type extra struct{ ID, Interface string }

func (e extra) String() string {
	if e.ID == e.Interface {
		return e.ID
	}
	return e.ID + ":" + e.Interface
}

// extraName is what EVerest takes for the name of an interface and of what
// provides one, without the dot, which separates names on the wire.
var extraName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_-]*$`)

// parseTunnel reads the configuration key tunnel: names of interfaces separated by
// commas, each after an id and a colon where the id is not the interface's name, as
// in "powermeter,output_meter:powermeter".
func parseTunnel(key string) ([]extra, error) {
	var all []extra
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
		case id == routeSatellite || id == routeAuth || slices.ContainsFunc(Routes(), func(r Route) bool { return r.ID == id }):
			return nil, fmt.Errorf("%q is tunnelled or used already: give it another id, as in other:%s", id, name)
		case slices.ContainsFunc(all, func(e extra) bool { return e.ID == id }):
			return nil, fmt.Errorf("the id %q stands there twice: give the second one another, as in other:%s", id, name)
		}
		all = append(all, extra{ID: id, Interface: name})
	}
	return all, nil
}

func formatTunnel(all []extra) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = one.String()
	}
	return strings.Join(texts, ",")
}
