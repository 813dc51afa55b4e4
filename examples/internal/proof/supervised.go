package proof

import (
	"context"
	"errors"
	"sync"
	"time"
)

// bootTime is how long a board is down after it ended by itself.
const bootTime = time.Second

// supervised is a board that is started again when it ends, as a board does under systemd.
type supervised struct {
	place   string
	journal *journal
	// pause is how long the board is down after it has ended by itself.
	pause time.Duration
	// boot is one life of the board. It returns when the board has ended. kill, which it sets, ends the life at once.
	boot func(ctx context.Context, setKill func(kill func())) error

	mu sync.Mutex
	// end ends the life under way, nil while there is none.
	end func()
	// power is closed while the board may run.
	power   chan struct{}
	running sync.WaitGroup
	cancel  context.CancelFunc
	failed  error
}

// start begins the life of a board, which ends with stop.
func (s *supervised) start(ctx context.Context, powered bool) {
	living, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel, s.power = cancel, make(chan struct{})
	if powered {
		close(s.power)
	}
	s.running.Go(func() {
		for living.Err() == nil {
			s.mu.Lock()
			power := s.power
			s.mu.Unlock()
			select {
			case <-power:
			case <-living.Done():
				return
			}
			err := s.boot(living, s.set)
			s.set(nil)
			if err != nil && living.Err() == nil {
				s.failed = errors.Join(s.failed, err)
				s.journal.add(Observation{Place: s.place, Kind: ended, Name: err.Error()})
				return
			}
			pause := time.NewTimer(s.pause)
			select {
			case <-pause.C:
			case <-living.Done():
			}
			pause.Stop()
		}
	})
}

func (s *supervised) set(end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = end
	select {
	case <-s.power:
	default:
		if end != nil {
			end() // the board has lost its power while it started
		}
	}
}

// kill ends the board at once, as a power cut does. The board stays down until restore.
func (s *supervised) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.power:
		s.power = make(chan struct{})
	default:
	}
	if s.end != nil {
		s.end()
	}
}

// restore gives a killed board its power back.
func (s *supervised) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.power:
	default:
		close(s.power)
	}
}

// stop ends the board for good.
func (s *supervised) stop() error {
	s.cancel()
	s.running.Wait()
	return s.failed
}
