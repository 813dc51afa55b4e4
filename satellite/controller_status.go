package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
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
	Discovery string
	Boards    []discovery.Satellite
	// Connected reports whether commands reach the satellite.
	Connected bool
	// Variables and Errors count the satellite's variables and errors that were published on the main board. Dropped
	// counts those that could not be published.
	Variables, Errors, Dropped uint64
	// LastVariable is when a variable was last published, zero before the first one.
	LastVariable time.Time
	// Commands counts the commands for the satellite. CommandErrors counts those that failed.
	Commands, CommandErrors uint64
	// Pushed counts the main board's variables that reached the satellite.
	Pushed uint64
	// Tunnel lists the ids of the interfaces that the configuration key tunnel adds. Differences describes what the two
	// boards tunnel differently, one text for each difference.
	Tunnel, Differences []string
}

// Status returns a snapshot. Before Run only State is set.
func (c *Controller) Status() ControllerStatus {
	secured := c.dialer.Status()
	status := ControllerStatus{
		State:    handshake.Idle.String(),
		Security: secured.Security, PeerFingerprint: secured.PeerFingerprint, PeerSerial: secured.PeerSerial,
		IdentityExpires: secured.Expires, RejectedPeers: secured.Rejected,
	}
	client := c.link.Load()
	if client == nil {
		return status
	}
	stats := client.Stats()
	status.State, status.Satellite, status.Connected = stats.State.Name(), c.target.String(), stats.Connected
	status.Variables, status.Errors, status.Dropped = c.relay.variables.Load(), c.relay.errors.Load(), c.relay.dropped.Load()
	status.Commands, status.CommandErrors = c.forward.commands.Load(), c.forward.commandErrors.Load()
	status.Pushed = c.forward.pushed.Load()
	status.Resumes, status.Isolations, status.GivenUp = stats.Resumes, stats.Isolations, stats.Evicted
	status.Backlog = stats.Backlog
	status.Tunnel, status.Differences = c.table.Extras(), c.table.Differences()
	if stats.Linked {
		status.Dialect = stats.Dialect.Name()
	}
	if c.watcher != nil {
		status.Discovery, status.Boards = discoveryStatus(c.watcher)
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
		Tunnel: now.Tunnel, TunnelDifferences: now.Differences,
	}
	status.Link.ActiveErrors = new(len(slices.DeleteFunc(c.module.Provides(route.Satellite).ActiveErrors(), func(e everest.Error) bool {
		return e.Origin.ModuleID == c.module.ID()
	})))
	c.dialer.Status().Fill(status.Link)
	if !now.LastVariable.IsZero() {
		status.Link.LastVariable = &now.LastVariable
	}
	if now.Connected {
		status.Link.Latency = stats.Latency
	} else if refusal := c.refusal.Load(); refusal != nil && status.Health != control.Healthy {
		status.Problem += ": " + *refusal
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

// ping makes a round trip to the agent.
func (c *Controller) ping(ctx context.Context) (*control.Pong, error) {
	took, dialect, function, err := c.link.Load().Ping(ctx)
	if err != nil {
		return nil, c.controlError(err)
	}
	return &control.Pong{Peer: c.target.String(), Dialect: dialect.Name(), Function: function, Seconds: took.Seconds()}, nil
}

// noLink returns why the agent cannot be asked.
func (c *Controller) noLink() error {
	text := "no link to the satellite at " + c.target.String()
	if _, problem := healthOf(c.link.Load().Stats().State); problem != "" {
		text += ": " + problem
	}
	if refusal := c.refusal.Load(); refusal != nil {
		text += ": " + *refusal
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
