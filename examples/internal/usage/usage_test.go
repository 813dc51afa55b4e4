package usage

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	var meter Meter
	if lines := meter.Table("agent"); lines != nil {
		t.Errorf("a table of nothing: %q", lines)
	}
	meter.measured = map[string][]cost{
		"main board": {{start: time.Second, lifetime: 0, peak: 40 << 10}},
		"agent": {
			{start: 100 * time.Millisecond, rest: 100 * time.Millisecond, lifetime: 10 * time.Second, peak: 30 << 10},
			{start: 100 * time.Millisecond, rest: 200 * time.Millisecond, lifetime: 10 * time.Second, peak: 10 << 10},
			{start: 100 * time.Millisecond, rest: 300 * time.Millisecond, lifetime: 10 * time.Second, peak: 20 << 10},
		},
	}
	want := []string{
		"cost of a process  processes  CPU to ready  CPU afterwards  of a core  peak RSS  most",
		"main board         1          1.00 s        0.00 s          0.00 %     40.0 MiB  40.0 MiB",
		"agent              3          0.10 s        0.20 s          2.00 %     20.0 MiB  30.0 MiB",
	}
	if diff := cmp.Diff(want, meter.Table("main board", "controller", "agent")); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestMeter(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows what a process has used")
	}
	used, err := Of(os.Getpid())
	if err != nil || used.Peak < 1<<10 || used.Resident > used.Peak || used.Threads < 1 || used.Switches < 1 {
		t.Errorf("usage %+v, error %v, want the memory and the threads of this process", used, err)
	}
	var meter Meter
	meter.Ready("gone", 1<<30)
	meter.Ready("agent", os.Getpid())
	meter.Ready("agent", os.Getpid())
	meter.Measure()
	if len(meter.measured) != 1 || len(meter.measured["agent"]) != 1 {
		t.Errorf("measured %v, want this process once", meter.measured)
	}
	path := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(path, []byte("Name:\tx\nVmHWM:\tmuch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readStatus(path, map[string]*int{"VmHWM": new(int)}); err == nil {
		t.Error("a number was found where there is none")
	}
}
