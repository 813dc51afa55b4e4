package satellite_test

import (
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// Two keys of one serial number are in the logs and the status of both boards: those that are trusted from the start,
// those that become so, and those that prove it.
func TestTwoKeysOfOneSerialAreSeen(t *testing.T) {
	agentSocket, controllerSocket := controlSockets(t)
	p := pair(t)
	p.trust(p.satellite, p.create(p.satellite+"-other", "MAIN01"))
	log, security := watched(t)
	s, link := startCabled(t, p.protect(satelliteOptions{
		agent: satellite.AgentConfig{Logger: log}, controller: satellite.ControllerConfig{Logger: log},
	}))
	s.works(t, "DE*TST*E1")
	conflict := func(want string) func(*control.Status) bool {
		return func(status *control.Status) bool {
			return status.Link != nil && strings.Contains(status.Link.KeyConflict, want) && (want != "") == (status.Link.KeyConflict != "")
		}
	}
	statusOf(t, agentSocket, conflict("several keys of MAIN01"))
	statusOf(t, controllerSocket, conflict(""))
	statusOf(t, controllerSocket, func(status *control.Status) bool {
		return status.Peer.Status != nil && conflict("several keys of MAIN01")(status.Peer.Status)
	})
	if line := security.wait("serial_repeated", ""); !strings.Contains(line.Message, "several trusted keys have one serial number") {
		t.Errorf("logged %q", line.Message)
	}
	// The satellite changes its key.
	next, err := identity.Rotate(p.satellite, identity.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	old := mustLoad(t, p.satellite)
	p.trust(p.controller, next)
	if _, err := identity.Activate(p.satellite); err != nil {
		t.Fatal(err)
	}
	statusOf(t, controllerSocket, conflict("several keys of SAT01"))
	link.cut()
	line := security.wait("key_changed", "").ContextMap()
	if line["serial"] != "SAT01" || line["fingerprint"] != next.Fingerprint.String() || line["before"] != old.Fingerprint.String() {
		t.Errorf("logged %v", line)
	}
	p.change(p.controller, func(trust *identity.Trust) { trust.Remove(old.Fingerprint.String()) })
	statusOf(t, controllerSocket, conflict(""))
}
