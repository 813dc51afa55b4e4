package satellite_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// foreignModule publishes on a board what no module of this software would.
type foreignModule struct {
	t      *testing.T
	client mqtt.Client
}

func newForeignModule(t *testing.T, broker everest.Broker) foreignModule {
	t.Helper()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(fmt.Sprintf("tcp://%s:%d", broker.Host, broker.Port)).SetClientID("foreign"))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { client.Disconnect(100) })
	return foreignModule{t, client}
}

// variable publishes a variable of the charge port.
func (f foreignModule) variable(name, value string) {
	f.t.Helper()
	f.send("everest/modules/"+portID+"/impl/evse_manager/var/"+name, `{"msg_type":"Var","data":{"data":`+value+`}}`)
}

func (f foreignModule) send(topic, payload string) {
	f.t.Helper()
	if token := f.client.Publish(topic, 2, false, payload); !token.WaitTimeout(patience) || token.Error() != nil {
		f.t.Fatal(token.Error())
	}
}

// startOnMosquitto starts a station whose boards have a mosquitto each, and a foreign module on the satellite's.
func startOnMosquitto(t *testing.T, options satelliteOptions) (*station, foreignModule) {
	t.Helper()
	mosquitto := func() everest.Broker {
		m, err := everesttest.StartMosquitto(t.Context(), everesttest.MosquittoConfig{})
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { m.Close() })
		return m.Address()
	}
	broker := mosquitto()
	options.mainBroker = mosquitto
	return startStation(t, broker, options), newForeignModule(t, broker)
}

// A value that cannot be carried to the end is dropped where it is taken in, and the next one arrives. The link, and
// both boards, do not notice.
func TestAValueThatCannotBeCarriedIsDropped(t *testing.T) {
	text := func(bytes int) string { return `{"x":"` + strings.Repeat("x", bytes) + `"}` }
	for _, test := range []struct{ name, value string }{
		{"longer than a message of the link", text(8_400_000)},
		{"longer than EVerest takes", text(520_000)},
		{"a number beyond double", `{"x":[1e400]}`},
		{"a long number", `{"x":` + strings.Repeat("9", 400) + `}`},
	} {
		for _, dialect := range []string{"v2", "legacy", "v2, TLS", "legacy, TLS"} {
			t.Run(test.name+", "+dialect, func(t *testing.T) {
				dialect, options := dialect, satelliteOptions{}
				if plain, secure := strings.CutSuffix(dialect, ", TLS"); secure {
					dialect, options = plain, pair(t).protect(options)
				}
				options.dialect = dialect
				s, foreign := startOnMosquitto(t, options)
				foreign.variable("telemetry", test.value)
				waitUntil(t, "the value is dropped", func() bool { return s.satellite.agent.Status().Dropped == 1 })
				if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "after"); err != nil {
					t.Fatal(err)
				}
				if got := receive(t, s.arrivals, "the next value"); got.Value != `"after"` {
					t.Errorf("arrived: %v", got)
				}
				if status := s.main.controller.Status(); status.Resumes != 0 || status.Dropped != 0 {
					t.Errorf("status %+v", status)
				}
			})
		}
	}
}

// The lower of both boards' limits counts, and each board has its own.
func TestTheLowerLimitOfBothBoardsCounts(t *testing.T) {
	for _, test := range []struct {
		agent, main, size int
		arrives           bool
	}{
		{agent: 2_000_000, main: 2_000_000, size: 1_500_000, arrives: true},
		{agent: 2_000_000, main: 512_000, size: 1_500_000},
		{agent: 20_000, main: 512_000, size: 30_000},
		{agent: 512_000, main: 20_000, size: 30_000},
		{agent: 512_000, main: 20_000, size: 10_000, arrives: true},
	} {
		t.Run(fmt.Sprintf("%d and %d for %d", test.agent, test.main, test.size), func(t *testing.T) {
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
				keys: map[string]any{"max_packet_bytes": test.agent}, main: map[string]any{"max_packet_bytes": test.main},
			})
			port := s.satellite.port.module
			port.SetMaxPacketSize(4 << 20)
			for _, id := range []string{strings.Repeat("x", test.size), "after"} {
				if err := port.Provides("evse_manager").Publish(t.Context(), "evse_id", id); err != nil {
					t.Fatal(err)
				}
			}
			got := receive(t, s.arrivals, "a value")
			if arrived := len(got.Value) > test.size; arrived != test.arrives {
				t.Errorf("the long value arrived: %v", arrived)
			}
			if dropped := s.satellite.agent.Status().Dropped; (dropped == 1) == test.arrives {
				t.Errorf("%d were dropped", dropped)
			}
		})
	}
}

// An error that cannot be carried is dropped, too, with its clearance.
func TestAnErrorThatCannotBeCarriedIsDropped(t *testing.T) {
	s, foreign := startOnMosquitto(t, satelliteOptions{})
	const raised = `{"msg_type":"RaiseError","data":{"description":"%s","message":"m","origin":{"implementation_id":"evse_manager","module_id":"connector"},` +
		`"severity":"High","state":"Active","sub_type":"","timestamp":"2026-11-22T10:32:38.363Z","type":"evse_manager/Inoperative","uuid":"u","vendor_id":"v"}}`
	foreign.send("everest/modules/"+portID+"/impl/evse_manager/error/evse_manager/Inoperative", fmt.Sprintf(raised, strings.Repeat("x", 600_000)))
	waitUntil(t, "the error is dropped", func() bool { return s.satellite.agent.Status().Dropped == 1 })
	if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "after"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, s.arrivals, "the next value"); got.Value != `"after"` {
		t.Errorf("arrived: %v", got)
	}
	if status := s.main.controller.Status(); status.Errors != 0 {
		t.Errorf("status %+v at %v", status, time.Now())
	}
}

// A burst of large values over a healthy link resets no board. What is given up for it is counted, and what is newest arrives.
func TestABurstOfLargeValuesResetsNoBoard(t *testing.T) {
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
				dialect: dialect, agent: satellite.AgentConfig{Limits: satellite.Limits{Bytes: 1 << 20}},
			})
			provided := s.satellite.port.module.Provides("evse_manager")
			publish := func(value string) {
				if err := provided.Publish(t.Context(), "evse_id", value); err != nil {
					t.Error(err)
				}
			}
			publish("first")
			receive(t, s.arrivals, "the first value") // the controller takes events
			published := 1
			for s.satellite.agent.Status().GivenUp == 0 && s.satellite.agent.Status().State == "Working" {
				var burst sync.WaitGroup
				for i := range 20 {
					burst.Go(func() { publish(fmt.Sprint(i, strings.Repeat("x", 300_000))) })
				}
				burst.Wait()
				published += 20
			}
			publish("last")
			arrived := 0
			for got := ""; got != `"last"`; arrived++ {
				got = receive(t, s.arrivals, "a value").Value
			}
			status := s.satellite.agent.Status()
			if status.State != "Working" || arrived+int(status.GivenUp) < published { // some that arrived were given up before they were acknowledged
				t.Errorf("%d arrived of %d, status %+v", arrived, published, status)
			}
			if status := s.main.controller.Status(); !status.Connected || status.Resumes != 0 {
				t.Errorf("status of the controller %+v", status)
			}
		})
	}
}
