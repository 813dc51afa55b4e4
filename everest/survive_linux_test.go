package everest_test

import (
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// A standalone module leaves at most one session to each of its successors, and does not end the connection of one that
// runs beside it.
func TestStandaloneModulesOfOneID(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, towerOnly(t, broker))
		proxy := everesttest.NewProxy(t, broker)
		clientOf := func() (*everesttest.Process, string) {
			seen := len(proxy.Packets())
			running := everesttest.RunModule(t, through(proxy, manager.Options("tower")), nil)
			for _, packet := range proxy.Packets()[seen:] {
				if packet.Connect != nil {
					if packet.Connect.CleanSession || packet.Connect.Will || packet.Connect.KeepAlive <= 0 {
						t.Errorf("CONNECT says %+v", *packet.Connect)
					}
					return running, packet.Connect.ClientID
				}
			}
			t.Fatal("no CONNECT")
			return nil, ""
		}
		_, first := clientOf()
		second, other := clientOf()
		if first == other {
			t.Errorf("both are %s", first)
		}
		second.Stop()
		if _, third := clientOf(); third != other {
			t.Errorf("the next process is %s, after %s", third, other)
		}
	})
}
