//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
)

// The addresses between the boards: main board, both ends of the router, satellite.
const (
	mainAddress      = "10.77.1.1"
	routerToMain     = "10.77.1.2"
	routerToPort     = "10.77.2.2"
	portAddress      = "10.77.2.1"
	agentPort        = "4129"
	prefixNamespaces = "rcp-campaign-"
	folderNamespaces = "/var/run/netns"
)

// network is two boards and a router between them, each a network namespace.
type network struct {
	main, router, port namespace
}

// errNoRight is returned where a network cannot be made.
var errNoRight = errors.New("a campaign makes network namespaces: it needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN, and the programs ip and nft")

// checkRight returns errNoRight if the process may not make a network, or the programs for it are not installed.
func checkRight() error {
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %w", errNoRight, err)
		}
	}
	trial := namespace{namespacePrefix() + "trial"}
	if err := run("ip", "netns", "add", trial.name); err != nil {
		return fmt.Errorf("%w: %w", errNoRight, err)
	}
	defer trial.remove()
	if err := trial.do(func() error { return nil }); err != nil {
		return fmt.Errorf("%w: %w", errNoRight, err)
	}
	return nil
}

// namespacePrefix begins the names of a campaign's namespaces: with its process, so that they can be removed if it was killed,
// and a number, because several campaigns may run in one process.
func namespacePrefix() string {
	return fmt.Sprintf("%s%d-%x-", prefixNamespaces, os.Getpid(), rand.Uint32())
}

// newNetwork connects the boards. It removes the namespaces of campaigns that were killed.
func newNetwork() (*network, error) {
	removeStale()
	prefix := namespacePrefix()
	n := &network{main: namespace{prefix + "main"}, router: namespace{prefix + "router"}, port: namespace{prefix + "satellite"}}
	if err := n.wire(); err != nil {
		n.remove()
		return nil, err
	}
	return n, nil
}

func (n *network) wire() error {
	for _, ns := range []namespace{n.main, n.router, n.port} {
		if err := run("ip", "netns", "add", ns.name); err != nil {
			return err
		}
		if err := run("ip", "-n", ns.name, "link", "set", "lo", "up"); err != nil {
			return err
		}
	}
	for _, cable := range []struct {
		board           namespace
		name            string
		address, router string
	}{{n.main, "main", mainAddress, routerToMain}, {n.port, "satellite", portAddress, routerToPort}} {
		for _, arguments := range [][]string{
			{"-n", cable.board.name, "link", "add", "eth0", "type", "veth", "peer", "name", cable.name, "netns", n.router.name},
			{"-n", cable.board.name, "address", "add", cable.address + "/24", "dev", "eth0"},
			{"-n", n.router.name, "address", "add", cable.router + "/24", "dev", cable.name},
			{"-n", n.router.name, "link", "set", cable.name, "up"},
			// Each packet has one segment, so that the router sees its size.
			{"-n", cable.board.name, "link", "set", "eth0", "gso_max_segs", "1"},
			{"-n", n.router.name, "link", "set", cable.name, "gso_max_segs", "1"},
		} {
			if err := run("ip", arguments...); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(n.up(n.main), n.up(n.port)); err != nil {
		return err
	}
	return n.router.do(func() error {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
			return err
		}
		return errors.Join(run("nft", "add", "table", "ip", "campaign"),
			run("nft", "add", "chain", "ip", "campaign", "loss", "{ type filter hook prerouting priority -300; }"),
			run("nft", "add", "chain", "ip", "campaign", "received", "{ type filter hook prerouting priority -301; }"),
			run("nft", "add", "chain", "ip", "campaign", "sent", "{ type filter hook output priority 0; }"),
			run("nft", "add", "chain", "ip", "campaign", "count", "{ type filter hook forward priority 0; }"),
			run("nft", "add", "counter", "ip", "campaign", "passed"),
			run("nft", "add", "rule", "ip", "campaign", "count", "counter", "name", "passed"))
	})
}

// down takes the interface of a board down.
func (n *network) down(board namespace) error {
	return run("ip", "-n", board.name, "link", "set", "eth0", "down")
}

// up takes the interface up again, with the route that went down with it.
func (n *network) up(board namespace) error {
	gateway := routerToMain
	if board == n.port {
		gateway = routerToPort
	}
	if err := run("ip", "-n", board.name, "link", "set", "eth0", "up"); err != nil {
		return err
	}
	return run("ip", "-n", board.name, "route", "replace", "default", "via", gateway)
}

// pull sets the router's end of a board's cable to "down" or "up": the board loses the carrier and keeps its routes.
func (n *network) pull(board namespace, state string) error {
	cable := "main"
	if board == n.port {
		cable = "satellite"
	}
	return run("ip", "-n", n.router.name, "link", "set", cable, state)
}

// lose drops a percentage of the packets of both directions; 0 drops none.
func (n *network) lose(percent int) error {
	return n.router.do(func() error {
		if percent == 0 {
			return run("nft", "flush", "chain", "ip", "campaign", "loss")
		}
		return run("nft", "add", "rule", "ip", "campaign", "loss", "numgen", "random", "mod", "100", "<", strconv.Itoa(percent), "drop")
	})
}

// holeMTU is the longest packet in bytes that passes while the network swallows long ones.
const holeMTU = 1300

// swallow drops packets longer than holeMTU without a word, or drops none any more. The hole is between the main board and
// the router: what the forwarder exchanges with the satellite passes.
func (n *network) swallow(long bool) error {
	return n.router.do(func() error {
		var err error
		for _, chain := range []string{"received", "sent"} {
			if long {
				err = errors.Join(err, run("nft", "add", "rule", "ip", "campaign", chain, "ip", "length", ">", strconv.Itoa(holeMTU),
					"ip", "saddr", "!=", routerToPort, "ip", "daddr", "!=", routerToPort, "drop"))
			} else {
				err = errors.Join(err, run("nft", "flush", "chain", "ip", "campaign", chain))
			}
		}
		return err
	})
}

// passed returns how many packets and bytes the router has forwarded.
func (n *network) passed() (packets, bytes int, err error) {
	err = n.router.do(func() error {
		output, err := exec.CommandContext(context.Background(), "nft", "list", "counter", "ip", "campaign", "passed").Output()
		if err != nil {
			return err
		}
		_, counts, _ := strings.Cut(string(output), "packets")
		_, err = fmt.Sscanf(counts, "%d bytes %d", &packets, &bytes)
		return err
	})
	return packets, bytes, err
}

// forward starts the forwarder. It listens on the router's address towards the main board.
func (n *network) forward() (*forwarder.Forwarder, error) {
	var listener net.Listener
	err := n.router.do(func() (err error) {
		listener, err = net.Listen("tcp4", net.JoinHostPort(routerToMain, agentPort))
		return err
	})
	if err != nil {
		return nil, err
	}
	return forwarder.New(listener, func() (conn net.Conn, err error) {
		err = n.router.do(func() error {
			conn, err = net.Dial("tcp4", net.JoinHostPort(portAddress, agentPort))
			return err
		})
		return conn, err
	}), nil
}

func (n *network) remove() {
	for _, ns := range []namespace{n.main, n.router, n.port} {
		ns.remove()
	}
}

// removeStale removes the namespaces of campaigns that are not running any more.
func removeStale() {
	paths, _ := filepath.Glob(filepath.Join(folderNamespaces, prefixNamespaces+"*"))
	for _, path := range paths {
		name := filepath.Base(path)
		text, _, _ := strings.Cut(strings.TrimPrefix(name, prefixNamespaces), "-")
		if number, err := strconv.Atoi(text); err == nil && errors.Is(unix.Kill(number, 0), unix.ESRCH) {
			namespace{name}.remove()
		}
	}
}

// namespace is a named network namespace.
type namespace struct{ name string }

// do calls work on a thread in the namespace. Goroutines that work starts are not in it.
func (ns namespace) do(work func() error) error {
	done := make(chan error, 1)
	go func() {
		// The thread is never unlocked, so that it ends with the goroutine.
		runtime.LockOSThread()
		if err := ns.enter(); err != nil {
			done <- err
			return
		}
		done <- work()
	}()
	return <-done
}

// threads returns a function that calls work on one of some threads in the namespace, and one that ends the threads. A thread
// for each call of do costs more than a connection does.
func (ns namespace) threads(count int) (do func(work func() error) error, stop func()) {
	type task struct {
		work func() error
		done chan error
	}
	tasks := make(chan task)
	var running sync.WaitGroup
	for range count {
		running.Go(func() {
			// The thread is never unlocked, so that it ends with the goroutine.
			runtime.LockOSThread()
			err := ns.enter()
			for next := range tasks {
				if err == nil {
					next.done <- next.work()
				} else {
					next.done <- err
				}
			}
		})
	}
	do = func(work func() error) error {
		done := make(chan error, 1)
		tasks <- task{work, done}
		return <-done
	}
	return do, func() {
		close(tasks)
		running.Wait()
	}
}

// enter moves the calling thread into the namespace, for good.
func (ns namespace) enter() error {
	file, err := os.Open(filepath.Join(folderNamespaces, ns.name))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace %s: %w", ns.name, err)
	}
	return nil
}

func (ns namespace) remove() {
	// A namespace that was never made need not be removed.
	_ = run("ip", "netns", "delete", ns.name)
}

func run(program string, arguments ...string) error {
	output, err := exec.CommandContext(context.Background(), program, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
