package satellite_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// works has a command and a variable cross the link.
func (s *station) works(t *testing.T, evse string) {
	t.Helper()
	if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, nil); err != nil {
		t.Error(err)
	}
	if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", evse); err != nil {
		t.Fatal(err)
	}
	for {
		if got := receive(t, s.arrivals, "evse_id"); got.Value == `"`+evse+`"` {
			return
		}
	}
}

// Both boards change their keys while the link works: it stays, the next
// connection uses the new keys, and nobody restarts.
func TestKeysRotateWhileTheLinkWorks(t *testing.T) {
	t.Parallel()
	p := pair(t)
	s, link := startCabled(t, p.protect(satelliteOptions{}))
	s.works(t, "DE*TST*E1")
	oldSatellite, oldController := mustLoad(t, p.satellite), mustLoad(t, p.controller)
	for own, peer := range map[string]string{p.satellite: p.controller, p.controller: p.satellite} {
		next, err := identity.Rotate(own, identity.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p.trust(peer, next)
		if _, err := identity.Activate(own); err != nil {
			t.Fatal(err)
		}
	}
	s.works(t, "DE*TST*E2")
	if resumes := s.main.controller.Status().Resumes; resumes != 0 {
		t.Errorf("the link was resumed %d times by a rotation alone", resumes)
	}
	link.cut()
	waitUntil(t, "the link is resumed", func() bool { return s.main.controller.Status().Resumes > 0 })
	s.works(t, "DE*TST*E3")
	agent, controller := s.satellite.agent.Status(), s.main.controller.Status()
	if want := mustLoad(t, p.controller).Fingerprint.String(); agent.PeerFingerprint != want || agent.PeerSerial != "MAIN01" {
		t.Errorf("the agent talks to %s %s, want %s", agent.PeerSerial, agent.PeerFingerprint, want)
	}
	if want := mustLoad(t, p.satellite).Fingerprint.String(); controller.PeerFingerprint != want {
		t.Errorf("the controller talks to %s, want %s", controller.PeerFingerprint, want)
	}
	// The old keys go; nothing that stands used them.
	p.change(p.controller, func(trust *identity.Trust) { trust.Remove(oldSatellite.Fingerprint.String()) })
	p.change(p.satellite, func(trust *identity.Trust) { trust.Remove(oldController.Fingerprint.String()) })
	link.cut()
	waitUntil(t, "the link is resumed again", func() bool { return s.main.controller.Status().Resumes > 1 })
	s.works(t, "DE*TST*E4")
	if agent.RejectedPeers+controller.RejectedPeers != 0 {
		t.Errorf("rejected peers: %d and %d", agent.RejectedPeers, controller.RejectedPeers)
	}
}

// Trust that is withdrawn ends the link that stands, and trust that is given back
// within the resume window lets it go on.
func TestWithdrawnTrustEndsTheLink(t *testing.T) {
	t.Parallel()
	for name, withdraw := range map[string]func(*testing.T, *paired){
		"untrusted": func(_ *testing.T, p *paired) {
			p.change(p.satellite, func(trust *identity.Trust) { trust.Remove("MAIN01") })
		},
		"the file is removed": func(t *testing.T, p *paired) {
			if err := os.Remove(filepath.Join(p.satellite, "trusted.json")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testWithdrawnTrust(t, withdraw)
		})
	}
}

func testWithdrawnTrust(t *testing.T, withdraw func(*testing.T, *paired)) {
	p := pair(t)
	log, security := watched(t)
	s := startStation(t, everesttest.NewBroker(t), p.protect(satelliteOptions{
		agent: satellite.AgentConfig{Logger: log},
		main:  map[string]any{"resume_window_s": 600},
	}))
	s.works(t, "DE*TST*E1")
	controller := mustLoad(t, p.controller)
	withdraw(t, p)
	dropped := security.wait("peer_dropped", "")
	if serial := dropped.ContextMap()["serial"]; serial != "MAIN01" {
		t.Errorf("the line names %v", serial)
	}
	security.wait("peer_rejected", "untrusted")
	waitUntil(t, "the controller tells that it was refused", func() bool { return s.main.controller.Status().RejectedPeers > 0 })
	p.trust(p.satellite, controller)
	waitUntil(t, "the link is resumed", func() bool { return s.main.controller.Status().Resumes > 0 })
	s.works(t, "DE*TST*E2")
}

// A station's authority pairs boards that never heard of each other, and an agent
// whose certificate has expired still charges where its key is pinned.
func TestAnAuthorityAndExpiry(t *testing.T) {
	t.Parallel()
	t.Run("authority", func(t *testing.T) {
		p := &paired{t: t, satellite: filepath.Join(t.TempDir(), "satellite"), controller: filepath.Join(t.TempDir(), "controller")}
		authority, err := identity.CreateAuthority(filepath.Join(t.TempDir(), "ca"), identity.AuthorityOptions{Name: "Station 7"})
		if err != nil {
			t.Fatal(err)
		}
		for directory, role := range map[string]identity.Role{p.satellite: identity.Satellite, p.controller: identity.Controller} {
			board := p.create(directory, map[identity.Role]string{identity.Satellite: "SAT01", identity.Controller: "MAIN01"}[role])
			signed, err := authority.Sign(board.Leaf(), role, 0, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := identity.Adopt(directory, []*x509.Certificate{signed}); err != nil {
				t.Fatal(err)
			}
			p.change(directory, func(trust *identity.Trust) { err = trust.TrustAuthority(authority.Certificate, nil) })
			if err != nil {
				t.Fatal(err)
			}
		}
		s := startStation(t, everesttest.NewBroker(t), p.protect(satelliteOptions{}))
		s.works(t, "DE*TST*E1")
	})
	t.Run("expired", func(t *testing.T) {
		p := &paired{t: t, satellite: filepath.Join(t.TempDir(), "satellite"), controller: filepath.Join(t.TempDir(), "controller")}
		for directory, serial := range map[string]string{p.satellite: "SAT01", p.controller: "MAIN01"} {
			if _, err := identity.Create(directory, identity.CreateOptions{Serial: serial, Lifetime: time.Second,
				Now: func() time.Time { return time.Now().Add(-time.Hour) }}); err != nil {
				t.Fatal(err)
			}
		}
		p.trust(p.controller, mustLoad(t, p.satellite))
		p.trust(p.satellite, mustLoad(t, p.controller))
		log, security := watched(t)
		s := startStation(t, everesttest.NewBroker(t), p.protect(satelliteOptions{agent: satellite.AgentConfig{Logger: log}}))
		s.works(t, "DE*TST*E1")
		security.wait("identity_expired", "")
		if expires := s.satellite.agent.Status().IdentityExpires; expires.After(time.Now()) {
			t.Errorf("it expires %v", expires)
		}
	})
}

// A satellite that is not the expected one is refused, and waited for.
func TestTheWrongSatelliteIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, reason, serial string
		change               func(*paired)
	}{
		{"another serial number", "wrong_serial", "SAT02", func(*paired) {}},
		{"another key", "untrusted", "SAT01", func(p *paired) {
			if _, err := identity.Create(p.satellite, identity.CreateOptions{Serial: "SAT01", Replace: true}); err != nil {
				p.t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := pair(t)
			test.change(p)
			log, security := watched(t)
			options := p.protect(satelliteOptions{main: map[string]any{"satellite_serial": test.serial}})
			s := startSatellite(t, everesttest.NewBroker(t), options)
			main := startMainWith(t, everesttest.NewBroker(t), portOf(t, s.address), satellite.ControllerConfig{Logger: log}, options.main, nil)
			security.wait("peer_rejected", test.reason)
			if status := main.controller.Status(); status.Connected || status.PeerSerial != "" || status.RejectedPeers == 0 {
				t.Errorf("controller's status %+v", status)
			}
			waitUntil(t, "the agent goes on waiting", func() bool { return s.agent.Status().State == "Waiting" })
		})
	}
}

// A side that is to be protected never falls back to a plain link, whatever the
// other one is.
func TestThereIsNoFallback(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]func(*satelliteOptions){
		"plain agent":      func(o *satelliteOptions) { o.keys = nil },
		"plain controller": func(o *satelliteOptions) { o.main = nil },
	} {
		t.Run(name, func(t *testing.T) {
			options := pair(t).protect(satelliteOptions{})
			plain(&options)
			s := startSatellite(t, everesttest.NewBroker(t), options)
			core, lines := observer.New(zap.InfoLevel)
			main := startMainWith(t, everesttest.NewBroker(t), portOf(t, s.address), satellite.ControllerConfig{Logger: zap.New(core)}, options.main, nil)
			if options.main == nil {
				waitUntil(t, "the agent has refused it twice", func() bool { return s.agent.Status().RejectedPeers > 1 })
			} else {
				waitUntil(t, "the controller has refused it twice", func() bool { return main.controller.Status().RejectedPeers > 1 })
			}
			if agent, controller := s.agent.Status(), main.controller.Status(); agent.Dialect != "" || controller.Connected {
				t.Errorf("%+v\n%+v", agent, controller)
			}
			waitUntil(t, "the controller says that security may differ", func() bool {
				return lines.Filter(func(line observer.LoggedEntry) bool {
					text, _ := line.ContextMap()["error"].(string)
					return line.Message == "no agent yet" && strings.Contains(text, "is security mutual-tls")
				}).Len() > 0
			})
		})
	}
}

// What is missing for a protected link is an error that says what to do.
func TestProtectionThatCannotBe(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for _, test := range []struct {
		keys map[string]any
		want string
	}{
		{map[string]any{"security": "mutual-tls"}, "identity_directory"},
		{map[string]any{"security": "mutual-tls", "identity_directory": filepath.Join(empty, "nowhere")}, "satkeys create"},
	} {
		s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{keys: test.keys})
		if err := receive(t, s.process.ended, "the agent's end"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %s in it", test.keys, err, test.want)
		}
		main := startMainWith(t, everesttest.NewBroker(t), 4129, satellite.ControllerConfig{}, test.keys, nil)
		if err := receive(t, main.process.ended, "the controller's end"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %s in it", test.keys, err, test.want)
		}
	}
	main := startMainWith(t, everesttest.NewBroker(t), 4129, satellite.ControllerConfig{}, map[string]any{"satellite_serial": "SAT01"}, nil)
	if err := receive(t, main.process.ended, "the controller's end"); err == nil || !strings.Contains(err.Error(), "mutual-tls") {
		t.Errorf("a serial number on a plain link: %v", err)
	}
}
