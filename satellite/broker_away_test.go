package satellite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// brokerStation is a station whose agent and controller reach their brokers through proxies.
type brokerStation struct {
	*station
	satelliteProxy, mainProxy *everesttest.Proxy
	published                 int
}

func startBrokerStation(t *testing.T, dialect string) *brokerStation {
	t.Helper()
	satelliteBroker := everesttest.NewMosquitto(t, everesttest.MosquittoConfig{Lines: []string{"max_queued_messages 0"}})
	mainBroker := everesttest.NewMosquitto(t, everesttest.MosquittoConfig{Lines: []string{"max_queued_messages 0"}})
	b := &brokerStation{satelliteProxy: everesttest.NewProxy(t, satelliteBroker), mainProxy: everesttest.NewProxy(t, mainBroker)}
	b.station = startStation(t, satelliteBroker, satelliteOptions{
		dialect: dialect, mainBroker: func() everest.Broker { return mainBroker },
		agent:      satellite.AgentConfig{Everest: everest.Options{Broker: b.satelliteProxy.Address()}},
		controller: satellite.ControllerConfig{Everest: everest.Options{Broker: b.mainProxy.Address()}},
	})
	return b
}

// publish publishes so many further events on the satellite.
func (b *brokerStation) publish(t *testing.T, count int) {
	t.Helper()
	for range count {
		value := fmt.Sprint("DE*TST*E", b.published)
		if err := b.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", value); err != nil {
			t.Fatal(err)
		}
		b.published++
	}
}

// check waits for the events from a number on, each once and in order.
func (b *brokerStation) check(t *testing.T, from int) {
	t.Helper()
	for number := from; number < b.published; number++ {
		if got, want := receive(t, b.arrivals, fmt.Sprint("event ", number)), fmt.Sprintf("%q", fmt.Sprint("DE*TST*E", number)); got.Value != want {
			t.Fatalf("arrived: %v, want %s", got, want)
		}
	}
}

// The main board's broker goes while the satellite publishes. The link stands, the events wait, the controller says so,
// and when the broker is back each of them arrives once, in order.
func TestEventsWaitForTheMainBroker(t *testing.T) {
	const each = 300
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			_, socket := controlSockets(t)
			b := startBrokerStation(t, dialect)
			b.publish(t, each)
			b.check(t, 0)
			b.mainProxy.Refuse(true)
			b.publish(t, each)
			statusOf(t, socket, func(status *control.Status) bool {
				return status.Health == control.Degraded && strings.Contains(status.Problem, "events of the satellite wait")
			})
			b.mainProxy.Refuse(false)
			b.publish(t, each)
			b.check(t, each)
			waitUntil(t, "the controller holds nothing", func() bool { return b.main.controller.Status().Backlog == 0 })
			status := b.main.controller.Status()
			if status.Resumes != 0 || status.Isolations != 0 || status.Dropped != 0 || status.State != "Working" {
				t.Errorf("the controller: %+v", status)
			}
			if more := len(b.arrivals); more != 0 {
				t.Errorf("%d events more", more)
			}
		})
	}
}

// An event has arrived on the main board, and its exchange is not completed: the satellite keeps it, whatever the controller
// asks for meanwhile.
func TestAnEventIsKeptUntilItsExchangeIsCompleted(t *testing.T) {
	b := startBrokerStation(t, "v2")
	b.publish(t, 1)
	b.check(t, 0)
	kept := func() int { return b.satellite.agent.Status().Journal }
	waitUntil(t, "the journal is empty", func() bool { return kept() == 0 })
	// The broker's last word does not get through, nor does a further connection.
	away := b.mainProxy.CutAt(0, func(p everesttest.Packet) bool {
		return !p.FromClient && (p.Type == "PUBCOMP" || p.Type == "CONNACK")
	})
	b.publish(t, 1)
	b.check(t, 1)
	for held := 1; held <= 4; held++ { // each comes with a further call, which says what is published
		waitUntil(t, "the controller has the event", func() bool { return b.main.controller.Status().Backlog >= held })
		if held == 4 {
			break
		}
		b.publish(t, 1)
	}
	if journal := kept(); journal != 4 {
		t.Errorf("the satellite keeps %d events of 4 whose exchange is not completed", journal)
	}
	away.Lift()
	b.check(t, 2)
	waitUntil(t, "the journal is empty", func() bool { return kept() == 0 })
}

// A connection to a broker is cut at any packet, on either board, while events come and commands are called.
func TestCutBrokersLoseNothing(t *testing.T) {
	const each = 40
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			b := startBrokerStation(t, dialect)
			for _, packet := range []string{"PUBLISH", "PUBREC", "PUBREL", "PUBCOMP"} {
				for _, fromClient := range []bool{true, false} {
					from := b.published
					match := func(p everesttest.Packet) bool { return p.FromClient == fromClient && p.Type == packet }
					b.mainProxy.CutAt(1, match)
					b.satelliteProxy.CutAt(1, match)
					called := make(chan error, 1)
					go func() {
						called <- b.main.required("evse_manager").Call(t.Context(), "reserve", map[string]any{"reservation_id": from}, nil)
					}()
					b.publish(t, each)
					b.check(t, from)
					// An answer may be an error: after many brief connections the module takes its time.
					receive(t, called, "an answer")
				}
			}
			if status := b.main.controller.Status(); status.Resumes != 0 || status.State != "Working" {
				t.Errorf("the controller: %+v", status)
			}
		})
	}
}
