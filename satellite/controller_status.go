package satellite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
)

// ControllerStatus is a snapshot of a Controller.
type ControllerStatus struct {
	// State is the name of the handshake's state.
	State string
	// Dialect is "legacy" or "v2", empty before the agreement with an agent.
	Dialect string
	// Security is "plain" or "mutual-tls"; empty before the configuration is read.
	Security string
	// PeerFingerprint and PeerSerial identify the satellite that last proved its identity. They are empty before the
	// first one, and on a plain link.
	PeerFingerprint, PeerSerial string
	// IdentityExpires is when this board's certificate expires. It is zero on a plain link.
	IdentityExpires time.Time
	// RejectedPeers counts the connections that ended in the TLS handshake because one board did not trust the other.
	RejectedPeers uint64
	// Resumes counts how often a v2 link was resumed. Isolations counts how often the port was taken out of service.
	// GivenUp counts the events that the satellite's journal evicted when it was full.
	Resumes, Isolations, GivenUp uint64
	// Backlog is how many received events are not published yet.
	Backlog int
	// Satellite is the configured address of the satellite, or its serial number as "serial:ABC123".
	Satellite string
	// Discovery is "found", "not found" or "ambiguous" where the satellite is configured by its serial number, else
	// empty. Boards lists the boards that announce that number: one where it is found, several where it is ambiguous.
	// With mutual TLS it is ambiguous where several boards have proven the number. Boards then lists the boards that
	// have proven it, or those that announce it where none has.
	Discovery string
	Boards    []discovery.Satellite
	// Connected reports whether commands reach the satellite.
	Connected bool
	// Variables and Errors count the satellite's variables and errors that were published on the main board. Dropped
	// counts those that could not be published.
	Variables, Errors, Dropped uint64
	// EstimatedEnds counts the sessions whose end was estimated because the satellite did not tell it. LateEnds counts
	// those of them whose true end came later.
	EstimatedEnds, LateEnds uint64
	// LastVariable is when a variable was last published, zero before the first one.
	LastVariable time.Time
	// Commands counts the commands for the satellite. CommandErrors counts those that failed, or were not delivered.
	Commands, CommandErrors uint64
	// Pushed counts the main board's variables that reached the satellite.
	Pushed uint64
	// Tunnel lists the ids of the interfaces that the configuration key tunnel adds. Differences describes what the two
	// boards tunnel differently, one text for each difference.
	Tunnel, Differences []string
	// Hooks counts what the hooks of a fork did wrong.
	Hooks hook.Stats
}

// Status returns a snapshot. Before Run only State is set.
func (c *Controller) Status() ControllerStatus {
	secured := c.dialer.Status()
	status := ControllerStatus{
		State:    handshake.Idle.String(),
		Security: secured.Security, PeerFingerprint: secured.PeerFingerprint, PeerSerial: secured.PeerSerial,
		IdentityExpires: secured.Expires, RejectedPeers: secured.Rejected, Hooks: c.hooks.Stats(),
	}
	client := c.link.Load()
	if client == nil {
		return status
	}
	stats := client.Stats()
	status.State, status.Satellite, status.Connected = stats.State.Name(), c.target.String(), stats.Connected
	status.Variables, status.Errors, status.Dropped = c.relay.variables.Load(), c.relay.errors.Load(), c.relay.dropped.Load()
	status.Commands, status.CommandErrors = c.forward.commands.Load(), c.forward.commandErrors.Load()+stats.Undelivered
	status.Pushed = c.forward.pushed.Load()
	status.Resumes, status.Isolations, status.GivenUp = stats.Resumes, stats.Isolations, stats.Evicted
	status.Backlog = stats.Backlog
	status.EstimatedEnds, status.LateEnds = c.evse.counts()
	status.Tunnel, status.Differences = c.table.Extras(), c.table.Differences()
	if stats.Linked {
		status.Dialect = stats.Dialect.Name()
	}
	if c.finder != nil {
		status.Discovery, status.Boards = c.finder.status()
	}
	if last := c.relay.lastVariable.Load(); last != 0 {
		status.LastVariable = time.Unix(0, last)
	}
	return status
}

// controlStatus returns the status for the status socket, with that of the agent.
func (c *Controller) controlStatus(ctx context.Context) (*control.Status, error) {
	now, stats := c.Status(), c.link.Load().Stats()
	status := c.control.head("SatelliteController", c.module, stats.State)
	status.Link = &control.Link{
		Role: "controller", Connected: now.Connected, Dialect: now.Dialect, PeerAddress: now.Satellite, Discovery: now.Discovery,
		Backlog: now.Backlog, Resumes: now.Resumes, Isolations: now.Isolations, GivenUp: now.GivenUp,
		Variables: now.Variables, Errors: now.Errors, Dropped: now.Dropped,
		Commands: now.Commands, CommandErrors: now.CommandErrors, Pushed: now.Pushed,
		Tunnel: now.Tunnel, TunnelDifferences: now.Differences, Path: text(&c.path),
	}
	status.Link.ActiveErrors = new(c.sinks.activeErrors())
	c.evse.errorsChanged() // an error of the main board's own may have come or gone
	status.EVSE = c.evse.view.Status(time.Now())
	c.dialer.Status().Fill(status.Link)
	if !now.LastVariable.IsZero() {
		status.Link.LastVariable = &now.LastVariable
	}
	if now.Connected {
		status.Link.Latency = stats.Latency
	} else if status.Health != control.Healthy {
		advice := ""
		if refusal := c.refusal.Load(); refusal != nil {
			advice, status.Cause = refusal.advice, refusal.cause
		}
		if advice == "" && (stats.State == handshake.Resuming || stats.State == handshake.OutOfService) {
			advice = "Check the satellite's power, network cable and network switch." // the next connection may say more
		}
		status.Problem = strings.TrimSpace(status.Problem + " " + advice)
	}
	status.Problem += c.start.problem()
	if stats.Stuck > 0 {
		status.Health = control.Degraded
		status.Problem = strings.TrimSpace(status.Problem + " " + fmt.Sprintf("%d events of the satellite wait, because this board's broker has not taken any for %v: see whether it runs, and the other modules with it.",
			stats.Backlog, stats.Stuck.Round(time.Second)))
	}
	status.Peer = &control.Peer{}
	peer, err := c.peerStatus(ctx)
	if err != nil {
		status.Peer.Error = err.Error()
	} else {
		status.Peer.Status = peer
	}
	return status, nil
}

// peerTimeout bounds the wait for the agent's status. The rest of the status must not wait longer for it.
const peerTimeout = 2 * time.Second

func (c *Controller) peerStatus(ctx context.Context) (*control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	text, dialect, err := c.link.Load().PeerStatus(ctx)
	switch {
	case err != nil:
		return nil, c.controlError(err)
	case dialect == handshake.Legacy:
		return nil, &control.Reason{Never: true, Text: "the agent at " + c.target.String() + " speaks the legacy dialect, which has no status: ask on its own board"}
	}
	var status control.Status
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return nil, fmt.Errorf("satellite: the status of the agent at %s cannot be read: %w", c.target, err)
	}
	return &status, nil
}

// linkTurn is a change between a link that carries commands and none.
type linkTurn struct {
	linked bool
	at     time.Time
}

// turned keeps when the link was made or lost.
func (c *Controller) turned(state handshake.State) {
	linked := state == handshake.Agreed || state == handshake.Working
	if last := c.turn.Load(); last == nil || last.linked != linked {
		now := time.Now()
		c.turn.Store(&linkTurn{linked, now})
		c.evse.view.Link(linked, now)
	}
}

// since returns when the change was, by the clock of today: a backend may have set it meanwhile.
func (t *linkTurn) since() time.Time { return occupancy.ByClock(t.at, time.Now()) }

// linkStatus is the result of the command get_link_status.
type linkStatus struct {
	Connected bool       `json:"connected"`
	Since     *time.Time `json:"since,omitempty"`
	Serial    string     `json:"serial,omitempty"`
	Version   string     `json:"version,omitempty"`
	Uptime    float64    `json:"uptime_s,omitempty"`
}

// versionTimeout bounds the wait for the agent's version. SystemAggregator waits for the whole answer twice as long.
const versionTimeout = time.Second

// linkStatus returns what is known of the satellite. The serial number is the one that it has proven, or else the one
// that it is configured by.
func (c *Controller) linkStatus(ctx context.Context) linkStatus {
	status := linkStatus{
		Connected: c.link.Load().Stats().Connected,
		Serial:    cmp.Or(c.dialer.Status().PeerSerial, c.target.serial),
	}
	if turn := c.turn.Load(); turn != nil {
		status.Since = new(turn.since())
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	if peer, err := c.peerStatus(ctx); err == nil {
		status.Version, status.Uptime = peer.Version, peer.UptimeSeconds
	}
	return status
}

// ping makes a round trip to the agent with so many bytes in both directions.
func (c *Controller) ping(ctx context.Context, size int) (*control.Pong, error) {
	if size > link.MaxEcho {
		return nil, &control.Reason{Text: fmt.Sprintf("a ping carries %d bytes at most", link.MaxEcho)}
	}
	took, dialect, function, err := c.link.Load().Ping(ctx, size)
	switch {
	case errors.Is(err, link.ErrNoPayload):
		return nil, &control.Reason{Never: true, Text: "the agent at " + c.target.String() +
			" speaks the legacy dialect, in which no ping has a size: ping without one, or measure the path with ping -M do -s BYTES"}
	case err != nil:
		return nil, c.controlError(err)
	}
	return &control.Pong{Peer: c.target.String(), Dialect: dialect.Name(), Function: function, Size: size, Seconds: took.Seconds()}, nil
}

// noLink returns why the agent cannot be asked.
func (c *Controller) noLink() error {
	text := "no link to the satellite at " + c.target.String()
	if _, problem := healthOf(c.link.Load().Stats().State); problem != "" {
		text += ": " + problem
	}
	if refusal := c.refusal.Load(); refusal != nil {
		text += strings.TrimSuffix(" "+refusal.advice, " ") + " (" + refusal.cause + ")"
	}
	return &control.Reason{Text: text}
}

// controlError returns the error of asking the agent, for a person.
func (c *Controller) controlError(err error) error {
	switch {
	case errors.Is(err, link.ErrNotConnected):
		return c.noLink()
	case errors.Is(err, rpc.ErrMethodNotFound):
		return &control.Reason{Never: true, Text: "the agent at " + c.target.String() + " is of a version that cannot answer this: update it"}
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the agent at %s did not answer in time: %w", c.target, err)
	}
	return fmt.Errorf("the agent at %s: %w", c.target, err)
}
