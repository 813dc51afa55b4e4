package satellite

import (
	"context"
	"errors"
	"fmt"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// secure reads the configuration keys of security.
func (c *Controller) secure() (err error) {
	if c.serial, err = c.parameters.expectedSerial(); err != nil {
		return err
	}
	if c.parameters.SatelliteSerial != "" && c.parameters.Security != securityMutual {
		return errors.New("satellite: satellite_serial is set, but nothing proves a serial number on a plain link: set security to mutual-tls")
	}
	return c.security.configure(c.parameters.Security, c.parameters.IdentityDirectory)
}

// dialAddress connects to the satellite at an address with port. A protected
// connection stands for the controller; that the satellite lets it in is known
// with its first answer.
func (c *Controller) dialAddress(ctx context.Context, address string) (*rpc.Client, error) {
	config := rpc.Config{} // without a logger: the end of a connection is logged here
	var peer identity.Peer
	c.security.protectClient(&config, c.serial, func(proven identity.Peer) { peer = proven })
	client, err := rpc.Dial(ctx, address, config)
	switch {
	case errors.Is(err, rpc.ErrHandshake) && ctx.Err() == nil:
		c.security.log.rejected(address, reasonOf(err), err)
		return nil, err
	case err != nil:
		return nil, err
	case c.security.mutual():
		c.security.log.accepted(client.RemoteAddr().String(), peer)
	}
	return client, nil
}

// explainEnd tells of a connection that the satellite closed because it does not
// know this board.
func (c *Controller) explainEnd(err error) {
	if !c.security.mutual() || err == nil || identity.ReasonOf(err) != identity.RefusedUs {
		return
	}
	c.security.log.rejected(c.address(), identity.RefusedUs, err, c.security.remedy(identity.RefusedUs, "satellite")...)
}

// trustChanged closes the connection of a satellite that is trusted no more.
func (c *Controller) trustChanged() {
	if client := c.links.standing(); client != nil {
		c.recognise(client)
	}
}

// recognise takes who is behind a connection for the peer, and closes it where that
// board is trusted no more.
func (c *Controller) recognise(client *rpc.Client) {
	if !c.security.mutual() {
		return
	}
	peer, err := c.security.store().Verify(client.PeerCertificates(), identity.Satellite, c.serial)
	if err == nil {
		c.peer.Store(&peer)
		return
	}
	if refused, ok := errors.AsType[*identity.PeerError](err); ok {
		peer.Serial, peer.Fingerprint = refused.Serial, refused.Fingerprint
	}
	c.security.log.dropped(client.RemoteAddr().String(), peer, err)
	client.Close()
}

// suspectSecurity adds the usual cause to a connection that was closed before the
// boards had agreed: only one of them protects the link. Neither can tell for
// sure, for the one does not understand what the other says.
func (c *Controller) suspectSecurity(err error) error {
	switch {
	case identity.ReasonOf(err) != identity.Closed:
		return err
	case !c.security.mutual():
		return fmt.Errorf("%w: is security mutual-tls on the satellite, and not here?", err)
	case errors.Is(err, rpc.ErrHandshake):
		return fmt.Errorf("%w: is security mutual-tls here, and not on the satellite?", err)
	}
	return err
}
