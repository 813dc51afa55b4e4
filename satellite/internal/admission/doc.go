// Package admission decides which peers a board accepts: which connections the agent's port admits, and which satellite the
// controller connects to. It also decides what an unauthenticated peer may do.
//
//	connection accepted
//	   |
//	limiter.admit      before a byte is read: failures of the address, handshakes under way
//	   |
//	TLS handshake      package identity verifies the peer's certificate against the trust of this board
//	   |
//	Policy.Admit       the lease: one controller holds the agent, another trusted board is rejected
//	   |
//	Policy.Claim       the peer announces itself and gets the lease
//	   |
//	Policy.RefusesPrivileged, Policy.RefusesTakeover      on a plain link: what an unauthenticated peer may not do
//
// On a plain link the limiter and the lease are not used: no peer proves its identity there.
//
// The other side of the link is a [Dialer]: it connects to a satellite, verifies it, and closes a connection whose trust
// was withdrawn.
//
// What the package promises:
//   - A link that is configured as mutual-tls never becomes a plain one.
//   - Failures and floods from other addresses do not keep the last controller out. Its address is limited only in how many
//     handshakes it may have under way.
//   - Memory and log lines are bounded: maxAddresses addresses, and rejectionBurst lines, then rejectionRate a second.
//     Rejections beyond are counted.
//   - Each decision is one line of the security log with a stable field event: doc/logs.md.
//
// All types may be used from any goroutine.
package admission
