package admission

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// The board's clock may be set at any time: whether the controller is connected goes by the monotonic clock alone.
func TestHeartbeatGoesByTheMonotonicClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := heartbeat{started: time.Now()}
		first, second := new(rpc.Session), new(rpc.Session)
		if h.isElsewhere(first, minTimeout) {
			t.Error("a controller that was never heard is connected")
		}
		time.Sleep(10 * time.Minute)
		h.record(first)
		for _, test := range []struct {
			session *rpc.Session
			later   time.Duration
			want    bool
		}{
			{first, time.Second, false}, {second, time.Second, true}, {second, minTimeout, false},
		} {
			time.Sleep(test.later - time.Since(h.started.Add(10*time.Minute)))
			if got := h.isElsewhere(test.session, minTimeout); got != test.want {
				t.Errorf("%v later: %v, want %v", test.later, got, test.want)
			}
		}
	})
}
