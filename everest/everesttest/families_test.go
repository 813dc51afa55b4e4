package everesttest

import (
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
)

// poisoned are the families with readers of their own. The others read as the next one does.
var poisoned = map[string]bool{"A1": true, "A3": true, "B1": true, "B4b": true, "D": true}

// A station of each family tells a test what its module does, survives poison, and starts the module again.
func TestStationOfEveryFamily(t *testing.T) {
	for _, family := range Families() {
		t.Run(family, func(t *testing.T) {
			s := lampStationOf(t, NewBroker(t), family)
			use := func() {
				t.Helper()
				for _, socket := range s.fakes["socket"] {
					socket.Answer("load", true)
				}
				var on bool
				s.Call("lamp", "switch", map[string]any{"on": true}, &on)
				s.Expect(Called("socket", "load", map[string]any{"watts": 60}), Called("socket[1]", "load", map[string]any{"watts": 60}), Published("lamp", "brightness", 60))
				s.Fake("socket").Publish("voltage", 12)
				s.Expect(Raised("lamp", "lamp/Broken", "dark"))
				s.Fake("socket").Publish("voltage", 230)
				s.Expect(Cleared("lamp", "lamp/Broken", "dark"))
				s.Fake("socket").Raise(everest.Error{Type: "lamp/Broken"})
				s.Fake("socket").Clear("lamp/Broken", "")
				if !on {
					t.Error("the lamp is off")
				}
			}
			use()
			if poisoned[family] {
				s.Poison()
				use()
			}
			s.Restart()
			use()
		})
	}
}
