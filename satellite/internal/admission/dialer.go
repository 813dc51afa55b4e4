package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// maxElements is how many values one message of a satellite may have. Those of both dialects have a few, whose texts hold
// the rest.
const maxElements = 4096

// Dialer connects a controller to its satellite. On a protected link it accepts no other board.
type Dialer struct {
	protection *Protection
	// serial is the serial number of the only satellite to accept. Where it is empty, every trusted satellite is
	// accepted.
	serial string
	peer   atomic.Pointer[identity.Peer]
	// Segment returns the size of further connections' TCP segments in bytes, 0 for the system's choice. Where it is nil,
	// the system chooses. It is set before Dial is called.
	Segment func() int
}

// NewDialer returns a dialer for a link with this protection.
func NewDialer(protection *Protection) *Dialer { return &Dialer{protection: protection} }

// Configure reads the configuration keys hostname and satellite_serial. Either may name the serial number of the only
// satellite to accept.
func (d *Dialer) Configure(hostname, satelliteSerial, security string) error {
	named, byName := strings.CutPrefix(hostname, "serial:")
	switch {
	case satelliteSerial == "" && byName:
		d.serial = named
	case satelliteSerial == "":
		return nil
	case byName && named != satelliteSerial:
		return fmt.Errorf("satellite: hostname is %s, but satellite_serial is %s: leave one of them out", hostname, satelliteSerial)
	case security != MutualTLS:
		return errors.New("satellite: satellite_serial is set, but nothing proves a serial number on a plain link: set security to mutual-tls")
	default:
		d.serial = satelliteSerial
	}
	return identity.CheckSerial(d.serial)
}

// Dial connects to the satellite at an address with a port. The satellite may still reject this board: only its first
// reply shows that it does not.
func (d *Dialer) Dial(ctx context.Context, address string) (*rpc.Client, error) {
	store := d.protection.Store()
	config := rpc.Config{InsecurePlaintext: store == nil} // without a logger: the controller logs the end of a connection
	if d.Segment != nil {
		config.SegmentSize = d.Segment()
	}
	config.Limits.Elements = maxElements
	var peer identity.Peer
	if store != nil {
		config.TLS = store.ClientTLS(d.serial, func(proven identity.Peer) { peer = proven })
	}
	client, err := rpc.Dial(ctx, address, config)
	switch {
	case errors.Is(err, rpc.ErrHandshake) && ctx.Err() == nil:
		d.protection.log.rejected(address, reasonOf(err), err)
		return nil, err
	case err != nil:
		return nil, err
	case store != nil:
		d.protection.accepted(client.RemoteAddr().String(), peer)
	}
	return client, nil
}

// Recognise keeps the satellite at the other end of a connection as the peer. It closes the connection where that board
// is not trusted any more.
func (d *Dialer) Recognise(client *rpc.Client) {
	store := d.protection.Store()
	if store == nil {
		return
	}
	peer, err := store.Verify(client.PeerCertificates(), identity.Satellite, d.serial)
	if err == nil {
		d.peer.Store(&peer)
		return
	}
	if refused, ok := errors.AsType[*identity.PeerError](err); ok {
		peer.Serial, peer.Fingerprint = refused.Serial, refused.Fingerprint
	}
	d.protection.log.dropped(client.RemoteAddr().String(), peer, err)
	client.Close()
}

// LogEnd logs the end of a connection where the satellite rejected this board.
func (d *Dialer) LogEnd(satellite string, err error) {
	if !d.protection.IsMutual() || err == nil || identity.ReasonOf(err) != identity.RefusedUs {
		return
	}
	d.protection.log.rejected(satellite, identity.RefusedUs, err, d.protection.remedy(identity.RefusedUs, "satellite")...)
}

// Explain adds the usual cause to the error of a connection that ended before the boards had agreed. An agent resets
// connections for which it has no place. Where it closes one in order, only one of the boards protects the link: neither
// board can know that for sure, because neither reads what the other one sends.
func (d *Dialer) Explain(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: the satellite has too many connections, or restarts; its security log says which", err)
	case identity.ReasonOf(err) != identity.Closed:
		return err
	case !d.protection.IsMutual():
		return fmt.Errorf("%w: is security mutual-tls on the satellite, and not here?", err)
	case errors.Is(err, rpc.ErrHandshake):
		return fmt.Errorf("%w: is security mutual-tls here, and not on the satellite?", err)
	}
	return err
}

// Advice returns what a person does where the two boards do not trust each other, in sentences. It is empty for other
// errors.
func (d *Dialer) Advice(err error) string {
	if !d.protection.IsMutual() {
		if identity.ReasonOf(err) == identity.Closed && !errors.Is(err, syscall.ECONNRESET) {
			return "The satellite closes the connection at once: if security is mutual-tls there, set it here too."
		}
		return ""
	}
	var peer identity.PeerError
	if refused, ok := errors.AsType[*identity.PeerError](err); ok {
		peer = *refused
	}
	own, directory := d.protection.Store().Identity(), d.protection.directory
	switch identity.ReasonOf(err) {
	case identity.RefusedUs:
		return "The satellite does not trust this board's key. Run there: satkeys trust DIRECTORY " + own.Fingerprint.String() + " --serial " + own.Serial +
			" (DIRECTORY is its identity_directory)."
	case identity.Untrusted:
		if identity.CheckSerial(peer.Serial) != nil {
			return "This board does not trust the satellite's key, whose certificate has no usable serial number."
		}
		return fmt.Sprintf("This board does not trust the satellite's key. If the board is yours, run here: satkeys trust %s %s --serial %s",
			directory, peer.Fingerprint, peer.Serial)
	case identity.WrongSerial:
		return fmt.Sprintf("The board there has serial number %q, and this controller wants %q: are two cables swapped? Otherwise correct satellite_serial or hostname.",
			peer.Serial, d.serial)
	case identity.WrongRole:
		return "The satellite's certificate is for another role: let the authority sign it with --as satellite."
	case identity.Expired:
		return "The satellite's certificate has expired: let the authority sign a new one, and adopt it there with satkeys adopt."
	case identity.NotTLS, identity.Closed:
		return "The satellite does not protect its link: set security to mutual-tls there too, or to plain here."
	}
	return ""
}

// Status returns the status of the link's protection, with the satellite that proved its identity last.
func (d *Dialer) Status() Status { return d.protection.status(d.peer.Load()) }
