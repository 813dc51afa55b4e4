//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/hostile"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

// happen makes one fault, ends it, and waits until everything is at work again.
func (c *campaign) happen(ctx context.Context, fault Fault) (Outcome, error) {
	outcome := Outcome{Fault: fault}
	c.line("campaign: " + string(fault.Kind) + " begins")
	switch {
	case fault.Kind == Announced:
		return c.announced(ctx, fault)
	case fault.Kind.Kills():
		return c.kill(ctx, fault)
	}
	before, err := c.main.status(ctx)
	if err != nil {
		return outcome, err
	}
	if fault.Kind.broker() != metNothing {
		c.trouble.Store(int32(fault.Kind.broker()))
		c.troubled.Store(true)
		c.troubles.Add(1)
		// What was answered and waits for the link may meet the fault.
		c.commands.Kill()
		defer c.commands.Kill()
	}
	end, err := c.begin(ctx, fault)
	if err != nil {
		return outcome, err
	}
	if fault.Kind.worksMeanwhile() {
		begun := time.Now()
		if err := c.atWorkWithLong(ctx, c.marks()); err != nil {
			return outcome, err
		}
		outcome.Recovered = time.Since(begun)
	}
	_ = recording.Sleep(ctx, fault.For)
	if err := end(); err != nil {
		return outcome, err
	}
	c.line("campaign: " + string(fault.Kind) + " ends")
	healed := time.Now()
	if err := c.atWork(ctx, c.marks()); err != nil {
		return outcome, err
	}
	outcome.Recovered = max(outcome.Recovered, time.Since(healed))
	after, err := c.main.status(ctx)
	if err != nil {
		return outcome, err
	}
	if outcome.Resumes = int(after.Resumes - before.Resumes); outcome.Resumes == 0 && (fault.Kind == Cut || fault.Kind == CutTwice) {
		return outcome, errors.New("the link was not cut")
	}
	return outcome, c.checkJournal(ctx)
}

// checkJournal returns an error if the agent gave events up, or the link has another security or dialect than it should.
func (c *campaign) checkJournal(ctx context.Context) error {
	status, err := c.port.status(ctx)
	switch {
	case err != nil:
		return err
	case (status.Security == "mutual-tls") != c.flags.Secure:
		return fmt.Errorf("the security of the link is %q", status.Security)
	case status.Dialect != "v2":
		return fmt.Errorf("the link speaks %q", status.Dialect)
	case status.GivenUp > 0:
		return fmt.Errorf("the agent gave %d events up", status.GivenUp)
	}
	return nil
}

// begin begins a fault that ends no process, and returns the function that ends the fault.
func (c *campaign) begin(ctx context.Context, fault Fault) (end func() error, err error) {
	n, heal := c.network, func() error { c.forwarder.Heal(); return nil }
	switch fault.Kind {
	case MainLinkDown:
		return func() error { return n.up(n.main) }, n.down(n.main)
	case PortLinkDown:
		return func() error { return n.up(n.port) }, n.down(n.port)
	case MainPulled:
		return func() error { return n.pull(n.main, "up") }, n.pull(n.main, "down")
	case PortPulled:
		return func() error { return n.pull(n.port, "up") }, n.pull(n.port, "down")
	case Loss:
		return func() error { return n.lose(0) }, n.lose(30)
	case Delay:
		c.forwarder.Slow(fault.Delay)
	case Stall:
		c.forwarder.Stall(forwarder.ToServer, forwarder.ToClient)
	case StallOneWay:
		direction := forwarder.ToClient
		if fault.ToSatellite {
			direction = forwarder.ToServer
		}
		c.forwarder.Stall(direction)
	case Poison:
		return c.poison(ctx)
	case SilentStrangers:
		return c.strangersCome(nil)
	case NoisyStrangers:
		return c.strangersCome(hostile.Noise)
	case Liar:
		return c.lie(fault.Pick)
	case Hole:
		return func() error { return n.swallow(false) }, n.swallow(true)
	case Cut:
		c.forwarder.Cut()
	case CutTwice:
		c.forwarder.Cut()
		return func() error { c.forwarder.Cut(); return nil }, nil
	case CutPortBroker:
		return nothing, cutFront(c.port)
	case CutMainBroker:
		return nothing, cutFront(c.main)
	case StallPortBroker, LongStallPort:
		return c.port.stallBroker()
	case StallMainBroker, LongStallMain:
		return c.main.stallBroker()
	case RestartPortBroker:
		return func() error { return c.port.restartBroker(ctx) }, c.port.endBroker()
	case RestartMainBroker:
		return func() error { return c.main.restartBroker(ctx) }, c.main.endBroker()
	case StopAgent:
		return c.stop(c.port)
	case StopController:
		return c.stop(c.main)
	}
	return heal, nil
}

func nothing() error { return nil }

// cutFront cuts the connection of a board's module to its broker.
func cutFront(board *board) error {
	if !board.front.Cut() {
		return fmt.Errorf("%s had no connection to its broker", board.moduleID)
	}
	return nil
}

func (c *campaign) stop(board *board) (end func() error, err error) {
	current, _ := board.alive()
	if current == nil {
		return nil, fmt.Errorf("%s is not up", board.name)
	}
	current.module.signal(syscall.SIGSTOP)
	return func() error { current.module.signal(syscall.SIGCONT); return nil }, nil
}

// kill kills a process and waits until both boards have started afresh.
func (c *campaign) kill(ctx context.Context, fault Fault) (Outcome, error) {
	outcome := Outcome{Fault: fault}
	port, _ := c.port.alive()
	main, _ := c.main.alive()
	if port == nil || main == nil {
		return outcome, errors.New("a board is not up")
	}
	// The main board connects this way in its next life.
	c.way.Store(int32(fault.way()))
	// An outage beyond the window ends processes by itself.
	c.killing.Store(fault.Kind == Away)
	// The longer the link was down before, the more the process holds.
	if fault.For > 0 {
		if err := c.network.pull(c.network.main, "down"); err != nil {
			return outcome, err
		}
		_ = recording.Sleep(ctx, fault.For)
	}
	c.killing.Store(true)
	c.kills.Add(1)
	c.commands.Kill()
	killed := time.Now()
	switch fault.Kind {
	case KillAgent:
		port.module.signal(syscall.SIGKILL)
	case KillController, Announced:
		main.module.signal(syscall.SIGKILL)
	case KillPortBroker:
		c.port.broker.signal(syscall.SIGKILL)
	case KillMainBroker:
		c.main.broker.signal(syscall.SIGKILL)
	case KillBoth:
		port.module.signal(syscall.SIGKILL)
		main.module.signal(syscall.SIGKILL)
	}
	if fault.For > 0 {
		if err := c.network.pull(c.network.main, "up"); err != nil {
			return outcome, err
		}
	}
	limited, cancel := context.WithTimeoutCause(ctx, recoveryLimit, errTooLong)
	defer cancel()
	// An isolating main board lives on unless a process of it was killed, and so does its satellite in an outage.
	leastPort, leastMain := port.number+1, main.number+1
	if c.flags.Isolate && !fault.Kind.killsMain() {
		leastMain = main.number
	}
	outlives := c.flags.Isolate && fault.Kind == Away
	if outlives {
		leastPort = port.number
	}
	freshPort, err := c.port.await(limited, leastPort)
	if err != nil {
		return outcome, err
	}
	freshMain, err := c.main.await(limited, leastMain)
	if err != nil {
		return outcome, err
	}
	// A board that was ready first may have had to start once more.
	if freshPort, err = c.port.await(limited, freshPort.number); err != nil {
		return outcome, err
	}
	outcome.Ready = time.Since(killed)
	if err := c.atWork(limited, c.marks()); err != nil {
		return outcome, err
	}
	outcome.Recovered = time.Since(killed)
	if now, _ := c.port.alive(); now != nil {
		freshPort = now
	}
	if now, _ := c.main.alive(); now != nil {
		freshMain = now
	}
	if c.flags.Isolate && !fault.Kind.killsMain() && freshMain != main {
		c.problem(string(fault.Kind) + ": the isolating main board did not outlive it")
	}
	if outlives && freshPort != port {
		c.problem(string(fault.Kind) + ": the satellite did not outlive it")
	}
	if c.outOfService.Load() {
		c.problem(string(fault.Kind) + ": the port works, and the main board says that it is out of service")
	}
	outcome.Logged = int(c.logged.Swap(0))
	outcome.Lives = freshPort.number - port.number + freshMain.number - main.number
	outcome.Pushes = len(c.pushes.TakeLost())
	for _, lost := range c.events.TakeLost() {
		outcome.Lost++
		if before := killed.Sub(lost.At); before < 0 {
			outcome.After++
		} else {
			outcome.Oldest = max(outcome.Oldest, before)
		}
	}
	// An event published long before the kill had arrived, and no process held it any more.
	if outlives && outcome.Lost > 0 {
		c.problem(fmt.Sprintf("%s: %d events are lost with an isolating main board", fault.Kind, outcome.Lost))
	}
	if outcome.Oldest > fault.For+heldLimit {
		c.problem(fmt.Sprintf("%s: what was published %v before is lost, and the link was down for %v", fault.Kind, outcome.Oldest, fault.For))
	}
	c.commands.Kill()
	c.killing.Store(false)
	return outcome, nil
}

// heldLimit is how long an event may take to arrive on a busy machine without a fault.
const heldLimit = 30 * time.Second

// errTooLong ends a wait after recoveryLimit.
var errTooLong = fmt.Errorf("not at work again within %v", recoveryLimit)
