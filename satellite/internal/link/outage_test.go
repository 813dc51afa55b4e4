package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// boards are both ends of a link, with a network between them whose cable can be pulled.
type boards struct {
	client *Client
	server *Server
	pulled atomic.Bool
	// bytesPerSecond is how much the network carries towards the main board; 0 is no limit.
	bytesPerSecond atomic.Int64
	// longest is how many bytes the network takes at once, 0 for any number. A direction of a connection in which more are
	// written carries nothing any more.
	longest atomic.Int64
	// dials are when the main board connected.
	dials []time.Time
	// resets counts how often the satellite's system was asked for a reset.
	resets atomic.Int32

	mu sync.Mutex
	// arrived are the events published on the main board. facts are the calls of Established and Isolated. executed are
	// the commands that the satellite executed.
	arrived, facts, executed, suspected []string
}

// note appends to a list of the boards.
func (b *boards) note(list *[]string, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, text)
}

// take returns what a list has, and empties it. Sets of active errors are left out.
func (b *boards) take(list *[]string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := *list
	*list = nil
	return taken
}

// startBoards starts both ends in a synctest bubble, and returns once they are at work.
func startBoards(t *testing.T, onLoss handshake.LossPolicy, limits Limits) *boards {
	b := &boards{}
	listener := rpctest.Listen("agent")
	lossy := func(written []byte) []rpctest.Delivery {
		if b.pulled.Load() {
			return nil
		}
		return []rpctest.Delivery{{Data: written}}
	}
	holed := func() rpctest.Faults {
		stuck := false
		return func(written []byte) []rpctest.Delivery {
			longest := b.longest.Load()
			if stuck = stuck || longest > 0 && int64(len(written)) > longest; stuck {
				return nil
			}
			return lossy(written)
		}
	}
	slow := func() rpctest.Faults {
		var free time.Time // when what was written before has arrived
		carry := holed()
		return func(written []byte) []rpctest.Delivery {
			deliveries := carry(written)
			if rate := b.bytesPerSecond.Load(); rate > 0 && deliveries != nil {
				now := time.Now()
				if free.Before(now) {
					free = now
				}
				free = free.Add(time.Duration(len(written)) * time.Second / time.Duration(rate))
				deliveries[0].Delay = free.Sub(now)
			}
			return deliveries
		}
	}
	b.server = NewServer(ServerConfig{
		Protocol: handshake.AgentConfig{Dialects: handshake.AnyDialect, HasSystem: true}, CommandTimeout: patience,
		Routes: route.Standard(), Logger: zap.NewNop(), Admission: new(openAdmission), Limits: limits,
		SatelliteBoard: SatelliteBoard{
			Listen: func() (net.Listener, error) { return listener, nil }, Listening: func() {},
			Execute: func(_ context.Context, _ route.Route, command route.Command, _ everest.Args) (json.RawMessage, error) {
				b.note(&b.executed, command.Name)
				return json.RawMessage("true"), nil
			},
			Publish:      func(context.Context, string, string, json.RawMessage) error { return nil },
			Connected:    func(string) bool { return true },
			LegacyFilter: func() func(Event) bool { return func(Event) bool { return true } },
			Compare:      func(string) (string, error) { return "{}", nil },
			Status:       func(context.Context) (string, error) { return "{}", nil },
			Reset:        func(context.Context) error { b.resets.Add(1); return nil },
			Fail:         func(err error) { t.Error(err) }, Changed: func(ServerState) {}, Suspected: func(int) {},
		},
	})
	runEnd(t, b.server.Run)
	b.client = NewClient(ClientConfig{
		Protocol: handshake.ControllerConfig{
			Dialects: handshake.AnyDialect, LossPolicy: onLoss, HeartbeatTimeout: 1500 * time.Millisecond, ResumeWindow: 30 * time.Second,
		},
		CommandTimeout: 5 * patience, Peer: "the agent", Logger: zap.NewNop(),
		MainBoard: MainBoard{
			Dial: func(ctx context.Context) (*rpc.Client, error) {
				if b.pulled.Load() {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				b.mu.Lock()
				b.dials = append(b.dials, time.Now())
				b.mu.Unlock()
				conn, err := listener.Dial(ctx, holed(), slow())
				if err != nil {
					return nil, err
				}
				return rpc.NewClient(conn, rpc.Config{}), nil
			},
			Connected: func(*rpc.Client) {}, NotConnected: func(error) {}, Disconnected: func(error) {},
			Compare: func(context.Context, handshake.Dialect, func(context.Context, string) (string, error)) {},
			Publish: func(_ context.Context, event Event) {
				if event.Kind != Active {
					b.note(&b.arrived, event.Name+" "+string(event.Value))
				}
			},
			Unreadable: func(err error) { t.Error(err) }, Suspected: func() { b.note(&b.suspected, "suspected") },
			Established: func(resumed bool) { b.note(&b.facts, fmt.Sprintf("established, resumed %v", resumed)) },
			Isolated:    func(reason handshake.Reason) { b.note(&b.facts, "isolated: "+reason.String()) },
			Changed:     func(ClientState) {},
		},
	})
	runEnd(t, b.client.Run)
	var starting sync.WaitGroup
	starting.Go(func() {
		if err := b.server.Start(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if err := b.client.Start(t.Context()); err != nil {
		t.Error(err)
	}
	starting.Wait()
	b.client.BoardReady()
	b.server.BoardReady()
	synctest.Wait()
	b.take(&b.facts)
	return b
}

func (b *boards) record(name, value string) {
	b.server.Record(Event{
		Interface: "evse_manager", Name: name, Value: json.RawMessage(value), NewestOnly: name == "powermeter", GivenUpLast: name == "session_event",
	})
}

// call calls a command of evse_manager.
func (b *boards) call(ctx context.Context, name string) error {
	for _, r := range route.Standard() {
		for _, command := range r.Commands {
			if r.ID == "evse_manager" && command.Name == name {
				_, err := b.client.Call(ctx, r, command, everest.Args{})
				return err
			}
		}
	}
	return errors.New("no such command")
}

// The cable is out for a minute. Eight seconds after it went, the car is unplugged. The port is out of service after
// the window, and a command that waited gets the negative answer. The link is resumed when the cable is back: what
// happened arrives once, in order, and the command is never executed.
func TestAnOutageIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startBoards(t, handshake.IsolateOnLoss, Limits{})
		b.record("session_event", `"charging"`)
		synctest.Wait()
		b.pulled.Store(true)
		time.Sleep(8 * time.Second)
		ends := []string{`session_event "ChargingFinished"`, `session_event "TransactionFinished"`, `session_event "SessionFinished"`}
		for _, end := range ends {
			b.record("session_event", end[len("session_event "):])
		}
		if err := b.call(t.Context(), "pause_charging"); !errors.Is(err, ErrAway) {
			t.Errorf("a command that waited in the outage got %v", err)
		}
		if err := b.call(t.Context(), "cancel_reservation"); err != nil {
			t.Errorf("a command without a result got %v in the outage", err)
		}
		time.Sleep(30 * time.Second)
		for _, name := range []string{"resume_charging", "withdraw_authorization"} {
			if err := b.call(t.Context(), name); !errors.Is(err, ErrIsolated) {
				t.Errorf("%s, for an isolated port, got %v", name, err)
			}
		}
		if stats := b.client.Stats(); stats.State != handshake.OutOfService || stats.Connected || !b.client.CanResume() {
			t.Errorf("in the outage: %+v", stats)
		}
		b.pulled.Store(false)
		time.Sleep(10 * time.Second)
		if want := append([]string{`session_event "charging"`}, ends...); !slices.Equal(b.take(&b.arrived), want) {
			t.Errorf("what arrived is not %v", want)
		}
		if facts, want := b.take(&b.facts), []string{"isolated: heartbeat timeout", "established, resumed true"}; !slices.Equal(facts, want) {
			t.Errorf("facts %v, want %v", facts, want)
		}
		if err := b.call(t.Context(), "stop_transaction"); err != nil {
			t.Errorf("a command after the outage: %v", err)
		}
		if executed := b.take(&b.executed); !slices.Equal(executed, []string{"stop_transaction"}) {
			t.Errorf("the satellite executed %v", executed)
		}
		if b.resets.Load() > 0 {
			t.Error("the satellite reset its board")
		}
	})
}

// An agent executes no command of a connection that its controller may have given up. The command waits for a sign of
// the controller, and ends with the connection.
func TestACommandWaitsForASignOfItsController(t *testing.T) {
	for _, heard := range []bool{true, false} {
		t.Run(fmt.Sprintf("heard %v", heard), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var executed atomic.Int32
				s := startServer(t, handshake.V2, func(context.Context, route.Route, route.Command, everest.Args) (json.RawMessage, error) {
					executed.Add(1)
					return json.RawMessage("null"), nil
				})
				ctx, cancel := context.WithCancel(t.Context())
				var calling sync.WaitGroup
				defer calling.Wait()
				defer cancel()
				time.Sleep(55 * time.Second) // of the heartbeat's 60
				calling.Go(func() {
					call := numbered{number: 1, floor: 1, limit: patience}
					s.conn.Call(ctx, commandFunction("evse_manager", "cancel_reservation"), nil, call.arguments("{}")...)
				})
				synctest.Wait()
				if executed.Load() != 0 {
					t.Fatal("the command is executed 55 s after the last sign of the controller")
				}
				if heard {
					for range 2 { // the second call shows that the first one's reply has arrived
						if err := s.conn.Call(ctx, FunctionEvents, nil, eventsQuery{}.arguments()...); err != nil {
							t.Fatal(err)
						}
					}
				} else {
					time.Sleep(10 * time.Second)
				}
				synctest.Wait()
				if want := map[bool]int32{true: 1}[heard]; executed.Load() != want {
					t.Errorf("executed %d times, want %d", executed.Load(), want)
				}
			})
		})
	}
}

// A journal that overflows in an outage gives up session events last. It tells how many events it gave up, and nobody
// restarts.
func TestAJournalThatOverflowsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startBoards(t, handshake.IsolateOnLoss, Limits{Events: 9, V2Events: 9})
		b.pulled.Store(true)
		var want []string
		for i := range 6 {
			time.Sleep(10 * time.Second)
			b.record("powermeter", fmt.Sprint(i))
			b.record("evse_id", fmt.Sprint(i))
			b.record("session_event", fmt.Sprint(i))
			want = append(want, fmt.Sprintf("session_event %d", i))
		}
		b.pulled.Store(false)
		time.Sleep(10 * time.Second)
		arrived := b.take(&b.arrived)
		if got := slices.DeleteFunc(slices.Clone(arrived), func(event string) bool { return event[:len("session")] != "session" }); !slices.Equal(got, want) {
			t.Errorf("the session events %v arrived, want %v; all: %v", got, want, arrived)
		}
		if !slices.Contains(arrived, "powermeter 5") {
			t.Errorf("the newest meter value did not arrive: %v", arrived)
		}
		if got, want := b.client.Stats().Evicted, uint64(18-len(arrived)); got < want {
			t.Errorf("the controller is told of %d evicted events, want %d", got, want)
		}
		if facts := b.take(&b.facts); facts[len(facts)-1] != "established, resumed true" || b.resets.Load() > 0 {
			t.Errorf("facts %v, %d resets", facts, b.resets.Load())
		}
	})
}

// What an outage has piled up crosses a slow network: an answer that is too large for the heartbeat's timeout is asked
// for in smaller portions, and neither the link nor the journal is given up.
func TestASlowNetworkCarriesWhatPiledUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startBoards(t, handshake.IsolateOnLoss, Limits{})
		b.pulled.Store(true)
		time.Sleep(40 * time.Second)
		const events = 1000
		for i := range events {
			b.record("session_event", fmt.Sprintf(`"%d %01000d"`, i, 0))
		}
		b.take(&b.facts)
		b.bytesPerSecond.Store(48 << 10)
		b.pulled.Store(false)
		time.Sleep(2 * time.Minute)
		arrived := b.take(&b.arrived)
		for i, event := range arrived {
			if !strings.HasPrefix(event, fmt.Sprintf(`session_event "%d `, i)) {
				t.Fatalf("event %d is %.40s", i, event)
			}
		}
		if len(arrived) != events || b.resets.Load() > 0 {
			t.Errorf("%d of %d events arrived, %d resets of the satellite", len(arrived), events, b.resets.Load())
		}
		if facts := b.take(&b.facts); slices.ContainsFunc(facts, func(fact string) bool { return fact != "established, resumed true" }) {
			t.Errorf("facts %v", facts)
		}
	})
}
