//go:build linux

package campaign

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/hostile"
	"github.com/remotechargeport/remotechargeport/examples/internal/usage"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// This file is what others do to the station: strangers at the agent's port, a module whose values cannot be carried, and a
// second satellite that was taken over.

// The kinds of faults that others make.
const (
	Poison          Kind = "values that cannot be carried"
	SilentStrangers Kind = "stall among silent strangers"
	NoisyStrangers  Kind = "stall among noisy strangers"
	Liar            Kind = "another satellite lies"
)

const (
	// strangerCount is how many connections of strangers there are at once.
	strangerCount = 300
	// strangerThreads is how many of them connect at the same time.
	strangerThreads = 16
	// liarID is the controller of the satellite that lies, liarPort that satellite's port.
	liarID, liarPort = "connector_3", "4130"
	// poisonSize is more than modules of EVerest take.
	poisonSize = 1 << 20
)

// strangersCome makes strangers come to the agent's port from addresses of their own until end is called, while every byte of the
// link is held up.
func (c *campaign) strangersCome(say func(int) []byte) (end func() error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	do, stop := c.network.router.threads(strangerThreads)
	strangers := &hostile.Strangers{
		Address: net.JoinHostPort(portAddress, agentPort), Count: strangerCount, Say: say, Hosts: strangerHosts(),
		Dial: func(ctx context.Context, dialer *net.Dialer, address string) (conn net.Conn, err error) {
			err = do(func() (err error) {
				conn, err = dialer.DialContext(ctx, "tcp4", address)
				return err
			})
			return conn, err
		},
	}
	c.forwarder.Stall(forwarder.ToServer, forwarder.ToClient)
	var coming sync.WaitGroup
	coming.Go(func() { strangers.Run(ctx) })
	return func() error {
		c.forwarder.Heal()
		// They stay until the link is back.
		err := c.atWork(context.Background(), c.marks())
		cancel()
		coming.Wait()
		stop()
		if err == nil && strangers.Opened() == 0 {
			err = fmt.Errorf("no stranger reached the port")
		}
		return err
	}, nil
}

// strangerHosts are addresses of the router.
func strangerHosts() (hosts []string) {
	for i := range 20 {
		hosts = append(hosts, fmt.Sprintf("10.77.3.%d", i+1))
	}
	return hosts
}

// addStrangers gives the router the addresses of strangers.
func (n *network) addStrangers() error {
	for _, host := range strangerHosts() {
		if err := run("ip", "-n", n.router.name, "address", "add", host+"/32", "dev", "lo"); err != nil {
			return err
		}
	}
	return nil
}

// poison publishes values on the satellite's board that cannot be carried. Each must be dropped there.
func (c *campaign) poison(ctx context.Context) (end func() error, err error) {
	current, _ := c.port.alive()
	if current == nil {
		return nil, fmt.Errorf("%s is not up", c.port.name)
	}
	before, err := c.port.status(ctx)
	if err != nil {
		return nil, err
	}
	const values = 3
	current.standIn.SetMaxPacketSize(4 * poisonSize)
	for range values {
		if err := current.standIn.Provides("evse_manager").Publish(ctx, "evse_id", strings.Repeat("x", poisonSize)); err != nil {
			return nil, err
		}
	}
	return func() error {
		for {
			after, err := c.port.status(ctx)
			switch {
			case err != nil:
				return err
			case after.Dropped-before.Dropped == values:
				return nil
			case after.Dropped-before.Dropped > values:
				return fmt.Errorf("%d values were dropped, and %d cannot be carried", after.Dropped-before.Dropped, values)
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}, nil
}

// startLiar starts the other satellite on its board. Until a fault it is one at which nothing happens.
func (c *campaign) startLiar() error {
	var listener net.Listener
	err := c.network.port.do(func() (err error) {
		listener, err = net.Listen("tcp4", net.JoinHostPort(portAddress, liarPort))
		return err
	})
	if err == nil {
		c.liar = hostile.Serve(listener, nil, false)
	}
	return err
}

// liarModule is the configuration of the controller of the other satellite.
func (c *campaign) liarModule() everesttest.ModuleConfig {
	return everesttest.ModuleConfig{
		Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
		Config:      map[string]any{"hostname": portAddress, "port": 4130, "on_loss": "isolate", "control_socket": "none"},
		Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: standInID, ImplementationID: "auth"}}},
	}
}

// lie makes the other satellite tell a lie until end is called.
func (c *campaign) lie(pick uint64) (end func() error, err error) {
	var lies []*hostile.Lie
	for _, lie := range hostile.Lies() {
		if lie.V2 {
			lies = append(lies, lie)
		}
	}
	lie := lies[pick%uint64(len(lies))]
	c.line("campaign: the other satellite lies: " + lie.Name)
	c.liar.Tell(lie)
	return func() error { c.liar.Tell(nil); return nil }, nil
}

// memory is what a process has held after each fault, in KiB. A process that ends begins anew.
type memory struct {
	process *process
	first   int
	// Last is the newest, Peak the highest of a life.
	Last, Peak int
}

const (
	// maxGrowth is how much a process may have grown since the first fault, in KiB: what a process of Go takes with more work,
	// and for the controller of the other satellite what that may cost it.
	maxGrowth, maxGrowthOfLiar = 32 << 10, 64 << 10
)

// remember records the memory of a process, and returns an error where it has grown.
func (c *campaign) remember(name string, of *process, most int) error {
	if of == nil {
		return nil
	}
	used, err := usage.Of(of.command.Process.Pid)
	if err != nil || used.Resident == 0 {
		return nil // it ends
	}
	if c.memories == nil {
		c.memories = map[string]*memory{}
	}
	kept := c.memories[name]
	if kept == nil {
		kept = &memory{}
		c.memories[name] = kept
	}
	if kept.process != of {
		kept.process, kept.first = of, used.Resident
	}
	kept.Last, kept.Peak = used.Resident, max(kept.Peak, used.Peak)
	if grown := kept.Last - kept.first; grown > most && !c.flags.Race {
		return fmt.Errorf("%s has grown by %d KiB since the first fault of its life", name, grown)
	}
	return nil
}

// rememberAll records the memory of the station's processes.
func (c *campaign) rememberAll() error {
	for _, board := range []*board{c.port, c.main} {
		current, _ := board.alive()
		if current == nil {
			continue
		}
		if err := c.remember(board.moduleID, current.module, maxGrowth); err != nil {
			return err
		}
		if err := c.remember(liarID, current.companion, maxGrowthOfLiar); err != nil {
			return err
		}
		if err := c.remember(board.name+"'s broker", board.broker.process, maxGrowth); err != nil {
			return err
		}
	}
	return nil
}
