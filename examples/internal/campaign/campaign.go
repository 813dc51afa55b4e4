//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/hostile"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// recoveryLimit is how long everything may take to work again after a fault, on a machine at a load of 60.
const recoveryLimit = 3 * time.Minute

// campaign is a station and the account of what it does.
type campaign struct {
	flags       Flags
	output      io.Writer
	definitions *schema.Definitions
	steps       []recording.Step
	network     *network
	forwarder   *forwarder.Forwarder
	main, port  *board
	fail        context.CancelCauseFunc
	// liar is a second satellite, nil where the campaign has none.
	liar *hostile.Satellite
	// memories are those of the processes, by name.
	memories map[string]*memory

	// events go from the satellite to the main board, pushes the other way.
	events, pushes *ledger.Epochs
	commands       *Commands
	// way is that of the main board's next life, a value of type way.
	way atomic.Int32
	// killing is set from a kill until everything works again; kills counts the kills.
	killing atomic.Bool
	kills   atomic.Int64
	// troubled is set from a fault of a broker until events get through again; troubles counts these faults, and
	// trouble is the newest, a value of type excuse.
	troubled atomic.Bool
	troubles atomic.Int64
	trouble  atomic.Int32
	// outOfService is set while the isolating main board reports its port out of service; isolations counts how often it did.
	outOfService atomic.Bool
	isolations   atomic.Int64
	// logged is how many events the agent's log says were lost with it.
	logged atomic.Int64

	mu       sync.Mutex
	problems []string
	lines    []string // the last of the processes' logs
}

// runCampaign makes the faults, or measures an idle link with Flags.Idle. It returns nil only if the account balances.
func runCampaign(ctx context.Context, flags Flags, output io.Writer) error {
	if err := checkRight(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	folder, err := os.MkdirTemp("", "campaign")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	programs := flags.Programs
	if programs == "" {
		programs = folder
		if err := build(ctx, folder, flags.Race); err != nil {
			return err
		}
	}
	c := &campaign{flags: flags, output: output, fail: cancel}
	c.events, c.pushes = ledger.NewEpochs("events", c.problem), ledger.NewEpochs("variables for the satellite", c.problem)
	c.commands = NewCommands(c.problem)
	if c.definitions, err = satellite.Definitions(); err != nil {
		return err
	}
	known, _ := c.definitions.Interface("satellite")
	if c.steps, err = recordedSteps(known.HasErrorType); err != nil {
		return err
	}
	if c.network, err = newNetwork(); err != nil {
		return err
	}
	defer c.network.remove()
	if c.forwarder, err = c.network.forward(); err != nil {
		return err
	}
	defer c.forwarder.Close()
	c.port = c.board("satellite", c.network.port, folder, filepath.Join(programs, "agent"), agentID, c.satelliteModules, c.setUpPort)
	c.main = c.board("main", c.network.main, folder, filepath.Join(programs, "controller"), controllerID, c.mainModules, c.setUpMain)
	if err := c.network.addStrangers(); err != nil {
		return err
	}
	silent, err := c.network.addAnnouncers()
	if err != nil {
		return err
	}
	defer silent.Close()
	stopReflecting, err := c.network.reflect()
	if err != nil {
		return err
	}
	defer stopReflecting()
	if !flags.Standalone && flags.Idle == 0 {
		if err := c.startLiar(); err != nil {
			return err
		}
		defer c.liar.Close()
		c.main.companion = liarID
	}
	if flags.Secure {
		if err := pair(folder, [2]string{c.port.name, c.main.name}); err != nil {
			return err
		}
	}
	return c.verdict(c.withBoards(ctx, func(ctx context.Context) error {
		if flags.Idle > 0 {
			return c.measureIdle(ctx)
		}
		return c.run(ctx)
	}))
}

func (c *campaign) board(name string, ns namespace, folder, program, moduleID string,
	modules func() map[string]everesttest.ModuleConfig, setUp func(*life, *everest.Module) error,
) *board {
	return &board{
		name: name, ns: ns, folder: folder, embedded: c.flags.Embedded, standalone: c.flags.Standalone, program: program, moduleID: moduleID,
		modules: modules, setUp: setUp, definitions: c.definitions, line: c.line, problem: c.problem,
		ended: func(err error) {
			if !c.killing.Load() {
				c.problem(fmt.Sprintf("board %s ended, and nothing was killed: %v", name, err))
			}
		},
	}
}

// withBoards calls do while both boards are up.
func (c *campaign) withBoards(ctx context.Context, do func(context.Context) error) error {
	boards, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	// The first start may take more than one try.
	c.killing.Store(true)
	if c.flags.Idle > 0 {
		c.way.Store(int32(direct))
	}
	running.Go(func() { c.port.run(boards) })
	running.Go(func() { c.main.run(boards) })
	started, cancel := context.WithTimeoutCause(ctx, recoveryLimit, errTooLong)
	defer cancel()
	for _, board := range []*board{c.port, c.main} {
		if _, err := board.await(started, 0); err != nil {
			return err
		}
	}
	c.killing.Store(false)
	return do(ctx)
}

// run lets the boards exchange messages while faults happen, and reports what arrived.
func (c *campaign) run(ctx context.Context) error {
	var traffic sync.WaitGroup
	at, stopTraffic := context.WithCancel(ctx)
	defer traffic.Wait()
	defer stopTraffic()
	publish := func(publishing func(context.Context) error) {
		traffic.Go(func() {
			if err := publishing(at); err != nil {
				c.problem(err.Error())
			}
		})
	}
	publish(c.play)
	publish(c.push)
	callers, err := c.callers()
	if err != nil {
		return err
	}
	for _, caller := range callers {
		traffic.Go(func() { caller(at) })
	}
	outcomes, err := c.makeFaults(ctx)
	stopTraffic()
	traffic.Wait()
	if err == nil {
		err = c.settle(ctx)
	}
	c.report(outcomes)
	return err
}

func (c *campaign) makeFaults(ctx context.Context) ([]Outcome, error) {
	random := rand.New(rand.NewPCG(c.flags.Seed, c.flags.Seed))
	fmt.Fprintf(c.output, "%d faults of seed %d\n", c.flags.Faults, c.flags.Seed)
	if err := c.atWork(ctx, c.marks()); err != nil {
		return nil, err
	}
	var outcomes []Outcome
	for _, fault := range Plan(random, c.flags.Faults, c.flags.Only...) {
		if fault.Kind == Away {
			fault.For += c.flags.Window
		}
		outcome, err := c.happen(ctx, fault)
		if err != nil {
			return outcomes, fmt.Errorf("fault %d, %s: %w", len(outcomes)+1, fault.Kind, err)
		}
		outcomes = append(outcomes, outcome)
		fmt.Fprintf(c.output, "%4d %v\n", len(outcomes), outcome)
		if err := c.rememberAll(); err != nil {
			return outcomes, fmt.Errorf("after fault %d, %s: %w", len(outcomes), fault.Kind, err)
		}
		if err := recording.Sleep(ctx, fault.Pause); err != nil {
			return outcomes, context.Cause(ctx)
		}
	}
	return outcomes, nil
}

// marks are the newest event, variable and command at a moment.
type marks struct{ events, pushes, commands int }

func (c *campaign) marks() marks {
	events, _, _ := c.events.Counts()
	pushes, _, _ := c.pushes.Counts()
	return marks{events, pushes, c.commands.Last()}
}

// atWork waits until an event, a variable and a command of each kind that began after the marks have arrived.
func (c *campaign) atWork(ctx context.Context, since marks) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recoveryLimit, errTooLong)
	defer cancel()
	if err := await(ctx, "no event arrives", func() (bool, <-chan struct{}) { return c.events.Progress(since.events) }); err != nil {
		return err
	}
	err := await(ctx, "no variable arrives at the satellite", func() (bool, <-chan struct{}) { return c.pushes.Progress(since.pushes) })
	if err != nil {
		return err
	}
	// Both modules have their brokers: from here on no command may fail.
	c.troubled.Store(false)
	err = await(ctx, "a command is not answered", func() (bool, <-chan struct{}) {
		return c.commands.Progress(since.commands, reserve, setDuration, enforceLimits)
	})
	if err != nil {
		return err
	}
	ctx, cancel = context.WithTimeoutCause(ctx, heldLimit, errTooLong)
	defer cancel()
	return await(ctx, "a command from before has no end", func() (bool, <-chan struct{}) { return c.commands.Ended(since.commands) })
}

// atWorkWithLong waits, besides, for a command that is longer than a packet, and whose answer is.
func (c *campaign) atWorkWithLong(ctx context.Context, since marks) error {
	if err := c.atWork(ctx, since); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, recoveryLimit, errTooLong)
	defer cancel()
	return await(ctx, "a long command is not answered", func() (bool, <-chan struct{}) { return c.commands.Progress(since.commands, uploadLogs) })
}

func await(ctx context.Context, what string, progress func() (bool, <-chan struct{})) error {
	for {
		done, changed := progress()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
	}
}

// settle waits until everything that was published has arrived.
func (c *campaign) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recoveryLimit, errTooLong)
	defer cancel()
	for _, account := range []*ledger.Epochs{c.events, c.pushes} {
		if err := await(ctx, "not everything arrives: "+account.Name(), func() (bool, <-chan struct{}) { return account.Progress(-1) }); err != nil {
			return err
		}
	}
	if err := await(ctx, "a command that was answered is not executed", c.commands.Paid); err != nil {
		return err
	}
	if open := c.commands.Open(); open > 0 {
		return fmt.Errorf("%d commands have no end", open)
	}
	return nil
}

func (c *campaign) report(outcomes []Outcome) {
	writeTables(c.output, outcomes)
	events, eventsArrived, _ := c.events.Counts()
	pushes, pushesArrived, _ := c.pushes.Counts()
	resumes := 0
	for _, outcome := range outcomes {
		resumes += outcome.Resumes
	}
	fmt.Fprintln(c.output)
	for _, name := range slices.Sorted(maps.Keys(c.memories)) {
		kept := c.memories[name]
		fmt.Fprintf(c.output, "memory of %s: %d KiB at the end, %d KiB at most\n", name, kept.Last, kept.Peak)
	}
	if c.flags.Isolate {
		fmt.Fprintf(c.output, "\nthe port was out of service %d times\n", c.isolations.Load())
	}
	fmt.Fprintf(c.output, "\n%d faults, %d resumes; events: %d published, %d arrived; variables for the satellite: %d published, %d arrived; "+
		"commands: %s\n",
		len(outcomes), resumes, events, eventsArrived, pushes, pushesArrived, c.commands.summary())
}

// verdict joins the problems, and prints the end of the processes' logs if there are any.
func (c *campaign) verdict(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, problem := range c.problems {
		err = errors.Join(err, errors.New(problem))
	}
	if err != nil {
		fmt.Fprintf(c.output, "\nthe last lines of the processes:\n%s\n", strings.Join(c.lines, "\n"))
	}
	return err
}

// maxProblems is how many problems are kept: the first ones matter.
const maxProblems = 20

// problem records a thing that must not happen, and ends the campaign.
func (c *campaign) problem(text string) {
	c.mu.Lock()
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, text)
	}
	c.mu.Unlock()
	c.fail(errors.New(text))
}

// maxLines is how many lines of the processes are kept for the verdict.
const maxLines = 400

// line keeps a line that a process wrote.
func (c *campaign) line(text string) {
	if _, lost, found := strings.Cut(text, `"events_lost": `); found && strings.HasPrefix(text, agentID) {
		var count int64
		if _, err := fmt.Sscan(strings.TrimRight(lost, "}"), &count); err == nil {
			c.logged.Add(count)
		}
	}
	if strings.Contains(text, "panic: ") || strings.Contains(text, "fatal error: ") || strings.Contains(text, "DATA RACE") {
		c.problem(text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	text = time.Now().Format("15:04:05.000 ") + text
	if c.flags.Logs {
		fmt.Fprintln(c.output, text)
	}
	if c.lines = append(c.lines, text); len(c.lines) > 2*maxLines {
		c.lines = slices.Clone(c.lines[maxLines:])
	}
}
