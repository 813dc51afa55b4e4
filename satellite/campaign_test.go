package satellite_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// campaignFaults is how many faults a campaign makes; -link.faults 1000 is the
// long form, which doc/reliability.md reports.
var campaignFaults = flag.Int("link.faults", 10, "number of faults of a campaign on the link")

// campaign keeps both boards of a station busy while faults happen to the link,
// and keeps account of what was published and asked, and what arrived.
type campaign struct {
	t       *testing.T
	s       *station
	link    *cable
	pause   func() time.Duration
	lock    sync.Mutex
	runs    map[string]int
	stopped atomic.Bool
}

// linkFault is something that happens to the link for a while.
type linkFault struct {
	name string
	do   func(*campaign)
}

// cableFaults need no privileges: the forwarder makes them.
var cableFaults = []linkFault{
	{"cut", func(c *campaign) { c.link.cut() }},
	{"cut twice", func(c *campaign) {
		c.link.cut()
		c.wait(c.pause() / 8)
		c.link.cut()
	}},
	{"pulled", func(c *campaign) {
		c.link.pull()
		c.wait(c.pause())
		c.link.heal()
	}},
	{"refused", func(c *campaign) {
		c.link.takeOut()
		c.wait(c.pause())
		c.link.heal()
	}},
}

// setLoopback is the link of a network namespace of one's own.
func setLoopback(t testing.TB, state string) {
	t.Helper()
	if output, err := exec.CommandContext(context.Background(), "ip", "link", "set", "lo", state).CombinedOutput(); err != nil {
		t.Fatalf("ip link set lo %s: %v: %s", state, err, output)
	}
}

func (c *campaign) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.t.Context().Done():
	}
}

// runCampaign makes faults in a random order that the seed repeats.
func runCampaign(t *testing.T, faults []linkFault, count int) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	c := &campaign{t: t, runs: map[string]int{}, pause: func() time.Duration {
		return time.Duration(random.IntN(800)) * time.Millisecond
	}}
	unixBroker := func() everest.Broker {
		broker, err := everesttest.StartBroker(everesttest.BrokerConfig{SocketPath: filepath.Join(t.TempDir(), "broker")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { broker.Close() })
		return broker.Address()
	}
	port := everesttest.FreePort(t)
	c.link = newCable(t, fmt.Sprintf("127.0.0.1:%d", port))
	c.s = startStation(t, unixBroker(), satelliteOptions{
		port: port, controllerPort: c.link.port(), mainBroker: unixBroker,
		// Every command is executed: none ends for want of a link.
		main: map[string]any{"link_timeout_ms": 300, "resume_window_s": 120, "command_wait_ms": 60_000},
		answer: func(_ context.Context, call invocation) (any, error) {
			c.lock.Lock()
			defer c.lock.Unlock()
			c.runs[string(call.Arguments["reservation_id"])]++
			return json.RawMessage("true"), nil
		},
	})
	var published, asked int
	var arrived atomic.Int64
	var work, reading sync.WaitGroup
	work.Go(func() {
		for !c.stopped.Load() {
			value := fmt.Sprintf("DE*TST*E%d", published)
			if err := c.s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", value); err != nil {
				t.Error(err)
				return
			}
			published++
			c.wait(2 * time.Millisecond)
		}
	})
	work.Go(func() {
		for !c.stopped.Load() {
			if err := c.s.main.required("evse_manager").Call(t.Context(), "reserve", map[string]any{"reservation_id": asked}, nil); err != nil {
				t.Errorf("command %d: %v", asked, err)
				return
			}
			<-c.s.satellite.port.calls
			asked++
		}
	})
	stop := make(chan struct{})
	reading.Go(func() {
		for {
			select {
			case got := <-c.s.arrivals:
				if want := fmt.Sprintf(`"DE*TST*E%d"`, arrived.Load()); got.Value != want {
					t.Errorf("arrived: %v, want %s", got, want)
					return
				}
				arrived.Add(1)
			case <-stop:
				return
			}
		}
	})
	happened := map[string]int{}
	for range count {
		fault := faults[random.IntN(len(faults))]
		happened[fault.name]++
		fault.do(c)
		waitUntil(t, "the link works after "+fault.name, func() bool {
			return c.s.main.controller.Status().State == "Working" && c.s.satellite.agent.Status().State == "Working"
		})
	}
	c.stopped.Store(true)
	work.Wait()
	waitUntil(t, "every event has arrived", func() bool { return t.Failed() || arrived.Load() == int64(published) })
	waitUntil(t, "everything is acknowledged", func() bool { return c.s.satellite.agent.Status().Journal == 0 })
	close(stop)
	reading.Wait()
	c.lock.Lock()
	defer c.lock.Unlock()
	if len(c.runs) != asked {
		t.Errorf("%d commands were executed, %d were answered", len(c.runs), asked)
	}
	for id, times := range c.runs {
		if times != 1 {
			t.Errorf("command %s was executed %d times", id, times)
		}
	}
	status := c.s.satellite.agent.Status()
	if more := len(c.s.arrivals); more != 0 || status.GivenUp != 0 {
		t.Errorf("%d events arrived besides, %d given up", more, status.GivenUp)
	}
	t.Logf("seed %d: %d faults %v, %d resumes; %d events published, %d arrived; %d commands asked, each executed once",
		seed, count, happened, status.Resumes, published, arrived.Load(), asked)
}

// Link faults lose nothing and double nothing.
func TestCampaign(t *testing.T) { runCampaign(t, cableFaults, *campaignFaults) }

// detection measures how long both sides take to notice that the link is down.
func detection(t *testing.T, rounds int) []time.Duration {
	port := everesttest.FreePort(t)
	unixBroker := func() everest.Broker {
		broker, err := everesttest.StartBroker(everesttest.BrokerConfig{SocketPath: filepath.Join(t.TempDir(), "broker")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { broker.Close() })
		return broker.Address()
	}
	s := startStation(t, unixBroker(), satelliteOptions{port: port, mainBroker: unixBroker})
	var took []time.Duration
	for range rounds {
		start := time.Now()
		setLoopback(t, "down")
		waitUntil(t, "both have noticed", func() bool {
			return s.main.controller.Status().State == "Resuming" && s.satellite.agent.Status().State == "Resuming"
		})
		took = append(took, time.Since(start))
		setLoopback(t, "up")
		waitUntil(t, "the link is resumed", func() bool {
			return s.main.controller.Status().State == "Working" && s.satellite.agent.Status().State == "Working"
		})
	}
	slices.Sort(took)
	return took
}
