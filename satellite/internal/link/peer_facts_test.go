package link

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// peerFacts is what the C++ modules of one tag have: a file of testdata/peers.
type peerFacts struct {
	announce, functions []peerFunction
	poll                string
	variables           [][2]string // id and name
}

type peerFunction struct {
	name      string
	arguments []route.Kind
	result    route.Kind
}

var kindNames = []string{"Null", "JSON", "Text", "Integer", "Boolean", "Enum", "EnumList"} // in the order of route.Kind

func readPeerFacts(t *testing.T, file string) (facts peerFacts) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	kind := func(name string) route.Kind {
		index := slices.Index(kindNames, name)
		if index < 0 {
			t.Fatalf("%s: kind %q", file, name)
		}
		return route.Kind(index)
	}
	for line := range strings.Lines(string(content)) {
		words := strings.Fields(line)
		switch words[0] {
		case "everest", "family": // for people
		case "poll":
			facts.poll = words[1]
		case "variable":
			facts.variables = append(facts.variables, [2]string(words[1:3]))
		case "announce", "function":
			one := peerFunction{name: words[1], result: kind(words[len(words)-1])}
			for _, argument := range words[2 : len(words)-2] {
				one.arguments = append(one.arguments, kind(argument))
			}
			if words[0] == "announce" {
				facts.announce = append(facts.announce, one)
			} else {
				facts.functions = append(facts.functions, one)
			}
		default:
			t.Fatalf("%s: line %q", file, line)
		}
	}
	return facts
}

// forEachPeer runs a test for the C++ modules of each tag.
func forEachPeer(t *testing.T, test func(t *testing.T, facts peerFacts)) {
	files, err := filepath.Glob("testdata/peers/*.txt")
	if err != nil || len(files) < 16 {
		t.Fatalf("%d files with facts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { test(t, readPeerFacts(t, file)) })
	}
}

// has reports whether the peer has a function to announce a controller.
func (f peerFacts) has(name string) bool {
	return slices.ContainsFunc(f.announce, func(one peerFunction) bool { return one.name == name })
}

// wireValues and everestValues are a value of each kind on the wire, and in EVerest. The enumeration's first text is that
// of update_allowed_energy_transfer_modes.
var (
	wireValues    = []any{nil, `{"a":1.50}`, "Soft", int64(3), true, "0", "[0]"}
	everestValues = []string{"null", `{"a":1.50}`, `"Soft"`, "3", "true", `"Accepted"`, `["AC_single_phase_core"]`}
)

// readPeerArguments decodes arguments as the C++ modules do, and returns an error for others than everybody's.
func (f peerFunction) readPeerArguments(request *rpc.Request) error {
	targets := make([]any, len(f.arguments))
	for i, kind := range f.arguments {
		switch kind {
		case route.Integer:
			targets[i] = new(int64)
		case route.Boolean:
			targets[i] = new(bool)
		default:
			targets[i] = new(string)
		}
	}
	if err := request.Decode(targets...); err != nil {
		return err
	}
	for i, kind := range f.arguments {
		if got := peerValue(targets[i]); got != wireValues[kind] {
			return fmt.Errorf("argument %d of %s is %v", i, f.name, got)
		}
	}
	return nil
}

func peerValue(target any) any {
	switch target := target.(type) {
	case *int64:
		return *target
	case *bool:
		return *target
	case *string:
		return *target
	}
	return nil
}

// routesOfPeers are all routes, as a board of EVerest 2026.02 with all interfaces resolves them.
func routesOfPeers(t *testing.T) []route.Route {
	t.Helper()
	definitions, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	interfaces := map[string]string{}
	for _, r := range route.Standard() {
		interfaces[r.ID] = r.Interface
	}
	var table route.Table
	if _, err := table.Resolve(interfaces, definitions, ""); err != nil {
		t.Fatal(err)
	}
	return table.Routes()
}
