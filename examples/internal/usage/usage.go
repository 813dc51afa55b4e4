// Package usage reads what processes have used, as Linux shows it in /proc.
package usage

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used since its start.
type Usage struct {
	// User and System are the CPU time of all its threads.
	User, System time.Duration
	// Switches is how often its threads went to sleep.
	Switches int
	// Resident is the resident memory in KiB, Own the part of it that is not mapped
	// from files, Peak the most that was resident.
	Resident, Own, Peak, Threads int
}

// CPU returns the time in user and kernel mode.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// tick is the unit of times in /proc: Linux shows 100 a second on every processor that is supported here.
const tick = 10 * time.Millisecond

// Of returns what a process has used. It fails on systems other than Linux.
func Of(process int) (Usage, error) {
	folder := filepath.Join("/proc", strconv.Itoa(process))
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return Usage{}, err
	}
	// The name, in parentheses, may hold anything. User and system time are the 12th and 13th field behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return Usage{}, fmt.Errorf("%s/stat has only %d fields", folder, len(fields))
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return Usage{}, err
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		return Usage{}, err
	}
	used := Usage{User: time.Duration(user) * tick, System: time.Duration(system) * tick}
	if err := readStatus(filepath.Join(folder, "status"), map[string]*int{
		"VmRSS": &used.Resident, "RssAnon": &used.Own, "VmHWM": &used.Peak, "Threads": &used.Threads,
	}); err != nil {
		return Usage{}, err
	}
	threads, err := filepath.Glob(filepath.Join(folder, "task", "*", "status"))
	if err != nil {
		return Usage{}, err
	}
	for _, thread := range threads {
		switches := 0
		// A thread may end meanwhile.
		_ = readStatus(thread, map[string]*int{"voluntary_ctxt_switches": &switches})
		used.Switches += switches
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
