package satellite

import (
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// AgentStatus is a snapshot of an Agent.
type AgentStatus struct {
	// State is where the handshake stands: handshake.State's text.
	State string
	// Dialect is what is spoken with the controller, "legacy" or "v2"; empty
	// before both have agreed.
	Dialect string
	// Security is "plain" or "mutual-tls"; empty before the configuration is read.
	Security string
	// PeerFingerprint and PeerSerial name the controller to whom a protected link
	// belongs; empty before there is one.
	PeerFingerprint, PeerSerial string
	// IdentityExpires is the end of this board's certificate, zero where there is
	// none.
	IdentityExpires time.Time
	// RejectedPeers counts the connections of a protected link's port that were
	// not let in.
	RejectedPeers uint64
	// Resumes counts how often a lost v2 link went on.
	Resumes uint64
	// ListenAddress is where the agent waits, empty before it does.
	ListenAddress string
	// Controller is the address of the last controller that announced itself.
	Controller string
	// Journal is the number of events that no controller has taken yet, in v2
	// those that it has not acknowledged, and JournalBytes their size.
	Journal, JournalBytes int
	// Collected counts the events since the start, GivenUp those of them that
	// the journal had no room for.
	Collected, GivenUp uint64
	// Delivered counts the events that were handed over.
	Delivered uint64
	// Commands counts the commands that the main board asked for, and
	// CommandErrors those of them that failed.
	Commands, CommandErrors uint64
	// Tunnel are the ids of the interfaces that the configuration key tunnel adds,
	// and Differences what the main board tunnels otherwise, in words.
	Tunnel, Differences []string
}

type agentCounters struct {
	state                     atomic.Uint32
	listenAddress, controller atomic.Pointer[string]
	dialect                   atomic.Pointer[string]
	resumes                   atomic.Uint64
	givenUp, delivered        atomic.Uint64
	commands, commandErrors   atomic.Uint64
}

func (c *agentCounters) controllerAddress() string { return text(&c.controller) }

// Status returns a snapshot.
func (a *Agent) Status() AgentStatus {
	a.journalLock.Lock()
	waiting, bytes, collected := a.journal.Len(), a.journal.Bytes(), a.journal.Appended()
	a.journalLock.Unlock()
	secured := a.admission.Status()
	return AgentStatus{
		Security: secured.Security, PeerFingerprint: secured.PeerFingerprint, PeerSerial: secured.PeerSerial,
		IdentityExpires: secured.Expires, RejectedPeers: secured.Rejected,
		State:   handshake.State(a.status.state.Load()).String(),
		Dialect: text(&a.status.dialect), Resumes: a.status.resumes.Load(),
		ListenAddress: text(&a.status.listenAddress),
		Controller:    a.status.controllerAddress(),
		Journal:       waiting, JournalBytes: bytes,
		Collected: collected, GivenUp: a.status.givenUp.Load(), Delivered: a.status.delivered.Load(),
		Commands: a.status.commands.Load(), CommandErrors: a.status.commandErrors.Load(),
		Tunnel: a.table.Extras(), Differences: a.table.Differences(),
	}
}

func text(pointer *atomic.Pointer[string]) string {
	if value := pointer.Load(); value != nil {
		return *value
	}
	return ""
}
