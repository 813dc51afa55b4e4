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
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// controlStatus is the controller's answer to GET /status. It asks the agent for its own.
func (c *Controller) controlStatus(ctx context.Context) (*control.Status, error) {
	now := c.Status()
	status := c.control.head("SatelliteController", c.module, handshake.State(c.status.state.Load()))
	status.Link = &control.Link{
		Role: "controller", Connected: now.Connected, Dialect: now.Dialect, PeerAddress: now.Satellite, Discovery: now.Discovery,
		Backlog: now.Backlog, Resumes: now.Resumes, Isolations: now.Isolations, GivenUp: now.GivenUp,
		Variables: now.Variables, Errors: now.Errors, Dropped: now.Dropped,
		Commands: now.Commands, CommandErrors: now.CommandErrors, Pushed: now.Pushed,
		Tunnel: now.Tunnel, TunnelDifferences: now.Differences,
	}
	status.Link.ActiveErrors = c.activeErrors(ctx)
	c.dialer.Status().Fill(status.Link)
	if !now.LastVariable.IsZero() {
		status.Link.LastVariable = &now.LastVariable
	}
	if now.Connected {
		status.Link.Latency = c.roundTrips.Latency()
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

// activeErrors counts the satellite's errors, nil where the main board's broker holds one up just now: then the rest of the
// status is what somebody wants to see.
func (c *Controller) activeErrors(ctx context.Context) *int {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	counted := make(chan int, 1)
	c.background.Go(func() {
		active := slices.DeleteFunc(c.module.Provides(route.Satellite).ActiveErrors(), func(e everest.Error) bool {
			return e.Origin.ModuleID == c.module.ID()
		})
		counted <- len(active)
	})
	select {
	case count := <-counted:
		return &count
	case <-ctx.Done():
		return nil
	}
}

// peerTimeout bounds the wait for the agent's status: what is known here is worth more than what may come late.
const peerTimeout = 2 * time.Second

func (c *Controller) peerStatus(ctx context.Context) (*control.Status, error) {
	way, err := c.controlWay()
	if err != nil {
		return nil, err
	}
	if way.session == nil {
		return nil, &control.Reason{Never: true, Text: "the agent at " + c.address() + " speaks the legacy dialect, which has no status: ask on its own board"}
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	var text string
	if err := way.client.Call(ctx, FunctionLinkStatus, &text); err != nil {
		return nil, c.controlError(err)
	}
	var status control.Status
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return nil, fmt.Errorf("satellite: the status of the agent at %s cannot be read: %w", c.address(), err)
	}
	return &status, nil
}

// ping makes a round trip to the agent.
func (c *Controller) ping(ctx context.Context) (*control.Pong, error) {
	way, err := c.controlWay()
	if err != nil {
		return nil, err
	}
	pong := &control.Pong{Peer: c.address(), Dialect: handshake.Legacy.String(), Function: FunctionRetrieve}
	if way.session == nil {
		took, err := c.roundTrips.Next(ctx)
		if err != nil {
			return nil, c.controlError(err)
		}
		pong.Seconds = took.Seconds()
		return pong, nil
	}
	pong.Dialect, pong.Function = handshake.V2.String(), FunctionLinkPing
	began := time.Now()
	if err := way.client.Call(ctx, FunctionLinkPing, nil); err != nil {
		return nil, c.controlError(err)
	}
	took := time.Since(began)
	c.roundTrips.Add(took)
	pong.Seconds = took.Seconds()
	return pong, nil
}

// controlWay returns the connection that stands, or why there is none.
func (c *Controller) controlWay() (passage, error) {
	way := c.links.passage()
	if way.client != nil {
		return way, nil
	}
	_, problem := healthOf(handshake.State(c.status.state.Load()))
	text := "no link to the satellite at " + c.address()
	if problem != "" {
		text += ": " + problem
	}
	if refusal := c.refusal.Load(); refusal != nil {
		text += ": " + *refusal
	}
	return way, &control.Reason{Text: text}
}

// controlError says what went wrong in asking the agent.
func (c *Controller) controlError(err error) error {
	switch {
	case errors.Is(err, rpc.ErrMethodNotFound):
		return &control.Reason{Never: true, Text: "the agent at " + c.address() + " is of a version that cannot answer this: update it"}
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the agent at %s did not answer in time: %w", c.address(), err)
	}
	return fmt.Errorf("the agent at %s: %w", c.address(), err)
}

// withHeld adds to an answer of link_events how long the agent has held the call open, so that the controller can tell the
// time of the round trip from it.
func withHeld(answer rpc.Raw, held time.Duration) rpc.Raw {
	answer[0] = 0x93
	return appendInteger(answer, uint64(max(held, 0).Microseconds()))
}

// heldOf reads it; an agent may leave it out.
func heldOf(answer rpc.Raw) (time.Duration, bool) {
	r := reader{rest: answer}
	if r.array() < 3 {
		return 0, false
	}
	r.integer()
	r.text()
	held := r.integer()
	return time.Duration(min(held, uint64(time.Hour/time.Microsecond))) * time.Microsecond, !r.failed
}
