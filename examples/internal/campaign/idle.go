//go:build linux

package campaign

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

// settleTime is how long the boards are left alone before the measurement: what belongs to their start is over then.
const settleTime = 5 * time.Second

// usage is what a process has used since its start.
type usage struct {
	user, system time.Duration
	// switches is how often its threads went to sleep.
	switches int
	// resident and own are memory in KiB: all, and without what is mapped from files.
	resident, own, threads int
}

// measureIdle measures what a link costs on which nothing happens.
func (c *campaign) measureIdle(ctx context.Context) error {
	port, _ := c.port.alive()
	main, _ := c.main.alive()
	if port == nil || main == nil {
		return fmt.Errorf("a board is not up")
	}
	if err := recording.Sleep(ctx, settleTime); err != nil {
		return context.Cause(ctx)
	}
	processes := []*process{port.module, main.module}
	var before []usage
	packets, bytes, err := c.network.passed()
	if err != nil {
		return err
	}
	for _, process := range processes {
		used, err := usageOf(process.command.Process.Pid)
		if err != nil {
			return err
		}
		before = append(before, used)
	}
	start := time.Now()
	if err := recording.Sleep(ctx, c.flags.Idle); err != nil {
		return context.Cause(ctx)
	}
	took := time.Since(start).Seconds()
	fmt.Fprintln(c.output, "| process | CPU, % of a core | user, ms | system, ms | wake-ups/s | resident, MiB | of it its own, MiB | threads |\n|---|---|---|---|---|---|---|---|")
	for i, process := range processes {
		after, err := usageOf(process.command.Process.Pid)
		if err != nil {
			return err
		}
		user, system := after.user-before[i].user, after.system-before[i].system
		fmt.Fprintf(c.output, "| %s | %.2f | %d | %d | %.1f | %.1f | %.1f | %d |\n", filepath.Base(process.command.Path),
			100*(user+system).Seconds()/took, user.Milliseconds(), system.Milliseconds(), float64(after.switches-before[i].switches)/took,
			float64(after.resident)/1024, float64(after.own)/1024, after.threads)
	}
	packetsAfter, bytesAfter, err := c.network.passed()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.output, "\nin %.0f s; on the link %.1f packets/s, %.0f bytes/s\n", took, float64(packetsAfter-packets)/took, float64(bytesAfter-bytes)/took)
	return nil
}

// tick is the unit of times in /proc: Linux shows 100 a second on every processor that is supported here.
const tick = 10 * time.Millisecond

// usageOf reads what a process has used.
func usageOf(process int) (usage, error) {
	folder := filepath.Join("/proc", strconv.Itoa(process))
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return usage{}, err
	}
	// The name, in parentheses, may hold anything; user and system time are the 12th and 13th field behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return usage{}, fmt.Errorf("%s/stat has only %d fields", folder, len(fields))
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return usage{}, err
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		return usage{}, err
	}
	used := usage{user: time.Duration(user) * tick, system: time.Duration(system) * tick}
	if err := readStatus(filepath.Join(folder, "status"), map[string]*int{
		"VmRSS": &used.resident, "RssAnon": &used.own, "Threads": &used.threads,
	}); err != nil {
		return usage{}, err
	}
	threads, err := filepath.Glob(filepath.Join(folder, "task", "*", "status"))
	if err != nil {
		return usage{}, err
	}
	for _, thread := range threads {
		switches := 0
		// A thread may end meanwhile.
		_ = readStatus(thread, map[string]*int{"voluntary_ctxt_switches": &switches})
		used.switches += switches
	}
	return used, nil
}

// readStatus reads numbers of a status file by their names.
func readStatus(path string, into map[string]*int) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if target := into[name]; target != nil {
			if _, err := fmt.Sscan(value, target); err != nil {
				return fmt.Errorf("%s: %s: %w", path, name, err)
			}
		}
	}
	return nil
}
