package satellite_test

import (
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// crowd holds connections to a port open, and opens new ones for those that are closed, until it is released or the
// test ends.
type crowd struct {
	t        *testing.T
	address  string
	hosts    []string
	greeting []byte
	ended    chan struct{}
	running  sync.WaitGroup
	end      sync.Once
}

// startCrowd returns once each of count connections was open. Each sends the greeting, which may be empty.
func startCrowd(t *testing.T, address string, count int, greeting []byte, hosts ...string) *crowd {
	t.Helper()
	c := &crowd{t: t, address: address, hosts: hosts, greeting: greeting, ended: make(chan struct{})}
	var open sync.WaitGroup
	open.Add(count)
	for i := range count {
		c.running.Go(func() { c.hold(hosts[i%len(hosts)], open.Done) })
	}
	t.Cleanup(c.release)
	open.Wait()
	return c
}

func (c *crowd) release() {
	c.end.Do(func() { close(c.ended) })
	c.running.Wait()
}

// hold holds a connection, and opens the next when it is closed.
func (c *crowd) hold(host string, open func()) {
	first := sync.OnceFunc(open)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: patience}
	for {
		conn, err := dialer.Dial("tcp", c.address)
		if err == nil {
			if _, err := conn.Write(c.greeting); err == nil {
				first()
			}
			stop := make(chan struct{})
			var watching sync.WaitGroup
			watching.Go(func() {
				select {
				case <-c.ended:
					conn.Close()
				case <-stop:
				}
			})
			_, _ = conn.Read(make([]byte, 1))
			close(stop)
			watching.Wait()
			conn.Close()
		}
		first()
		// A port scanner or a monitor comes again after a moment. The port may be closed for a moment, too.
		select {
		case <-c.ended:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// hostsOf returns count of the machine's own addresses.
func hostsOf(count int) (hosts []string) {
	for i := range count {
		hosts = append(hosts, fmt.Sprintf("127.0.1.%d", i+1))
	}
	return hosts
}

// forEachSecurity runs a test on a plain link and on a protected one.
func forEachSecurity(t *testing.T, run func(t *testing.T, options satelliteOptions)) {
	t.Run("plain", func(t *testing.T) { run(t, satelliteOptions{}) })
	t.Run("mutual-tls", func(t *testing.T) { run(t, pair(t).protect(satelliteOptions{})) })
}

// 300 connections that are only held open, as by a port scanner, do not keep the controller out: neither those of its
// own address nor those of many.
func TestAControllerGetsInPastSilentConnections(t *testing.T) {
	for _, test := range []struct {
		name, dialect string
		hosts         []string
	}{
		{"of its address", "auto", []string{"127.0.0.1"}},
		{"of its address, legacy", "legacy", []string{"127.0.0.1"}},
		{"of 64 addresses", "auto", hostsOf(64)},
	} {
		t.Run(test.name, func(t *testing.T) {
			forEachSecurity(t, func(t *testing.T, options satelliteOptions) {
				options.dialect = test.dialect
				s := startSatellite(t, everesttest.NewBroker(t), options)
				waitUntil(t, "the agent waits", func() bool { return s.agent.Status().State == "Waiting" })
				startCrowd(t, s.address, 300, nil, test.hosts...)
				began := time.Now()
				main := startMainWith(t, everesttest.NewBroker(t), portOf(t, s.address), satellite.ControllerConfig{}, options.main, nil)
				s.waitReady()
				main.waitReady()
				t.Logf("the boards agreed within %v", time.Since(began))
			})
		})
	}
}

// The same holds while the link is stalled: the controller resumes it.
func TestALinkResumesPastSilentConnections(t *testing.T) {
	for _, hosts := range [][]string{{"127.0.0.1"}, hostsOf(64)} {
		t.Run(fmt.Sprintf("of %d addresses", len(hosts)), func(t *testing.T) {
			forEachSecurity(t, func(t *testing.T, options satelliteOptions) {
				s, cable := startCabled(t, options)
				startCrowd(t, s.satellite.address, 300, nil, hosts...)
				cable.pull()
				waitUntil(t, "both boards notice", func() bool {
					return s.satellite.agent.Status().State == "Resuming" && !s.main.controller.Status().Connected
				})
				began := time.Now()
				cable.heal()
				waitUntil(t, "the link is resumed", func() bool { return s.main.controller.Status().Connected })
				t.Logf("the link was resumed within %v", time.Since(began))
				if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, nil); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Connections that hold a long message unfinished cost a bounded amount of memory.
func TestUnfinishedMessagesCostLittle(t *testing.T) {
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
	waitUntil(t, "the agent waits", func() bool { return s.agent.Status().State == "Waiting" })
	held := func() int64 {
		var memory runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&memory)
		return int64(memory.HeapAlloc)
	}
	before := held()
	for _, message := range []struct {
		head string
		sent int
	}{
		{"\xdb\x00\x7a\x12\x00", 7_900_000}, // a text of 8 MB
		{"\xdb\x00\x0f\x42\x40", 900_000},   // a text of a million bytes
		{"\xdd\x00\x0f\x00\x00", 900_000},   // a list of nearly a million numbers
	} {
		greeting := []byte("\x94\x00\x01\xa4echo\x91" + message.head + strings.Repeat("x", message.sent))
		crowd := startCrowd(t, s.address, 60, greeting, hostsOf(64)...)
		// What the agent has dropped is free a moment later.
		waitUntil(t, "little is held for unfinished messages", func() bool { return held()-before < 64<<20 })
		crowd.release()
	}
}

// A board remembers its controller when it restarts: connections of many other addresses leave it its place.
func TestTheControllersPlaceSurvivesARestart(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("STATE_DIRECTORY", directory)
	options := satelliteOptions{}
	s := startStation(t, everesttest.NewBroker(t), options)
	waitUntil(t, "the address is kept", func() bool {
		files, err := filepath.Glob(filepath.Join(directory, agentID+".peer"))
		return err == nil && len(files) == 1
	})
	s.main.process.stop()
	s.satellite.process.stop()

	again := startSatellite(t, everesttest.NewBroker(t), options)
	waitUntil(t, "the agent waits", func() bool { return again.agent.Status().State == "Waiting" })
	conn := from(t, "127.0.0.1", again.address)
	startCrowd(t, again.address, 300, nil, hostsOf(200)...)
	client := rpc.NewClient(conn, rpc.Config{InsecurePlaintext: true})
	defer client.Close()
	if err := client.Call(t.Context(), "i_am_here", nil); err != nil {
		t.Errorf("the connection that was open before the others came: %v", err)
	}
}

// A stranger on a plain link changes nothing of what the status shows of the link's peer.
func TestAStrangerIsNotShownAsThePeer(t *testing.T) {
	for _, dialect := range []string{"auto", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			options := satelliteOptions{dialect: dialect, keys: map[string]any{"unauthenticated_control": "refuse"}}
			s := startStation(t, everesttest.NewBroker(t), options)
			if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
				t.Fatal(err)
			}
			receive(t, s.arrivals, "evse_id") // the controller takes events: it counts as connected
			before := s.satellite.agent.Status()
			if before.Controller == "" {
				t.Fatalf("status %+v", before)
			}
			client := rpc.NewClient(from(t, "127.0.0.77", s.satellite.address), rpc.Config{InsecurePlaintext: true})
			defer client.Close()
			if dialect == "auto" {
				if err := client.Call(t.Context(), "link_hello", nil, []uint64{2, 3}, uint64(4711), uint64(1), uint64(1500), uint64(30_000)); err != nil {
					t.Errorf("link_hello: %v", err)
				}
			}
			if err := client.Call(t.Context(), "i_am_here", nil); err == nil {
				t.Error("a stranger was answered")
			}
			after := s.satellite.agent.Status()
			if after.Controller != before.Controller || after.State != before.State || after.Dialect != before.Dialect {
				t.Errorf("status %+v, before %+v", after, before)
			}
		})
	}
}
