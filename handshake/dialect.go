package handshake

import (
	"fmt"
	"time"
)

// Dialect is what the two boards speak with each other.
type Dialect uint8

const (
	// Legacy is the dialect of the C++ modules, described in doc/link.md.
	Legacy Dialect = iota
	// V2 is the dialect of two Go modules, described in doc/link-v2.md: a lost
	// connection may be resumed.
	V2
)

// String returns the dialect's name.
func (d Dialect) String() string { return name([]string{"legacy", "v2"}, int(d), "Dialect") }

// Dialects says which dialects a side speaks. The zero value speaks legacy
// alone.
type Dialects uint8

const (
	// OnlyLegacy never asks for v2 and does not answer who asks for it.
	OnlyLegacy Dialects = iota
	// AnyDialect speaks v2 with a peer that can, and legacy with any other.
	AnyDialect
	// OnlyV2 refuses a legacy peer.
	OnlyV2
)

// OnLoss is what a controller does about a v2 peer that is lost for good. A
// legacy peer's loss ends its process whatever the policy.
type OnLoss uint8

const (
	// Restart ends the process, so that both boards start afresh together.
	Restart OnLoss = iota
	// Isolated takes the port out of service and goes on without it until a
	// satellite agrees anew.
	Isolated
)

// Peer is who greets an agent in v2: the controller's process, the attempt of
// that process to agree, and the times that it asks for.
type Peer struct {
	// Identity is drawn at random by each process, and never 0.
	Identity uint64
	// Session counts the process's agreements from 1.
	Session uint64
	// Silence is how long the controller may not call before it counts as gone,
	// Window how long it may then take to come back.
	Silence, Window time.Duration
}

func (p Peer) is(other Peer) bool {
	return p.Identity != 0 && p.Identity == other.Identity && p.Session == other.Session
}

// Greeted says that a controller called link_hello (agent). The shell holds
// the call until [Answer] names it, or until its session or the server ends.
type Greeted struct {
	Session Session
	Peer    Peer
}

// Welcomed says that link_hello was answered (controller): by which agent, and
// whether it has met this controller's identity and session before.
type Welcomed struct {
	Link  Link
	Agent uint64
	Known bool
}

func (Greeted) event()  {}
func (Welcomed) event() {}

// String returns the event as one word or a few.
func (e Greeted) String() string {
	return fmt.Sprintf("Greeted session=%d by %d.%d", e.Session, e.Peer.Identity, e.Peer.Session)
}

// String returns the event as one word or a few.
func (e Welcomed) String() string {
	return fmt.Sprintf("Welcomed link=%d by %d known=%v", e.Link, e.Agent, e.Known)
}

// Join says that the port is in service from here on: the shell may call work
// functions on the link until [Disconnect] (controller). In v2 it starts from
// the first event and keeps link_events open, and tells [Answered] of Events
// from time to time. It precedes [InitDone] where there is one; a legacy link
// that ends init is told of by InitDone alone.
type Join struct {
	Link    Link
	Dialect Dialect
}

// Resume says that a v2 link goes on where it was, on this connection: calls
// without an answer are repeated (controller).
type Resume struct{ Link Link }

// Isolate takes the port out of service until [Join] (controller). It comes
// only where the policy is [Isolated].
type Isolate struct{ Reason Reason }

// DropSession closes a session at once (agent).
type DropSession struct{ Session Session }

func (Join) action()        {}
func (Resume) action()      {}
func (Isolate) action()     {}
func (DropSession) action() {}

// String returns the action as one word or a few.
func (a Join) String() string { return fmt.Sprintf("Join link=%d %v", a.Link, a.Dialect) }

// String returns the action as one word or a few.
func (a Resume) String() string { return fmt.Sprintf("Resume link=%d", a.Link) }

// String returns the action as one word or a few.
func (a Isolate) String() string { return fmt.Sprintf("Isolate (%v)", a.Reason) }

// String returns the action as one word or a few.
func (a DropSession) String() string { return fmt.Sprintf("DropSession session=%d", a.Session) }
