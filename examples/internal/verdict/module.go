package verdict

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
)

const (
	// StartLimit is how long a module may take to reach its peer.
	StartLimit = 2 * time.Minute
	// CertificateNotice and CertificateTrouble are times until a certificate expires.
	CertificateNotice, CertificateTrouble = 30 * 24 * time.Hour, 7 * 24 * time.Hour
)

// parted is the state of a controller whose satellite was reset or updated on purpose.
var parted = handshake.Parted.Name()

// Of rates a module that answers, with the EVSE and the boards behind it.
func Of(status *control.Status, now time.Time) Verdict {
	v := Verdict{Reasons: []string{}}
	v.ofHealth(status, now)
	if status.EVSE != nil {
		v.ofEVSE(status, now)
	}
	if link := status.Link; link != nil {
		v.ofPath(link.Path)
		if link.Dialect == "legacy" {
			v.Add(Notice, "The link speaks legacy, the dialect of the C++ modules: a cut ends the session, and restarts boards. Where both boards have this software, update the older one, or take dialect: legacy out of its configuration.")
		}
		if link.KeyConflict != "" {
			v.Add(Notice, "%s", link.KeyConflict)
		}
		v.ofCertificate(now, "The board's", link.CertificateExpires)
	}
	if peer := status.Peer; peer != nil && peer.Status != nil {
		v.ofPeer(status, peer.Status, now)
	}
	if status.Station != nil {
		v.ofStation(status)
	}
	return v
}

func (v *Verdict) ofHealth(status *control.Status, now time.Time) {
	problem := status.Problem
	switch status.Health {
	case control.Healthy:
	case control.Starting:
		if problem == "" {
			problem = "It waits for the other board."
		}
		switch running := now.Sub(status.Started); {
		case running > StartLimit:
			v.Add(Down, "Not in service %s after its start. %s", Span(running), problem)
		case status.Link != nil && status.Link.Role == "controller" && status.Link.PeersRejected > 0:
			v.Add(Down, "Not in service. %s", problem) // time does not mend what a board cannot prove
		case status.Link != nil && status.Link.PeersRejected > 0:
			v.Add(Trouble, "Not in service. %s", problem) // it may be strangers that are rejected
		default:
			v.Add(Notice, "Starting. %s", problem)
		}
	default:
		if problem == "" {
			problem = fmt.Sprintf("The module reports %s, in state %s. Its log says more.", status.Health, status.State)
		}
		v.Add(Trouble, "%s", problem)
	}
}

// ofPeer rates the module on the other board, as far as this one does not say the same.
func (v *Verdict) ofPeer(status, peer *control.Status, now time.Time) {
	if peer.Health != control.Healthy && status.Health == control.Healthy {
		v.Add(Trouble, "The other board's module is %s. %s", peer.Health, peer.Problem)
	}
	if peer.Version != status.Version {
		v.mixed("The other board", peer.Version, status.Version)
	}
	if peer.Link == nil {
		return
	}
	if status.Link == nil || status.Link.Path == "" {
		v.ofPath(peer.Link.Path)
	}
	if peer.Link.KeyConflict != "" {
		v.Add(Notice, "On the other board: %s", peer.Link.KeyConflict)
	}
	v.ofCertificate(now, "The other board's", peer.Link.CertificateExpires)
}

// ofPath rates the network between the boards. A path that swallows long packets is trouble also where the link has
// helped itself: it stands still after each new start, and logs and firmware, which do not go over the link, get stuck.
func (v *Verdict) ofPath(suspicion string) {
	if suspicion != "" {
		v.Add(Trouble, "%s", suspicion)
	}
}

// mixed rates boards of different releases. Sessions go on, because both speak the newest dialect that both know. But
// what one release has repaired is missing on the other, and it stays so until somebody acts: half of an update is
// trouble, as the restarts during an update are.
func (v *Verdict) mixed(board, version, own string) {
	v.Add(Trouble, "Mixed versions: %s runs %s, this board %s. Cars are charged, but faults that the newer release has corrected remain on the other board. Install one release on both boards.",
		strings.ToLower(board[:1])+board[1:], version, own)
}

func (v *Verdict) ofCertificate(now time.Time, whose string, expires *time.Time) {
	if expires == nil {
		return
	}
	switch left := expires.Sub(now); {
	case left <= 0:
		v.Add(Trouble, "%s certificate expired on %s: the link is refused. Renew it with satkeys.", whose, expires.Format(time.DateOnly))
	case left < CertificateTrouble:
		v.Add(Trouble, "%s certificate expires in %s: renew it with satkeys.", whose, Span(left))
	case left < CertificateNotice:
		v.Add(Notice, "%s certificate expires in %s: renew it with satkeys.", whose, Span(left))
	}
}

// ofStation rates the boards of an aggregator, as far as its problem does not say the same.
func (v *Verdict) ofStation(status *control.Status) {
	for _, board := range status.Station.Boards {
		if board.Connected && board.Version != "" && board.Version != status.Version {
			v.mixed("Board "+board.Name, board.Version, status.Version)
		}
		if board.Mixed {
			v.Add(Trouble, "Board %s has installed the firmware of request %d, which another board has refused or failed to install: update the station again.", board.Name, board.MixedRequest)
		}
		if board.FirmwareRefusal != "" {
			v.Add(Notice, "Board %s refused the newest firmware update: %s. Its log says why.", board.Name, board.FirmwareRefusal)
		}
	}
}

// Unreachable returns why a module does not answer on its status socket, and what to do.
func Unreachable(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "No process serves its status socket: the module ended without removing it. See its log; its supervisor should start it again."
	case errors.Is(err, fs.ErrNotExist):
		return "Its status socket is gone: the module has ended and was not started again."
	case errors.Is(err, fs.ErrPermission):
		return "This program may not open its status socket: run satctl as the user of the module."
	case errors.Is(err, context.DeadlineExceeded):
		return "The module runs but does not respond within 2 s: it hangs, or its board is overloaded. See its log."
	}
	return "Its status cannot be read: see its log."
}

// Agents are the agents behind controllers. Where both are looked at, the EVSE is the controller's.
type Agents map[agent]bool

// agent is one process of an agent.
type agent struct {
	id      string
	started int64
}

func agentOf(status *control.Status) agent { return agent{status.ModuleID, status.Started.UnixNano()} }

// NewAgents returns the agents behind none.
func NewAgents() Agents { return Agents{} }

// Add adds the agent behind a controller that has an EVSE. The status may be that of any module.
func (a Agents) Add(status *control.Status) {
	if status != nil && status.EVSE != nil && status.Peer != nil && status.Peer.Status != nil {
		a[agentOf(status.Peer.Status)] = true
	}
}

// Have reports whether a module is an agent behind one of the controllers.
func (a Agents) Have(status *control.Status) bool {
	return status.Link != nil && status.Link.Role == "agent" && a[agentOf(status)]
}
