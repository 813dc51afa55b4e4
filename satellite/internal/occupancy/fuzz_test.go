package occupancy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// FuzzStep feeds arbitrary values. The machine must not panic, must not keep more than its bounds, and must publish
// nothing of its own but JSON.
func FuzzStep(f *testing.F) {
	for _, value := range realEvents() {
		f.Add([]byte(value), uint64(1))
	}
	f.Add([]byte(`{"event":"TransactionStarted","uuid":"a","connector_id":1e400,"transaction_started":{"id_tag":{},"meter_value":{"timestamp":"","energy_Wh_import":{"total":-0}}}}`), uint64(2))
	f.Add([]byte(`{"event":"\u0053essionStarted","uuid":"\u0041","event":"SessionStarted"}`), uint64(3))
	f.Fuzz(func(t *testing.T, value []byte, seed uint64) {
		draw := rand.New(rand.NewPCG(seed, seed))
		now := time.Unix(0, 0)
		m := New(Config{Deadline: time.Minute, Delivery: time.Second, EVSE: 1})
		variables := []string{sessionEventVariable, meterVariable, readyVariable, waitingVariable, limitsVariable, FlowRequest, "telemetry"}
		before := bytes.Clone(value)
		var start, end runtime.MemStats
		runtime.ReadMemStats(&start)
		for range 40 {
			now = now.Add(time.Duration(draw.IntN(30)) * time.Second)
			var event Event
			switch draw.IntN(6) {
			case 0:
				event = Lost{"", now}
			case 1:
				event = Linked{draw.IntN(2) == 0, now}
			case 2:
				event = Tick{now}
			case 3:
				event = Told{[]string{"enforce_limits", "enable_disable", externalReady}[draw.IntN(3)], map[string]json.RawMessage{"value": value, "cmd_source": value}, now}
			default:
				event = Published{variables[draw.IntN(len(variables))], value, now}
			}
			for _, action := range m.Step(event) {
				if publish, ok := action.(Publish); ok && !bytes.Equal(publish.Value, value) && !json.Valid(publish.Value) {
					t.Fatalf("%T makes %s of %q", event, publish.Value, value)
				}
			}
		}
		runtime.ReadMemStats(&end)
		if used := end.TotalAlloc - start.TotalAlloc; used > uint64(1<<20+40*8*len(value)) {
			t.Fatalf("%d bytes are allocated for a value of %d", used, len(value))
		}
		if held := heldBy(m); held > maxHeld {
			t.Fatalf("it keeps %d bytes", held)
		}
		if !bytes.Equal(before, value) {
			t.Fatalf("%q was changed to %q", before, value)
		}
	})
}

// maxHeld is what a machine may keep of values.
const maxHeld = maxFinished*maxName + maxTold*maxKept + 4*maxKept

// heldBy returns how many bytes of values a machine keeps.
func heldBy(m *Machine) int {
	size := len(m.meter.value) + len(m.share.node) + len(m.share.kind) + len(m.resumed) + len(m.orphan)
	for _, kept := range m.finished {
		size += len(kept.id)
	}
	for _, kept := range m.commands.commands {
		for _, value := range kept.arguments {
			size += len(value)
		}
	}
	if m.session != nil {
		size += len(m.session.id) + len(m.session.tag) + len(m.session.connector)
	}
	return size
}

// TestMemoryIsBounded holds what a machine keeps of a satellite that says much.
func TestMemoryIsBounded(t *testing.T) {
	m := New(Config{Deadline: time.Minute})
	now := time.Unix(1, 0)
	m.Step(Linked{At: now})
	long := strings.Repeat("x", 1<<20)
	say := func(name, session, extra string) {
		m.Step(Published{sessionEventVariable, json.RawMessage(fmt.Sprintf(
			`{"event":%q,"uuid":%q,"transaction_started":{"id_tag":{"x":%q},"meter_value":{"x":%q,"timestamp":"2026-11-26T18:40:00Z","energy_Wh_import":{"total":1}}}}`,
			name, session, extra, extra)), now})
	}
	for i := range 2000 {
		session := fmt.Sprintf("%d%s", i, strings.Repeat("x", 200))
		say("SessionStarted", session, "")
		say("TransactionStarted", session, "")
		m.Step(Told{"enable_disable", map[string]json.RawMessage{"connector_id": json.RawMessage(fmt.Sprint(i)), "cmd_source": json.RawMessage(`{"x":"` + strings.Repeat("x", 15<<10) + `"}`)}, now})
	}
	for range 20 {
		say("SessionStarted", long, long)
		say("TransactionStarted", "last", long)
		m.Step(Published{FlowRequest, json.RawMessage(`{"uuid":"` + long + `","node_type":"Evse"}`), now})
		m.Step(Told{"update_allowed_energy_transfer_modes", map[string]json.RawMessage{"x": json.RawMessage(`"` + long + `"`)}, now})
	}
	if held := heldBy(m); held > maxHeld || held < maxTold*maxKept/2 {
		t.Errorf("it keeps %d bytes, and may keep %d", held, maxHeld)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 2000 {
		say("AuthRequired", "last", strings.Repeat("x", 1<<10))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}
