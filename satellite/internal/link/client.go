package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// ClientConfig configures a Client.
type ClientConfig struct {
	// Protocol configures the handshake: its times, dialects and loss policy.
	Protocol handshake.ControllerConfig
	// CommandTimeout bounds each command and push. CommandWait is how long the caller of a command with a result waits
	// for a link that is away. The default is 2 s.
	CommandTimeout, CommandWait time.Duration
	Routes                      []route.Route
	// Peer names the satellite in the log.
	Peer   string
	Logger *zap.Logger
	MainBoard
}

// MainBoard holds the functions of the main board that a Client calls.
type MainBoard struct {
	// Dial connects to the satellite.
	Dial func(context.Context) (*rpc.Client, error)
	// Connected is called with each new connection. It may close the connection.
	Connected func(*rpc.Client)
	// NotConnected is called after a failed attempt to connect, and when the agent closes a connection before both
	// sides have agreed.
	NotConnected func(error)
	// Suspected is called when the path seems to swallow long packets. Further connections have the segments that Segment
	// returns.
	Suspected func()
	// Disconnected is called when a connection ends that this board did not close.
	Disconnected func(error)
	// Compare compares the route tables of both boards before anything is relayed. exchange sends this board's summary
	// and returns the agent's.
	Compare func(ctx context.Context, dialect handshake.Dialect, exchange func(context.Context, string) (string, error))
	// Publish publishes one event of the satellite. It is called once this board is ready, with one event at a time. It
	// may wait for the board's broker for as long as its context lives.
	Publish func(context.Context, Event)
	// Acknowledged calls done once the board's broker has acknowledged everything that Publish has published so far. An
	// event counts as published then. Where Acknowledged is nil, it counts at once.
	Acknowledged func(done func())
	// Unreadable is called with the error of an answer that cannot be published in full.
	Unreadable func(error)
	// Polled is called with each event that an agent tells before the agreement, which is published once this board is ready.
	// Only a legacy agent is asked, of a board that is being flashed.
	Polled func(Event)
	// Isolated is called when the port goes out of service. Established is called when commands reach the satellite
	// again: with resumed where the same two processes continue their link, also long after Isolated, and without where
	// another process of the satellite has agreed. The events of the outage follow a resumption.
	Established func(resumed bool)
	Isolated    func(handshake.Reason)
	// Changed is called after each step of the handshake.
	Changed func(ClientState)
}

// ClientState is the state of a Client after a step of the handshake.
type ClientState struct {
	State   handshake.State
	Dialect handshake.Dialect
	Reason  handshake.Reason
	// LastEnd is why the newest connection ended, nil where this board ended it.
	LastEnd error
}

// Client is the controller's end of a link. It connects, agrees with an agent, forwards commands and queues the agent's
// events. Its methods may be called from any goroutine.
type Client struct {
	config ClientConfig
	log    *zap.Logger
	loop   *loop
	keeper keeper
	path   path
	watch  watch
	// sender sends the commands of the link, nil before the first agreement.
	sender  atomic.Pointer[sender]
	queue   *queue
	machine *handshake.Controller // stepped by the loop alone
	// instanceID is this process's instance id. epoch is the number of the v2 epoch that is kept or being agreed.
	instanceID uint64
	epoch      atomic.Uint64
	// spoken is the handshake.Dialect of the newest connection, as far as it is known.
	spoken atomic.Uint32
	// agreed is closed when both sides have agreed or the port is isolated. ready is closed when this board is ready.
	agreed, ready chan struct{}
	// clock is nil where the newest connection's agent does not tell its clock.
	clock atomic.Pointer[peerClock]
	// doubtful is the machine's Doubtful after its last step.
	doubtful  atomic.Bool
	readyOnce sync.Once
	running   sync.WaitGroup

	state                                     atomic.Uint32
	resumes, isolations, evicted, undelivered atomic.Uint64
	// stuck is set while the log says that the broker takes nothing.
	stuck atomic.Bool
}

// NewClient returns a client that Run starts.
func NewClient(config ClientConfig) *Client {
	if config.CommandWait <= 0 {
		config.CommandWait = defaultCommandWait
	}
	if config.Acknowledged == nil {
		config.Acknowledged = func(done func()) { done() }
	}
	if config.Polled == nil {
		config.Polled = func(Event) {}
	}
	c := &Client{
		config: config, log: config.Logger, queue: newQueue(), machine: handshake.NewController(config.Protocol),
		instanceID: newInstanceID(), agreed: make(chan struct{}), ready: make(chan struct{}),
	}
	c.loop = newLoop(c.machine, c.perform, c.settled)
	c.loop.putOff = func(timer handshake.Timer) time.Duration { return c.watch.putOff(timer, config.Protocol.ResumeWindow) }
	c.watch.suspect = config.Suspected
	if config.Protocol.Dialects == handshake.OnlyLegacy || config.Protocol.LegacyBefore {
		c.path.beginSmall()
	}
	return c
}

// Run drives the link until the protocol ends, and returns how this process must exit. When the context ends, Run first
// calls the agent's function exit. On return no goroutine of the link is left.
func (c *Client) Run(ctx context.Context) (handshake.ExitProcess, error) {
	c.running.Go(func() {
		select {
		case <-c.ready:
			c.queue.run(c.loop.ended, c.config.Publish, c.config.Acknowledged)
		case <-c.loop.ended:
		}
	})
	defer c.running.Wait()
	defer c.endCommands(errNoLink)
	return c.loop.run(ctx)
}

// Start begins the protocol, and waits until both sides have agreed or the port is isolated.
func (c *Client) Start(ctx context.Context) error { return c.loop.start(ctx, c.agreed) }

// Ask makes the loop that drives the link call alive. It does not wait for the call.
func (c *Client) Ask(alive func()) { c.loop.ask(alive) }

// Ended returns a channel that is closed when the protocol has ended.
func (c *Client) Ended() <-chan struct{} { return c.loop.ended }

// BoardReady reports that this board is ready: events are published from then on.
func (c *Client) BoardReady() {
	c.readyOnce.Do(func() { close(c.ready) })
	c.loop.post(handshake.BoardReady{})
}

// FirmwareAccepted reports that a firmware update of the satellite runs: its loss is no fault.
func (c *Client) FirmwareAccepted() { c.loop.post(handshake.FirmwareAccepted{}) }

// FirmwareEnded reports that no firmware update runs any more: a lost satellite counts as a fault again.
func (c *Client) FirmwareEnded() { c.loop.post(handshake.FirmwareEnded{}) }

// AddTask queues a task behind the events that wait to be published.
func (c *Client) AddTask(task func(context.Context)) { c.queue.addTask(task) }

// Call executes a command on the satellite and returns its result. A command without a result that waits for the link,
// or is not answered promptly, counts as done. Besides the command's own error Call returns ErrIsolated, ErrAway,
// ErrNotConnected or ErrNotTunnelled, and net.ErrClosed where the reply was lost.
func (c *Client) Call(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	if c.keeper.way().isolated {
		return nil, ErrIsolated
	}
	link := c.sender.Load()
	if link == nil {
		return nil, errNoLink
	}
	result, err := link.call(ctx, r, command, arguments)
	switch {
	case errors.Is(err, rpc.ErrMethodNotFound):
		return nil, ErrNotTunnelled
	case err != nil:
		return nil, err
	}
	return result, nil
}

// Push publishes a variable of the main board on the satellite. It waits for the first agreement.
func (c *Client) Push(ctx context.Context, push route.Push, value json.RawMessage) error {
	if err := waitFor(ctx, c.agreed); err != nil {
		return err
	}
	w := c.keeper.way()
	if w.dialect == nil {
		return ErrNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.CommandTimeout)
	defer cancel()
	return w.dialect.push(ctx, push, value)
}

// Ping measures a round trip to the agent with size bytes in both directions. In the legacy dialect that is the next poll,
// and size must be 0. It also returns the function that was measured.
func (c *Client) Ping(ctx context.Context, size int) (took time.Duration, dialect handshake.Dialect, function string, err error) {
	w := c.keeper.way()
	if w.client == nil {
		return 0, 0, "", ErrNotConnected
	}
	took, err = w.dialect.ping(ctx, w.client, size)
	return took, w.dialect.name(), w.dialect.pingFunction(size), err
}

// PeerStatus returns the agent's status as JSON. The legacy dialect has no status: text is empty.
func (c *Client) PeerStatus(ctx context.Context) (text string, dialect handshake.Dialect, err error) {
	w := c.keeper.way()
	switch {
	case w.client == nil:
		return "", 0, ErrNotConnected
	case w.dialect.name() == handshake.Legacy:
		return "", handshake.Legacy, nil
	}
	return text, w.dialect.name(), w.client.Call(ctx, FunctionStatus, &text)
}

// ClientStats is a snapshot of a Client.
type ClientStats struct {
	State handshake.State
	// Connected reports whether commands reach the satellite.
	Connected bool
	// Linked reports whether there is a link, also while it may be resumed. Dialect is its dialect.
	Linked  bool
	Dialect handshake.Dialect
	// Resumes counts resumptions, Isolations isolations of the port, and Evicted the events that the satellite's full
	// journal evicted.
	Resumes, Isolations, Evicted uint64
	// Backlog is how many events wait to be published. Stuck is for how long this board's broker has not acknowledged any
	// of them, 0 where that is not long.
	Backlog int
	Stuck   time.Duration
	// Waiting is how many commands wait for the link. Undelivered counts the commands without a result that were
	// answered, and then not delivered or failed.
	Waiting     int
	Undelivered uint64
	// Latency sums up the round trips of this link, nil without any.
	Latency *control.Latency
}

// Stats returns a snapshot.
func (c *Client) Stats() ClientStats {
	w := c.keeper.way()
	stats := ClientStats{
		State:     handshake.State(c.state.Load()),
		Connected: w.client != nil,
		Resumes:   c.resumes.Load(), Isolations: c.isolations.Load(), Evicted: c.evicted.Load(), Backlog: c.queue.len(),
		Undelivered: c.undelivered.Load(),
	}
	if _, since := c.queue.stuck(); closed(c.ready) && since > stuckAfter {
		stats.Stuck = since
	}
	if sender := c.sender.Load(); sender != nil {
		stats.Waiting = sender.waiting()
	}
	if link := c.keeper.link(); link != nil {
		stats.Linked, stats.Dialect = true, link.name()
		if stats.Connected {
			stats.Latency = link.roundTrips().Latency()
		}
	}
	return stats
}

// Conn returns the newest connection, with or without a link, or nil.
func (c *Client) Conn() *rpc.Client { return c.keeper.current() }

// CanResume reports whether there is a link that a new connection can resume.
func (c *Client) CanResume() bool {
	link := c.keeper.link()
	return link != nil && link.resumable()
}

// perform carries out one action of the handshake.
func (c *Client) perform(action handshake.Action) error {
	switch action := action.(type) {
	case handshake.Connect:
		ctx, conn := c.keeper.open(action.Conn)
		c.running.Go(func() { c.connect(ctx, conn) })
	case handshake.Disconnect:
		if c.keeper.abandon(action.Conn) {
			c.suspendCommands()
		}
	case handshake.Call:
		c.keeper.do(action.Conn, func(ctx context.Context, conn *rpc.Client) { c.call(ctx, action.Conn, conn, action.Function) })
	case handshake.Establish:
		c.establish(action.Conn, action.Dialect)
	case handshake.InitDone:
		// A legacy link that ends init comes without Establish.
		if c.machine.State() != handshake.OutOfService && c.machine.Dialect() == handshake.Legacy {
			c.establish(0, handshake.Legacy)
		}
		close(c.agreed)
	case handshake.Resume:
		c.resumes.Add(1)
		c.proceed(action.Conn, c.keeper.link(), true)
	case handshake.Isolate:
		c.isolations.Add(1)
		c.keeper.leaveService(true, c.machine.CanResume())
		c.endCommands(ErrIsolated)
		c.config.Isolated(action.Reason)
	default:
		return fmt.Errorf("satellite: the controller cannot carry out %v", action)
	}
	return nil
}

// establish begins a link.
func (c *Client) establish(id handshake.ConnID, spoken handshake.Dialect) {
	var link dialect
	alive := func() {
		c.watch.alive()
		c.sender.Load().alive()
		c.watchBroker()
	}
	if spoken == handshake.V2 {
		link = &v2Client{
			reporter: c.reporter(), keeper: &c.keeper, queue: c.queue, timeout: c.config.Protocol.HeartbeatTimeout,
			alive: alive, evict: c.evict,
		}
	} else {
		link = c.legacy(alive)
	}
	c.endCommands(errNoLink)
	c.sender.Store(newSender(c, link))
	c.proceed(id, link, false)
}

// proceed opens a link for commands. In v2 it also begins to fetch events.
func (c *Client) proceed(id handshake.ConnID, link dialect, resumed bool) {
	c.keeper.agree(link)
	if conn := c.keeper.current(); conn != nil {
		c.sender.Load().up(conn)
	}
	c.config.Established(resumed)
	if link.name() == handshake.V2 {
		c.keeper.do(id, func(ctx context.Context, conn *rpc.Client) { link.events(ctx, id, conn) })
	}
}

// settled runs after each step of the handshake.
func (c *Client) settled(state handshake.State) {
	c.config.Changed(ClientState{
		State: state, Dialect: c.machine.Dialect(), Reason: c.machine.Reason(), LastEnd: c.keeper.lastEnd(),
	})
	c.state.Store(uint32(state))
	c.epoch.Store(c.machine.Epoch())
	c.spoken.Store(uint32(c.machine.Dialect()))
	c.doubtful.Store(c.machine.Doubtful())
	switch state {
	case handshake.OutOfService:
		c.keeper.leaveService(true, c.machine.CanResume())
		c.endCommands(ErrIsolated)
	case handshake.Parted:
		c.keeper.leaveService(false, c.machine.CanResume())
		c.endCommands(errNoLink)
	case handshake.Leaving, handshake.Ended:
		c.keeper.finish()
		c.endCommands(errNoLink)
	}
}

// suspendCommands holds the commands back until the link is resumed.
func (c *Client) suspendCommands() {
	if sender := c.sender.Load(); sender != nil {
		sender.down()
	}
}

// endCommands drops the commands that wait, and answers further ones of this link with an error unless it is resumed.
func (c *Client) endCommands(err error) {
	if sender := c.sender.Load(); sender != nil {
		sender.end(err)
	}
}

// evict keeps the agent's count of evicted events, and logs that it grew.
func (c *Client) evict(total uint64) {
	if c.evicted.Swap(total) < total {
		c.log.Warn("the satellite's journal was full: values were given up", zap.Uint64("given_up", total))
	}
}
