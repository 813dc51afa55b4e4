package satellite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// bareBoard is a broker with a module that publishes and answers, and one that
// subscribes and calls: what a hop costs without the link.
type bareBoard struct {
	from, to *standIn
	arrived  chan json.RawMessage
}

func startBareBoard(t testing.TB, broker everest.Broker, arrive func(*bareBoard, json.RawMessage)) *bareBoard {
	t.Helper()
	own := map[string]string{"evse_manager": "evse_manager"}
	b := &bareBoard{arrived: make(chan json.RawMessage, 100_000)}
	requires := []byte("description: stand-in\nmetadata: {license: \"https://example.org\", authors: [test]}\n" +
		"requires:\n  evse_manager: {interface: evse_manager}\n")
	board := newBoard(t, broker, map[string]everesttest.ModuleConfig{
		"from": {Module: "From", Manifest: providing(own)},
		"to": {
			Module: "To", Manifest: requires,
			Connections: map[string][]everesttest.Connection{"evse_manager": {{ModuleID: "from", ImplementationID: "evse_manager"}}},
		},
	})
	b.from = board.standIn("from", own, nil)
	b.to = board.standIn("to", nil, func(to *standIn) {
		to.module.Requires("evse_manager")[0].Subscribe("evse_id", func(_ context.Context, value json.RawMessage) { arrive(b, value) })
	})
	board.waitReady()
	return b
}

func (b *bareBoard) keep(value json.RawMessage) { b.arrived <- value }

// startEcho serves one function over TCP, as the link's connection is.
func startEcho(b *testing.B) *rpc.Client {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true, Order: rpc.OrderPerMethod})
	if err := server.Handle("echo", func(_ context.Context, request *rpc.Request) (any, error) {
		var text string
		err := request.Decode(&text)
		return text, err
	}); err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	client, err := rpc.Dial(b.Context(), listener.Addr().String(), rpc.Config{InsecurePlaintext: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		client.Close()
		server.Close()
		<-served
	})
	return client
}

type samples map[string][]time.Duration

func (s samples) take(name string, do func()) {
	start := time.Now()
	do()
	s[name] = append(s[name], time.Since(start))
}

func (s samples) p50(name string) float64 {
	slices.Sort(s[name])
	return float64(s[name][len(s[name])/2].Nanoseconds()) / 1e3
}

// BenchmarkRelay compares, in turns, a variable and a command through the tunnel
// with what they are made of: two hops over a broker, or two local commands, and
// one call between the boards.
func BenchmarkRelay(b *testing.B) { onEachBroker(b, benchmarkRelay) }

// onEachBroker runs a benchmark on embedded brokers, and on mosquitto without
// Nagle's algorithm, which would be all that is measured.
func onEachBroker(b *testing.B, run func(b *testing.B, broker func() everest.Broker)) {
	b.Run("embedded", func(b *testing.B) { run(b, func() everest.Broker { return everesttest.NewBroker(b) }) })
	b.Run("mosquitto", func(b *testing.B) {
		run(b, func() everest.Broker {
			return everesttest.NewMosquitto(b, everesttest.MosquittoConfig{Lines: []string{"set_tcp_nodelay true"}})
		})
	})
}

func benchmarkRelay(b *testing.B, broker func() everest.Broker) {
	s := startStation(b, broker(), satelliteOptions{mainBroker: broker, controller: satellite.ControllerConfig{EventRate: 1e9}, answer: func(context.Context, invocation) (any, error) {
		return json.RawMessage(`{"connectors":[{"id":1}],"id":2}`), nil
	}})
	bare := startBareBoard(b, broker(), (*bareBoard).keep)
	echo := startEcho(b)
	text := strings.Repeat("x", 498)
	value, ctx := json.RawMessage(`"`+text+`"`), b.Context()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	took := samples{}
	b.ResetTimer()
	for range b.N {
		took.take("variable", func() {
			must(s.satellite.port.module.Provides("evse_manager").Publish(ctx, "evse_id", value))
			<-s.arrivals
		})
		took.take("hop", func() {
			must(bare.from.module.Provides("evse_manager").Publish(ctx, "evse_id", value))
			<-bare.arrived
		})
		took.take("call", func() { must(echo.Call(ctx, "echo", new(string), text)) })
		took.take("command", func() { must(s.main.required("evse_manager").Call(ctx, "get_evse", nil, nil)) })
		<-s.satellite.port.calls
		took.take("local", func() { must(bare.to.module.Requires("evse_manager")[0].Call(ctx, "get_evse", nil, nil)) })
		<-bare.from.calls
	}
	b.StopTimer()
	for name := range took {
		b.ReportMetric(took.p50(name), name+"-p50-µs")
	}
	b.ReportMetric(took.p50("variable")/(2*took.p50("hop")+took.p50("call")), "variable/parts")
	b.ReportMetric(took.p50("command")/(2*took.p50("local")+took.p50("call")), "command/parts")
}

// BenchmarkRelayThroughput compares what the tunnel carries with a bare relay
// between two brokers.
func BenchmarkRelayThroughput(b *testing.B) { onEachBroker(b, benchmarkRelayThroughput) }

func benchmarkRelayThroughput(b *testing.B, broker func() everest.Broker) {
	s := startStation(b, broker(), satelliteOptions{mainBroker: broker, controller: satellite.ControllerConfig{EventRate: 1e9}})
	second := startBareBoard(b, broker(), (*bareBoard).keep)
	first := startBareBoard(b, broker(), func(_ *bareBoard, value json.RawMessage) {
		if err := second.from.module.Provides("evse_manager").Publish(context.Background(), "evse_id", value); err != nil {
			b.Error(err)
		}
	})
	value := func(i int) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`"%0498d"`, i))
	}
	run := func(publish *everest.Provided, arrived func()) float64 {
		start := time.Now()
		failed := make(chan error, 1)
		go func() {
			for i := range b.N {
				if err := publish.Publish(context.Background(), "evse_id", value(i)); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
		for range b.N {
			arrived()
		}
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
		return float64(b.N) / time.Since(start).Seconds()
	}
	b.ResetTimer()
	relayed := run(first.from.module.Provides("evse_manager"), func() { <-second.arrived })
	tunnelled := run(s.satellite.port.module.Provides("evse_manager"), func() { <-s.arrivals })
	b.ReportMetric(relayed, "relay/s")
	b.ReportMetric(tunnelled, "tunnel/s")
	b.ReportMetric(tunnelled/relayed, "tunnel/relay")
	if status := s.satellite.agent.Status(); status.GivenUp > 0 {
		b.Errorf("%d events were given up", status.GivenUp)
	}
}
