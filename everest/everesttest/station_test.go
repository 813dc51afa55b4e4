package everesttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
)

// The module under test in this file is a lamp. It calls its sockets before it switches on.
const lampManifest = `
description: a lamp
metadata: {license: https://example.org/licence, authors: [me]}
config:
  watts: {description: how bright, type: integer}
provides:
  lamp: {interface: lamp, description: the lamp}
requires:
  socket: {interface: socket, min_connections: 2, max_connections: 3}
`

var lampFiles = fstest.MapFS{
	"interfaces/lamp.yaml": {Data: []byte(`
description: A lamp
cmds:
  switch: {description: on or off, arguments: {on: {description: on, type: boolean}}, result: {description: done, type: boolean}}
vars:
  brightness: {description: in watts, type: number}
errors: [{reference: /errors/lamp}]
`)},
	"interfaces/socket.yaml": {Data: []byte(`
description: A socket
cmds:
  load: {description: may it, arguments: {watts: {description: how much, type: integer}}, result: {description: yes, type: boolean}}
  status: {description: how it is, result: {description: all, type: object, $ref: /socket#/Status}}
vars:
  voltage: {description: in V, type: number}
errors: [{reference: /errors/lamp}]
`)},
	"types/socket.yaml": {Data: []byte(`
description: Sockets
types:
  Status:
    description: all
    type: object
    required: [state, since, phases, name]
    properties:
      state: {description: state, type: string, $ref: /socket#/State}
      since: {description: since, type: string, format: date-time}
      phases: {description: phases, type: array, minItems: 1, items: {description: a phase, type: integer, minimum: 1}}
      name: {description: name, type: string, minLength: 3}
  State: {description: state, type: string, enum: [ok, broken]}
`)},
	"errors/lamp.yaml": {Data: []byte("description: lamps\nerrors: [{name: Broken, description: broken}]\n")},
}

func runLamp(ctx context.Context, options everest.Options) error {
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	var config struct {
		Watts int `everest:"watts"`
	}
	if err := module.DecodeConfig(&config); err != nil {
		return errors.Join(err, module.Close())
	}
	lamp, sockets := module.Provides("lamp"), module.Requires("socket")
	everest.Handle(lamp, "switch", func(ctx context.Context, arguments struct {
		On bool `json:"on"`
	}) (bool, error) {
		watts := 0
		if arguments.On {
			watts = config.Watts
		}
		for _, socket := range sockets {
			may, err := everest.Call[bool](ctx, socket, "load", map[string]any{"watts": watts})
			if err != nil || !may {
				return false, err
			}
		}
		return true, lamp.Publish(ctx, "brightness", watts)
	})
	everest.Subscribe(sockets[0], "voltage", func(ctx context.Context, volts float64) {
		if volts < 100 {
			err = lamp.Raise(ctx, everest.Error{Type: "lamp/Broken", SubType: "dark", Message: "no voltage"})
		} else {
			err = lamp.Clear(ctx, "lamp/Broken", "dark")
		}
		if err != nil {
			module.Fail(err)
		}
	})
	return module.Run(ctx)
}

func lampStation(t *testing.T, broker everest.Broker) *Station {
	t.Helper()
	return lampStationOf(t, broker, "C")
}

func lampStationOf(t *testing.T, broker everest.Broker, family string) *Station {
	t.Helper()
	loaded, err := schema.LoadYAML(lampFiles)
	if err != nil {
		t.Fatal(err)
	}
	return NewStation(t, StationConfig{
		Manifest: []byte(lampManifest), Definitions: loaded, Config: map[string]any{"watts": 60}, Broker: broker, Family: family,
	}, runLamp)
}

func TestStation(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		station := lampStation(t, broker)
		var done bool
		station.Call("lamp", "switch", map[string]any{"on": true}, &done)
		if done {
			t.Error("a fake without Answer returns true")
		}
		station.Fake("socket").Answer("load", true)
		station.FakeAt("socket", 1).Handle("load", func(_ context.Context, arguments everest.Args) (any, error) {
			var watts int
			err := arguments.Decode("watts", &watts)
			return watts < 100, err
		})
		station.Call("lamp", "switch", map[string]any{"on": true}, &done)
		if !done {
			t.Error("the lamp is not on")
		}
		station.Expect(Called("socket", "load", map[string]int{"watts": 60}),
			Called("socket", "load", Any), Called("socket[1]", "load", map[string]int{"watts": 60}), Published("lamp", "brightness", 60))
		station.Fake("socket").Publish("voltage", 5)
		station.Fake("socket").Publish("voltage", 230)
		station.Expect(Raised("lamp", "lamp/Broken", "dark"), Cleared("lamp", "lamp/Broken", "dark"))
		station.Fake("socket").Raise(everest.Error{Type: "lamp/Broken"})
		station.Fake("socket").Clear("lamp/Broken", "")
		if err := station.TryCall("lamp", "switch", map[string]any{"on": "yes"}, nil); err == nil {
			t.Error("a text passes for a truth value")
		}
		wanted := []string{
			`calls socket.load {"watts":60}`, `calls socket.load {"watts":60}`, `calls socket[1].load {"watts":60}`, `publishes lamp.brightness 60`,
			`raises lamp.lamp/Broken "dark"`, `clears lamp.lamp/Broken "dark"`,
		}
		if diff := cmp.Diff(wanted, eventTexts(station)); diff != "" {
			t.Error(diff)
		}
	})
}

func eventTexts(station *Station) []string {
	var texts []string
	for _, event := range station.Events() {
		texts = append(texts, event.String())
	}
	return texts
}

// tolerant is a testing.TB that records Fatal instead of ending the test.
type tolerant struct {
	testing.TB
	failure string
	ctx     context.Context
}

func (r *tolerant) Helper()                  {}
func (r *tolerant) Context() context.Context { return r.ctx }
func (r *tolerant) Fatalf(format string, arguments ...any) {
	r.failure = fmt.Sprintf(format, arguments...)
	panic(r)
}

// failing returns the message with which a helper ends the test.
func failing(t *testing.T, station *Station, helper func()) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	record := &tolerant{TB: t, ctx: ctx}
	station.t = record
	defer func() { station.t = t }()
	func() {
		defer func() {
			if ended := recover(); ended != nil && ended != any(record) {
				panic(ended)
			}
		}()
		helper()
	}()
	return record.failure
}

func TestExpectListsActions(t *testing.T) {
	station := lampStation(t, everest.Broker{})
	station.Fake("socket").Answer("load", true)
	station.Call("lamp", "switch", map[string]any{"on": true}, nil)
	// The waits below are short, so all events must be recorded before.
	if _, err := station.Recorder.Wait(t.Context(), func([]Message) bool { return len(station.Events()) == 2 }); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		steps []Step
		want  []string
	}{
		{[]Step{Published("lamp", "brightness", 61)}, []string{"publishes lamp.brightness 61 (step 1 of 1)", `calls socket.load {"watts":60}`, `calls socket[1].load`}},
		{[]Step{Called("socket[1]", "load", Any), Called("socket", "load", Any)}, []string{"calls socket.load anything", "(step 2 of 2)"}},
		{[]Step{Raised("lamp", "lamp/Broken", "")}, []string{`raises lamp.lamp/Broken ""`}},
		{[]Step{Published("lamp", "brightness", func(json.RawMessage) bool { return false })}, []string{"a value that the test checks"}},
	} {
		got := failing(t, station, func() { station.Expect(test.steps...) })
		for _, want := range test.want {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in %s", want, got)
			}
		}
	}
	for want, helper := range map[string]func(){
		"requirement socket has no connection 2":             func() { station.FakeAt("socket", 2) },
		"requirement plug has no connection 0":               func() { station.Fake("plug") },
		"the module under test does not provide":             func() { _ = station.TryCall("plug", "switch", nil, nil) },
		"lamp.switch: argument on of lamp.switch is missing": func() { station.Call("lamp", "switch", nil, nil) },
		"fake socket_0 (interface socket): raise: error other/Error is not declared; the interface has lamp/Broken": func() { station.Fake("socket").Raise(everest.Error{Type: "other/Error"}) },
		"fake socket_0 (interface socket): publish voltage: json: unsupported":                                      func() { station.Fake("socket").Publish("voltage", make(chan int)) },
	} {
		if got := failing(t, station, helper); !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestStationFaults(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		t.Run("duplicate delivery", func(t *testing.T) {
			station := lampStation(t, broker)
			station.Proxy.Duplicate(1, ToClient("/var/voltage"))
			station.Fake("socket").Publish("voltage", 5)
			station.Fake("socket").Publish("voltage", 230)
			station.Expect(Cleared("lamp", "lamp/Broken", "dark"))
			if got := len(station.Events()); got != 2 {
				t.Errorf("%d events: %v", got, eventTexts(station))
			}
		})
		t.Run("poison", func(t *testing.T) {
			station := lampStation(t, broker)
			station.Poison()
			station.Fake("socket").Answer("load", true)
			station.FakeAt("socket", 1).Answer("load", true)
			station.Call("lamp", "switch", map[string]any{"on": true}, nil)
			station.Expect(Published("lamp", "brightness", 60))
		})
		t.Run("restart", func(t *testing.T) {
			station := lampStation(t, broker)
			station.Restart()
			station.Call("lamp", "switch", map[string]any{"on": true}, nil)
		})
		t.Run("broker gone", func(t *testing.T) {
			station := lampStation(t, broker)
			station.Proxy.Refuse(true)
			station.Proxy.Refuse(false)
			// A standalone module connects again. A broker without sessions does not keep commands for it meanwhile.
			for deadline := time.Now().Add(Patience); ; {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				err := station.world.Requires("lamp")[0].Call(ctx, "switch", map[string]any{"on": true}, nil)
				cancel()
				if err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
			connections := 0
			for _, packet := range station.Proxy.Packets() {
				if packet.Connect != nil {
					connections++
				}
			}
			if connections < 2 {
				t.Error("the module has not connected again")
			}
		})
		t.Run("late ready", func(t *testing.T) {
			station := lampStation(t, broker)
			late := station.Proxy.Hold(1, FromClient("modules/module/ready"))
			if err := station.Process.Stop(); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			station.Start()
			if _, err := station.Proxy.Wait(t.Context(), func(packets []Packet) bool {
				return len(slices.DeleteFunc(packets, func(p Packet) bool { return p.Topic != station.prefix+"modules/module/ready" })) == 2
			}); err != nil {
				t.Fatal(err)
			}
			if got := station.Manager.GlobalReadyCount(); got != 1 {
				t.Errorf("global ready %d times", got)
			}
			late.Lift()
			station.waitReady(2)
		})
		t.Run("slow subscriber", func(t *testing.T) {
			station := lampStation(t, broker)
			station.Proxy.Stall(true)
			for i := range 200 {
				station.Fake("socket").Publish("voltage", 99+2*(i%2))
			}
			station.Proxy.Stall(false)
			station.Expect(slices.Repeat([]Step{Raised("lamp", "lamp/Broken", "dark"), Cleared("lamp", "lamp/Broken", "dark")}, 100)...)
		})
	})
}

func TestStationWithFailingModule(t *testing.T) {
	record := &tolerant{TB: t, ctx: t.Context()}
	func() {
		defer func() {
			if ended := recover(); ended != nil && ended != any(record) {
				panic(ended)
			}
		}()
		NewStation(record, StationConfig{Manifest: []byte("description: nothing at all\nmetadata: {license: 'https://example.org', authors: [me]}\n")},
			func(context.Context, everest.Options) error { return errors.New("no fuse") })
	}()
	if want := "the module under test ended before it was ready: no fuse"; record.failure != want {
		t.Errorf("%q, want %q", record.failure, want)
	}
}

func TestSmallest(t *testing.T) {
	loaded, err := schema.LoadYAML(lampFiles)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := smallest(loaded, []byte(`{"$ref":"/socket#/Status"}`))
	if want := `{"name":"xxx","phases":[1],"since":"1970-01-01T00:00:00.000Z","state":"ok"}`; !ok || string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, schema := range []string{`{"$ref":"/socket#/Gone"}`, `{"type":"odd"}`, `3`, `{"type":"object","required":["a"]}`} {
		if got, ok := smallest(loaded, []byte(schema)); ok {
			t.Errorf("%s: %s", schema, got)
		}
	}
}

func TestTrace(t *testing.T) {
	station := lampStation(t, everest.Broker{})
	station.Fake("socket").Answer("load", true)
	station.FakeAt("socket", 1).Answer("load", true)
	station.Call("lamp", "switch", map[string]any{"on": true}, nil)
	station.Fake("socket").Publish("voltage", 5)
	station.Fake("socket").Publish("voltage", 230)
	station.Expect(Cleared("lamp", "lamp/Broken", "dark"))
	rows := TraceOf(station.prefix, station.Recorder.Messages())
	var kinds []Kind
	for _, row := range rows {
		kinds = append(kinds, row.Kind)
	}
	slices.Sort(kinds)
	if diff := cmp.Diff([]Kind{KindCommand, KindCommand, KindCommand, KindError, KindError, KindReply, KindReply, KindReply, KindVariable, KindVariable, KindVariable}, kinds); diff != "" {
		t.Error(diff)
	}
	var file bytes.Buffer
	if err := WriteTrace(&file, rows); err != nil {
		t.Fatal(err)
	}
	read, err := ReadTrace(&file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, read); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadTrace(strings.NewReader("{}\n{")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Error(err)
	}

	// The recording of one lamp's socket drives the next lamp.
	var socket []TraceRow
	for _, row := range rows {
		if row.ModuleID == worldID {
			socket = append(socket, row)
		}
	}
	next := lampStation(t, everest.Broker{})
	next.Fake("socket").Replay(socket, 0)
	next.Fake("socket").Replay(socket, 1000)
	next.Expect(Raised("lamp", "lamp/Broken", "dark"), Cleared("lamp", "lamp/Broken", "dark"), Raised("lamp", "lamp/Broken", "dark"), Cleared("lamp", "lamp/Broken", "dark"))
}

func TestReadTraceOfRealStation(t *testing.T) {
	file, err := os.Open("testdata/errors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := ReadTrace(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		if row.Kind == kindOther || row.ModuleID == "" || row.Name == "" || len(row.Value) == 0 || i > 0 && row.Time < rows[i-1].Time {
			t.Errorf("row %d: %+v", i+1, row)
		}
	}
}
