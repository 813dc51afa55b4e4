package everest

import (
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/remotechargeport/remotechargeport/everest/install"
)

func TestFIFOIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var queue fifo[int]
		var model []int
		for _, push := range rapid.SliceOfN(rapid.Bool(), 0, 300).Draw(t, "steps") {
			if push {
				queue.push(len(model) + 1000)
				model = append(model, len(model)+1000)
			} else if value, ok := queue.pop(); ok != (len(model) > 0) || ok && value != model[0] {
				t.Fatalf("popped %d, %v from %v", value, ok, model)
			} else if ok {
				model = model[1:]
			}
			front, ok := queue.front()
			if queue.len() != len(model) || ok != (len(model) > 0) || ok && front != model[0] {
				t.Fatalf("length %d, front %d of %v", queue.len(), front, model)
			}
		}
	})
}

// Whatever comes in: what a subscriber hears alternates between raised and cleared for each identity.
func TestErrorStoreAlternates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var store errorStore
		active := map[ErrorID]bool{}
		for range rapid.IntRange(0, 100).Draw(t, "count") {
			e := Error{
				Type: rapid.SampledFrom([]string{"a/A", "b/B"}).Draw(t, "type"), SubType: rapid.SampledFrom([]string{"", "s"}).Draw(t, "sub type"),
				Origin: Origin{ModuleID: rapid.SampledFrom([]string{"m", "n"}).Draw(t, "module"), ImplementationID: "i"},
			}
			raised := rapid.Bool().Draw(t, "raised")
			if changed := store.apply(ErrorEvent{Error: e, Raised: raised}); changed != (active[e.ID()] != raised) {
				t.Fatalf("%+v raised %v: %v", e, raised, changed)
			}
			active[e.ID()] = raised
		}
		count := 0
		for _, is := range active {
			if is {
				count++
			}
		}
		if listed := store.list(); len(listed) != count {
			t.Fatalf("%d are active, %d are listed", count, len(listed))
		}
	})
}

func TestErrorStoreIsBounded(t *testing.T) {
	var store errorStore
	for i := range maxActiveErrors + 10 {
		store.raise(Error{Type: "a/A", SubType: string(rune('a'+i%26)) + time.Duration(i).String()}, nil)
	}
	if len(store.active) != maxActiveErrors {
		t.Errorf("%d errors", len(store.active))
	}
}

func TestTimestamps(t *testing.T) {
	utc := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.UTC()
	}
	for text, want := range map[string]time.Time{
		"2026-11-22T10:32:38.363Z":         utc("2026-11-22T10:32:38.363Z"),
		"2026-11-22T10:32:38Z":             utc("2026-11-22T10:32:38Z"),
		"2026-11-22T10:32:38.363+01:00":    utc("2026-11-22T09:32:38.363Z"),
		"2026-11-22T10:32:38.363123456":    utc("2026-11-22T10:32:38.363123456Z"),
		"2026-11-22T10:32:38.":             utc("2026-11-22T10:32:38Z"),
		"2026-11-22T10:32:38.363 whatever": utc("2026-11-22T10:32:38.363Z"),
		"":                                 {}, "now": {}, "2026-11-22T10:32": {}, "2026-13-22T10:32:38Z": {},
	} {
		if got := readTimestamp(text); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

const recordedConfig = `{"mappings":{"gomod":null,"peer_1":{"module":{"evse":1},"implementations":{"main":{"connector":2,"evse":1}}}},
 "module_config":{"module_id":"peer_1","module_name":"CppPeer","standalone":false,"access":null,
  "configuration_parameters":{
    "!module":[{"name":"flag","value":false,"characteristics":{"datatype":"bool","mutability":"ReadOnly"}},
               {"name":"name","value":"Peer eins","characteristics":{"datatype":"string","mutability":"ReadOnly"}},
               {"name":"num","value":3,"characteristics":{"datatype":"integer","mutability":"ReadWrite","unit":"kg"}},
               {"name":"ratio","value":4.0,"characteristics":{"datatype":"number","mutability":"ReadOnly"}}],
    "main":[{"name":"impl_opt","value":42,"characteristics":{"datatype":"integer","mutability":"ReadOnly"}}],
    "second":[]},
  "connections":{"req0":[{"module_id":"gomod","implementation_id":"gi","requirement":{"id":"req0"}}]},
  "mapping":{"module":{"evse":1},"implementations":{"main":{"connector":2,"evse":1}}},
  "telemetry_config":{"id":5},"telemetry_enabled":false},
 "telemetry_config":{"id":5}}`

func TestReadModuleConfig(t *testing.T) {
	config, err := readModuleConfig([]byte(recordedConfig))
	if err != nil {
		t.Fatal(err)
	}
	two := 2
	if config.name != "CppPeer" || *config.telemetryID != 5 {
		t.Errorf("%+v", config)
	}
	if diff := cmp.Diff(map[string][]connection{"req0": {{"gomod", "gi"}}}, config.connections); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&Mapping{EVSE: 1, Connector: &two}, config.mapping.of("main")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&Mapping{EVSE: 1}, config.mappings["peer_1"].of("second")); diff != "" {
		t.Error(diff)
	}
	if mapping := config.mappings["gomod"].of("gi"); mapping != nil {
		t.Errorf("mapping %v", mapping)
	}
	if got := config.mapping.of("main").String() + ", " + config.mapping.of("x").String() + ", " + (*Mapping)(nil).String(); got != "EVSE 1 connector 2, EVSE 1, charging station" {
		t.Error(got)
	}
	other, err := readModuleConfig([]byte(strings.Replace(recordedConfig, `"value":3`, `"value":4`, 1)))
	if err != nil || config.sameFor(other) || !config.sameFor(config) {
		t.Errorf("comparing configurations: %v", err)
	}
	for _, bad := range []string{``, `null`, `[]`, `{}`, `{"module_config":5}`, `{"module_config":{"connections":{"r":[{"module_id":"a/b","implementation_id":"c"}]}}}`} {
		if _, err := readModuleConfig([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestDecodeParameters(t *testing.T) {
	config, err := readModuleConfig([]byte(recordedConfig))
	if err != nil {
		t.Fatal(err)
	}
	parameters := config.parameters[ownParameters]
	type wanted struct {
		Flag    bool    `everest:"flag"`
		Name    string  `everest:"name"`
		Num     uint8   `everest:"num"`
		Ratio   float64 `everest:"ratio"`
		Whole   int     `everest:"ratio"`
		Missing string  `everest:"missing,optional"`
		Other   string
	}
	got := wanted{Missing: "default", Other: "untouched"}
	if err := decodeParameters("here", parameters, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted{false, "Peer eins", 3, 4, 4, "default", "untouched"}, got); diff != "" {
		t.Error(diff)
	}
	bad := map[string]any{
		`parameter "missing" is missing`: &struct {
			X int `everest:"missing"`
		}{},
		`parameter "name": want a whole number, not "Peer eins"`: &struct {
			X int `everest:"name"`
		}{},
		`parameter "num": want a string, not 3`: &struct {
			X string `everest:"num"`
		}{},
		`parameter "flag": want a whole number, not false`: &struct {
			X uint `everest:"flag"`
		}{},
		`field x`: &struct {
			x int `everest:"num"`
		}{},
		`field Y`: &struct {
			Y int `everest:"num,omitempty"`
		}{},
		`no pointer to a struct`: 5,
	}
	for want, dst := range bad {
		if err := decodeParameters("here", parameters, dst); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "here") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	var number int8
	big := Parameter{Name: "big", Value: json.RawMessage("300")}
	if err := big.Decode(&number); err == nil || !strings.Contains(err.Error(), `"big": 300 does not fit a int8`) {
		t.Error(err)
	}
	if err := (Parameter{Name: "minus", Value: json.RawMessage("-1")}).Decode(new(uint)); err == nil {
		t.Error("-1 fitted a uint")
	}
}

func TestManifestThatDoesNotFit(t *testing.T) {
	config, err := readModuleConfig([]byte(recordedConfig))
	if err != nil {
		t.Fatal(err)
	}
	fitting := func() *install.Manifest {
		return &install.Manifest{
			Config:   map[string]install.Parameter{"num": {Type: "integer"}, "new": {Type: "string", Default: json.RawMessage(`""`)}},
			Provides: map[string]install.Implementation{"main": {Config: map[string]install.Parameter{"impl_opt": {Type: "integer"}}}},
			Requires: map[string]install.Requirement{"req0": {Interface: "if", MinConnections: 1, MaxConnections: 1}, "opt": {MaxConnections: 1}},
		}
	}
	if err := config.checkManifest(fitting()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*install.Manifest){
		`parameter "port" is missing`:                       func(m *install.Manifest) { m.Config["port"] = install.Parameter{Type: "integer"} },
		`parameter "num"`:                                   func(m *install.Manifest) { m.Config["num"] = install.Parameter{Type: "string"} },
		`implementation main: parameter "other" is missing`: func(m *install.Manifest) { m.Provides["main"].Config["other"] = install.Parameter{Type: "string"} },
		`requirement "more" (interface x) has 0 connections`: func(m *install.Manifest) {
			m.Requires["more"] = install.Requirement{Interface: "x", MinConnections: 1, MaxConnections: 2}
		},
		`connects the requirement "req0"`: func(m *install.Manifest) { delete(m.Requires, "req0") },
	} {
		manifest := fitting()
		change(manifest)
		if err := config.checkManifest(manifest); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestDropLogIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		drops := dropLog{log: LimitRepeats(zap.New(core))}
		for range 1000 {
			drops.drop("topic", errors.New("bad"))
		}
		if logs.Len() != repeatBurst || drops.count() != 1000 {
			t.Errorf("%d of %d drops were reported at once", logs.Len(), drops.count())
		}
		time.Sleep(repeatInterval)
		drops.drop("topic", errors.New("bad"))
		last := logs.All()[logs.Len()-1]
		if logs.Len() != repeatBurst+1 || last.ContextMap()["repeats"] != uint64(1000-repeatBurst) {
			t.Errorf("after the interval: %v", last)
		}
	})
}

func TestErrorsCompare(t *testing.T) {
	if err := error(&tooLargeError{Topic: "t", Size: 2, Limit: 1}); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "t ") {
		t.Error(err)
	}
	for err, want := range map[*ConfigError]error{{Status: "AccessDenied"}: ErrAccessDenied, {Status: "Error"}: ErrConfigRejected, {Status: "Rejected"}: ErrConfigRejected} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
	}
	if errors.Is(&ConfigError{Status: "Error"}, ErrAccessDenied) {
		t.Error("an error is no denial")
	}
}

func TestPathsFollowFromThePrefixWithoutSettings(t *testing.T) {
	for prefix, want := range map[string]Paths{
		"/usr":         {"/etc/everest", "/usr/libexec/everest/modules/One", "/usr/share/everest/modules/One"},
		"/opt/everest": {"/opt/everest/etc/everest", "/opt/everest/libexec/everest/modules/One", "/opt/everest/share/everest/modules/One"},
		"/sysroot/usr": {"/sysroot/etc/everest", "/sysroot/usr/libexec/everest/modules/One", "/sysroot/usr/share/everest/modules/One"},
	} {
		m := &Module{options: Options{InstallPrefix: prefix}, config: &moduleConfig{name: "One"}, start: newStartData()}
		if diff := cmp.Diff(want, m.Paths()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", prefix, diff)
		}
		m.start.update(func() {
			m.start.settings = Settings{Known: true, EtcDir: "/e", DataDir: "/d", ModulesDir: "/m"}
		})
		if diff := cmp.Diff(Paths{"/e", "/m/One", "/d/modules/One"}, m.Paths()); diff != "" {
			t.Errorf("with settings (-want +got):\n%s", diff)
		}
	}
}

func TestRaiseRefusesWhatCannotBeAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		main := m.Provides("main")
		for _, e := range []Error{{}, {Type: "none"}, {Type: "a/#"}, {Type: "a/b/c"}, {Type: "/b"}} {
			if err := main.Raise(t.Context(), e); err == nil {
				t.Errorf("%q was raised", e.Type)
			}
		}
		if err := main.RelayError(t.Context(), []byte(`{"type":"a/B"}`), true); err == nil {
			t.Error("an error without an origin was forwarded")
		}
		// What could not be published is not active.
		hub.lose()
		if err := main.Raise(t.Context(), Error{Type: "a/B"}); !errors.Is(err, ErrBrokerLost) {
			t.Error(err)
		}
		if main.IsActive("a/B", "") {
			t.Error("an error that was not published is active")
		}
	})
}

func TestNamesOfConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := connectMemory(t, &memoryHub{}, func(o *Options) {
			o.Manifest = []byte("description: One\nprovides: {main: {interface: bell, description: one bell}}\nrequires: {peer: {interface: door}}\n" +
				"metadata: {license: https://example.com, authors: [nobody]}\n")
		})
		main, peer := m.Provides("main"), m.Requires("peer")[0]
		got := []string{m.ID(), m.Name(), main.ID(), main.Interface(), peer.Requirement(), peer.ModuleID(), peer.ImplementationID(), peer.Interface(), peer.String()}
		if diff := cmp.Diff([]string{"one", "One", "main", "bell", "peer", "two", "main", "door", "peer (two.main)"}, got); diff != "" {
			t.Error(diff)
		}
		if m.Mapping() != nil || main.Mapping() != nil || peer.Mapping() != nil {
			t.Error("a mapping from nowhere")
		}
	})
}

func TestEncodeValue(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{nil, `null`}, {5, `5`}, {5.0, `5`}, {-1.5, `-1.5`}, {uint64(math.MaxUint64), `18446744073709551615`}, {"<a&b>", `"<a&b>"`},
		{"bad \xff end", `"bad \ufffd end"`}, {json.RawMessage(` {"b":1.0, "a":2} `), ` {"b":1.0, "a":2} `}, {json.RawMessage(nil), `null`},
		{struct {
			Value json.RawMessage `json:"value"`
		}{json.RawMessage(`1.50`)}, `{"value":1.50}`},
	} {
		encoded, err := encodeValue(test.value)
		if err != nil || string(encoded) != test.want {
			t.Errorf("%v: %s, %v, want %s", test.value, encoded, err, test.want)
		}
	}
	for _, value := range []any{math.NaN(), json.RawMessage(`{`), json.RawMessage("\"\xff\""), make(chan int)} {
		if encoded, err := encodeValue(value); err == nil {
			t.Errorf("%v was encoded as %s", value, encoded)
		}
	}
}

func TestPacketSize(t *testing.T) {
	for _, test := range []struct {
		payload  int
		delivery Delivery
		want     int
	}{
		{0, AtMostOnce, 2 + 2 + 1}, {0, ExactlyOnce, 2 + 2 + 1 + 2}, {122, ExactlyOnce, 2 + 127}, {123, ExactlyOnce, 3 + 128},
		{511_991, ExactlyOnce, MaxPacketSize}, {511_992, ExactlyOnce, MaxPacketSize + 1},
	} {
		if got := packetSize("t", make([]byte, test.payload), test.delivery); got != test.want {
			t.Errorf("%d bytes: %d, want %d", test.payload, got, test.want)
		}
	}
}

func TestUUIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newUUID()
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || strings.Count(id, "-") != 4 || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}

func FuzzErrorEvents(f *testing.F) {
	f.Add([]byte(`{"data":{"type":"a/B","state":"Active","origin":{}},"msg_type":"RaiseError"}`))
	f.Add([]byte(`{"data":{"type":"a/B","state":"Active","origin":{` + strings.Repeat(`"a":[],`, 10_000) + `"b":0}},"msg_type":"RaiseError"}`))
	m := &Module{wire: testWire}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		event, err := m.readErrorEvent(Message{Payload: payload})
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(16<<10+8*len(payload)) {
			t.Errorf("%d bytes take %d bytes of memory", len(payload), used)
		}
		if err != nil {
			return
		}
		raw, err := encodeValue(event.Error)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := m.readErrorEvent(Message{Payload: m.wire.Error("", true, raw)}); err != nil || again.Raised != event.Raised {
			t.Fatalf("error %+v came back as %+v: %v", event, again, err)
		}
	})
}
