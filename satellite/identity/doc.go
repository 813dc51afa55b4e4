// Package identity proves to two boards which board is at the other end.
//
// An [Identity] is a board's key and a certificate with its serial number. A [Trust] lists the peers that a board
// accepts: fingerprints of their keys, or a station's own certificate authority. A [Store] reads both from a directory
// and follows the files while a module runs.
//
// Two boards are paired once, each with the other one's fingerprint:
//
//	own, err := identity.Create(directory, identity.CreateOptions{Serial: "SAT01"})
//	fmt.Println(own.Serial, own.Fingerprint) // for the other board
//	trust, err := identity.LoadTrust(directory)
//	_, err = trust.Pin(identity.Pin{Serial: "MAIN1", Fingerprint: other})
//	err = trust.Save(directory)
//
// Once the boards are paired, every link between them uses TLS, with a configuration from the store:
//
//	store, err := identity.Open(directory, identity.Options{Logger: logger})
//	store.ServerTLS()             // the agent's side
//	store.ClientTLS("SAT01", nil) // the controller's side: it accepts this satellite only
//	store.Run(ctx, changed)       // calls changed after a key or the trust was read again
//
// Boards that trust an authority need no pairing ([Trust.TrustAuthority]). The authority's key is on no board:
//
//	board                                    authority
//	Request(directory, now)   --->           Authority.Sign(request, Satellite, 0, now)
//	Adopt(directory, chain)   <---           the certificate for the role of a satellite
//
// [Rotate] prepares a second key, so that peers can trust both for a while. [Activate] begins to use it.
//
// The directory has mode 0700:
//
//	identity.pem    PRIVATE KEY (PKCS #8), then CERTIFICATE, then the certificates between it and the authority, if any
//	next.pem        the same, while a rotation is under way
//	trusted.json    {"peers": [{"serial", "fingerprint", "added"}], "authorities": [{"certificate", "serials"}]}
//	authority.pem   in the directory of a station's authority only: its key and certificate
//
// What the package promises:
//   - Both ends prove their key in a TLS 1.3 handshake. Each end checks the other one before a byte of the link is
//     read.
//   - A pinned peer is accepted for its key and its serial number. The dates of its certificate are not checked,
//     because a board without a real-time clock boots in 1970 and still has to charge cars. Each board logs when its
//     own certificate expires.
//   - A certificate that an authority signed must be valid, and its extended key usage must name the peer's role. A
//     clock behind the start of a certificate's validity must be wrong. The latest such start then counts as the
//     present time.
//   - Files are replaced whole, by a rename. A file that others than its owner can access is rejected, and so is one of
//     another user, or one that others could replace: the directories on its way are checked too.
//   - A running module needs no restart for a new key or a changed trust. If a file cannot be read, the module logs
//     that and keeps the previous key and trust. If trusted.json is removed, the module logs that and trusts nobody.
//   - [ReasonOf] names why a handshake failed. The texts of a [Reason] are stable.
//
// The serial number is a URI in the certificate's subject alternative name: urn:remotechargeport:serial:ABC123. It is
// neither a host name nor an address. A [Fingerprint] is the first 160 bits of the SHA-256 of the certificate's
// SubjectPublicKeyInfo. Finding another key with the same fingerprint takes about 2^160 attempts. Its text ends with
// check characters, so [ParseFingerprint] finds a mistyped one ([ErrMistyped]). Texts without them are read too:
// trusted.json has that older form.
//
// There are no revocation lists. A board withdraws its trust with [Trust.Remove].
package identity
