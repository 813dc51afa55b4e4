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

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/outbox"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

const (
	// promptly is how long the caller of a command without a result waits for an error of the satellite. Then the
	// caller gets null, and the command goes on without it. EnergyNode calls each EVSE once a second: two satellites
	// that are cut off at once delay the limits of the others by 0.4 s.
	promptly = 200 * time.Millisecond
	// defaultCommandWait is how long the caller of a command with a result waits for a link that is away.
	defaultCommandWait = 2 * time.Second
)

// sender sends the commands of one link. An outbox decides which, the sender owns the callers, the timers and the calls.
// Its methods may be called from any goroutine.
type sender struct {
	dialect dialect
	client  *Client
	// heard is when the satellite last gave a sign of life, as the time since started.
	started time.Time
	heard   atomic.Int64

	mu   sync.Mutex
	box  outbox.Outbox[*pending]
	conn *rpc.Client
	// over is the error of each further command while the port is out of service, or once no connection will be made.
	over error
}

// pending is a command that is not answered.
type pending struct {
	id        outbox.ID
	route     route.Route
	command   route.Command
	arguments everest.Args
	received  time.Time
	// number is the command's sequence number in v2, 0 before it is sent. text is its result there, as received. result
	// returns that of the legacy dialect.
	number uint64
	text   string
	result func() (json.RawMessage, error)
	// done gets the caller's outcome, once. timer ends the caller's wait, or the wait for a prompt reply without a caller.
	done  chan outcome
	timer *time.Timer
	// answered reports whether the caller has an outcome. aged reports whether the command was held back. abandoned
	// reports whether the caller's context has ended: a late outcome is of no interest. The sender's mu guards them.
	answered, aged, abandoned bool
}

// currentArguments returns the arguments as they hold now.
func (p *pending) currentArguments() (everest.Args, error) {
	if !p.aged {
		return p.arguments, nil
	}
	return p.command.Aged(p.arguments, time.Since(p.received))
}

type outcome struct {
	result json.RawMessage
	err    error
}

var null = outcome{result: json.RawMessage("null")}

func newSender(c *Client, link dialect) *sender {
	s := &sender{dialect: link, client: c, started: time.Now()}
	s.box.Resumable = link.resumable()
	return s
}

// call executes a command on the satellite, or answers it as the route table says for a link that is away.
func (s *sender) call(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	p := &pending{route: r, command: command, arguments: arguments, received: time.Now(), done: make(chan outcome, 1)}
	verdict, conn, err := s.add(p)
	switch {
	case err != nil:
		return nil, err
	case verdict == outbox.Refuse:
		return nil, errNoLink
	case verdict == outbox.Send:
		if command.Effect == route.Resets {
			s.client.loop.postAndWait(handshake.ResetForwarded{})
		}
		s.send(p, conn)
	case command.Result == route.Null && command.Rule() != route.Never:
		return null.result, nil
	}
	select {
	case out := <-p.done:
		return out.result, out.err
	case <-ctx.Done():
		return s.abandon(p, context.Cause(ctx))
	case <-s.client.loop.ended:
		return s.abandon(p, errNoLink)
	}
}

// add puts a command into the outbox, and begins its caller's wait.
func (s *sender) add(p *pending) (outbox.Verdict, *rpc.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return 0, nil, s.over
	}
	entry := outbox.Command{
		Interface: p.route.ID, Name: p.command.Name, Rule: p.command.Rule(), Result: p.command.Result != route.Null,
		Cancels: p.command.Cancels, SentOnce: p.command.Effect == route.Resets, Size: sizeOf(p.arguments),
	}
	subject, lifetime := p.command.Validity(p.arguments)
	wait := s.client.config.CommandWait
	switch entry.Subject = subject; {
	case !entry.Result && entry.Rule == route.Never:
		lifetime = wait
	case entry.Result:
		lifetime = 0
	}
	if lifetime > 0 {
		entry.Expires = p.received.Add(lifetime)
	}
	id, verdict, dropped := s.box.Add(p.received, entry, p)
	p.id, p.aged = id, verdict == outbox.Keep
	s.droppedLocked(dropped)
	switch {
	case verdict == outbox.Refuse, verdict == outbox.Keep && !entry.Result && entry.Rule != route.Never:
		p.answered = true
	case entry.Result:
		p.timer = time.AfterFunc(wait, func() { s.overdue(p) })
	default:
		p.timer = time.AfterFunc(promptly, func() { s.overdue(p) })
	}
	return verdict, s.conn, nil
}

func sizeOf(arguments everest.Args) int {
	size := 64
	for name, value := range arguments {
		size += len(name) + len(value)
	}
	return size
}

// send begins the call of a command. The outbox has marked the command as sent.
func (s *sender) send(p *pending, conn *rpc.Client) {
	call, err := s.dialect.write(p, time.Until(p.received.Add(s.client.config.CommandTimeout)))
	if err != nil {
		s.settle(p, outcome{err: err})
		return
	}
	s.begin(p, conn, call, func(err error) {
		if s.isLost(p, err) {
			return
		}
		s.settle(p, s.outcomeOf(p, call, err))
	})
}

// begin begins a call. done is called once with its error, but not where too much is on its way.
func (s *sender) begin(p *pending, conn *rpc.Client, call rpcCall, done func(error)) {
	switch err := conn.Start(context.Background(), call.function, call.reply, done, call.arguments...); {
	case err == nil:
	case errors.Is(err, rpc.ErrBusy):
		s.busy(p)
	default:
		done(err)
	}
}

func (s *sender) outcomeOf(p *pending, call rpcCall, err error) outcome {
	if err != nil {
		return outcome{err: fmt.Errorf("%s: %w", call.function, err)}
	}
	result, err := s.dialect.read(p)
	return outcome{result, err}
}

// isLost handles the end of a command's connection before the reply, and reports whether that is what ended the call.
func (s *sender) isLost(p *pending, err error) bool {
	if err == nil || !errors.Is(err, net.ErrClosed) && refusalOf(err) != notTheLink {
		return false
	}
	s.lost(p)
	return true
}

// settle handles the reply to a command, and sends what waited for it.
func (s *sender) settle(p *pending, out outcome) {
	s.mu.Lock()
	s.box.Answered(p.id)
	s.dialect.settled(p)
	p.timer.Stop()
	waited := s.answerLocked(p, out)
	late := !waited && !p.abandoned
	s.mu.Unlock()
	if late {
		s.late(p, out)
	}
	s.pump()
}

// lost handles a connection that ended before the reply to a command.
func (s *sender) lost(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	p.aged = true
	p.timer.Stop()
	s.droppedLocked(s.box.Lost(now, p.id))
	_, _, known := s.box.Sent(p.id)
	switch {
	case !known || p.answered:
	case p.command.Result == route.Null:
		s.answerLocked(p, null)
	default:
		p.timer.Reset(max(0, s.deadline(p, true).Sub(now)))
	}
}

// busy puts a command back: too much is on its way.
func (s *sender) busy(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.aged = true
	s.box.Busy(p.id)
	if p.command.Result == route.Null {
		s.answerLocked(p, null)
	}
}

// pump sends what is due.
func (s *sender) pump() {
	for {
		step, conn, ok := s.next()
		switch {
		case !ok:
			return
		case step.Revoke:
			s.revoke(step.Value, conn)
		default:
			s.send(step.Value, conn)
		}
	}
}

func (s *sender) next() (outbox.Step[*pending], *rpc.Client, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	step, ok, dropped := s.box.Next(time.Now())
	s.droppedLocked(dropped)
	if p := step.Value; ok && p.answered && p.command.Result == route.Null {
		p.timer = time.AfterFunc(promptly, func() { s.stall(p) })
	}
	return step, s.conn, ok
}

// stall handles a command that nobody waits for, and that is not answered promptly.
func (s *sender) stall(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.box.Stall(p.id)
}

// revoke asks the satellite not to begin a command that it may have received. It then asks for the outcome.
func (s *sender) revoke(p *pending, conn *rpc.Client) {
	call, err := s.dialect.write(p, s.client.config.CommandTimeout)
	if err != nil {
		s.revoked(p, outcome{err: err})
		return
	}
	s.begin(p, conn, rpcCall{FunctionCancel, nil, []any{p.number}}, func(err error) {
		if s.isLost(p, err) {
			return
		}
		s.begin(p, conn, call, func(err error) {
			if !s.isLost(p, err) {
				s.revoked(p, s.outcomeOf(p, call, err))
			}
		})
	})
}

// revoked handles the outcome of a command that was revoked: a refusal where it had not begun.
func (s *sender) revoked(p *pending, out outcome) {
	s.mu.Lock()
	fate := s.box.Answered(p.id)
	s.dialect.settled(p)
	s.mu.Unlock()
	switch refusal := refusalOf(out.err); {
	case refusal == cancelled || refusal == forgotten:
		s.undelivered(p, fate)
	case !p.abandoned:
		s.late(p, out)
	}
	s.pump()
}

// up opens the link's connection for commands, and sends what waited for it.
func (s *sender) up(conn *rpc.Client) {
	s.heard.Store(int64(time.Since(s.started)))
	s.mu.Lock()
	s.conn, s.over = conn, nil
	s.box.Up()
	s.mu.Unlock()
	s.pump()
}

// down closes the link's connection for commands.
func (s *sender) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.droppedLocked(s.box.Down())
}

// alive reports a sign of life of the satellite, and sends what may go out after it.
func (s *sender) alive() {
	s.heard.Store(int64(time.Since(s.started)))
	s.mu.Lock()
	due := s.box.Heard()
	s.mu.Unlock()
	if due {
		s.pump()
	}
}

// end drops what waits, and answers each further command with an error. A link that is resumed later is opened by up.
func (s *sender) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = err
	s.droppedLocked(s.box.Discard())
}

// waiting returns how many commands wait for the link.
func (s *sender) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count, _ := s.box.Waiting()
	return count
}
