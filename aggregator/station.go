package aggregator

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/release"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// station is what updates, log uploads and resets share: the module, its boards, and the two goroutines that keep an
// order.
type station struct {
	log     *zap.Logger
	hooks   *hook.Runner
	unit    time.Duration // of the durations in the configuration
	started time.Time
	// definitions are those of the installation, which may be of another release than the built-in ones.
	definitions *schema.Definitions
	words       release.Words
	// answersBackend is false where the installed manifest has no data transfer.
	answersBackend bool
	// knowsOCPP is false where the installed manifest has no requirement ocpp.
	knowsOCPP bool

	// manager identifies the run of the manager that started the module. Where the next run of the module finds the same
	// one, the module was restarted alone. It is empty for a standalone module: what starts one goes on when EVerest
	// restarts.
	manager    string
	module     *everest.Module
	provided   *everest.Provided
	parameters parameters
	boards     []*board
	bootReason bootReason

	// loop runs every step of the machines. outbox sends what leaves the module in an order that counts.
	loop, outbox *queue
	backlog      *backlog
	background   sync.WaitGroup
	ready        chan struct{}
	readyOnce    sync.Once
	events       control.Hub
}

// prepare takes over a connected module.
func (s *station) prepare(module *everest.Module) error {
	s.module, s.provided = module, module.Provides("system")
	if module.Spawned() {
		s.manager = module.ManagerID()
	}
	if err := module.DecodeConfig(&s.parameters); err != nil {
		return err
	}
	systems, satellites := module.Requires("system"), module.Requires("satellite")
	if len(satellites) != len(systems)-1 {
		s.log.Warn("the requirement system needs this board's system and one more for every satellite, in the same order",
			zap.Int("systems", len(systems)), zap.Int("satellites", len(satellites)))
	}
	logSharedEVSEs(satellites, s.log)
	s.words = release.NewWords(s.definitions)
	s.boards = newBoards(systems, satellites, s.duration(s.parameters.BoardTimeout), s.log)
	if satellite, known := s.definitions.Interface("satellite"); known {
		for _, b := range s.boards {
			b.tellsLinkStatus = b.satellite != nil && satellite.Commands["get_link_status"] != nil
		}
	}
	s.backlog = newBacklog(s)
	s.events.ModuleID = module.ID()
	s.events.SetState(stateStarting, control.Starting)
	return nil
}

// duration returns the value of a configuration key as a duration.
func (s *station) duration(value int) time.Duration { return time.Duration(value) * s.unit }

// logWord returns a status of a log as the installed EVerest and its OCPP module know it. OCPPmulti may speak OCPP 1.6.
func (s *station) logWord(status string) string {
	if s.mayBeOCPP16() {
		return release.ForOCPP16(status)
	}
	return s.words.Spell(release.LogStatusEnum, status)
}

func (s *station) mayBeOCPP16() bool {
	for _, name := range s.module.ModuleNames() {
		if name == "OCPP" || name == "OCPPmulti" {
			return true
		}
	}
	return false
}

// begin starts a goroutine that the module waits for at its end.
func (s *station) begin(ctx context.Context, fn func(context.Context)) {
	s.background.Go(func() { fn(ctx) })
}

// inLoop has the loop call fn, and returns its result.
func inLoop[T any](ctx context.Context, s *station, fn func() T) (result T, err error) {
	done := make(chan T, 1)
	s.loop.post(func(context.Context) { done <- fn() })
	select {
	case result = <-done:
		return result, nil
	case <-ctx.Done():
		return result, fmt.Errorf("aggregator: %w", context.Cause(ctx))
	}
}

// after has the loop call fn when the time has passed.
func (s *station) after(wait time.Duration, fn func(context.Context)) *time.Timer {
	return time.AfterFunc(wait, func() { s.loop.post(fn) })
}

// publish publishes a variable after everything that was sent before.
func (s *station) publish(variable string, value any) {
	if status, ok := value.(report); ok {
		s.tell("", variable, status)
	}
	if s.events.Watched() {
		if text, err := json.Marshal(value); err == nil {
			s.events.Publish(control.Event{Kind: control.KindVariable, Interface: "system", Variable: variable, Value: text})
		}
	}
	s.outbox.post(func(ctx context.Context) {
		if status, ok := value.(report); ok {
			s.backlog.tell(ctx, variable, status)
			return
		}
		s.publishNow(ctx, variable, value)
	})
}

// publishNow publishes a variable, and reports whether the broker has it. The outbox calls it.
func (s *station) publishNow(ctx context.Context, variable string, value any) bool {
	err := s.provided.Publish(ctx, variable, value)
	if err != nil && ctx.Err() == nil {
		s.log.Error("a status could not be published", zap.String("variable", variable), zap.Error(err))
	}
	return err == nil
}

// maxReplyTime bounds how long a handler's reply may hold up what is sent after it.
const maxReplyTime = 2 * time.Second

// afterReply delays what is sent from here on until returned is closed, which is when a handler's reply has left: a
// backend gets the reply to its request before the first status of that request.
func (s *station) afterReply(returned <-chan struct{}) {
	s.outbox.post(func(ctx context.Context) {
		limit := time.NewTimer(maxReplyTime)
		defer limit.Stop()
		select {
		case <-returned:
		case <-limit.C:
		case <-ctx.Done():
		}
	})
}

// caller is a handler that waits for its reply from the loop.
type caller[T any] struct {
	reply chan T
	// returned is closed when the handler's reply has left.
	returned <-chan struct{}
}

func newCaller[T any](handler context.Context) caller[T] {
	return caller[T]{reply: make(chan T, 1), returned: handler.Done()}
}

// give replies, once; a second reply is dropped.
func (c caller[T]) give(reply T) {
	select {
	case c.reply <- reply:
	default:
	}
}

// wait returns the reply, or why there is none.
func (c caller[T]) wait(ctx context.Context) (reply T, err error) {
	select {
	case reply = <-c.reply:
		return reply, nil
	case <-ctx.Done():
		return reply, fmt.Errorf("aggregator: %w", context.Cause(ctx))
	}
}
