package scenario

import (
	"context"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/examples/internal/board"
)

// crash cuts a board's power.
func (s *scenario) crash(number int) {
	s.view.Printf("  %s: its power is cut", boardName(number))
	s.updaters[number].Crash()
}

// runAgain runs a board, again after each of its restarts.
func (s *scenario) runAgain(ctx context.Context, number int, ports []int, log *zap.Logger, ready func()) error {
	system := s.updaters[number]
	for starts := 0; ; starts++ {
		life, end := context.WithCancel(ctx)
		if err := system.Begin(ctx, end); err != nil {
			end()
			return nil // the scenario has ended
		}
		if starts > 0 {
			s.view.Printf("  %s starts again", boardName(number))
			if number == 0 {
				s.heard <- heardStatus{Restarted: true}
			}
		}
		err := board.Run(life, board.Config{Modules: s.modules(number, ports), Definitions: s.definitions, Logger: log, Ready: ready})
		end()
		if number == 0 {
			s.registered.Store(false)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.view.Printf("  %s: its modules have ended: %v", boardName(number), err)
		}
		system.Ended()
	}
}
