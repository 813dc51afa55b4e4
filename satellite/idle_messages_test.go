package satellite_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// noEvents is the empty list of events as an answer carries it.
const noEvents = "\xdd\x00\x00\x00\x00"

// wiretap keeps what passes a cable.
type wiretap struct {
	lock              sync.Mutex
	toAgent, toCaller []byte
	// arrived is closed with the next bytes; nil while nobody waits.
	arrived chan struct{}
}

func (w *wiretap) hear(toAgent bool, chunk []byte) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if toAgent {
		w.toAgent = append(w.toAgent, chunk...)
	} else {
		w.toCaller = append(w.toCaller, chunk...)
	}
	if w.arrived != nil {
		close(w.arrived)
		w.arrived = nil
	}
}

// messages returns the messages of both directions so far.
func (w *wiretap) messages(t *testing.T) (toAgent, toCaller [][]any, more <-chan struct{}) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.arrived == nil {
		w.arrived = make(chan struct{})
	}
	return decodeMessages(t, w.toAgent), decodeMessages(t, w.toCaller), w.arrived
}

func decodeMessages(t *testing.T, stream []byte) (messages [][]any) {
	t.Helper()
	reader := rpc.NewReader(stream)
	for len(reader.Rest()) > 0 {
		raw := reader.Skip()
		if reader.Err() != nil {
			return messages // the rest is under way
		}
		var message []any
		if err := raw.Decode(&message); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, message)
	}
	return messages
}

// On a link on which nothing happens there is one call of link_events at a time,
// which is answered after its wait, and nothing else; and nobody says anything on
// either broker.
func TestNothingButHeartbeatsOnAnIdleLink(t *testing.T) {
	t.Parallel()
	const silence, beats = 2400 * time.Millisecond, 12
	port := everesttest.FreePort(t)
	cable := newCable(t, fmt.Sprintf("127.0.0.1:%d", port))
	tap := new(wiretap)
	cable.heard = tap.hear
	satelliteBroker, mainBroker := everesttest.NewBroker(t), everesttest.NewBroker(t)
	s := startStation(t, satelliteBroker, satelliteOptions{
		port: port, controllerPort: cable.port(), mainBroker: func() everest.Broker { return mainBroker },
		main: map[string]any{"link_timeout_ms": int(silence.Milliseconds())},
	})
	waitUntil(t, "the link works", func() bool {
		return s.main.controller.Status().State == "Working" && s.satellite.agent.Status().Journal == 0
	})
	// The first answers may still bring what belongs to the start.
	count := func(reached int) (requests, replies [][]any) {
		for {
			requests, replies, more := tap.messages(t)
			if len(requests) >= reached {
				return requests, replies
			}
			receive(t, more, "the next heartbeat")
		}
	}
	started, _ := count(0)
	before, repliesBefore := count(len(started) + 2)
	recorders := []*everesttest.Recorder{everesttest.NewRecorder(t, satelliteBroker, "#"), everesttest.NewRecorder(t, mainBroker, "#")}
	for _, recorder := range recorders {
		recorder.Reset() // what is retained
	}

	start := time.Now()
	requests, replies := count(len(before) + beats)
	took := time.Since(start)
	requests, replies = requests[len(before):], replies[len(repliesBefore):]
	for _, request := range requests {
		if len(request) != 4 || request[2] != link.FunctionEvents {
			t.Errorf("on an idle link: %v", request)
		}
	}
	for _, reply := range replies {
		answer, _ := reply[len(reply)-1].([]any)
		if len(reply) != 4 || len(answer) < 2 || !cmp.Equal(answer[1], []byte(noEvents)) {
			t.Errorf("on an idle link the agent answers %q", reply)
		}
	}
	// Each call but the first takes its whole wait.
	if most := int(took/(silence/3)) + 2; len(requests) > most {
		t.Errorf("%d calls in %v, want %d at most", len(requests), took, most)
	}
	if difference := len(requests) - len(replies); difference < -1 || difference > 1 {
		t.Errorf("%d calls and %d answers", len(requests), len(replies))
	}
	for i, recorder := range recorders {
		for _, message := range recorder.Messages() {
			t.Errorf("broker %d: %s %s", i, message.Topic, message.Payload)
		}
	}
	t.Logf("%d calls and %d answers in %v", len(requests), len(replies), took)
}
