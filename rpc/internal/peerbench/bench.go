package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// work is one task that every library runs.
type work struct {
	name                        string
	connections, inFlight, size int
	// oneCore pins both processes to one core, so that waking a halted core is not measured.
	oneCore bool
}

var allWorks = []work{
	{"sequential 32 B, one core", 1, 1, 32, true},
	{"sequential 32 B", 1, 1, 32, false},
	{"64 in flight, 100 B", 1, 64, 100, false},
	{"4 connections x 64, 100 B", 4, 64, 100, false},
	{"64 in flight, 10 KiB", 1, 64, 10 << 10, false},
	{"sequential 1 MiB", 1, 1, 1 << 20, false},
	{"64 in flight, 1 MiB", 1, 64, 1 << 20, false},
}

// pair is a server and a client.
type pair struct {
	name           string
	server, client []string
}

type bench struct {
	rounds    int
	seconds   float64
	reference string
	pairs     []pair
	works     []work
}

// result is one run.
type result struct {
	figures
	// memory is the server's maximum resident memory in MiB, serverCPU its time for each call in microseconds.
	memory, serverCPU float64
}

func (b *bench) run() error {
	for _, w := range b.works {
		results := make(map[string][]result)
		for range b.rounds {
			for _, p := range b.pairs {
				r, err := b.once(p, w)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", p.name, w.name, err)
				}
				results[p.name] = append(results[p.name], r)
			}
		}
		b.print(w, results)
	}
	return nil
}

func command(w work, line []string) *exec.Cmd {
	if w.oneCore {
		line = append([]string{"taskset", "-c", "0"}, line...)
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stderr = os.Stderr
	return cmd
}

// once runs a server and a client.
func (b *bench) once(p pair, w work) (result, error) {
	server := command(w, p.server)
	out, err := server.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	if err := server.Start(); err != nil {
		return result{}, err
	}
	defer func() {
		// The server runs until it is killed.
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return result{}, fmt.Errorf("the server printed %q: %w", line, err)
	}
	var port int
	if _, err := fmt.Sscanf(line, "READY %d", &port); err != nil {
		return result{}, fmt.Errorf("the server printed %q: %w", line, err)
	}
	before := processCPU(server.Process.Pid)
	client := command(w, append(slices.Clone(p.client), "-addr", fmt.Sprintf("127.0.0.1:%d", port),
		"-connections", strconv.Itoa(w.connections), "-in-flight", strconv.Itoa(w.inFlight),
		"-size", strconv.Itoa(w.size), "-seconds", fmt.Sprint(b.seconds)))
	data, err := client.Output()
	if err != nil {
		return result{}, fmt.Errorf("the client: %w", err)
	}
	r := result{memory: maxResident(server.Process.Pid)}
	if err := json.Unmarshal(data, &r.figures); err != nil {
		return result{}, fmt.Errorf("the client printed %q: %w", data, err)
	}
	// The server's time includes the warm-up, a fifth of the span.
	used := processCPU(server.Process.Pid) - before
	r.serverCPU = float64(used.Microseconds()) / (r.CallsPerSecond * b.seconds * 1.2)
	return r, nil
}

func (b *bench) print(w work, results map[string][]result) {
	latency := w.connections*w.inFlight == 1
	fmt.Printf("\n### %s\n\n", w.name)
	what := "calls/s"
	if latency {
		what = "p50 µs"
	}
	fmt.Printf("| | %s | least | most | x %s | calls/s | p99 µs | CPU µs/call | server MiB |\n|---|---|---|---|---|---|---|---|---|\n", what, b.reference)
	value := func(r result) float64 {
		if latency {
			return r.P50
		}
		return r.CallsPerSecond
	}
	reference := median(results[b.reference], value)
	for _, p := range b.pairs {
		all := results[p.name]
		of := func(f func(result) float64) float64 { return median(all, f) }
		least := slices.MinFunc(all, func(x, y result) int { return int(value(x) - value(y)) })
		most := slices.MaxFunc(all, func(x, y result) int { return int(value(x) - value(y)) })
		ratio := "-"
		if reference > 0 {
			ratio = fmt.Sprintf("%.2f", of(value)/reference)
		}
		p99 := "-"
		if latency {
			p99 = short(of(func(r result) float64 { return r.P99 }))
		}
		fmt.Printf("| %s | %s | %s | %s | %s | %s | %s | %.1f | %.1f |\n", p.name, short(of(value)), short(value(least)), short(value(most)), ratio,
			short(of(func(r result) float64 { return r.CallsPerSecond })), p99,
			of(func(r result) float64 { return r.CPU + r.serverCPU }), of(func(r result) float64 { return r.memory }))
	}
}

func short(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

func median(all []result, value func(result) float64) float64 {
	if len(all) == 0 {
		return 0
	}
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = value(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// maxResident returns the maximum resident memory of a process in MiB, 0 where the system does not report it.
func maxResident(pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kib float64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return kib / 1024
			}
		}
	}
	return 0
}

// processCPU returns the time that a process has used, 0 where the system does not report it.
func processCPU(pid int) time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	const tick = 10 * time.Millisecond
	return time.Duration(user+system) * tick
}
