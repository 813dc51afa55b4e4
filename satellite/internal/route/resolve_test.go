package route

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// standardInterfaces are those of the controller's manifest.
func standardInterfaces(t *testing.T) map[string]string {
	t.Helper()
	interfaces := map[string]string{}
	for id, provided := range manifestOf(t, "SatelliteController").Provides {
		interfaces[id] = provided.Interface
	}
	return interfaces
}

func manifestOf(t *testing.T, module string) *install.Manifest {
	t.Helper()
	content, err := os.ReadFile("../../manifests/" + module + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := install.ParseManifest(content)
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

func builtIn(t *testing.T) *schema.Definitions {
	t.Helper()
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func defined(t *testing.T, interfaces, types string) *schema.Definitions {
	t.Helper()
	loaded, err := schema.LoadJSON([]byte(`{"interfaces":{`+interfaces+`}}`), []byte(`{"types":{`+types+`}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// rows writes what a route does other than the table of the wire.
func rows(routes []Route) map[string]string {
	table := map[string]Route{}
	for _, route := range Standard() {
		table[route.ID] = route
	}
	found := map[string]string{}
	for _, route := range routes {
		var said []string
		known := map[string]bool{}
		for _, command := range route.Commands {
			if command.Missing && command.Until == "" { // no EVerest has those of older releases and all others
				said = append(said, "-"+command.Name)
			}
			if command.Derived {
				said = append(said, "+"+command.Name+"="+string(command.UnavailableResult()))
			}
		}
		for _, variable := range table[route.ID].Variables {
			known[variable.Name] = true
		}
		for _, variable := range route.Variables {
			if !known[variable.Name] {
				said = append(said, "+$"+variable.Name)
			}
			delete(known, variable.Name)
		}
		for _, variable := range table[route.ID].Variables {
			if known[variable.Name] {
				said = append(said, "-$"+variable.Name)
			}
		}
		if len(said) > 0 {
			found[route.ID] = strings.Join(said, " ")
		}
	}
	return found
}

func TestRoutesResolveAgainstTheBoard(t *testing.T) {
	full := builtIn(t)
	without := func(id string) map[string]string {
		has := standardInterfaces(t)
		delete(has, id)
		return has
	}
	with := func(id, name string) map[string]string {
		has := standardInterfaces(t)
		has[id] = name
		return has
	}
	for _, test := range []struct {
		name        string
		has         map[string]string
		definitions *schema.Definitions
		extras      []Extra
		want        map[string]string
		problem     string
	}{
		{name: "the release that is built in", has: standardInterfaces(t), definitions: full, want: map[string]string{}},
		{name: "nothing is defined", has: standardInterfaces(t), want: map[string]string{}},
		{name: "without an interface", has: without("uk_random_delay"), definitions: full,
			want: map[string]string{"uk_random_delay": "-enable -disable -cancel -set_duration_s -$countdown"}},
		{name: "an older release", has: standardInterfaces(t),
			definitions: defined(t, `"system":{"cmds":{"reset":{},"update_firmware":{},"upload_logs":{},"is_reset_allowed":{},"get_boot_reason":{}},"vars":{"log_status":{}}}`, ""),
			want:        map[string]string{"system": "-allow_firmware_installation -set_system_time -$firmware_update_status"}},
		{name: "a newer release", has: standardInterfaces(t),
			definitions: defined(t, `"uk_random_delay":{"cmds":{"enable":{},"disable":{},"cancel":{},"set_duration_s":{},"skip":{"result":{"type":"boolean"}}},"vars":{"countdown":{},"skipped":{}}}`, ""),
			want:        map[string]string{"uk_random_delay": "+skip=false +$skipped"}},
		{name: "an extra", has: with("meter", "powermeter"), definitions: full, extras: []Extra{{"meter", "powermeter"}},
			want: map[string]string{"meter": "+start_transaction= +stop_transaction= +$powermeter +$public_key_ocmf"}},
		{name: "an extra that is not in the manifest", has: standardInterfaces(t), definitions: full, extras: []Extra{{"meter", "powermeter"}},
			want: map[string]string{}, problem: "meter:powermeter is not tunnelled: the installed manifest does not have it; install again with -install PREFIX -tunnel meter:powermeter"},
		{name: "an extra of another interface", has: with("meter", "kvs"), definitions: full, extras: []Extra{{"meter", "powermeter"}},
			want: map[string]string{}, problem: "meter:powermeter is not tunnelled: in the installed manifest meter is of interface kvs; install again with -install PREFIX -tunnel meter:powermeter"},
		{name: "an extra without definition", has: with("nobody_knows", "nobody_knows"), definitions: full, extras: []Extra{{"nobody_knows", "nobody_knows"}},
			want: map[string]string{}, problem: "nobody_knows is not tunnelled: interface nobody_knows is not defined in share/everest/interfaces of the installation"},
	} {
		t.Run(test.name, func(t *testing.T) {
			routes, problems := resolve(test.has, test.definitions, test.extras)
			if diff := cmp.Diff(test.want, rows(routes)); diff != "" {
				t.Errorf("what differs from the table (-want +got):\n%s", diff)
			}
			if got := strings.Join(problems, "\n"); got != test.problem {
				t.Errorf("problems:\n%s\nwant\n%s", got, test.problem)
			}
		})
	}
}

func TestNegativeAnswersComeFromTheResult(t *testing.T) {
	known := defined(t, "", `"/a#/Yes":{"type":"boolean"},"/a#/Also":{"$ref":"/a#/Yes","type":"string"},"/a#/Self":{"$ref":"/a#/Self"}`)
	for result, want := range map[string]string{
		`{"type":"null"}`:                         "null",
		`{"type":"boolean"}`:                      "false",
		`{"type":"string"}`:                       "",
		`{"type":"object"}`:                       "",
		`{"type":["string","null"]}`:              "null",
		`{"type":["string","boolean"]}`:           "false",
		`{"type":"boolean","enum":[true]}`:        "",
		`{"type":"string","$ref":"/a#/Yes"}`:      "false",
		`{"type":"string","$ref":"/a#/Also"}`:     "false",
		`{"$ref":"/a#/Self"}`:                     "",
		`{"$ref":"/a#/Unknown","type":"boolean"}`: "",
		`{}`: "",
		`7`:  "",
	} {
		command := derive("id", &schema.Command{Name: "command", Result: json.RawMessage(result)}, known)
		if got := string(command.UnavailableResult()); got != want {
			t.Errorf("%s: negative answer %q, want %q", result, got, want)
		}
	}
}

func TestTunnelKey(t *testing.T) {
	for key, want := range map[string]string{
		"":                             "",
		" , ":                          "",
		"powermeter":                   "powermeter",
		" powermeter , reservation,":   "powermeter,reservation",
		"powermeter,second:powermeter": "powermeter,second:powermeter",
		"second:evse_manager":          "second:evse_manager",
		"powermeter:powermeter":        "powermeter",
		"powermeter,powermeter":        `! the id "powermeter" is used twice: give the second one another, as in other:powermeter`,
		"energy":                       `! "energy" is tunnelled or used already: give it another id, as in other:energy`,
		"auth":                         `! "auth" is tunnelled or used already: give it another id, as in other:auth`,
		"satellite:powermeter":         `! "satellite" is tunnelled or used already: give it another id, as in other:powermeter`,
		"power meter":                  `! "power meter" is neither the name of an interface, such as powermeter, nor an id with one, such as output_meter:powermeter`,
		"a:b:c":                        `! "a:b:c" is neither the name of an interface, such as powermeter, nor an id with one, such as output_meter:powermeter`,
		":powermeter":                  `! ":powermeter" is neither the name of an interface, such as powermeter, nor an id with one, such as output_meter:powermeter`,
		"a/b":                          `! "a/b" is neither the name of an interface, such as powermeter, nor an id with one, such as output_meter:powermeter`,
	} {
		extras, err := ParseExtras(key)
		got := FormatExtras(extras)
		if err != nil {
			got = "! " + err.Error()
		}
		if got != want {
			t.Errorf("%q is read as\n%s, want\n%s", key, got, want)
		}
	}
}

func TestDifferencesOfSummaries(t *testing.T) {
	members := func(pairs ...string) map[string]string {
		all := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = pairs[i+1]
		}
		return all
	}
	for _, test := range []struct {
		name         string
		ours, theirs Summary
		want         []string
	}{
		{name: "nothing"},
		{name: "the same", ours: Summary{"a": {Interface: "i", Members: members("command x", "1")}}, theirs: Summary{"a": {Interface: "i", Members: members("command x", "1")}}},
		{name: "only here", ours: Summary{"a": {Interface: "i"}}, want: []string{"a: the peer does not have it"}},
		{name: "only there", theirs: Summary{"a": {Interface: "i"}}, want: []string{"a: only the peer has it"}},
		{name: "another interface", ours: Summary{"a": {Interface: "i"}}, theirs: Summary{"a": {Interface: "j"}}, want: []string{"a: interface i here, j on the peer"}},
		{name: "members",
			ours:   Summary{"a": {Interface: "i", Members: members("command x", "1", "variable y", "2", "error e/E", "")}},
			theirs: Summary{"a": {Interface: "i", Members: members("command x", "3", "variable z", "2")}},
			want: []string{
				"a: command x is defined differently on the peer", "a: error e/E is unknown to the peer",
				"a: variable y is unknown to the peer", "a: variable z is only known to the peer",
			}},
		{name: "no definitions", ours: Summary{"a": {Interface: "i", Members: members("command x", "1")}}, theirs: Summary{"a": {Interface: "i"}}},
	} {
		if diff := cmp.Diff(test.want, differences(test.ours, test.theirs, "the peer")); diff != "" {
			t.Errorf("%s: differences (-want +got):\n%s", test.name, diff)
		}
	}
	many := Summary{}
	for i := range 100 {
		many[strings.Repeat("x", i+1)] = Entry{}
	}
	if got := differences(many, nil, "the peer"); len(got) != maxDifferences+1 || got[maxDifferences] != "and 60 more" {
		t.Errorf("%d differences, the last is %s", len(got), got[len(got)-1])
	}
	if _, err := ParseSummary(`{"a":{"interface":"` + strings.Repeat("x", maxSummary) + `"}}`); err == nil || !strings.Contains(err.Error(), "1048598 bytes") {
		t.Errorf("a summary longer than any: %v", err)
	}
	if _, err := ParseSummary("[1]"); err == nil {
		t.Error("an array is taken for a summary")
	}
}
