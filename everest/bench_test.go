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

// measure reports the median and the 99th percentile of what one round takes.
func measure(b *testing.B, round func()) {
	for range 50 {
		round()
	}
	var times []time.Duration
	for b.Loop() {
		started := time.Now()
		round()
		times = append(times, time.Since(started))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkCommand is the round trip of a command that returns its argument, between two modules, and the same exchange
// between two bare paho clients: a QoS 2 message there and one back.
func BenchmarkCommand(b *testing.B) {
	benchBrokers(b, func(b *testing.B, broker everest.Broker) {
		for _, payload := range payloadSizes {
			text := strings.Repeat("x", payload.size)
			b.Run(payload.name+"/paho", func(b *testing.B) {
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
				measure(b, func() {
					caller.Publish("bench/request", 2, false, request)
					<-replies
				})
			})
			b.Run(payload.name+"/everest", func(b *testing.B) {
				benchModules(b, broker, func(bells *belfry) {
					arguments := map[string]any{"text": text, "times": 1}
					measure(b, func() {
						var result json.RawMessage
						if err := bells.bell().Call(b.Context(), "ring", arguments, &result); err != nil {
							b.Fatal(err)
						}
					})
				}, nil)
			})
		}
	})
}

func benchModules(b *testing.B, broker everest.Broker, bench func(*belfry), prepareRinger func(*everest.Module)) {
	bench(newSilentBelfry(b, broker, prepareRinger))
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
			b.Run(payload.name+"/paho", func(b *testing.B) {
				publisher, subscriber := bareClient(b, broker, "publisher"), bareClient(b, broker, "subscriber")
				received := newCounter()
				wait(b, subscriber.Subscribe("bench/variable", 2, func(mqtt.Client, mqtt.Message) { received.add() }))
				window := make(chan struct{}, 16)
				var acknowledging sync.WaitGroup
				rate(b, received, func(count int) {
					for range count {
						window <- struct{}{}
						token := publisher.Publish("bench/variable", 2, false, []byte(value))
						acknowledging.Go(func() {
							<-token.Done()
							<-window
						})
					}
				})
				acknowledging.Wait()
			})
			b.Run(payload.name+"/everest", func(b *testing.B) {
				received := newCounter()
				benchModules(b, broker, func(bells *belfry) {
					bell := bells.tower.Provides("main")
					rate(b, received, func(count int) {
						for range count {
							if err := bell.Publish(b.Context(), "rung", value); err != nil {
								b.Fatal(err)
							}
						}
					})
				}, func(m *everest.Module) {
					m.Requires("bell")[0].Subscribe("rung", func(context.Context, json.RawMessage) { received.add() })
				})
			})
		}
	})
}

// rate publishes in rounds and waits for the arrival of each.
func rate(b *testing.B, received *counter, publish func(count int)) {
	const round = 2000
	publish(round)
	received.wait(b, round)
	total := round
	started := time.Now()
	for b.Loop() {
		publish(round)
		total += round
		received.wait(b, int64(total))
	}
	b.ReportMetric(float64(total-round)/time.Since(started).Seconds(), "messages/s")
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

// Nothing is lost, on one connection with 200 subscribed topics.
func TestNothingIsLostInManyMessages(t *testing.T) {
	total := 20_000
	if *longRun {
		total = 1_000_000
	}
	const topics = 200
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
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
	})
}
