package everest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// numbers records the values of a variable.
type numbers struct {
	mu      sync.Mutex
	arrived []string
}

func (n *numbers) take(_ context.Context, value json.RawMessage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.arrived = append(n.arrived, string(value))
}

func (n *numbers) get() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.arrived)
}

func upTo(count int) (all []string) {
	for i := range count {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// exchange are the packets of one QoS 2 message, with the side that sends each: true for the message's sender.
var exchange = []struct {
	packet     string
	fromSender bool
}{{"PUBLISH", true}, {"PUBREC", false}, {"PUBREL", true}, {"PUBCOMP", false}}

// survivors are two standalone modules.
type survivors struct {
	manager   *everesttest.Manager
	publisher *everest.Module
	bell      *everest.Required
	heard     numbers
	// slow is closed when a command begins, which then waits for its context. It is nil for commands that answer.
	slow atomic.Pointer[chan struct{}]
	// tower and ringer are in front of the broker.
	tower, ringer *everesttest.Proxy
}

func newSurvivors(t *testing.T, broker everest.Broker) *survivors {
	s := &survivors{tower: everesttest.NewProxy(t, broker), ringer: everesttest.NewProxy(t, broker)}
	s.start(t, broker, s.tower.Address(), s.ringer.Address())
	return s
}

// start starts a manager and the modules, and waits until all are ready.
func (s *survivors) start(t *testing.T, broker, tower, ringer everest.Broker) {
	s.manage(t, broker)
	options := s.manager.Options("tower")
	options.Broker = tower
	s.publisher = everesttest.RunModule(t, options, func(m *everest.Module) {
		m.Provides("main").Handle("ring", func(ctx context.Context, arguments everest.Args) (any, error) {
			if started := s.slow.Load(); started != nil {
				close(*started)
				<-ctx.Done()
			}
			return ring(ctx, arguments)
		})
	}).Module
	options = s.manager.Options("ringer")
	options.Broker = ringer
	everesttest.RunModule(t, options, func(m *everest.Module) {
		s.bell = m.Requires("bell")[0]
		s.bell.Subscribe("rung", s.heard.take)
	})
	everesttest.WaitReady(t, s.manager)
}

// manage starts a manager, which ends with its broker.
func (s *survivors) manage(t *testing.T, broker everest.Broker) {
	manager, err := everesttest.StartManager(patient(t), bellConfig(t, broker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	s.manager = manager
}

// A connection that is cut at any packet of an exchange, on either side of a broker with sessions, loses, doubles and
// reorders nothing, and is not taken for another start of the station.
func TestCutConnectionLosesNothing(t *testing.T) {
	const count, cuts = 60, 3
	broker := everesttest.NewMosquitto(t, everesttest.MosquittoConfig{})
	for _, side := range []string{"publisher", "subscriber"} {
		for _, step := range exchange {
			t.Run(side+" "+step.packet, func(t *testing.T) {
				s := newSurvivors(t, broker)
				proxy := s.tower
				if side == "subscriber" {
					proxy = s.ringer
				}
				fromClient := step.fromSender == (side == "publisher")
				for i := range count {
					if i%(count/cuts) == 5 {
						fault := proxy.CutAt(1, func(p everesttest.Packet) bool { return p.FromClient == fromClient && p.Type == step.packet })
						defer func() {
							if fault.Hits() != 1 {
								t.Error("the connection was not cut")
							}
						}()
					}
					if err := s.publisher.Provides("main").Publish(patient(t), "rung", i); err != nil {
						t.Fatal(err)
					}
				}
				acknowledged := make(chan struct{})
				s.publisher.Acknowledged(func() { close(acknowledged) })
				receive(t, acknowledged)
				eventually(t, "everything arrives", func() bool { return len(s.heard.get()) >= count })
				if got := s.heard.get(); !slices.Equal(got, upTo(count)) {
					t.Errorf("arrived %v", got)
				}
				if again := s.manager.GlobalReadyCount(); again != 1 {
					t.Errorf("%d global readies", again)
				}
			})
		}
	}
}

// A broker without sessions loses nothing that is published either. What was under way comes twice at most.
func TestBrokerWithoutSessionsGetsEverything(t *testing.T) {
	const count = 60
	for _, step := range exchange {
		t.Run(step.packet, func(t *testing.T) {
			s := newSurvivors(t, everesttest.NewBroker(t))
			for i := range count {
				if i == 20 {
					s.tower.CutAt(1, func(p everesttest.Packet) bool { return p.FromClient == step.fromSender && p.Type == step.packet })
				}
				if err := s.publisher.Provides("main").Publish(patient(t), "rung", i); err != nil {
					t.Fatal(err)
				}
			}
			acknowledged := make(chan struct{})
			s.publisher.Acknowledged(func() { close(acknowledged) })
			receive(t, acknowledged)
			if err := s.manager.WaitGlobalReady(patient(t), 2); err != nil {
				t.Error(err)
			}
			eventually(t, "everything arrives", func() bool { return slices.Contains(s.heard.get(), upTo(count)[count-1]) })
			got := s.heard.get()
			if doubled := len(got) - count; doubled > 16 {
				t.Errorf("%d came twice", doubled)
			}
			if got := slices.Compact(slices.SortedFunc(slices.Values(got), byNumber)); !slices.Equal(got, upTo(count)) {
				t.Errorf("arrived %v", got)
			}
		})
	}
}

func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// A broker that restarts takes the manager along. The modules live on. A broker that has stored its sessions in an
// orderly end loses, doubles and reorders nothing. One that is killed without storing anything loses what it has
// acknowledged and not delivered, and nothing else.
func TestRestartedBroker(t *testing.T) {
	const count, before = 400, 100
	for name, test := range map[string]struct {
		signal os.Signal
		lines  func(folder string) []string
		exact  bool
	}{
		"stored": {syscall.SIGTERM, func(folder string) []string {
			return []string{"persistence true", "persistence_location " + folder + "/"}
		}, true},
		"killed": {syscall.SIGKILL, func(string) []string { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			broker := startMosquitto(t, test.lines(t.TempDir()))
			var s survivors
			s.start(t, broker.Address(), broker.Address(), broker.Address())
			var acknowledged atomic.Int64
			published := make(chan error, 1)
			go func() {
				for i := range count {
					if err := s.publisher.Provides("main").Publish(patient(t), "rung", i); err != nil {
						published <- err
						return
					}
					s.publisher.Acknowledged(func() { acknowledged.Store(int64(i + 1)) })
				}
				published <- nil
			}()
			eventually(t, "some have arrived", func() bool { return len(s.heard.get()) > before })
			if err := broker.End(test.signal); err != nil {
				t.Fatal(err)
			}
			had := int(acknowledged.Load()) // and no more before the broker is back
			if err := broker.Start(patient(t)); err != nil {
				t.Fatal(err)
			}
			s.manage(t, broker.Address())
			everesttest.WaitReady(t, s.manager)
			if err := receive(t, published); err != nil {
				t.Fatal(err)
			}
			eventually(t, "all are acknowledged", func() bool { return acknowledged.Load() == count })
			eventually(t, "the last arrives", func() bool { return slices.Contains(s.heard.get(), upTo(count)[count-1]) })
			got := s.heard.get()
			if test.exact {
				if !slices.Equal(got, upTo(count)) {
					t.Errorf("arrived %v", got)
				}
				return
			}
			for number, text := range upTo(count) {
				if number >= had && !slices.Contains(got, text) {
					t.Errorf("%d was not acknowledged, and is lost", number)
				}
			}
			if sorted := slices.SortedFunc(slices.Values(got), byNumber); len(sorted)-len(slices.Compact(sorted)) > 16 {
				t.Errorf("too many came twice: %v", got)
			}
		})
	}
}

func startMosquitto(t *testing.T, lines []string) *everesttest.Mosquitto {
	broker, err := everesttest.StartMosquitto(patient(t), everesttest.MosquittoConfig{Lines: lines})
	if errors.Is(err, everesttest.ErrNoMosquitto) && os.Getenv("CI") == "" {
		t.Skip("needs mosquitto: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	return broker
}

// A command that is under way when a connection is cut gets its answer. One whose broker is gone fails instead of
// waiting, and so does one that begins meanwhile.
func TestCommandsUnderWayHaveAnEnd(t *testing.T) {
	broker := startMosquitto(t, nil)
	for _, side := range []string{"caller", "provider"} {
		for _, step := range exchange {
			t.Run(side+" "+step.packet, func(t *testing.T) {
				s := newSurvivors(t, broker.Address())
				proxy := s.ringer
				if side == "provider" {
					proxy = s.tower
				}
				cut := proxy.CutAt(1, func(p everesttest.Packet) bool { return p.Type == step.packet })
				var answer string
				if err := s.bell.Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, &answer); err != nil {
					t.Error(err)
				}
				if cut.Hits() != 1 {
					t.Error("the connection was not cut")
				}
			})
		}
	}
	t.Run("broker gone", func(t *testing.T) {
		var s survivors
		s.start(t, broker.Address(), broker.Address(), broker.Address())
		started := make(chan struct{})
		s.slow.Store(&started)
		outcome := make(chan error, 1)
		go func() { outcome <- s.bell.Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, nil) }()
		receive(t, started)
		if err := broker.End(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, outcome); !errors.Is(err, everest.ErrBrokerLost) {
			t.Errorf("under way: %v", err)
		}
		if err := s.bell.Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("meanwhile: %v", err)
		}
	})
}

// What an earlier process was sent is old when the next one starts. An orderly end leaves nothing at the broker.
func TestLeftSessionIsForgotten(t *testing.T) {
	broker := startMosquitto(t, nil).Address()
	proxy := everesttest.NewProxy(t, broker)
	var arrived numbers
	open := func(broker everest.Broker) everest.Transport {
		transport, err := everest.OpenMQTT(patient(t), everest.TransportConfig{
			Broker: broker, ClientID: "left", Durable: true, Logger: zap.NewNop(),
			Receive: func(message everest.Message) { arrived.take(t.Context(), message.Payload) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return transport
	}
	publish := func(payload string) { newWireClient(t, broker).publish(t, "left", payload) }
	killed := open(proxy.Address())
	if err := killed.Subscribe(patient(t), everest.ExactlyOnce, "left"); err != nil {
		t.Fatal(err)
	}
	proxy.Refuse(true)
	receive(t, killed.Done())
	publish("old")
	next := open(broker)
	if err := next.Subscribe(patient(t), everest.ExactlyOnce, "left"); err != nil {
		t.Fatal(err)
	}
	publish("new")
	eventually(t, "the new message arrives", func() bool { return len(arrived.get()) > 0 })
	if got := arrived.get(); !slices.Equal(got, []string{"new"}) {
		t.Errorf("arrived %q", got)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	proxy.Refuse(false)
	open(proxy.Address())
	for _, packet := range proxy.Packets() {
		if packet.Connect != nil && packet.Connect.CleanSession {
			t.Error("there was a session to forget after an orderly end")
		}
	}
}

// A broker that stands still for longer than its clients wait loses none of them: they connect again when it goes on.
func TestBrokerStalledBeyondItsKeepAlive(t *testing.T) {
	if !*longRun {
		t.Skip("takes a minute: run with -everest.long")
	}
	const count, stall = 400, 45 * time.Second
	broker := startMosquitto(t, nil)
	var s survivors
	s.start(t, broker.Address(), broker.Address(), broker.Address())
	published := make(chan error, 1)
	go func() {
		for i := range count {
			if err := s.publisher.Provides("main").Publish(t.Context(), "rung", i); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	eventually(t, "some have arrived", func() bool { return len(s.heard.get()) > 100 })
	if err := broker.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(stall) // the stall itself
	if err := broker.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.manage(t, broker.Address()) // the manager has given up
	everesttest.WaitReady(t, s.manager)
	if err := receive(t, published); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything arrives", func() bool { return len(s.heard.get()) >= count })
	if got := s.heard.get(); !slices.Equal(got, upTo(count)) {
		t.Errorf("arrived %v", got)
	}
}
