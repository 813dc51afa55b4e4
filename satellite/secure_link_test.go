package satellite_test

import (
	"maps"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// paired are the identities of two boards that trust each other.
type paired struct {
	t                     testing.TB
	satellite, controller string
}

func pair(t testing.TB) *paired {
	t.Helper()
	p := &paired{t: t, satellite: filepath.Join(t.TempDir(), "satellite"), controller: filepath.Join(t.TempDir(), "controller")}
	p.trust(p.controller, p.create(p.satellite, "SAT01"))
	p.trust(p.satellite, p.create(p.controller, "MAIN01"))
	return p
}

func (p *paired) create(directory, serial string) identity.Identity {
	p.t.Helper()
	made, err := identity.Create(directory, identity.CreateOptions{Serial: serial})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// trust has the board with that directory trust a peer.
func (p *paired) trust(directory string, peer identity.Identity) {
	p.t.Helper()
	p.change(directory, func(trust *identity.Trust) {
		if _, err := trust.Pin(identity.Pin{Serial: peer.Serial, Fingerprint: peer.Fingerprint}); err != nil {
			p.t.Fatal(err)
		}
	})
}

func (p *paired) change(directory string, change func(*identity.Trust)) {
	p.t.Helper()
	trust, err := identity.LoadTrust(directory)
	if err != nil {
		p.t.Fatal(err)
	}
	change(&trust)
	if err := trust.Save(directory); err != nil {
		p.t.Fatal(err)
	}
}

// protect sets the configuration keys of both modules.
func (p *paired) protect(options satelliteOptions) satelliteOptions {
	keys := map[string]any{"security": "mutual-tls", "identity_directory": p.satellite}
	maps.Copy(keys, options.keys)
	main := map[string]any{"security": "mutual-tls", "identity_directory": p.controller}
	maps.Copy(main, options.main)
	options.keys, options.main = keys, main
	return options
}

func mustLoad(t testing.TB, directory string) identity.Identity {
	t.Helper()
	loaded, err := identity.Load(directory)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// watched returns a logger that the test's log gets, and what came to it under
// the name security.
func watched(t testing.TB) (*zap.Logger, *securityLines) {
	core, lines := observer.New(zap.InfoLevel)
	log := zaptest.NewLogger(t, zaptest.WrapOptions(zap.WrapCore(func(test zapcore.Core) zapcore.Core {
		return zapcore.NewTee(test, core)
	})))
	return log, &securityLines{t, lines}
}

type logged = observer.LoggedEntry

// securityLines is a security log.
type securityLines struct {
	t     testing.TB
	lines *observer.ObservedLogs
}

// of returns the lines of an event, of a reason where that is not empty.
func (l *securityLines) of(event, reason string) []logged {
	return l.lines.Filter(func(entry observer.LoggedEntry) bool {
		fields := entry.ContextMap()
		return filepath.Ext("."+entry.LoggerName) == ".security" && fields["event"] == event && (reason == "" || fields["reason"] == reason)
	}).All()
}

// wait waits for a line.
func (l *securityLines) wait(event, reason string) logged {
	l.t.Helper()
	waitUntil(l.t, "a line with event "+event+" and reason "+reason, func() bool { return len(l.of(event, reason)) > 0 })
	return l.of(event, reason)[0]
}

// Two Go modules find each other out over TLS as over plain TCP, whatever they
// speak, and know each other's names.
func TestAProtectedLink(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"auto", "v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			p := pair(t)
			s := startStation(t, everesttest.NewBroker(t), p.protect(satelliteOptions{
				dialect: dialect, main: map[string]any{"dialect": dialect, "satellite_serial": "SAT01"},
			}))
			if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, nil); err != nil {
				t.Error(err)
			}
			if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, s.arrivals, "evse_id"); got.Value != `"DE*TST*E1"` {
				t.Errorf("arrived: %v", got)
			}
			agent, controller := s.satellite.agent.Status(), s.main.controller.Status()
			if agent.Security != "mutual-tls" || controller.Security != "mutual-tls" {
				t.Errorf("security is %q and %q", agent.Security, controller.Security)
			}
			if agent.PeerSerial != "MAIN01" || controller.PeerSerial != "SAT01" {
				t.Errorf("the agent talks to %q and the controller to %q", agent.PeerSerial, controller.PeerSerial)
			}
			if status := s.linkStatus(t); status.Serial != "SAT01" {
				t.Errorf("link status %+v", status)
			}
			for directory, status := range map[string]string{p.controller: agent.PeerFingerprint, p.satellite: controller.PeerFingerprint} {
				if own, err := identity.Load(directory); err != nil || own.Fingerprint.String() != status {
					t.Errorf("peer's fingerprint is %s, want %s, %v", status, own.Fingerprint, err)
				}
			}
			if soon := time.Now().Add(19 * 365 * 24 * time.Hour); agent.IdentityExpires.Before(soon) || controller.IdentityExpires.Before(soon) {
				t.Errorf("identities expire %v and %v", agent.IdentityExpires, controller.IdentityExpires)
			}
			if agent.RejectedPeers+controller.RejectedPeers != 0 {
				t.Errorf("rejected peers: %d and %d", agent.RejectedPeers, controller.RejectedPeers)
			}
		})
	}
}
