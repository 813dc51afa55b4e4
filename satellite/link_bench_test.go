package satellite

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// bareLink is an agent and a controller that speak v2 over TCP, without modules
// and brokers: events go in by record and come out by publish.
type bareLink struct {
	agent      *Agent
	controller *Controller
	running    sync.WaitGroup
	stop       context.CancelFunc
}

// startBareLink calls publish for each event in turn.
func startBareLink(t testing.TB, publish func(value json.RawMessage)) *bareLink {
	t.Helper()
	return startBareLinkWith(t, func(*bareLink) {}, publish)
}

// startBareLinkWith lets prepare change both modules before they start.
func startBareLinkWith(t testing.TB, prepare func(*bareLink), publish func(value json.RawMessage)) *bareLink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()

	ctx, stop := context.WithCancel(context.Background())
	l := &bareLink{stop: stop}
	l.agent = NewAgent(AgentConfig{Limits: Limits{Bytes: 64 << 20}})
	l.agent.parameters = agentParameters{Port: port, ListenAddress: "127.0.0.1"}
	l.agent.dialects = handshake.OnlyV2
	l.agent.prepare(false)
	l.agent.background.Go(l.agent.limitLife())

	l.controller = NewController(ControllerConfig{})
	l.controller.parameters = controllerParameters{Hostname: "127.0.0.1", Port: port}
	l.controller.target = target{host: "127.0.0.1", port: port}
	if l.controller.protocol, err = l.controller.parameters.protocol(handshake.ControllerConfig{}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.controller.table.Resolve(map[string]string{route.EVSE: route.EVSE}, nil, ""); err != nil {
		t.Fatal(err)
	}
	l.controller.relay = &relay{
		log: zap.NewNop(), status: &l.controller.status, opened: make(chan struct{}), ready: true,
		table: &l.controller.table,
		publish: func(_ context.Context, _, _ string, value json.RawMessage) error {
			publish(value)
			return nil
		},
		replace: func(context.Context, json.RawMessage) error { return nil },
		watch:   func(Event) {},
	}
	close(l.controller.relay.opened)
	prepare(l)
	l.controller.prepare()
	l.controller.background.Go(l.controller.publishAll)
	for _, loop := range []*loop{l.agent.loop, l.controller.loop} {
		l.running.Go(func() {
			if _, err := loop.run(ctx); err != nil {
				t.Error(err)
			}
		})
		loop.post(handshake.Start{})
		loop.post(handshake.BoardReady{})
	}
	t.Cleanup(func() {
		stop()
		l.running.Wait()
		l.agent.background.Wait()
		l.controller.background.Wait()
	})
	for _, met := range []<-chan struct{}{l.agent.met, l.controller.agreed} {
		select {
		case <-met:
		case <-time.After(time.Minute):
			t.Fatal("the two do not agree")
		}
	}
	return l
}

// put hands an event to the agent as MQTT would, and waits while more are under
// way than a module's subscription would let through.
func (l *bareLink) put(value json.RawMessage) {
	for {
		l.agent.journalLock.Lock()
		waiting := l.agent.journal.Len()
		l.agent.journalLock.Unlock()
		if waiting < 10_000 {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	l.agent.record(Event{Interface: route.EVSE, Variable: "evse_id", Value: value})
}

// BenchmarkLinkThroughput is the link alone: events of 500 bytes, as many as go.
func BenchmarkLinkThroughput(b *testing.B) {
	done := make(chan struct{})
	arrived := 0
	link := startBareLink(b, func(json.RawMessage) {
		if arrived++; arrived == b.N {
			close(done)
		}
	})
	value := json.RawMessage(`"` + strings.Repeat("x", 498) + `"`)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		link.put(value)
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	if status := link.agent.Status(); status.GivenUp != 0 {
		b.Errorf("%d events were given up", status.GivenUp)
	}
}

// BenchmarkLinkLatency is one event at a time, from the agent's journal to the
// controller's publishing.
func BenchmarkLinkLatency(b *testing.B) {
	arrived := make(chan struct{}, 1)
	link := startBareLink(b, func(json.RawMessage) { arrived <- struct{}{} })
	value := json.RawMessage(`"` + strings.Repeat("x", 498) + `"`)
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for range b.N {
		start := time.Now()
		link.put(value)
		<-arrived
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
}

// The benchmarks' link carries every event once, in order, whatever the load.
func TestABareLinkCarriesEverything(t *testing.T) {
	const events = 20_000
	done := make(chan struct{})
	next := 0
	link := startBareLink(t, func(value json.RawMessage) {
		var number int
		if err := json.Unmarshal(value, &number); err != nil || number != next {
			t.Errorf("event %s came, want %d, %v", value, next, err)
		}
		if next++; next == events {
			close(done)
		}
	})
	for i := range events {
		value, err := route.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		link.put(value)
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("not everything arrived")
	}
}
