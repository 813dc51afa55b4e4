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
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// controlStatus is the controller's answer to GET /status. It asks the agent for its own.
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

// peerTimeout bounds the wait for the agent's status: what is known here is worth more than what may come late.
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
	return &control.Pong{Peer: c.target.String(), Dialect: dialect.String(), Function: function, Seconds: took.Seconds()}, nil
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
