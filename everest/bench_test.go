package everest_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// benchBrokers are the three ways to reach a broker that the benchmarks compare on.
func benchBrokers(b *testing.B, bench func(b *testing.B, broker everest.Broker)) {
	b.Run("embedded", func(b *testing.B) { bench(b, everesttest.NewBroker(b)) })
	b.Run("mosquitto-tcp", func(b *testing.B) { bench(b, everesttest.NewMosquitto(b, everesttest.MosquittoConfig{})) })
	b.Run("mosquitto-unix", func(b *testing.B) {
		bench(b, everesttest.NewMosquitto(b, everesttest.MosquittoConfig{SocketPath: filepath.Join(b.TempDir(), "mqtt")}))
	})
}

var payloadSizes = []struct {
	name string
	size int
}{{"100B", 100}, {"5KiB", 5 << 10}}

// bareClient is paho with immediate acknowledgements, and without anything of package everest.
func bareClient(b *testing.B, broker everest.Broker, name string) mqtt.Client {
	b.Helper()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://x").SetClientID(name).SetCleanSession(true).SetAutoReconnect(false).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
			return everest.DialPrompt(context.Background(), broker)
		}))
	wait(b, client.Connect())
	b.Cleanup(func() { client.Disconnect(250) })
	return client
}

func wait(b *testing.B, token mqtt.Token) {
	b.Helper()
	if !token.WaitTimeout(everesttest.Patience) || token.Error() != nil {
		b.Fatalf("paho: %v", token.Error())
	}
}

// compare alternates between the two rounds, so that both meet the same load of the machine, and reports their medians,
// the ratio of these, and the 99th percentile of ours.
func compare(b *testing.B, bare, ours func()) {
	timed := func(round func()) time.Duration {
		started := time.Now()
		round()
		return time.Since(started)
	}
	for range 100 {
		bare()
		ours()
	}
	var ofBare, ofOurs []time.Duration
	for b.Loop() {
		ofBare = append(ofBare, timed(bare))
		ofOurs = append(ofOurs, timed(ours))
	}
	slices.Sort(ofBare)
	slices.Sort(ofOurs)
	median := func(times []time.Duration) float64 { return float64(times[len(times)/2].Nanoseconds()) / 1000 }
	b.ReportMetric(median(ofBare), "paho-p50-µs")
	b.ReportMetric(median(ofOurs), "p50-µs")
	b.ReportMetric(float64(ofOurs[len(ofOurs)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(median(ofOurs)/median(ofBare), "ratio")
	b.ReportMetric(0, "ns/op") // both together would say nothing
}

// BenchmarkCommand is the round trip of a command that returns its argument, between two modules, and the same exchange
// between two bare paho clients on the same broker: a QoS 2 message there and one back.
func BenchmarkCommand(b *testing.B) {
	benchBrokers(b, func(b *testing.B, broker everest.Broker) {
		for _, payload := range payloadSizes {
			text := strings.Repeat("x", payload.size)
			b.Run(payload.name, func(b *testing.B) {
				caller, provider := bareClient(b, broker, "caller"), bareClient(b, broker, "provider")
				wait(b, provider.Subscribe("bench/request", 2, func(_ mqtt.Client, m mqtt.Message) {
					provider.Publish("bench/reply", 2, false, m.Payload())
				}))
				replies := make(chan struct{}, 1)
				wait(b, caller.Subscribe("bench/reply", 2, func(mqtt.Client, mqtt.Message) { replies <- struct{}{} }))
				request, err := json.Marshal(text)
				if err != nil {
					b.Fatal(err)
				}
				bells := newSilentBelfry(b, broker, nil)
				arguments := raw(`{"text":` + string(request) + `,"times":1}`) // ready-made, as the bare client's payload is
				compare(b, func() {
					caller.Publish("bench/request", 2, false, request)
					<-replies
				}, func() {
					var result json.RawMessage
					if err := bells.bell().Call(b.Context(), "ring", arguments, &result); err != nil {
						b.Fatal(err)
					}
				})
			})
		}
	})
}

// newSilentBelfry is a station without a recorder: nobody else receives anything.
func newSilentBelfry(b testing.TB, broker everest.Broker, prepareRinger func(*everest.Module)) *belfry {
	config := bellConfig(b, broker)
	config.EverestPrefix = "silent-" + strings.NewReplacer("/", "-", "#", "-").Replace(b.Name())
	bells := &belfry{manager: everesttest.NewManager(b, config)}
	ready := make(chan struct{})
	everesttest.RunModule(b, bells.manager.Options("tower"), func(m *everest.Module) {
		bells.tower = m
		m.Provides("main").Handle("ring", func(_ context.Context, arguments everest.Args) (any, error) { return arguments["text"], nil })
	})
	everesttest.RunModule(b, bells.manager.Options("ringer"), func(m *everest.Module) {
		bells.ringer = m
		if prepareRinger != nil {
			prepareRinger(m)
		}
		m.OnReady(func(context.Context) error { close(ready); return nil })
	})
	receive(b, ready)
	return bells
}

// BenchmarkVariable is how many values of a variable per second go from one module to another, and the same between two
// bare paho clients, the publisher of which keeps 16 messages unacknowledged as package everest does.
func BenchmarkVariable(b *testing.B) {
	benchBrokers(b, func(b *testing.B, broker everest.Broker) {
		for _, payload := range payloadSizes {
			value := json.RawMessage(`"` + strings.Repeat("x", payload.size) + `"`)
			b.Run(payload.name, func(b *testing.B) {
				publisher, subscriber := bareClient(b, broker, "publisher"), bareClient(b, broker, "subscriber")
				bareArrived, arrived := newCounter(), newCounter()
				wait(b, subscriber.Subscribe("bench/variable", 2, func(mqtt.Client, mqtt.Message) { bareArrived.add() }))
				window := make(chan struct{}, 16)
				var acknowledging sync.WaitGroup
				bells := newSilentBelfry(b, broker, func(m *everest.Module) {
					m.Requires("bell")[0].Subscribe("rung", func(context.Context, json.RawMessage) { arrived.add() })
				})
				bell := bells.tower.Provides("main")
				compareRates(b, func() {
					window <- struct{}{}
					token := publisher.Publish("bench/variable", 2, false, []byte(value))
					acknowledging.Go(func() {
						<-token.Done()
						<-window
					})
				}, bareArrived, func() {
					if err := bell.Publish(b.Context(), "rung", value); err != nil {
						b.Fatal(err)
					}
				}, arrived)
				acknowledging.Wait()
			})
		}
	})
}

// compareRates publishes alternately in rounds and waits for the arrival of each.
func compareRates(b *testing.B, bare func(), bareArrived *counter, ours func(), arrived *counter) {
	const round = 500
	total := int64(0)
	run := func(publish func(), counter *counter) time.Duration {
		started := time.Now()
		for range round {
			publish()
		}
		counter.wait(b, total)
		return time.Since(started)
	}
	var ofBare, ofOurs time.Duration
	for warm := true; warm || b.Loop(); warm = false {
		total += round
		bareTook, oursTook := run(bare, bareArrived), run(ours, arrived)
		if !warm {
			ofBare, ofOurs = ofBare+bareTook, ofOurs+oursTook
		}
	}
	rate := func(took time.Duration) float64 { return float64(total-round) / took.Seconds() }
	b.ReportMetric(rate(ofBare), "paho-messages/s")
	b.ReportMetric(rate(ofOurs), "messages/s")
	b.ReportMetric(rate(ofOurs)/rate(ofBare), "ratio")
	b.ReportMetric(0, "ns/op")
}

type counter struct {
	count   atomic.Int64
	changed chan struct{}
}

func newCounter() *counter { return &counter{changed: make(chan struct{}, 1)} }

func (c *counter) add() {
	c.count.Add(1)
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *counter) wait(t testing.TB, count int64) {
	t.Helper()
	for c.count.Load() < count {
		select {
		case <-c.changed:
		case <-time.After(everesttest.Patience):
			t.Fatalf("%d of %d messages have arrived", c.count.Load(), count)
		}
	}
}

var longRun = flag.Bool("everest.long", false, "run the tests that send a million messages")

var messages = flag.Int("everest.messages", 4000, "how many messages TestNothingIsLostInManyMessages sends")

// Nothing is lost, on one connection with 200 subscribed topics. A mosquitto is told to keep all that waits for a subscriber:
// by default it drops what is beyond 1000 messages, without a word to anybody, and with a publisher that never pauses a
// subscriber may lag that far behind on a busy machine.
func TestNothingIsLostInManyMessages(t *testing.T) {
	total := *messages
	if *longRun {
		total = 1_000_000
	}
	const topics = 200
	run := func(t *testing.T, broker everest.Broker) {
		received := newCounter()
		var disorder atomic.Int64
		bells := newSilentBelfry(t, broker, func(m *everest.Module) {
			for i := range topics {
				next := 0
				everest.Subscribe(m.Requires("bell")[0], fmt.Sprintf("v%d", i), func(_ context.Context, number int) {
					if number != next {
						disorder.Add(1)
					}
					next = number + 1
					received.add()
				})
			}
		})
		bell := bells.tower.Provides("main")
		for i := range total {
			if err := bell.Publish(t.Context(), fmt.Sprintf("v%d", i%topics), i/topics); err != nil {
				t.Fatal(err)
			}
		}
		received.wait(t, int64(total))
		if disorder.Load() != 0 || received.count.Load() != int64(total) {
			t.Errorf("%d messages arrived of %d, %d out of order", received.count.Load(), total, disorder.Load())
		}
	}
	t.Run("embedded", func(t *testing.T) { run(t, everesttest.NewBroker(t)) })
	t.Run("mosquitto", func(t *testing.T) {
		run(t, everesttest.NewMosquitto(t, everesttest.MosquittoConfig{Lines: []string{"max_queued_messages 0"}}))
	})
}
