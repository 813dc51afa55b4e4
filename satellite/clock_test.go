package satellite

import (
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// The board's clock may be set at any time: whether the controller is there goes by
// the module's uptime alone.
func TestPulseGoesByUptime(t *testing.T) {
	var p pulse
	if p.elsewhere(1, time.Second, aliveWithin) {
		t.Error("a controller that was never heard is there")
	}
	p.beat(1, 10*time.Minute)
	for _, test := range []struct {
		session handshake.ConnID
		later   time.Duration
		want    bool
	}{
		{1, time.Second, false}, {2, time.Second, true}, {2, aliveWithin, false},
	} {
		if got := p.elsewhere(test.session, 10*time.Minute+test.later, aliveWithin); got != test.want {
			t.Errorf("connection %d, %v later: %v, want %v", test.session, test.later, got, test.want)
		}
	}
}
