package standin

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/systemtest"
)

// System plays the System of a board over the wire, in the manner of systemtest: it updates the board's firmware and
// resets it. It outlives the board's modules, which end when the board goes down and are started again after its boot.
type System struct {
	mu     sync.Mutex
	board  *systemtest.Board
	module *everest.Module
	// goDown ends the board's modules, nil while they do not run. booted is closed when the board is up.
	goDown context.CancelFunc
	booted chan struct{}
	closed bool
	life   int
	// waiting are the reports of a board that has booted, and whose modules are not ready.
	waiting []systemReport
	// reported follows the board's reports.
	reported func(id int64, status string)
	// onReset follows the board's resets, nil for none.
	onReset func(kind string, flashing bool)
	// silent is closed when a silent board goes down, nil while the board is not silent.
	silent chan struct{}
}

// systemReport is a firmware_update_status.
type systemReport struct {
	ID     int64  `json:"request_id"`
	Status string `json:"firmware_update_status"`
}

// NewSystem returns the System of a board whose times pass speed times as fast as they say. reported is called with each
// report, and must not call the System.
func NewSystem(board *systemtest.Board, speed float64, reported func(id int64, status string)) *System {
	s := &System{board: board, reported: reported, booted: make(chan struct{})}
	close(s.booted)
	board.After = func(wait time.Duration, fn func()) {
		time.AfterFunc(time.Duration(float64(wait)/speed), func() { s.do(fn) })
	}
	board.Report = s.report
	return s
}

// do has the board do something, and ends the board's modules if it goes down for that.
func (s *System) do(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	fn()
	if life := s.board.Life(); life != s.life {
		s.life = life
		if s.goDown != nil {
			s.goDown()
		}
		s.module, s.goDown, s.waiting = nil, nil, nil
		if s.silent != nil {
			close(s.silent)
			s.silent = nil
		}
	}
	select {
	case <-s.booted:
		if s.board.Down() {
			s.booted = make(chan struct{})
		}
	default:
		if !s.board.Down() {
			close(s.booted)
		}
	}
}

// reportTime bounds how long the broker may take for a report.
const reportTime = 5 * time.Second

// report publishes a report, as soon as the board's modules are ready.
func (s *System) report(id int64, status string) {
	s.reported(id, status)
	s.waiting = append(s.waiting, systemReport{id, status})
	s.publish()
}

func (s *System) publish() {
	if s.module == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), reportTime)
	defer cancel()
	for _, report := range s.waiting {
		// A report that cannot be published is lost, as on a real board.
		_ = s.module.Provides("main").Publish(ctx, "firmware_update_status", report)
	}
	s.waiting = nil
}

// Begin takes it that the board's modules begin, and waits for its boot before. It calls end when the board goes down. It
// returns an error when ctx ends.
func (s *System) Begin(ctx context.Context, end context.CancelFunc) error {
	for {
		s.mu.Lock()
		booted := s.booted
		up := !s.board.Down()
		if up {
			s.goDown = end
		}
		s.mu.Unlock()
		if up {
			return nil
		}
		select {
		case <-booted:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Ended takes it that the board's modules have ended. A board whose modules end by themselves is started again.
func (s *System) Ended() {
	s.do(func() {
		if s.goDown != nil {
			s.board.Crash()
		}
	})
}

// Crash cuts the board's power.
func (s *System) Crash() { s.do(s.board.Crash) }

// Silence leaves every later command of the board without a reply, until the board goes down.
func (s *System) Silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent == nil {
		s.silent = make(chan struct{})
	}
}

// OnReset sets the function that is called with the type of each reset, and with whether the board is being flashed. The
// function must not call the System.
func (s *System) OnReset(fn func(kind string, flashing bool)) { s.onReset = fn }

// Close ends the board.
func (s *System) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.module = true, nil
}

// State returns the firmware that the board runs, 0 at first, the number of its restarts, and whether its modules are
// ready after the last one.
func (s *System) State() (image int64, restarts int, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.board.Image, s.board.Life(), s.module != nil
}

// SetUp prepares the module of the board's System. The image of a request has the request's id for its number.
func (s *System) SetUp(module *everest.Module) error {
	provided := module.Provides("main")
	module.OnReady(func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.goDown != nil {
			s.module = module
			s.publish()
		}
		return nil
	})
	everest.Handle(provided, "update_firmware", func(_ context.Context, arguments struct {
		Request struct {
			ID        int64  `json:"request_id"`
			Signature string `json:"signature"`
			Attempts  int    `json:"retries"`
			Interval  int    `json:"retry_interval_s"`
		} `json:"firmware_update_request"`
	}) (answer string, _ error) {
		request := arguments.Request
		s.do(func() {
			answer = s.board.Update(systemtest.Request{
				ID: request.ID, Image: request.ID, Signed: request.Signature != "", Attempts: request.Attempts,
				Interval: time.Duration(request.Interval) * time.Second,
			})
		})
		return answer, nil
	})
	handle := func(command string, answer func(arguments everest.Args) any) {
		provided.Handle(command, func(ctx context.Context, arguments everest.Args) (result any, _ error) {
			s.mu.Lock()
			silent := s.silent
			s.mu.Unlock()
			if silent != nil {
				select {
				case <-silent:
				case <-ctx.Done():
				}
				return nil, context.Canceled
			}
			s.do(func() { result = answer(arguments) })
			return result, nil
		})
	}
	handle("allow_firmware_installation", func(everest.Args) any { s.board.Allow(); return nil })
	handle("reset", func(arguments everest.Args) any {
		if s.onReset != nil {
			s.onReset(strings.Trim(string(arguments["type"]), `"`), s.board.Flashing())
		}
		s.board.Reset()
		return nil
	})
	handle("get_boot_reason", func(everest.Args) any { return s.board.BootReason() })
	handle("is_reset_allowed", func(everest.Args) any { return true })
	handle("set_system_time", func(everest.Args) any { return true })
	handle("upload_logs", func(everest.Args) any { return json.RawMessage(`{"upload_logs_status":"Rejected"}`) })
	return nil
}
