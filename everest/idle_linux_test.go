package everest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// tenConfig is a station with nothing but the module of ten interfaces.
func tenConfig(broker everest.Broker) everesttest.ManagerConfig {
	return everesttest.ManagerConfig{Broker: broker, Modules: map[string]everesttest.ModuleConfig{"ten": {Module: "Ten", Manifest: tenManifest()}}}
}

// BenchmarkStart is the time from the start of a process to its ready on the broker, with ten interfaces and their
// definitions. It reports what the process holds then.
func BenchmarkStart(b *testing.B) {
	benchBrokers(b, func(b *testing.B, broker everest.Broker) {
		var took time.Duration
		var memory []string
		for b.Loop() {
			b.StopTimer()
			manager, err := everesttest.StartManager(b.Context(), tenConfig(broker))
			if err != nil {
				b.Fatal(err)
			}
			recorder, err := everesttest.StartRecorder(b.Context(), broker, "everest/modules/+/ready")
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			started := time.Now()
			process := startProcessAs(b, "ten", manager.Arguments("ten"), nil)
			ready, err := recorder.WaitTopic(b.Context(), "everest/modules/ten/ready")
			if err != nil {
				b.Fatal(err)
			}
			took += ready.Time.Sub(started)
			b.StopTimer()
			memory = process.until(b, "ready")
			process.command.Process.Kill()
			process.wait()
			recorder.Close()
			if err := manager.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms/start")
		b.Log(memory)
	})
}

var voluntary = regexp.MustCompile(`(?m)^voluntary_ctxt_switches:\s+(\d+)`)

// wakeUps counts how often the threads of a process have gone to sleep, which is how often they woke up.
func wakeUps(t *testing.T, process int) (total int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", process))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended
		}
		if match := voluntary.FindSubmatch(status); match != nil {
			count, err := strconv.Atoi(string(match[1]))
			if err != nil {
				t.Fatal(err)
			}
			total += count
		}
	}
	return total
}

// An idle module wakes up for MQTT's keep-alive, which looks at the clock every 5 s, and for nothing else. A wake-up takes a
// few switches, for it starts on one thread and may end on another.
func TestIdleModuleSleeps(t *testing.T) {
	if !*longRun {
		t.Skip("takes a minute: run with -everest.long")
	}
	manager := everesttest.NewManager(t, tenConfig(everesttest.NewMosquitto(t, everesttest.MosquittoConfig{})))
	process := startProcessAs(t, "ten", manager.Arguments("ten"), nil)
	for _, line := range process.until(t, "ready") {
		t.Log(line)
	}
	pause := func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		<-timer.C
	}
	pause(10 * time.Second) // the runtime's own background work after the start
	before := wakeUps(t, process.command.Process.Pid)
	pause(time.Minute)
	count := wakeUps(t, process.command.Process.Pid) - before
	t.Logf("%d sleeps of all threads in a minute", count)
	if count > 240 {
		t.Errorf("%d sleeps of all threads in a minute: something polls", count)
	}
}
