package link

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// stuckBroker is a broker that acknowledges when the test says so.
type stuckBroker struct {
	mu        sync.Mutex
	published []string
	open      bool
	waiting   []func()
}

func (b *stuckBroker) publish(_ context.Context, event Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.published = append(b.published, event.Name)
}

func (b *stuckBroker) acknowledged(done func()) {
	b.mu.Lock()
	open := b.open
	if !open {
		b.waiting = append(b.waiting, done)
	}
	b.mu.Unlock()
	if open {
		done()
	}
}

// acknowledge completes the oldest of what waits.
func (b *stuckBroker) acknowledge(count int) {
	b.mu.Lock()
	due := b.waiting[:count]
	b.waiting = b.waiting[count:]
	b.mu.Unlock()
	for _, done := range due {
		done()
	}
}

func (b *stuckBroker) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.published)
}

// An event counts as published when the broker has acknowledged it. Others are published meanwhile.
func TestAnEventIsPublishedWhenTheBrokerHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, broker, ended := newQueue(), &stuckBroker{}, make(chan struct{})
		var published []uint64
		queue.add(batchOf(Event{Number: 1, Name: "a"}, Event{Number: 2, Name: "b"}, Event{Number: 3, Name: "c"}),
			func(number uint64) { published = append(published, number) })
		var running sync.WaitGroup
		running.Go(func() { queue.run(ended, broker.publish, broker.acknowledged) })
		time.Sleep(time.Hour)
		if got := broker.names(); !slices.Equal(got, []string{"a", "b", "c"}) || len(published) != 0 || queue.len() != 3 {
			t.Errorf("sent %v, published %v, %d wait", got, published, queue.len())
		}
		if events, since := queue.stuck(); events != 3 || since != time.Hour {
			t.Errorf("%d events wait for %v", events, since)
		}
		broker.acknowledge(2)
		if !slices.Equal(published, []uint64{1, 2}) || queue.len() != 1 {
			t.Errorf("published %v, %d wait", published, queue.len())
		}
		if _, since := queue.stuck(); since != 0 {
			t.Errorf("no progress for %v", since)
		}
		close(ended)
		running.Wait()
	})
}

// What a legacy agent has forgotten is sent after the end, but not for ever.
func TestTheLastWordsHaveAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, ended := newQueue(), make(chan struct{})
		queue.addUnique(batchOf(Event{Name: "a"}, Event{Name: "b"}))
		close(ended)
		began := time.Now()
		var sent []string
		queue.run(ended, func(ctx context.Context, event Event) {
			sent = append(sent, event.Name)
			<-ctx.Done() // as a broker that is away
		}, atOnce)
		if took := time.Since(began); took != lastWords || !slices.Equal(sent, []string{"a"}) {
			t.Errorf("%v took %v", sent, took)
		}
	})
}

// publishingClient is a controller whose agent is polled by the test.
func publishingClient(broker *stuckBroker) (*Client, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	client := NewClient(ClientConfig{Logger: zap.New(core), MainBoard: MainBoard{
		Publish: broker.publish, Acknowledged: broker.acknowledged, Changed: func(ClientState) {},
	}})
	return client, logs
}

// A legacy agent is polled on while the broker is away, slowly, so that it does not take this board for lost. What it was
// polled for is held, within a bound.
func TestALegacyAgentIsPolledWithinABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &stuckBroker{}
		client, logs := publishingClient(broker)
		running, stop := context.WithCancel(t.Context())
		var ending sync.WaitGroup
		ending.Go(func() { client.Run(running) })
		client.BoardReady()
		synctest.Wait()
		polls := 0
		began := time.Now()
		for client.hasRoom(t.Context()) {
			if polls++; polls > 1000 {
				t.Fatal("polled without a bound")
			}
			client.publishUnique(batchOf(Event{Name: "x", Value: json.RawMessage(make([]byte, 1<<20))}))
			client.watchBroker()
		}
		if took := time.Since(began); polls != 4 || took < 20*time.Second || took > 30*time.Second {
			t.Errorf("%d polls in %v", polls, took)
		}
		if logs.FilterLevelExact(zap.WarnLevel).Len() != 1 {
			t.Errorf("logged %v", logs.All())
		}
		if stats := client.Stats(); stats.Backlog != 4 || stats.Stuck < 20*time.Second {
			t.Errorf("backlog %d, stuck for %v", stats.Backlog, stats.Stuck)
		}
		broker.mu.Lock()
		broker.open = true
		broker.mu.Unlock()
		broker.acknowledge(5 + 3) // events, and the barriers of the polls
		if !client.hasRoom(t.Context()) {
			t.Error("not polled after the broker has taken all")
		}
		client.watchBroker()
		if stats := client.Stats(); stats.Backlog != 0 || stats.Stuck != 0 || logs.FilterLevelExact(zap.InfoLevel).Len() != 1 {
			t.Errorf("backlog %d, stuck for %v, logged %v", stats.Backlog, stats.Stuck, logs.All())
		}
		stop()
		ending.Wait()
	})
}
