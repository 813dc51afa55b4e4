package satellite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

// announced returns what the agent announces, nil where no interface is configured.
func (a *Agent) announced(dialects handshake.Dialects) (*discovery.Announcement, error) {
	interfaces, err := discovery.ParseInterfaces(a.parameters.AnnounceInterfaces)
	if err != nil {
		return nil, fmt.Errorf("satellite: the configuration key announce_interfaces: %w", err)
	}
	if len(interfaces) == 0 {
		return nil, nil
	}
	serial, err := a.serial()
	if err != nil {
		return nil, err
	}
	announcement := discovery.Announcement{
		Serial: serial, ModuleID: a.board.module.ID(), Version: everest.Version(), Dialects: announcedDialects(dialects),
		Port: a.parameters.Port, Interfaces: interfaces, Logger: a.config.Logger,
	}
	address := strings.Trim(a.parameters.ListenAddress, "[]")
	if a.config.Listener != nil {
		bound, isTCP := a.config.Listener.Addr().(*net.TCPAddr)
		if !isTCP {
			return nil, fmt.Errorf("satellite: announce_interfaces is configured, but the agent listens at %s, which cannot be announced", a.config.Listener.Addr())
		}
		announcement.Port, announcement.Address = bound.Port, bound.AddrPort().Addr().Unmap()
	} else if address != "" {
		if announcement.Address, err = netip.ParseAddr(address); err != nil {
			return nil, fmt.Errorf("satellite: announce_interfaces needs an IP address in listen_address, or none: %w", err)
		}
	}
	if err := announcement.Check(); err != nil {
		return nil, fmt.Errorf("satellite: the agent cannot be announced: %w", err)
	}
	return &announcement, nil
}

// serial returns the serial number to announce: the configured one, else that of the board's identity. A controller of
// a protected link wants the latter.
func (a *Agent) serial() (string, error) {
	configured := a.parameters.Serial
	if !a.protection.IsMutual() {
		if configured == "" {
			return "", errors.New("satellite: announce_interfaces is configured, but the board has no serial number to announce: set the configuration key serial")
		}
		return configured, nil
	}
	proven := a.protection.Store().Identity().Serial
	if configured != "" && configured != proven {
		return "", fmt.Errorf("satellite: serial is %s, but the board's certificate says %s: leave the configuration key serial empty", configured, proven)
	}
	return proven, nil
}

// Names of the dialects in announcements: doc/discovery.md.
const (
	announcedLegacy = "legacy"
	announcedV2     = "v2"
)

func announcedDialects(dialects handshake.Dialects) []string {
	switch dialects {
	case handshake.OnlyLegacy:
		return []string{announcedLegacy}
	case handshake.OnlyV2:
		return []string{announcedV2}
	}
	return []string{announcedLegacy, announcedV2}
}

// announce announces the agent until the protocol has ended, if that is configured.
func (a *Agent) announce() {
	if a.announcement == nil {
		return
	}
	a.log.Info("announcing this board", zap.String("serial", a.announcement.Serial), zap.Strings("interfaces", a.announcement.Interfaces))
	ctx, cancel := context.WithCancel(context.Background())
	a.background.Go(func() {
		defer cancel()
		<-a.link.Load().Ended()
	})
	a.background.Go(func() {
		if err := discovery.Announce(ctx, *a.announcement); err != nil {
			a.log.Error("cannot announce this board", zap.Error(err))
		}
	})
}
