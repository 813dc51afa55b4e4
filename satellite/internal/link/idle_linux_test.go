package link

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkLinkIdle is what a link costs on which nothing happens but the
// heartbeat, both sides and the garbage collector counted; one iteration is one
// second of it.
func BenchmarkLinkIdle(b *testing.B) {
	startBareLink(b, func(json.RawMessage) {})
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	time.Sleep(time.Duration(b.N) * time.Second)
	b.StopTimer()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	b.ReportMetric(100*used.Seconds()/b.Elapsed().Seconds(), "%-of-a-core")
	b.ReportMetric(float64(after.Nvcsw-before.Nvcsw)/b.Elapsed().Seconds(), "switches/s")
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "VmRSS") {
				b.Log(strings.TrimSpace(line))
			}
		}
	}
}
