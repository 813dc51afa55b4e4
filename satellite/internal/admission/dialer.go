package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// Dialer connects a controller to its satellite, and accepts nobody else for it.
type Dialer struct {
	protection *Protection
	// serial is that of the only satellite that is accepted, empty for every trusted one.
	serial string
	peer   atomic.Pointer[identity.Peer]
}

// NewDialer returns a dialer for a link that is protected so.
func NewDialer(protection *Protection) *Dialer { return &Dialer{protection: protection} }

// Configure reads the configuration keys hostname and satellite_serial. The serial number of the only satellite that is
// accepted comes from either.
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

// Dial connects to the satellite at an address with port. That the satellite accepts this board is known only with its
// first reply.
func (d *Dialer) Dial(ctx context.Context, address string) (*rpc.Client, error) {
	var config rpc.Config // without a logger: the controller logs the end of a connection
	var peer identity.Peer
	d.protect(&config, func(proven identity.Peer) { peer = proven })
	client, err := rpc.Dial(ctx, address, config)
	switch {
	case errors.Is(err, rpc.ErrHandshake) && ctx.Err() == nil:
		d.protection.log.rejected(address, reasonOf(err), err)
		return nil, err
	case err != nil:
		return nil, err
	case d.protection.IsMutual():
		d.protection.log.accepted(client.RemoteAddr().String(), peer)
	}
	return client, nil
}

func (d *Dialer) protect(config *rpc.Config, accepted func(identity.Peer)) {
	store := d.protection.Store()
	if store == nil {
		config.InsecurePlaintext = true
		return
	}
	config.TLS = store.ClientTLS(d.serial, accepted)
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

// LogEnd logs the end of a connection that the satellite closed because it does not know this board.
func (d *Dialer) LogEnd(satellite string, err error) {
	if !d.protection.IsMutual() || err == nil || identity.ReasonOf(err) != identity.RefusedUs {
		return
	}
	d.protection.log.rejected(satellite, identity.RefusedUs, err, d.protection.remedy(identity.RefusedUs, "satellite")...)
}

// Explain adds the usual cause to a connection that was closed before the boards had agreed: only one of them protects
// the link. Neither board can know for sure, since neither reads what the other one sends.
func (d *Dialer) Explain(err error) error {
	switch {
	case identity.ReasonOf(err) != identity.Closed:
		return err
	case !d.protection.IsMutual():
		return fmt.Errorf("%w: is security mutual-tls on the satellite, and not here?", err)
	case errors.Is(err, rpc.ErrHandshake):
		return fmt.Errorf("%w: is security mutual-tls here, and not on the satellite?", err)
	}
	return err
}

// Status returns the status of the link's protection, with the satellite that proved its identity last.
func (d *Dialer) Status() Status { return d.protection.status(d.peer.Load()) }
