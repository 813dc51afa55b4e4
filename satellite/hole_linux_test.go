package satellite_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/admission"
)

// netThread is a thread with a network of its own, which ends with the test.
type netThread struct {
	t    *testing.T
	id   int
	work chan func()
}

func newNetThread(t *testing.T) *netThread {
	t.Helper()
	n := &netThread{t: t, work: make(chan func())}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		n.id = unix.Gettid()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		started <- err
		for do := range n.work {
			do()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(n.work) })
	n.run("ip link set lo up")
	return n
}

// do calls a function on the thread.
func (n *netThread) do(do func()) {
	done := make(chan struct{})
	n.work <- func() {
		defer close(done)
		do()
	}
	<-done
}

// run runs commands on the thread.
func (n *netThread) run(commands ...string) {
	n.t.Helper()
	n.do(func() { runAll(n.t, commands) })
}

func runAll(t *testing.T, commands []string) {
	t.Helper()
	for _, text := range commands {
		words := strings.Fields(text)
		if output, err := exec.CommandContext(context.Background(), words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", text, err, output)
		}
	}
}

const holeSatellite, holeSatellite6 = "10.99.2.1", "fd99:2::1"

// holeMTU is the longest packet that passes the router between the boards, where a test names no other.
const holeMTU = 1300

// digHole connects this process's network with that of a satellite by a router that takes packets up to mtu bytes. It
// drops longer ones, and so are the messages that would say so. Without fragments the boards drop these, too.
func digHole(t *testing.T, mtu, probing int, fragments bool) *netThread {
	t.Helper()
	for _, program := range []string{"nft", "sysctl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the program %s is not installed", program)
		}
	}
	longest, longest6 := strconv.Itoa(mtu), strconv.Itoa(max(mtu, 1280)) // which IPv6 carries everywhere
	router, board := newNetThread(t), newNetThread(t)
	main := func(commands ...string) { runAll(t, commands) }
	tune := []string{"sysctl -qw net.ipv4.tcp_mtu_probing=" + strconv.Itoa(probing), "sysctl -qw net.ipv4.tcp_no_metrics_save=1"}
	if !fragments {
		tune = append(tune, "nft add table ip hole", "nft add chain ip hole in { type filter hook prerouting priority -450 ; }",
			"nft add rule ip hole in ip frag-off & 0x3fff != 0 drop")
	}
	main(fmt.Sprintf("ip link add hole type veth peer name main netns %d", router.id))
	t.Cleanup(func() {
		main("ip link delete hole")
		if !fragments {
			main("nft delete table ip hole")
		}
	})
	main("ip address add 10.99.1.1/30 dev hole", "ip address add fd99:1::1/64 dev hole nodad", "ip link set hole up",
		"ip route add 10.99.2.0/30 via 10.99.1.2")
	main(tune...)
	board.run(fmt.Sprintf("ip link add hole type veth peer name board netns %d", router.id),
		"ip address add "+holeSatellite+"/30 dev hole", "ip address add "+holeSatellite6+"/64 dev hole nodad", "ip link set hole up",
		"ip route add default via 10.99.2.2")
	board.run(tune...)
	router.run("ip address add 10.99.1.2/30 dev main", "ip address add 10.99.2.2/30 dev board",
		"ip address add fd99:1::2/64 dev main nodad", "ip address add fd99:2::2/64 dev board nodad",
		"ip link set main up", "ip link set board up",
		"sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv6.conf.all.forwarding=1",
		"ip route replace 10.99.1.0/30 dev main mtu lock "+longest, "ip route replace 10.99.2.0/30 dev board mtu lock "+longest,
		"ip -6 route del fd99:1::/64 dev main", "ip -6 route del fd99:2::/64 dev board",
		"ip -6 route add fd99:1::/64 dev main mtu lock "+longest6, "ip -6 route add fd99:2::/64 dev board mtu lock "+longest6,
		"nft add table inet hole", "nft add chain inet hole out { type filter hook output priority 0 ; }",
		"nft add rule inet hole out icmp type destination-unreachable drop", "nft add rule inet hole out icmpv6 type packet-too-big drop")
	main("ip -6 route add fd99:2::/64 via fd99:1::2")
	board.run("ip -6 route add fd99:1::/64 via fd99:2::2")
	if t.Failed() {
		t.FailNow()
	}
	return board
}

// A path that swallows long packets, and tells nobody, costs a few seconds. Then events and commands of several kilobytes
// arrive, in order and once.
func TestAPathThatSwallowsLongPackets(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, test := range []struct {
		name    string
		dialect string
		// known: the controller knows beforehand that its satellite speaks legacy.
		known     bool
		mtu       int
		probing   int
		fragments bool
		secure    bool
		address   string
		// behind: the controller's own segments do not reach the hole, as those of a controller that cannot limit them.
		behind bool
		// told: the log says what is suspected, and so does the status of a board.
		told bool
	}{
		{name: "v2", dialect: "v2", told: true},
		{name: "v2, TCP probes", dialect: "v2", probing: 1, told: true},
		{name: "v2, fragments pass", dialect: "v2", fragments: true, told: true},
		{name: "v2, IPv6", dialect: "v2", address: holeSatellite6, told: true},
		{name: "v2, TLS", dialect: "v2", secure: true, told: true},
		{name: "v2, TLS, TCP probes", dialect: "v2", secure: true, probing: 1},
		{name: "v2, a smaller hole", dialect: "v2", mtu: 900}, // at times nothing is suspected, and all arrives at once
		{name: "legacy, a smaller hole, fragments pass", dialect: "legacy", mtu: 900, fragments: true},
		{name: "v2, only the agent helps", dialect: "v2", behind: true, told: true},
		{name: "legacy", dialect: "legacy"},
		{name: "legacy, known before", dialect: "legacy", known: true},
		{name: "legacy, IPv6", dialect: "legacy", address: holeSatellite6},
		{name: "legacy, only the agent helps", dialect: "legacy", behind: true},
		{name: "legacy, TLS", dialect: "legacy", secure: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.address == "" {
				test.address = holeSatellite
			}
			options := satelliteOptions{
				dialect: "auto", port: everesttest.FreePort(t), keys: map[string]any{},
				main: map[string]any{"hostname": test.address, "link_timeout_ms": 600},
			}
			if test.secure {
				options.controller.Handshake.CallTimeout = time.Second // of a TLS handshake: 5 s otherwise
				p := pair(t)
				for keys, directory := range map[*map[string]any]string{&options.keys: p.satellite, &options.main: p.controller} {
					(*keys)["security"], (*keys)["identity_directory"] = "mutual-tls", directory
				}
			}
			if test.dialect == "legacy" {
				options.dialect = "legacy"
			}
			if test.known {
				options.main["dialect"] = "legacy"
			}
			core, logs := observer.New(zap.InfoLevel)
			options.controller.Logger, options.agent.Logger = zap.New(core), zap.New(core)
			board := digHole(t, cmp.Or(test.mtu, holeMTU), test.probing, test.fragments)
			address := net.JoinHostPort(test.address, strconv.Itoa(options.port))
			board.do(func() { options.agent.Listener = listenAt(t, address) })
			if test.behind {
				options.main["hostname"], options.main["port"] = "127.0.0.1", newCable(t, address).port()
			}
			s := startStation(t, everesttest.NewBroker(t), options)
			for round := range 2 {
				began := time.Now()
				fill(t, s, round)
				t.Logf("round %d: %v", round, time.Since(began))
			}
			if status := s.main.controller.Status(); status.Dialect != test.dialect || status.Isolations > 0 {
				t.Errorf("status %+v", status)
			}
			lines := logs.FilterMessage("small messages arrive, large ones do not: MTU?").All()
			for _, line := range lines {
				t.Logf("told: %v", line.ContextMap())
			}
			if test.told && len(lines) == 0 || len(lines) > 6 {
				t.Errorf("%d lines say what is suspected", len(lines))
			}
			for _, line := range logs.FilterLevelExact(zap.ErrorLevel).All() {
				t.Errorf("logged: %s %v", line.Message, line.ContextMap())
			}
		})
	}
}

// listenAt opens a port as agents do.
func listenAt(t *testing.T, address string) net.Listener {
	listener, err := admission.NewPolicy(admission.NewProtection(zap.NewNop())).Listen(address)
	if err != nil {
		t.Error(err)
		return nil
	}
	return listener
}

// fill sends events of several kilobytes through the link, and commands of more the other way. It checks that all arrive
// once, in order.
func fill(t *testing.T, s *station, round int) {
	t.Helper()
	const events, commands = 20, 6
	padding := strings.Repeat("x", 4000)
	for i := range events {
		if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", fmt.Sprintf("%d.%d %s", round, i, padding)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range events {
		if got := receive(t, s.arrivals, "an event"); got.Variable != "evse_id" || got.Value != fmt.Sprintf(`"%d.%d %s"`, round, i, padding) {
			t.Fatalf("event %d is %s %.30s", i, got.Variable, got.Value)
		}
	}
	for i := range commands {
		location := fmt.Sprintf("ftp://example.org/%d.%d/%s", round, i, strings.Repeat("y", 30_000))
		if err := s.main.required("system").Call(t.Context(), "upload_logs", map[string]any{"upload_logs_request": map[string]any{"location": location}}, nil); err != nil {
			t.Fatalf("command %d: %v", i, err)
		}
		if call := receive(t, s.satellite.system.calls, "a command"); !strings.Contains(string(call.Arguments["upload_logs_request"]), location) {
			t.Fatalf("command %d is %.100s", i, call.Arguments["upload_logs_request"])
		}
	}
	if more := len(s.satellite.system.calls) + len(s.arrivals); more > 0 {
		t.Errorf("%d events and commands besides", more)
	}
}
