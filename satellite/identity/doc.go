// Package identity proves to two boards who the other one is.
//
// A board's identity is a key (Ed25519, or ECDSA P-256 where a chip asks for it)
// and a certificate with the board's serial number. Whom a board trusts is
// written beside it: the fingerprints of its peers' keys, or a station's own
// certificate authority. What the package promises:
//
//   - Both ends prove their key in a TLS 1.3 handshake, and each end checks the
//     other one against what it trusts before a byte of the link is read:
//     [Store.ServerTLS] for the agent, [Store.ClientTLS] for the controller. There
//     is no other way in, and no older version of TLS.
//   - A pinned peer is let in for its key and its serial number alone. Its
//     certificate's validity is not asked for: a board without a real-time clock
//     boots in 1970, and a charger has to charge. Expiry is warned about instead.
//   - A peer that an authority vouches for needs a valid certificate whose extended
//     key usage names its role: the certificate of a satellite controls nobody. A
//     clock that is behind the certificates themselves is known to be wrong; the
//     newest of their beginnings is taken for the time then.
//   - Files are replaced whole, by a rename, and are readable by their owner only;
//     a key that others can read is refused. A running module re-reads them at each
//     handshake when they have changed, and every ten seconds: a new key or a
//     withdrawn trust needs no restart. A new file that cannot be read changes
//     nothing and is logged.
//
// # Files
//
// A directory of mode 0700, named by the configuration key identity_directory:
//
//	identity.pem    PRIVATE KEY (PKCS #8), then CERTIFICATE, then those between it
//	                and the authority, if any
//	next.pem        the same, while a rotation is under way
//	trusted.json    {"peers": [{"serial", "fingerprint", "added"}],
//	                "authorities": [{"certificate", "serials"}]}
//	authority.pem   in the directory of a station's authority only: its key and
//	                certificate
//
// # Serial number
//
// The serial number is in the certificate's subject alternative name, as the URI
// urn:remotechargeport:serial:ABC123; a URI, for a serial number is neither a host
// name nor an address. It is 1 to 64 letters, digits, '.', '_' and '-'. For people
// and inventory tools it is also the subject's common name and serialNumber
// attribute (as in IEEE 802.1AR), which nothing here reads.
//
// # Fingerprint
//
// A fingerprint is the first 160 bits of the SHA-256 of the certificate's
// SubjectPublicKeyInfo, in base32 and groups of four. To find another key with a
// given fingerprint takes 2^160 attempts. It is short enough to be read out and
// typed, and it is all that trusting a peer takes.
package identity
