package route

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// A peer decides the names in its summary. They are short in what is logged and shown, and cost no memory.
func TestNamesOfAPeerAreShort(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	var table Table
	table.own = Summary{"evse_manager": {Interface: "evse_manager"}}
	found := table.Compare(Summary{long: {}, "evse_manager": {Interface: long}}, "the satellite")
	if len(found) != 2 {
		t.Fatalf("%d differences", len(found))
	}
	for _, text := range found {
		if len(text) > maxDifference+len("...") {
			t.Errorf("a difference has %d bytes", len(text))
		}
	}
	if !table.SetDifferences(found) || table.SetDifferences(found) {
		t.Error("differences are not reported once")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 50 {
		table.First(fmt.Sprint(i) + long)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 4<<20 {
		t.Errorf("%d bytes are held for what was reported", held)
	}
	runtime.KeepAlive(&table)
}
