package satellite

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// AgentStatus is a snapshot of an Agent.
type AgentStatus struct {
	// State is the name of the handshake's state.
	State string
	// Dialect is "legacy" or "v2", empty before the agreement with a controller.
	Dialect string
	// Security is "plain" or "mutual-tls"; empty before the configuration is read.
	Security string
	// PeerFingerprint and PeerSerial identify the controller that the agent serves over a protected link. They are
	// empty before the first controller, and on a plain link.
	PeerFingerprint, PeerSerial string
	// IdentityExpires is when this board's certificate expires. It is zero on a plain link.
	IdentityExpires time.Time
	// RejectedPeers counts the connections that the port did not admit, and those that had to go.
	RejectedPeers uint64
	// Resumes counts how often a v2 link was resumed.
	Resumes uint64
	// ListenAddress is the address of the port, empty before the port is open.
	ListenAddress string
	// Controller is the address of the last controller that announced itself.
	Controller string
	// Journal is how many events the journal keeps. Each event stays until a v2 controller has acknowledged it or a
	// legacy controller has fetched it. JournalBytes is their size.
	Journal, JournalBytes int
	// Collected counts the events recorded since the start. GivenUp counts those that a full journal evicted.
	Collected, GivenUp uint64
	// Dropped counts the variables and errors that were not collected, because the main board could not take them.
	Dropped uint64
	// Delivered counts the events that were sent to the controller.
	Delivered uint64
	// Commands counts the commands of the main board. CommandErrors counts those that failed.
	Commands, CommandErrors uint64
	// Tunnel lists the ids of the interfaces that the configuration key tunnel adds. Differences describes what the two
	// boards tunnel differently, one text for each difference.
	Tunnel, Differences []string
	// Hooks counts what the hooks of a fork did wrong.
	Hooks hook.Stats
}

// Status returns a snapshot. Before Run only State is set.
func (a *Agent) Status() AgentStatus {
	secured := a.admission.Status()
	status := AgentStatus{
		State:    handshake.Idle.String(),
		Security: secured.Security, PeerFingerprint: secured.PeerFingerprint, PeerSerial: secured.PeerSerial,
		IdentityExpires: secured.Expires, RejectedPeers: secured.Rejected, Hooks: a.hooks.Stats(),
	}
	server := a.link.Load()
	if server == nil {
		return status
	}
	stats := server.Stats()
	status.State, status.Dialect, status.Resumes = stats.State.Name(), stats.Dialect, stats.Resumes
	status.ListenAddress, status.Controller = stats.ListenAddress, stats.Controller
	status.Journal, status.JournalBytes = stats.Journal.Events, stats.Journal.Bytes
	status.Collected, status.GivenUp, status.Delivered = stats.Journal.Collected, stats.Journal.Evicted, stats.Journal.Delivered
	status.Dropped = a.board.intake.dropped.Load()
	status.Commands, status.CommandErrors = stats.Commands, stats.CommandErrors
	status.Tunnel, status.Differences = a.board.table.Extras(), a.board.table.Differences()
	return status
}

// controlStatus returns the agent's status for the status socket.
func (a *Agent) controlStatus(context.Context) (*control.Status, error) {
	now, stats := a.Status(), a.link.Load().Stats()
	status := a.control.head("SatelliteAgent", a.board.module, stats.State)
	status.Link = &control.Link{
		Role: "agent", Dialect: now.Dialect,
		Connected:   status.Health == control.Healthy || stats.State == handshake.Agreed,
		PeerAddress: now.Controller, ListenAddress: now.ListenAddress,
		Journal: &control.Journal{
			Events: stats.Journal.Events, Bytes: stats.Journal.Bytes,
			MaxEvents: stats.Journal.MaxEvents, MaxBytes: stats.Journal.MaxBytes,
		},
		Resumes: now.Resumes, GivenUp: now.GivenUp,
		Collected: now.Collected, Delivered: now.Delivered, Dropped: now.Dropped,
		Commands: now.Commands, CommandErrors: now.CommandErrors,
		Tunnel: now.Tunnel, TunnelDifferences: now.Differences, Path: text(&a.path),
		ActiveErrors: &stats.Journal.ActiveErrors,
	}
	status.EVSE = a.board.evse.view.Status(time.Now())
	a.admission.Status().Fill(status.Link)
	if status.Health == control.Starting && status.Link.PeersRejected > 0 {
		status.Problem += fmt.Sprintf(" %d attempts were rejected: the security log says whose, and why.", status.Link.PeersRejected)
	}
	return status, nil
}

func text(pointer *atomic.Pointer[string]) string {
	if value := pointer.Load(); value != nil {
		return *value
	}
	return ""
}

// maxShownErrors is how many active errors an agent's EVSE has. Further ones are not counted.
const maxShownErrors = 1000

// boardEVSE is the EVSE of the agent's board, for people there: they see it also while the main board is gone. Its methods
// that follow are called by the journal's queue only. The zero value is not ready for use.
type boardEVSE struct {
	view   occupancy.View
	active map[everest.ErrorID]control.EVSEError
}

// newBoardEVSE returns an EVSE whose states follow is called with, as View.Changed is.
func newBoardEVSE(follow func(before, state control.EVSEState)) *boardEVSE {
	e := &boardEVSE{active: map[everest.ErrorID]control.EVSEError{}}
	e.view.Changed = follow
	e.view.Link(true, time.Now()) // the EVSE is on this board
	return e
}

// published follows a variable of the board.
func (e *boardEVSE) published(event link.Event) {
	if event.Interface == route.EVSEManager {
		e.view.Published(event.Name, event.Value, time.Now())
	}
}

// changed follows an error of the board.
func (e *boardEVSE) changed(event everest.ErrorEvent) {
	delete(e.active, event.Error.ID())
	if event.Raised && len(e.active) < maxShownErrors {
		e.active[event.Error.ID()] = evseError(event.Error)
	}
	e.view.Errors(slices.Collect(maps.Values(e.active)), time.Now())
}

// evseError returns an active error for people.
func evseError(active everest.Error) control.EVSEError {
	return control.EVSEError{
		Type: active.Type, SubType: active.SubType, Severity: string(active.Severity),
		Text: cmp.Or(active.Message, active.Description), Since: active.Timestamp,
	}
}

// peerStatus returns the status as the controller gets it.
func (a *Agent) peerStatus(ctx context.Context) (string, error) {
	status, err := a.controlStatus(ctx)
	if err != nil {
		return "", err
	}
	status.EVSE = nil // the controller knows it, and the message stays short
	text, err := json.Marshal(status)
	if err != nil {
		return "", fmt.Errorf("satellite: the status cannot be written: %w", err)
	}
	return string(text), nil
}
