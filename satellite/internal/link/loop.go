package link

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// machine is a role of package handshake.
type machine interface {
	Step(handshake.Event) []handshake.Action
	State() handshake.State
}

// loop drives a machine: one goroutine feeds it events, carries out its actions in order, and keeps its timers. An
// event posted while the loop does not run is dropped.
type loop struct {
	machine machine
	// perform carries out one action that is neither a timer nor the end. Its error ends the loop.
	perform func(handshake.Action) error
	// settled runs after all actions of one event.
	settled func(handshake.State)
	// putOff returns for how long a timer that is due is put off, 0 to let it fire. It is nil where none is.
	putOff func(handshake.Timer) time.Duration

	events chan posted
	// questions are the watchdog's functions, which the loop calls between two events.
	questions chan func()
	ended     chan struct{}
	deadlines map[handshake.Timer]time.Time
}

type posted struct {
	event     handshake.Event
	processed chan struct{} // nil when nobody waits
}

func newLoop(m machine, perform func(handshake.Action) error, settled func(handshake.State)) *loop {
	return &loop{
		machine: m, perform: perform, settled: settled,
		events: make(chan posted, 16), questions: make(chan func(), 1), ended: make(chan struct{}),
		deadlines: make(map[handshake.Timer]time.Time),
	}
}

// post hands an event to the loop. It waits for room, but not beyond the loop's end. It must not be called from
// perform.
func (l *loop) post(event handshake.Event) {
	select {
	case l.events <- posted{event: event}:
	case <-l.ended:
	}
}

// ask makes the loop call alive, and does not wait for the call. While one call waits, further ones are dropped. A loop
// that has ended does not hang: alive is called at once.
func (l *loop) ask(alive func()) {
	select {
	case l.questions <- alive:
	default:
	}
	if closed(l.ended) {
		l.answer()
	}
}

// answer calls the function that waits in questions.
func (l *loop) answer() {
	select {
	case alive := <-l.questions:
		alive()
	default:
	}
}

// postAndWait returns once the event's actions have been carried out.
func (l *loop) postAndWait(event handshake.Event) {
	processed := make(chan struct{})
	select {
	case l.events <- posted{event, processed}:
	case <-l.ended:
		return
	}
	select {
	case <-processed:
	case <-l.ended:
	}
}

// ErrEnded is the error of start where the protocol ended before an agreement. run returns the reason.
var ErrEnded = errors.New("satellite: the handshake has ended")

// start begins the protocol and waits until both sides have agreed.
func (l *loop) start(ctx context.Context, agreed <-chan struct{}) error {
	l.post(handshake.Start{})
	select {
	case <-agreed:
		return nil
	case <-l.ended:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run drives the machine until the machine ends the process, and returns that end with the status 0 or 1. When the
// context ends, the machine gets Stop and may still call the peer. The error is one of perform.
func (l *loop) run(ctx context.Context) (handshake.ExitProcess, error) {
	defer l.answer()
	defer close(l.ended)
	stop := ctx.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(l.untilNext())
		var next posted
		select {
		case next = <-l.events:
		case alive := <-l.questions:
			alive()
			continue
		case <-stop:
			stop = nil
			next.event = handshake.Stop{}
		case <-timer.C:
			fired, due := l.takeDue()
			if !due || l.isPutOff(fired) {
				continue
			}
			next.event = handshake.TimerFired{Timer: fired}
		}
		end, err := l.carryOut(l.machine.Step(next.event))
		if next.processed != nil {
			close(next.processed)
		}
		if end != nil || err != nil {
			if end == nil {
				end = &handshake.ExitProcess{Status: 1}
			}
			return *end, err
		}
	}
}

func (l *loop) carryOut(actions []handshake.Action) (*handshake.ExitProcess, error) {
	var end *handshake.ExitProcess
	for _, action := range actions {
		switch action := action.(type) {
		case handshake.StartTimer:
			l.deadlines[action.Timer] = time.Now().Add(varied(action))
		case handshake.StopTimer:
			delete(l.deadlines, action.Timer)
		case handshake.ExitProcess:
			end = &action
		default:
			if err := l.perform(action); err != nil {
				return nil, err
			}
		}
	}
	l.settled(l.machine.State())
	return end, nil
}

// varied returns the time of a timer. A pause before the next connection is longer by up to a quarter, at random.
func varied(timer handshake.StartTimer) time.Duration {
	if !timer.Timer.Varies() {
		return timer.After
	}
	return timer.After + rand.N(timer.After/4+1)
}

func (l *loop) isPutOff(timer handshake.Timer) bool {
	if l.putOff == nil {
		return false
	}
	after := l.putOff(timer)
	if after > 0 {
		l.deadlines[timer] = time.Now().Add(after)
	}
	return after > 0
}

// untilNext returns the time to the earliest deadline, at most an hour.
func (l *loop) untilNext() time.Duration {
	next := time.Hour
	for _, deadline := range l.deadlines {
		next = min(next, time.Until(deadline))
	}
	return max(next, 0)
}

func (l *loop) takeDue() (handshake.Timer, bool) {
	now := time.Now()
	for timer, deadline := range l.deadlines {
		if !deadline.After(now) {
			delete(l.deadlines, timer)
			return timer, true
		}
	}
	return 0, false
}
