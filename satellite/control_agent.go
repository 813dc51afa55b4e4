package satellite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// controlStatus is the agent's answer to GET /status.
func (a *Agent) controlStatus(context.Context) (*control.Status, error) {
	now := a.Status()
	status := a.control.head("SatelliteAgent", a.module, handshake.State(a.status.state.Load()))
	status.Link = &control.Link{
		Role: "agent", Dialect: now.Dialect,
		Connected:   status.Health == control.Healthy || status.State == handshake.Agreed.String(),
		PeerAddress: now.Controller, ListenAddress: now.ListenAddress,
		Journal: a.controlJournal(),
		Resumes: now.Resumes, GivenUp: now.GivenUp,
		Collected: now.Collected, Delivered: now.Delivered,
		Commands: now.Commands, CommandErrors: now.CommandErrors,
		Tunnel: now.Tunnel, TunnelDifferences: now.Differences,
	}
	a.admission.Status().Fill(status.Link)
	if status.Health == control.Starting && status.Link.PeersRejected > 0 {
		status.Problem += fmt.Sprintf(" Attempts rejected: %d; the security log says whose, and why", status.Link.PeersRejected)
	}
	a.journalLock.Lock()
	defer a.journalLock.Unlock()
	status.Link.ActiveErrors = ptr(len(a.active))
	return status, nil
}

func (a *Agent) controlJournal() *control.Journal {
	a.journalLock.Lock()
	defer a.journalLock.Unlock()
	return &control.Journal{
		Events: a.journal.Len(), Bytes: a.journal.Bytes(),
		MaxEvents: a.journal.limits.Events, MaxBytes: a.journal.limits.Bytes,
	}
}

// bindControl registers the functions of v2 that show a controller how the link and this module are.
func (a *Agent) bindControl() error {
	err := a.server.Handle(FunctionLinkPing, func(ctx context.Context, request *rpc.Request) (any, error) {
		if err := request.Decode(); err != nil {
			return nil, err
		}
		_, err := a.checkLink(ctx)
		return nil, err
	}, rpc.NonBlocking())
	if err != nil {
		return err
	}
	return a.server.Handle(FunctionLinkStatus, func(ctx context.Context, request *rpc.Request) (any, error) {
		if err := request.Decode(); err != nil {
			return nil, err
		}
		if _, err := a.checkLink(ctx); err != nil {
			return nil, err
		}
		status, err := a.controlStatus(ctx)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(status)
		if err != nil {
			return nil, fmt.Errorf("satellite: the status cannot be written: %w", err)
		}
		return string(text), nil
	})
}
