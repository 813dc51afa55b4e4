package family

import (
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

func hear(t *testing.T, topic, payload string, retained bool) Heard {
	t.Helper()
	heard, ok := Hear(topic, []byte(payload), retained)
	if !ok {
		t.Fatalf("%s %s shows nothing", topic, payload)
	}
	return heard
}

// The manager's messages of each kind of family, as they were captured from real managers.
const (
	bareInterfaces = `["empty","t_peer"]`
	bareSettings   = `{"data_dir":"/share","etc_dir":"/etc","modules_dir":"/modules","prefix":"/","telemetry_enabled":false,"validate_schema":false}`
	forwarding     = `{"data_dir":"/share","etc_dir":"/etc","forward_exceptions":false,"modules_dir":"/modules","prefix":"/"}`
	bareNames      = `{"caller":"CppCaller"}`
	bareErrorTypes = `{"ac_rcd/AC":"RCD was triggered by an AC fault"}`
	bareManifests  = `{"CppCaller":{"config":{}}}`
	interfacesOfC  = `{"data":["empty"],"msg_type":"GetConfigResponse"}`
	interfacesOfD  = `{"data":["empty"],"msg_type":"ConfigurationResponse"}`
)

func TestDecide(t *testing.T) {
	library := func(families ...string) []Found {
		return []Found{{Where: "the library l", Families: families}}
	}
	version := func(families ...string) []Found {
		return []Found{{Where: "version v", Families: families, Hint: true}}
	}
	live := func(topic, payload string) Heard { return hear(t, topic, payload, false) }
	kept := func(topic, payload string) Heard { return hear(t, topic, payload, true) }
	for name, test := range map[string]struct {
		evidence Evidence
		// want is what is left, in one text; "?" begins that of an error.
		want    string
		because string
	}{
		"nothing":                  {Evidence{}, strings.Join(wire.Names(), " "), ""},
		"option":                   {Evidence{Wish: "d", Found: library("C"), ConfigFile: "x"}, "D", "option"},
		"option that is none":      {Evidence{Wish: "e", Found: library("C")}, `?"e"`, ""},
		"library":                  {Evidence{Found: library("B2")}, "B2", "library l"},
		"library of D":             {Evidence{Found: library("D")}, "D", "library l"},
		"config file":              {Evidence{ConfigFile: "/etc/x.yaml"}, "A1 A2 A3", "/etc/x.yaml"},
		"config file and library":  {Evidence{ConfigFile: "/etc/x.yaml", Found: library("A2")}, "A2", "library l"},
		"config file, library C":   {Evidence{ConfigFile: "/etc/x.yaml", Found: library("C")}, "?correct the command line", ""},
		"config file and version":  {Evidence{ConfigFile: "/etc/x.yaml", Found: version("A3", "B2")}, "A3", "version v"},
		"config file, version C":   {Evidence{ConfigFile: "/etc/x.yaml", Found: version("C")}, "A1 A2 A3", "/etc/x.yaml"},
		"version":                  {Evidence{Found: version("C")}, "C", "version v"},
		"version that lies":        {Evidence{Found: append(library("B2"), version("A3")...)}, "B2", "library l"},
		"library against messages": {Evidence{Found: library("D"), Heard: []Heard{live("interfaces", interfacesOfC)}}, "D", "library l"},
		"C":                        {Evidence{Heard: []Heard{kept("interfaces", interfacesOfC)}}, "C", "retained message on interfaces"},
		"D":                        {Evidence{Heard: []Heard{live("interfaces", interfacesOfD)}}, "D", "message on interfaces"},
		"live D, retained C":       {Evidence{Heard: []Heard{kept("interfaces", interfacesOfC), kept("settings", `{"data":`+bareSettings+`,"msg_type":"GetConfigResponse"}`), live("interfaces", interfacesOfD)}}, "D", "message on interfaces"},
		"retained C and D":         {Evidence{Heard: []Heard{kept("interfaces", interfacesOfC), kept("settings", `{"data":`+bareSettings+`,"msg_type":"ConfigurationResponse"}`)}}, strings.Join(wire.Names(), " "), ""},
		"live unknown":             {Evidence{Heard: []Heard{live("interfaces", `{"data":["empty"],"msg_type":"Other"}`)}}, `?"Other"`, ""},
		"retained unknown":         {Evidence{Heard: []Heard{kept("interfaces", `{"data":["empty"],"msg_type":"Other"}`)}}, strings.Join(wire.Names(), " "), ""},
		"live unknown, library C":  {Evidence{Found: library("C"), Heard: []Heard{live("interfaces", `{"data":["empty"],"msg_type":"Other"}`)}}, "C", "library l"},
		"B":                        {Evidence{Heard: []Heard{kept("interfaces", bareInterfaces)}}, "B1 B2 B3 B4a B4b", ""},
		"B1":                       {Evidence{Heard: []Heard{live("interfaces", bareInterfaces), live("settings", bareSettings), live("manifests", bareManifests), live("error_types_map", bareErrorTypes)}}, "B1", ""},
		"B1 or B2":                 {Evidence{Heard: []Heard{live("interfaces", bareInterfaces), live("error_types_map", bareErrorTypes)}}, "B1 B2", ""},
		"B2":                       {Evidence{Heard: []Heard{live("interfaces", bareInterfaces), live("settings", bareSettings), live("error_types_map", bareErrorTypes), live("module_names", bareNames)}}, "B2", ""},
		"B3":                       {Evidence{Heard: []Heard{live("interfaces", bareInterfaces), live("settings", bareSettings), live("module_names", bareNames)}}, "B3", ""},
		"B4":                       {Evidence{Heard: []Heard{live("interfaces", bareInterfaces), live("settings", forwarding)}}, "B4a B4b", ""},
		"B4 and version":           {Evidence{Heard: []Heard{live("settings", forwarding)}, Found: version("B4a")}, "B4a", "version v"},
		"B4 over leftovers of B1":  {Evidence{Heard: []Heard{kept("interfaces", bareInterfaces), kept("settings", forwarding), kept("manifests", bareManifests), kept("error_types_map", bareErrorTypes)}}, "B4a B4b", ""},
		"C over leftovers of B1":   {Evidence{Heard: []Heard{kept("interfaces", interfacesOfC), kept("manifests", bareManifests), kept("error_types_map", bareErrorTypes)}}, "C", ""},
		"leftovers of B1 alone":    {Evidence{Heard: []Heard{kept("manifests", bareManifests), kept("error_types_map", bareErrorTypes)}}, strings.Join(wire.Names(), " "), ""},
		"bare ready":               {Evidence{Heard: []Heard{live("ready", "true")}}, "A1 A2 A3 B1 B2 B3 B4a B4b", ""},
		"ready in an envelope":     {Evidence{Heard: []Heard{live("ready", `{"data":true,"msg_type":"GlobalReady"}`)}}, "C D", ""},
	} {
		t.Run(name, func(t *testing.T) {
			left, because, err := narrow(test.evidence)
			if wanted, fails := strings.CutPrefix(test.want, "?"); fails {
				if err == nil || !strings.Contains(err.Error(), wanted) || strings.Contains(err.Error(), "\n") {
					t.Errorf("left %v, error %v", left, err)
				}
				if _, decided, err := Decide(test.evidence); decided || err == nil {
					t.Errorf("decided %v, %v", decided, err)
				}
				return
			}
			if got := strings.Join(left, " "); err != nil || got != test.want || !strings.Contains(strings.Join(because, ", "), test.because) {
				t.Fatalf("left %s because of %q, %v", got, because, err)
			}
			finding, decided, err := Decide(test.evidence)
			if decided != (len(left) == 1) || err != nil || decided && finding.Release.Name != left[0] {
				t.Errorf("%+v, %v, %v", finding, decided, err)
			}
			for _, name := range wire.Names() {
				allowed := Allows(test.evidence, name) == nil
				if allowed != strings.Contains(" "+test.want+" ", " "+name+" ") {
					t.Errorf("family %s allowed: %v", name, allowed)
				}
			}
		})
	}
}

func TestGarbageShowsNothing(t *testing.T) {
	for _, topic := range Topics() {
		for _, payload := range []string{"", " ", "null", "false", "3", `"text"`, "[1]", "{", "{}", "no JSON", "\xff\xfe", `{"msg_type":null}`, `{"msg_type":"GlobalReady"}`,
			`{"msg_type":"GetConfigResponse"}`, `{"msg_type":"GetConfigResponse","data":3}`, `{"a":1}`, `{"a":[]}`, `{"data":"x"}x`} {
			if heard, ok := Hear(topic, []byte(payload), false); ok {
				t.Errorf("%s %q shows %+v", topic, payload, heard)
			}
		}
	}
	if heard, ok := Hear("ready", []byte("true"), true); ok {
		t.Errorf("a retained ready shows %+v", heard)
	}
}
