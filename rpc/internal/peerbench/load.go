package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// figures are the results of one run of a client. A command of another project prints the same as JSON.
type figures struct {
	CallsPerSecond float64 `json:"calls_per_second"`
	P50            float64 `json:"p50_us"`
	P99            float64 `json:"p99_us"`
	// CPU is the client's own, in microseconds for each call; 0 is unknown.
	CPU float64 `json:"cpu_us_per_call"`
}

func find(name string) (library, error) {
	for _, l := range libraries {
		if l.name == name {
			return l, nil
		}
	}
	return library{}, fmt.Errorf("no library %q", name)
}

func serveMain(name string, out io.Writer) error {
	l, err := find(name)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "READY", listener.Addr().(*net.TCPAddr).Port)
	return l.serve(listener)
}

func loadMain(name string, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	addr := flags.String("addr", "", "address of the server")
	connections := flags.Int("connections", 1, "connections")
	inFlight := flags.Int("in-flight", 1, "calls in flight on each connection")
	size := flags.Int("size", 32, "bytes of the text")
	seconds := flags.Float64("seconds", 1, "how long to measure, after a fifth of it to warm up")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l, err := find(name)
	if err != nil {
		return err
	}
	m := &meter{span: time.Duration(*seconds * float64(time.Second)), keep: *connections**inFlight == 1}
	m.begin()
	text := strings.Repeat("x", *size)
	failed := make(chan error, *connections**inFlight)
	var running sync.WaitGroup
	for range *connections {
		if l.pump != nil {
			running.Go(func() { failed <- l.pump(*addr, *inFlight, text, func() bool { return m.call() }) })
			continue
		}
		echo, err := l.dial(*addr)
		if err != nil {
			return err
		}
		for range *inFlight {
			running.Go(func() {
				for {
					n, err := echo(text)
					if err == nil && n != len(text) {
						err = fmt.Errorf("%d bytes came back of %d", n, len(text))
					}
					if err != nil || m.call() {
						failed <- err
						return
					}
				}
			})
		}
	}
	running.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return json.NewEncoder(out).Encode(m.figures())
}

// meter counts calls for a span of time that begins after a warm-up.
type meter struct {
	span       time.Duration
	keep       bool
	warm, end  time.Time
	count      atomic.Int64
	started    atomic.Bool
	last       time.Time
	latencies  []time.Duration
	cpuAtStart time.Duration
	mu         sync.Mutex
}

func (m *meter) begin() {
	m.warm = time.Now().Add(m.span / 5)
	m.end = m.warm.Add(m.span)
	m.last = time.Now()
}

// call counts one call and reports whether it was the last.
func (m *meter) call() bool {
	now := time.Now()
	if now.Before(m.warm) {
		if m.keep {
			m.last = now
		}
		return false
	}
	if !m.started.Load() && m.started.CompareAndSwap(false, true) {
		m.mu.Lock()
		m.cpuAtStart = cpu()
		m.mu.Unlock()
	}
	if now.After(m.end) {
		return true
	}
	m.count.Add(1)
	if m.keep {
		m.latencies = append(m.latencies, now.Sub(m.last))
		m.last = now
	}
	return false
}

func (m *meter) figures() figures {
	count := float64(max(m.count.Load(), 1))
	m.mu.Lock()
	defer m.mu.Unlock()
	f := figures{
		CallsPerSecond: count / m.span.Seconds(),
		CPU:            float64((cpu() - m.cpuAtStart).Nanoseconds()) / 1000 / count,
	}
	if len(m.latencies) > 0 {
		slices.Sort(m.latencies)
		f.P50 = float64(m.latencies[len(m.latencies)/2].Nanoseconds()) / 1000
		f.P99 = float64(m.latencies[len(m.latencies)*99/100].Nanoseconds()) / 1000
	}
	return f
}

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
