package everesttest

import (
	"fmt"
	"sync"
	"testing"
)

// Clients that disconnect while the broker closes must not block Close.
func TestBrokerClosesWhileClientsLeave(t *testing.T) {
	for range 20 {
		broker, err := StartBroker(BrokerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		const count = 12
		wires := make([]*brokerConn, count)
		for i := range wires {
			if wires[i], err = dialBroker(t.Context(), broker.Address(), fmt.Sprintf("leaver-%d", i), func(Message) {}); err != nil {
				t.Fatal(err)
			}
		}
		var leaving sync.WaitGroup
		for _, wire := range wires {
			leaving.Go(wire.stop)
		}
		closed := make(chan error, 1)
		go func() { closed <- broker.Close() }()
		leaving.Wait()
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
	}
}
