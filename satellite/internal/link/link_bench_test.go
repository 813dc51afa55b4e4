package link

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

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/admission"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// bareLink is both ends of a link that speak v2 over TCP, without modules and
// brokers: events go in by Record and come out by Publish.
type bareLink struct {
	server *Server
	client *Client
	// agent and controller protect the two ends.
	agent, controller *admission.Protection
	dialer            *admission.Dialer
}

// startBareLink calls publish for each event in turn.
func startBareLink(t testing.TB, publish func(value json.RawMessage)) *bareLink {
	t.Helper()
	return startBareLinkWith(t, func(*bareLink) {}, publish)
}

// startBareLinkWith lets prepare change how both ends are protected.
func startBareLinkWith(t testing.TB, prepare func(*bareLink), publish func(value json.RawMessage)) *bareLink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	l := &bareLink{agent: admission.NewProtection(zap.NewNop()), controller: admission.NewProtection(zap.NewNop())}
	l.dialer = admission.NewDialer(l.controller)
	prepare(l)
	l.server = NewServer(ServerConfig{
		Protocol: handshake.AgentConfig{Dialects: handshake.OnlyV2}, CommandTimeout: time.Minute,
		Limits: Limits{Bytes: 64 << 20}, Routes: route.Standard(), Logger: zap.NewNop(), Admission: admission.NewPolicy(l.agent),
		SatelliteBoard: SatelliteBoard{
			Execute: func(_ context.Context, _ route.Route, command route.Command, _ everest.Args) (json.RawMessage, error) {
				if command.Result == route.Boolean {
					return json.RawMessage("true"), nil
				}
				return json.RawMessage("null"), nil
			},
			Connected: func(string) bool { return true },
			Listen:    func() (net.Listener, error) { return listener, nil }, Listening: func() {},
			Compare: func(string) (string, error) { return "{}", nil },
			Fail:    func(err error) { t.Error(err) }, Changed: func(ServerState) {}, Suspected: func(int) {},
		},
	})
	l.client = NewClient(ClientConfig{
		Protocol: handshake.ControllerConfig{
			Dialects: handshake.AnyDialect, HeartbeatTimeout: 1500 * time.Millisecond, ResumeWindow: 30 * time.Second,
		},
		CommandTimeout: time.Minute, Peer: address, Logger: zap.NewNop(),
		MainBoard: MainBoard{
			Dial:      func(ctx context.Context) (*rpc.Client, error) { return l.dialer.Dial(ctx, address) },
			Connected: l.dialer.Recognise, NotConnected: func(error) {}, Disconnected: func(error) {},
			Compare: func(context.Context, handshake.Dialect, func(context.Context, string) (string, error)) {},
			Publish: func(_ context.Context, event Event) {
				if event.Kind == Variable {
					publish(event.Value)
				}
			},
			Unreadable: func(err error) { t.Error(err) }, Suspected: func() {}, Established: func(bool) {}, Isolated: func(handshake.Reason) {},
			Changed: func(ClientState) {},
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) (handshake.ExitProcess, error){l.server.Run, l.client.Run} {
		running.Go(func() {
			if _, err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	agreeing, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var starting sync.WaitGroup
	for _, start := range []func(context.Context) error{l.server.Start, l.client.Start} {
		starting.Go(func() {
			if err := start(agreeing); err != nil {
				t.Errorf("the two do not agree: %v", err)
			}
		})
	}
	l.server.BoardReady()
	l.client.BoardReady()
	starting.Wait()
	return l
}

// put hands an event to the agent as MQTT would, and waits while more are under
// way than a module's subscription would let through.
func (l *bareLink) put(value json.RawMessage) {
	for l.server.Stats().Journal.Events >= 10_000 {
		time.Sleep(100 * time.Microsecond)
	}
	l.server.Record(Event{Interface: "evse_manager", Name: "evse_id", Value: value})
}

// BenchmarkLinkThroughput is the link alone: events of 500 bytes, as many as go.
func BenchmarkLinkThroughput(b *testing.B) { benchmarkThroughput(b, func(*bareLink) {}) }

func benchmarkThroughput(b *testing.B, prepare func(*bareLink)) {
	done := make(chan struct{})
	arrived := 0
	link := startBareLinkWith(b, prepare, func(json.RawMessage) {
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
	if stats := link.server.Stats(); stats.Journal.Evicted != 0 {
		b.Errorf("%d events were given up", stats.Journal.Evicted)
	}
}

// BenchmarkLinkLatency is one event at a time, from the agent's journal to the
// controller's publishing.
func BenchmarkLinkLatency(b *testing.B) { benchmarkLatency(b, func(*bareLink) {}) }

func benchmarkLatency(b *testing.B, prepare func(*bareLink)) {
	arrived := make(chan struct{}, 1)
	link := startBareLinkWith(b, prepare, func(json.RawMessage) { arrived <- struct{}{} })
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

// BenchmarkLinkCommand is one command at a time, from the controller's Call to its return: one without a result, and one
// with a result.
func BenchmarkLinkCommand(b *testing.B) {
	limits := everest.Args{"value": json.RawMessage(`{"limits_root_side":{"ac_max_current_A":{"source":"x","value":16.0}},"schedule":[],"uuid":"connector","valid_for":10}`)}
	for _, test := range []struct {
		id, name  string
		arguments everest.Args
	}{{"energy", "enforce_limits", limits}, {"evse_manager", "pause_charging", nil}} {
		b.Run(test.name, func(b *testing.B) {
			link := startBareLink(b, func(json.RawMessage) {})
			r, command := standard(b, test.id, test.name)
			took := make([]time.Duration, 0, b.N)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				start := time.Now()
				if _, err := link.client.Call(b.Context(), r, command, test.arguments); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
		})
	}
}

// standard returns a command of the standard routes.
func standard(t testing.TB, id, name string) (route.Route, route.Command) {
	t.Helper()
	for _, r := range route.Standard() {
		for _, command := range r.Commands {
			if r.ID == id && command.Name == name {
				return r, command
			}
		}
	}
	t.Fatalf("there is no %s.%s", id, name)
	panic("unreachable")
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
		value, err := json.Marshal(i)
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
