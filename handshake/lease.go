package handshake

import "time"

// Lease decides whether an agent may begin to execute a command of a v2 connection. It prevents that a command runs
// after the controller has lost the connection and has answered the command negatively: an agent that was suspended, or
// whose network held bytes back, finds such a command in its socket.
//
// A controller calls Events again when it has the reply of the call before. Therefore a call proves that the controller
// took the connection for alive when the agent sent that reply, and only that: the call itself may be old. The
// controller gives a connection up [ControllerConfig.HeartbeatTimeout] after the last reply that it has. A lease ends
// an eighth earlier, because the controller's shell may report replies that much late.
//
// A shell has one Lease for the connection of [Agent.Conn]. Commands that do not hold it wait, in their order.
//
// The times are those of the agent's monotonic clock, since any fixed moment. A Lease is a pure value, not safe for
// concurrent use. The zero value never holds.
type Lease struct {
	begun bool
	// replied is when the agent sent its latest reply. proven is the latest moment at which the controller took the
	// connection for alive.
	replied, proven time.Duration
}

// Begin starts the lease of a connection that carries the link from now on. The agent's reply that makes it so is sent
// now.
func (l *Lease) Begin(now time.Duration) { *l = Lease{begun: true, replied: now, proven: now} }

// Replied records that the agent sends a reply to Events now.
func (l *Lease) Replied(now time.Duration) { l.replied = now }

// Called records a call of Events: the controller has the latest reply.
func (l *Lease) Called() { l.proven = l.replied }

// Holds reports whether a command may begin now. heartbeatTimeout is [Peer.HeartbeatTimeout]. Where the command may not
// begin, it waits for the next call of Events, and ends with its connection.
//
// A controller therefore waits at least an eighth of its heartbeat timeout between the loss of a connection and the
// negative answer to a command that it has sent there.
func (l *Lease) Holds(now, heartbeatTimeout time.Duration) bool {
	return l.begun && now-l.proven <= heartbeatTimeout-heartbeatTimeout/8
}
