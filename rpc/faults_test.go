package rpc_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

var (
	schedules    = flag.Int("rpc.schedules", 1000, "how many random fault schedules TestRandomFaults runs")
	scheduleSeed = flag.Uint64("rpc.seed", 1, "seed of the first random fault schedule")
)

// TestRandomFaults runs calls over connections with random faults: parts of messages are split off, delayed, stalled,
// repeated or changed, and connections cut. Every call must end in time, with its own reply or an error, and both sides
// must end. A failure prints its seed: -rpc.schedules 1 -rpc.seed N runs it again.
func TestRandomFaults(t *testing.T) {
	var ends outcomes
	for i := range *schedules {
		seed := *scheduleSeed + uint64(i)
		synctest.Test(t, func(t *testing.T) { runSchedule(t, seed, &ends) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d calls answered, %d timed out, %d lost their connection, %d with changed bytes", ends.answered.Load(), ends.late.Load(), ends.closed.Load(), ends.changed.Load())
	if *schedules >= 1000 && (ends.answered.Load() == 0 || ends.late.Load() == 0 || ends.closed.Load() == 0) {
		t.Error("the schedules do not try everything")
	}
}

// outcomes counts how calls ended.
type outcomes struct{ answered, late, closed, changed atomic.Int64 }

func (o *outcomes) count(err error, same bool) {
	switch {
	case errors.Is(err, net.ErrClosed):
		o.closed.Add(1)
	case errors.Is(err, context.DeadlineExceeded):
		o.late.Add(1)
	case err == nil && same:
		o.answered.Add(1)
	default:
		o.changed.Add(1)
	}
}

// schedule is what one seed determines.
type schedule struct {
	order              rpc.Order
	timeout            time.Duration
	callers, each      int
	faithful, big      bool
	ends               *outcomes
	toServer, toClient rpctest.Faults
}

func newSchedule(seed uint64) schedule {
	random := rand.New(rand.NewPCG(seed, 0x5eed))
	s := schedule{
		order:   rpc.Order(random.IntN(3)),
		timeout: time.Duration(50+random.IntN(500)) * time.Millisecond,
		callers: 1 + random.IntN(4),
		each:    1 + random.IntN(4),
	}
	chance := func() float64 {
		if random.IntN(2) == 0 {
			return 0
		}
		return random.Float64() * random.Float64()
	}
	odds := rpctest.Odds{
		Split: chance(), Delay: chance(), Stall: chance() / 8, Cut: chance() / 8,
		LongestDelay: time.Duration(1+random.IntN(100)) * time.Millisecond, StallTime: time.Second,
	}
	// Changed bytes, or repeated parts of messages, can turn one reply into another, as messages carry no checksum.
	// Repeated whole messages cannot.
	switch random.IntN(4) {
	case 0:
		odds.Corrupt = chance() / 4
		odds.Duplicate = chance() / 4
	case 1:
		odds.Split = 0
		odds.Duplicate = chance()
	}
	// A big message is written in parts.
	s.big = odds.Duplicate == 0
	s.faithful = odds.Corrupt == 0 && (odds.Duplicate == 0 || odds.Split == 0)
	s.toServer = rpctest.Random(rand.New(rand.NewPCG(seed, 1)), odds)
	s.toClient = rpctest.Random(rand.New(rand.NewPCG(seed, 2)), odds)
	return s
}

func runSchedule(t *testing.T, seed uint64, ends *outcomes) {
	s := newSchedule(seed)
	s.ends = ends
	server := rpc.NewServer(rpc.ServerConfig{Order: s.order, WriteTimeout: 3 * time.Second, MessageTimeout: 3 * time.Second})
	must(t, server.Bind("echo", func(text string) string { return text }))
	must(t, server.Bind("quick", func(text string) string { return text }, rpc.NonBlocking()))
	must(t, server.Bind("slow", func(ctx context.Context, text string) (string, error) {
		select {
		case <-time.After(time.Duration(len(text)) * time.Millisecond):
		case <-ctx.Done():
		}
		return text, nil
	}))
	listener := rpctest.Listen("faulty")
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	conn, err := listener.Dial(context.Background(), s.toServer, s.toClient)
	must(t, err)
	client := rpc.NewClient(conn, rpc.Config{CallTimeout: s.timeout, WriteTimeout: 3 * time.Second})
	var callers sync.WaitGroup
	for caller := range s.callers {
		random := rand.New(rand.NewPCG(seed, uint64(100+caller)))
		callers.Go(func() {
			for i := range s.each {
				s.call(t, client, random, fmt.Sprintf("%d.%d/", caller, i))
			}
		})
	}
	callers.Wait()
	must(t, client.Close())
	must(t, server.Close())
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// call makes one call and checks how it ends.
func (s *schedule) call(t *testing.T, client *rpc.Client, random *rand.Rand, name string) {
	function := []string{"echo", "quick", "slow", "echo"}[random.IntN(4)]
	size := random.IntN(100)
	if function == "echo" && s.big && random.IntN(4) == 0 {
		size = random.IntN(80_000)
	}
	text := name + strings.Repeat(name, size/len(name))
	ctx := context.Background()
	if random.IntN(3) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(200))*time.Millisecond)
		defer cancel()
	}
	start := time.Now()
	var answer string
	var err error
	switch random.IntN(8) {
	case 0:
		call := client.Go(ctx, function, &answer, text)
		<-call.Done
		err = call.Error
	case 2:
		ended := make(chan error, 1)
		if err = client.Start(ctx, function, &answer, func(err error) { ended <- err }, text); err == nil {
			err = <-ended
		}
	case 1:
		// A notification has no reply, only an end.
		err = client.Notify(ctx, function, text)
		answer = text
	default:
		err = client.Call(ctx, function, &answer, text)
	}
	// A call whose memory is being written waits for that write, which WriteTimeout bounds.
	if took := time.Since(start); took > s.timeout+4*time.Second {
		t.Errorf("%s %s took %v", function, name, took)
	}
	s.ends.count(err, answer == text)
	known := errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
	var remote *rpc.RemoteError
	switch {
	case err == nil && answer == text, known, !s.faithful:
	case errors.As(err, &remote):
		t.Errorf("%s %s failed at the server: %v", function, name, err)
	default:
		t.Errorf("%s %s: %d bytes %.40q, %v; want %d bytes %.40q", function, name, len(answer), answer, err, len(text), text)
	}
}

// TestMessagesSplitAnywhere delivers calls and replies in pieces of every size.
func TestMessagesSplitAnywhere(t *testing.T) {
	for size := 1; size < 80; size++ {
		synctest.Test(t, func(t *testing.T) {
			_, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
			defer stop()
			conn, err := listener.Dial(t.Context(), rpctest.SplitEvery(size, time.Millisecond), rpctest.SplitEvery(size, time.Millisecond))
			must(t, err)
			client := rpc.NewClient(conn, rpc.Config{})
			defer client.Close()
			for _, text := range []string{"", "hello", strings.Repeat("long ", 60)} {
				var answer string
				if err := client.Call(t.Context(), "echo", &answer, text); err != nil || answer != text {
					t.Errorf("pieces of %d: %.20q, %v", size, answer, err)
				}
			}
		})
	}
}

// TestConnectionsCutAnywhere cuts either direction after every number of bytes of an exchange.
func TestConnectionsCutAnywhere(t *testing.T) {
	for after := range 64 {
		for _, side := range []string{"to server", "to client"} {
			synctest.Test(t, func(t *testing.T) {
				_, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
				defer stop()
				var toServer, toClient rpctest.Faults
				if side == "to server" {
					toServer = rpctest.CutAfter(after)
				} else {
					toClient = rpctest.CutAfter(after)
				}
				conn, err := listener.Dial(t.Context(), toServer, toClient)
				must(t, err)
				client := rpc.NewClient(conn, rpc.Config{})
				defer client.Close()
				for range 100 {
					var sum int
					err := client.Call(t.Context(), "add", &sum, 2, 40)
					if err != nil {
						if !errors.Is(err, net.ErrClosed) {
							t.Errorf("cut %s after %d: %v", side, after, err)
						}
						return
					}
					if sum != 42 {
						t.Errorf("cut %s after %d: %d", side, after, sum)
					}
				}
				t.Errorf("cut %s after %d: no call failed", side, after)
			})
		}
	}
}
