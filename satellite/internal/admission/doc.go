// Package admission decides who is at the other end of the link: which connections the agent's port admits, which
// satellite the controller accepts, and what a peer may do that nobody has authenticated.
//
//	connection accepted
//	   |
//	Limiter.Admit      before a byte is read: failures of the address, handshakes under way
//	   |
//	TLS handshake      package identity verifies the peer's certificate against the trust of this board
//	   |
//	Policy.Admit       the lease: one controller holds the agent, another trusted board is turned away
//	   |
//	Policy.Claim       the peer announces itself and gets the lease
//	   |
//	Policy.RefusesPrivileged, Policy.RefusesTakeover      on a plain link: what nobody may do unauthenticated
//
// On a plain link the limiter and the lease are idle: nobody proves a name that could be limited or leased.
//
// The other side of the link is a [Dialer]: it connects to a satellite, verifies it, and closes a connection whose trust
// was withdrawn.
//
// What the package promises:
//   - A link that is configured as mutual-tls never becomes a plain one.
//   - The address of the last controller is limited only in how many handshakes it may have under way. Failures of others
//     do not keep it out.
//   - Memory and log lines are bounded, whatever strangers do: maxAddresses addresses, rejectionBurst lines and then
//     rejectionRate a second. Rejections beyond are counted.
//   - Each decision is one line of the security [Log] with a stable field event: doc/logs.md.
//
// All types may be used from any goroutine.
package admission
