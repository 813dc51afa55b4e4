package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// ServerConfig configures a Server.
type ServerConfig struct {
	// Protocol configures the handshake: its times and dialects. LegacyBefore means that the controller spoke legacy when an
	// earlier process agreed with it last.
	Protocol     handshake.AgentConfig
	LegacyBefore bool
	// CommandTimeout bounds each command.
	CommandTimeout time.Duration
	Limits         Limits
	Routes         []route.Route
	Logger         *zap.Logger
	Admission      Admission
	SatelliteBoard
}

// Admission decides which peers may connect, and what an unauthenticated peer may do. admission.Policy implements it.
type Admission interface {
	ProtectServer(*rpc.ServerConfig)
	Admit(session *rpc.Session, agreed bool) bool
	Claim(session *rpc.Session, agreed bool) bool
	Accept(*rpc.Session)
	Leave(*rpc.Session)
	Heard(*rpc.Session)
	RefusesPrivileged(session *rpc.Session, function string) bool
	RefusesTakeover(session *rpc.Session, function string, agreed bool, timeout time.Duration) bool
}

// SatelliteBoard holds the functions of the satellite board that a Server calls.
type SatelliteBoard struct {
	// Listen opens the agent's port.
	Listen func() (net.Listener, error)
	// Listening is called once the port is open.
	Listening func()
	// Execute executes a command. Publish publishes a variable of the main board.
	Execute func(context.Context, route.Route, route.Command, everest.Args) (json.RawMessage, error)
	Publish func(ctx context.Context, id, name string, value json.RawMessage) error
	// Connected reports whether the requirement of a route is connected.
	Connected func(id string) bool
	// LegacyFilter is called for each poll of a legacy controller. The function that it returns reports whether that
	// controller can publish an event.
	LegacyFilter func() func(Event) bool
	// Compare compares the main board's summary of its routes with this board's summary, and returns the latter.
	Compare func(summary string) (string, error)
	// Status returns the module's status as JSON.
	Status func(context.Context) (string, error)
	// KeepEnds keeps the ends of transactions on disk for the next process, in place of those that it kept before. It
	// is nil where nothing outlives the process. It is never called twice at once.
	KeepEnds func([]Event) error
	// Flashing reports whether the board is being flashed: it must not be reset. It is nil where no board ever is.
	Flashing func() bool
	// Reset resets the board. A reset that is refused is an error.
	Reset func(context.Context) error
	// DecideReset decides about a command that resets the board, and AskReset about the handshake's reset. Both are nil
	// where nobody decides; the configuration of the handshake then has no AsksReset.
	DecideReset func(context.Context, everest.Args) ResetDecision
	AskReset    func(context.Context, handshake.Reason) handshake.ResetAnswered
	// Fail ends the module with an error.
	Fail func(error)
	// Suspected is called when the path seems to swallow long packets. Further connections have segments of so many bytes,
	// 0 for the system's choice.
	Suspected func(segment int)
	// Changed is called after each step of the handshake.
	Changed func(ServerState)
}

// ResetDecision is what becomes of a command that resets the board.
type ResetDecision uint8

const (
	// ResetExecuted: the command is executed.
	ResetExecuted ResetDecision = iota
	// ResetKept: the board works on.
	ResetKept
	// ResetTaken: the board is reset by somebody else.
	ResetTaken
)

// ServerState is the state of a Server after a step of the handshake.
type ServerState struct {
	State   handshake.State
	Dialect handshake.Dialect
	Reason  handshake.Reason
	// KeepLink is how long a link without a connection is kept.
	KeepLink time.Duration
}

// Server is the agent's end of a link. It serves one controller, executes the controller's commands and sends the
// journal's events. Its methods may be called from any goroutine.
type Server struct {
	config  ServerConfig
	log     *zap.Logger
	work    work
	v2      v2Server
	conns   serverConns
	journal *journal
	ends    endKeeper
	machine *handshake.Agent // stepped by the loop alone
	// server is nil until the handshake opens the port.
	server     *rpc.Server
	instanceID uint64
	path       serverPath
	// agreed is closed when both sides have agreed.
	agreed  chan struct{}
	running sync.WaitGroup

	state                              atomic.Uint32
	listenAddress, controller, dialect atomic.Pointer[string]
	resumes                            atomic.Uint64
}

// NewServer returns a server that Run starts.
func NewServer(config ServerConfig) *Server {
	if config.Flashing == nil {
		config.Flashing = func() bool { return false }
	}
	s := &Server{
		config: config, log: config.Logger, journal: newJournal(config.Limits),
		machine: handshake.NewAgent(config.Protocol), instanceID: newInstanceID(), agreed: make(chan struct{}),
	}
	s.ends = endKeeper{journal: s.journal, keep: config.KeepEnds}
	loop := newLoop(s.machine, s.perform, s.settled)
	s.work = work{config: &s.config, log: s.log, loop: loop, conns: &s.conns, journal: s.journal}
	loop.putOff = func(timer handshake.Timer) time.Duration { return s.work.watch.putOff(timer, s.keepFor()) }
	s.work.watch.suspect = func() { s.config.Suspected(s.path.segment()) }
	s.v2 = v2Server{work: &s.work, started: time.Now(), lease: lease{started: time.Now()}}
	return s
}

// Run drives the link until the protocol ends, and returns how this process must exit. On return no goroutine of the
// link is left.
func (s *Server) Run(ctx context.Context) (handshake.ExitProcess, error) {
	s.running.Go(func() { s.ends.run(s.work.loop.ended) })
	end, err := s.work.loop.run(ctx)
	s.work.watch.begin(nil, 0)
	s.work.executor.close()
	s.running.Wait()
	return end, err
}

// Start begins the protocol, and waits until both sides have agreed.
func (s *Server) Start(ctx context.Context) error { return s.work.loop.start(ctx, s.agreed) }

// Ask makes the loop that drives the link call alive. It does not wait for the call.
func (s *Server) Ask(alive func()) { s.work.loop.ask(alive) }

// Ended returns a channel that is closed when the protocol has ended.
func (s *Server) Ended() <-chan struct{} { return s.work.loop.ended }

// BoardReady reports that this board is ready.
func (s *Server) BoardReady() { s.work.loop.post(handshake.BoardReady{}) }

// FirmwareAccepted reports that a firmware update runs: the board is not reset, and its loss of the controller is no fault.
func (s *Server) FirmwareAccepted() { s.work.loop.post(handshake.FirmwareAccepted{}) }

// FirmwareEnded reports that no firmware update runs any more.
func (s *Server) FirmwareEnded() { s.work.loop.post(handshake.FirmwareEnded{}) }

// Record keeps an event for the controller.
func (s *Server) Record(event Event) { s.evicted(s.journal.append(event)) }

// Restore records what the process before has kept on disk. The caller calls it before Run and before Record.
func (s *Server) Restore(events []Event) {
	for _, event := range events {
		s.journal.append(event)
	}
	for _, end := range s.journal.unheard() {
		s.ends.kept = append(s.ends.kept, end.Number)
	}
}

// KeepEnds keeps the ends of transactions that the controller does not have, and returns how many are kept. The caller
// calls it after Run, once no event is recorded any more.
func (s *Server) KeepEnds() int {
	s.ends.flush()
	return len(s.ends.kept)
}

// RecordError keeps an error that was raised or cleared for the controller.
func (s *Server) RecordError(event everest.ErrorEvent) { s.evicted(s.journal.appendError(event)) }

// recordActive keeps the set of active errors for the controller. The loop calls it. evicted may wait for the loop, so
// evicted runs on a goroutine of its own.
func (s *Server) recordActive() {
	if cost := s.journal.appendActive(); cost.full != nil {
		s.running.Go(func() { s.evicted(cost) })
	}
}

// evicted logs what a full journal evicted. Where superseded values did not make enough room, it posts JournalFull: the
// controller then counts as lost.
func (s *Server) evicted(cost eviction) {
	if cost.firstSuperseded {
		s.log.Warn("the journal is full: of some variables only the newest value is kept from here on", zap.Error(cost.full))
	}
	switch {
	case cost.overflow && cost.firstOldest:
		s.log.Error("no controller takes the events: the oldest are given up from here on", zap.Error(cost.full))
	case cost.oldest > 0 && !cost.overflow:
		s.log.Warn("the oldest events are given up: more come than the controller takes", zap.Error(cost.full), zap.Uint64("given_up", cost.evicted))
	}
	if cost.overflow {
		s.work.loop.post(handshake.JournalFull{})
	}
}

// ServerStats is a snapshot of a Server.
type ServerStats struct {
	State handshake.State
	// ListenAddress is the address of the open port. Controller is the address of the link's controller, connected or
	// not. Dialect is the dialect of the agreement. Each is empty before.
	ListenAddress, Controller, Dialect string
	// Resumes counts resumptions, Commands the commands, and CommandErrors those that failed.
	Resumes, Commands, CommandErrors uint64
	Journal                          JournalStats
}

// Stats returns a snapshot.
func (s *Server) Stats() ServerStats {
	return ServerStats{
		State:         handshake.State(s.state.Load()),
		ListenAddress: text(&s.listenAddress), Controller: text(&s.controller), Dialect: text(&s.dialect),
		Resumes: s.resumes.Load(), Commands: s.work.commands.Load(), CommandErrors: s.work.commandErrors.Load(),
		Journal: s.journal.stats(),
	}
}

func text(pointer *atomic.Pointer[string]) string {
	if value := pointer.Load(); value != nil {
		return *value
	}
	return ""
}

// perform carries out one action of the handshake.
func (s *Server) perform(action handshake.Action) error {
	switch action := action.(type) {
	case handshake.OpenServer:
		return s.open()
	case handshake.RegisterWork:
		return s.registerWork()
	case handshake.Reply:
		if action.Function == handshake.Hello && action.Known && closed(s.agreed) {
			s.resumes.Add(1)
			s.recordActive()
		}
		s.answered(action)
		s.conns.reply(action)
	case handshake.CloseNow:
		s.log.Debug("connection dropped", zap.String("controller", text(&s.controller)))
		s.conns.closeNow(action.Conn)
	case handshake.CloseAfterReply:
		s.conns.closeAfterReply(action.Conn)
	case handshake.InitDone:
		s.agree(s.machine.Dialect())
	case handshake.StopServer:
		s.running.Go(s.stop)
	case handshake.AskReset:
		s.running.Go(func() { s.askReset(action.Reason) })
	case handshake.ResetSystem:
		s.log.Info("asking this board's system for a reset", zap.Stringer("reason", action.Reason))
		s.running.Go(s.reset)
	default:
		return fmt.Errorf("satellite: the agent cannot carry out %v", action)
	}
	return nil
}

// answered makes the connection of a controller that this agent has accepted the link's. It logs a controller that the
// agent cannot serve.
func (s *Server) answered(reply handshake.Reply) {
	switch {
	case reply.Function == handshake.IAmReady && !s.conns.linked():
		s.accept(reply.Conn) // a controller of 2024.3 has no i_am_here
	case reply.Function != handshake.IAmHere:
	case !reply.Known:
		s.accept(reply.Conn)
	default:
		session := s.conns.session(reply.Conn)
		switch {
		case session == nil:
		case s.config.Protocol.AsksReset:
			s.log.Warn("another controller announced itself, or the controller was restarted: it waits until the reset policy of this fork lets this board restart",
				zap.Stringer("address", session.RemoteAddr()))
		case s.machine.Held() != 0:
			s.log.Warn("another controller announced itself, or the controller was restarted: it waits until the firmware update of this board has ended",
				zap.Stringer("address", session.RemoteAddr()))
		default:
			s.log.Warn("another controller announced itself, or the controller was restarted: only a restart of both boards makes them agree",
				zap.Stringer("address", session.RemoteAddr()))
		}
	}
}

// accept makes a connection the link's. It does nothing where the connection is the link's or has ended.
func (s *Server) accept(id handshake.ConnID) {
	session := s.conns.take(id)
	if session == nil {
		return
	}
	s.config.Admission.Accept(session)
	address := session.RemoteAddr().String()
	s.controller.Store(&address)
}

// agree records the first agreement with a controller.
func (s *Server) agree(dialect handshake.Dialect) {
	name := dialect.Name()
	s.dialect.Store(&name)
	s.journal.setDialect(dialect)
	if dialect == handshake.V2 {
		s.recordActive()
	}
	close(s.agreed)
}

// settled runs after each step of the handshake.
func (s *Server) settled(state handshake.State) {
	peer := s.machine.Peer()
	if conn := s.machine.Conn(); conn != 0 {
		s.accept(conn)
	}
	s.config.Changed(ServerState{
		State: state, Dialect: s.machine.Dialect(), Reason: s.machine.Reason(), KeepLink: peer.KeepLink,
	})
	s.state.Store(uint32(state))
	if closed(s.agreed) {
		s.follow(s.machine.Conn(), peer.HeartbeatTimeout)
	}
	s.v2.settle(s.machine.Conn(), peer.HeartbeatTimeout)
	s.conns.release()
}

func (s *Server) open() error {
	listener, err := s.config.Listen()
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	s.listenAddress.Store(&address)
	s.path.listener = listener
	if s.config.Protocol.Dialects == handshake.OnlyLegacy || s.config.LegacyBefore {
		s.path.beginSmall()
		s.limitSegments()
	}
	config := rpc.ServerConfig{
		Order:  rpc.OrderPerMethod,
		Logger: s.log,
		OnSession: func(session *rpc.Session) {
			if s.config.Admission.Admit(session, closed(s.agreed)) {
				s.conns.begin(session)
			}
		},
		OnSessionEnd: func(session *rpc.Session, _ error) {
			s.config.Admission.Leave(session)
			s.work.watch.end(session)
			if id := s.conns.end(session); id != 0 {
				s.work.loop.post(handshake.Disconnected{Conn: id})
			}
		},
	}
	s.config.Admission.ProtectServer(&config)
	s.server = rpc.NewServer(config)
	if err := s.registerSynchronisation(); err != nil {
		listener.Close()
		return err
	}
	s.config.Listening()
	s.running.Go(func() {
		if err := s.server.Serve(context.Background(), listener); err != nil && !errors.Is(err, net.ErrClosed) {
			s.config.Fail(fmt.Errorf("satellite: the agent's port failed: %w", err))
		}
	})
	return nil
}
