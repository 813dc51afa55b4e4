package satellite

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

var (
	errNotTheLink   = errors.New("satellite: this connection is not the link: greet with " + FunctionLinkHello + " first")
	errLegacyClosed = errors.New("satellite: this agent does not serve the legacy dialect: set its configuration key dialect to auto")
	errForgotten    = errors.New("satellite: the command was acknowledged or cancelled before")
	errTooMany      = errors.New("satellite: too many results are not acknowledged")
)

// agentLink is what the agent holds of a v2 link beyond the journal.
type agentLink struct {
	identity uint64
	// session is the one on which the functions of v2 are answered, 0 for none.
	session atomic.Uint64
	// silence is the controller's, told when the handshake last heard of a call
	// of link_events, in the module's uptime: it need not hear of each.
	silence, told atomic.Int64

	lock    sync.Mutex
	ledger  handshake.Ledger[outcome]
	running map[uint64]*execution
}

// outcome is what became of a command.
type outcome struct {
	value json.RawMessage
	err   *everest.CommandError
}

// execution is a command that runs on the satellite.
type execution struct {
	cancel context.CancelFunc
	// done is closed when outcome is there.
	done    chan struct{}
	outcome outcome
}

// settle follows the handshake after each of its steps.
func (l *agentLink) settle(agreement *handshake.Agent) {
	l.session.Store(uint64(agreement.Conn()))
	l.silence.Store(int64(agreement.Peer().HeartbeatTimeout))
}

// newIdentity draws the number by which a process is recognised.
func newIdentity() uint64 {
	var drawn [8]byte
	for {
		rand.Read(drawn[:]) // it never fails
		if identity := binary.BigEndian.Uint64(drawn[:]); identity != 0 {
			return identity
		}
	}
}

// hello answers link_hello, as the handshake decides.
func (a *Agent) hello(ctx context.Context, request *rpc.Request) (any, error) {
	var versions []uint64
	var identity, session, silence, window uint64
	if err := request.Decode(&versions, &identity, &session, &silence, &window); err != nil {
		return nil, err
	}
	if !slices.Contains(versions, linkVersion) || identity == 0 {
		return nil, rpc.ErrorValue{} // as if the function did not exist
	}
	peer := handshake.Peer{
		InstanceID: identity, Epoch: session,
		HeartbeatTimeout: between(minSilence, silence, maxSilence), ResumeWindow: between(minWindow, window, maxWindow),
	}
	if !a.admission.Claim(rpc.SessionFrom(ctx), a.agreed()) {
		return nil, rpc.NoReply
	}
	a.status.controller.Store(ptr(rpc.SessionFrom(ctx).RemoteAddr().String()))
	known, err := a.sessions.hold(ctx, handshake.Hello, a.loop, func(number handshake.ConnID) handshake.Event {
		return handshake.HelloCalled{Conn: number, Peer: peer}
	})
	if err != nil {
		return nil, err
	}
	return []any{linkVersion, a.v2.identity, known}, nil
}

// The times that a controller may ask for.
const (
	minSilence, maxSilence = 200 * time.Millisecond, time.Minute
	minWindow, maxWindow   = time.Second, 10 * time.Minute
)

func between(least time.Duration, milliseconds uint64, most time.Duration) time.Duration {
	return max(least, time.Duration(min(milliseconds, uint64(most/time.Millisecond)))*time.Millisecond)
}

// bindV2 registers the functions that exist once a v2 controller has announced
// itself.
func (a *Agent) bindV2() error {
	functions := map[string]rpc.Handler{
		FunctionLinkEvents:    a.events,
		FunctionLinkPush:      a.pushV2,
		FunctionLinkCancel:    a.cancel,
		route.FunctionSummary: a.compareTables,
	}
	for _, r := range a.table.Routes() {
		for _, command := range r.Commands {
			functions[linkCommand(r, command)] = a.commandV2(r, command)
		}
	}
	for name, handler := range functions {
		if err := a.server.Handle(name, handler); err != nil {
			return err
		}
	}
	return a.bindControl()
}

func (a *Agent) checkLink(ctx context.Context) (handshake.ConnID, error) {
	number := a.sessions.number(rpc.SessionFrom(ctx))
	if number == 0 || uint64(number) != a.v2.session.Load() {
		return 0, errNotTheLink
	}
	return number, nil
}

// events answers link_events: at once when there is an event that the
// controller does not have, else when there is one or when its time is over.
func (a *Agent) events(ctx context.Context, request *rpc.Request) (any, error) {
	var after, published, floor, most, wait uint64
	if err := request.Decode(&after, &published, &floor, &most, &wait); err != nil {
		return nil, err
	}
	session, err := a.checkLink(ctx)
	if err != nil {
		return nil, err
	}
	a.admission.Heard(rpc.SessionFrom(ctx))
	a.heard(session)
	began := time.Now()
	a.v2.lock.Lock()
	a.v2.ledger.Acknowledge(floor)
	a.v2.lock.Unlock()
	most = min(most, mostPerAnswer)

	var timer <-chan time.Time
	for {
		a.journalLock.Lock()
		a.journal.Acknowledge(published)
		var waiting []Event
		if most > 0 {
			waiting = a.journal.After(after, int(most))
		}
		if len(waiting) > 0 || wait == 0 {
			size := 64
			for _, event := range waiting {
				size += event.size() + 32
			}
			answer := appendEvents(make([]byte, 0, size), a.status.givenUp.Load(), waiting)
			a.deliveredUpTo(waiting)
			a.journalLock.Unlock()
			return withHeld(answer, time.Since(began)), nil
		}
		var appended <-chan struct{}
		if most > 0 {
			appended = a.nextEvent()
		}
		a.journalLock.Unlock()
		if timer == nil {
			limit := time.NewTimer(between(0, wait, maxSilence))
			defer limit.Stop()
			timer = limit.C
		}
		select {
		case <-appended:
		case <-timer:
			wait = 0
		case <-ctx.Done():
			return nil, rpc.NoReply
		}
	}
}

// deliveredUpTo counts events the first time they are handed over.
func (a *Agent) deliveredUpTo(events []Event) {
	if len(events) == 0 {
		return
	}
	for i := len(events) - 1; i >= 0 && events[i].Number > a.delivered; i-- {
		a.status.delivered.Add(1)
	}
	a.delivered = max(a.delivered, events[len(events)-1].Number)
}

// nextEvent returns a channel that is closed when another event is there. The
// caller holds journalLock.
func (a *Agent) nextEvent() <-chan struct{} {
	if a.appended == nil {
		a.appended = make(chan struct{})
	}
	return a.appended
}

// heard tells the handshake that the controller is alive, often enough.
func (a *Agent) heard(session handshake.ConnID) {
	uptime := a.control.uptime()
	now, told := int64(uptime), a.v2.told.Load()
	if now-told > a.v2.silence.Load()/8 && a.v2.told.CompareAndSwap(told, now) {
		a.loop.post(handshake.Called{Conn: session, Function: handshake.Events})
	}
}

// commandV2 serves one command of the route table in v2.
func (a *Agent) commandV2(r route.Route, command route.Command) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		var number, floor, limit uint64
		var text string
		if err := request.Decode(&number, &floor, &limit, &text); err != nil {
			return nil, err
		}
		session, err := a.checkLink(ctx)
		if err != nil {
			return nil, err
		}
		arguments, err := route.ParseArguments(text)
		if err != nil {
			return nil, err
		}
		if command.Privileged && a.admission.RefusesPrivileged(rpc.SessionFrom(ctx), command.Function) {
			return string(command.UnavailableResult()), nil
		}
		value, err := a.once(ctx, number, floor, limit, func(ctx context.Context) (json.RawMessage, error) {
			return a.command(ctx, r, command, arguments)
		})
		if err != nil {
			return nil, err
		}
		if command.Effect == route.Resets && a.connected(r.ID) {
			rpc.SessionFrom(ctx).CloseAfterReply()
			a.loop.postAndWait(handshake.ResetForwarded{Conn: session})
		}
		return string(value), nil
	}
}

// command executes a command on this board. It waits until the board's modules
// are ready, for before that a command may reach nobody.
func (a *Agent) command(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	a.status.commands.Add(1)
	required := a.required(r.ID)
	if len(required) == 0 || command.Missing {
		return a.notHere(r, command)
	}
	if err := waitFor(ctx, a.ready); err != nil {
		return nil, &everest.CommandError{Type: everest.NotReady, Message: "the satellite's modules are not ready"}
	}
	var result json.RawMessage
	err := required[0].Call(ctx, command.Name, arguments, &result)
	if command.Effect == route.Resets && (errors.Is(err, net.ErrClosed) || a.life.Err() != nil) {
		// The board goes down with the reset, and takes the answer along.
		a.log.Info("this board goes down with the reset", zap.Error(err))
		return json.RawMessage("null"), nil
	}
	if err != nil {
		a.status.commandErrors.Add(1)
		a.log.Warn("command failed", zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(err))
		return nil, err
	}
	if command.AcceptsUpdate(result) {
		a.loop.postAndWait(handshake.FirmwareAccepted{})
	}
	return result, nil
}

// once executes what a number stands for, if it is the first time that it comes,
// and waits for the outcome. The execution outlives the connection.
func (a *Agent) once(ctx context.Context, number, floor, limit uint64, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	a.v2.lock.Lock()
	a.v2.ledger.Acknowledge(floor)
	remembered, verdict := a.v2.ledger.Begin(number)
	running := a.v2.running[number]
	if verdict == handshake.Execute {
		running = a.execute(number, min(between(0, limit, a.config.CommandTimeout), a.config.CommandTimeout), do)
	}
	a.v2.lock.Unlock()
	switch verdict {
	case handshake.Forgotten:
		return nil, errForgotten
	case handshake.Refused:
		return nil, errTooMany
	case handshake.Finished:
		return remembered.answer()
	}
	select {
	case <-running.done:
		return running.outcome.answer()
	case <-ctx.Done():
		return nil, rpc.NoReply
	}
}

// execute starts a command. The caller holds the lock.
func (a *Agent) execute(number uint64, limit time.Duration, do func(context.Context) (json.RawMessage, error)) *execution {
	ctx, cancel := context.WithTimeout(a.life, limit)
	started := &execution{cancel: cancel, done: make(chan struct{})}
	if a.v2.running == nil {
		a.v2.running = make(map[uint64]*execution)
	}
	a.v2.running[number] = started
	a.background.Go(func() {
		defer cancel()
		value, err := do(ctx)
		if err != nil {
			started.outcome.err = asCommandError(err)
		} else {
			started.outcome.value = value
		}
		a.v2.lock.Lock()
		a.v2.ledger.Finish(number, started.outcome, len(value)+64)
		delete(a.v2.running, number)
		a.v2.lock.Unlock()
		close(started.done)
	})
	return started
}

func (o outcome) answer() (json.RawMessage, error) {
	if o.err != nil {
		return nil, toWireError(o.err)
	}
	return o.value, nil
}

// cancel ends a command that nobody waits for any more.
func (a *Agent) cancel(ctx context.Context, request *rpc.Request) (any, error) {
	var number uint64
	if err := request.Decode(&number); err != nil {
		return nil, err
	}
	if _, err := a.checkLink(ctx); err != nil {
		return nil, err
	}
	a.v2.lock.Lock()
	defer a.v2.lock.Unlock()
	if running := a.v2.running[number]; running != nil {
		running.cancel()
	} else {
		a.v2.ledger.Cancel(number)
	}
	return nil, nil
}

// pushV2 publishes a variable of the main board on this one.
func (a *Agent) pushV2(ctx context.Context, request *rpc.Request) (any, error) {
	var number, floor, limit uint64
	var implementation, variable, text string
	if err := request.Decode(&number, &floor, &limit, &implementation, &variable, &text); err != nil {
		return nil, err
	}
	if _, err := a.checkLink(ctx); err != nil {
		return nil, err
	}
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("value of %s.%s is not JSON: %s", implementation, variable, route.Clip(text))
	}
	_, err := a.once(ctx, number, floor, limit, func(ctx context.Context) (json.RawMessage, error) {
		return nil, a.publishPushed(ctx, variableEvent{Interface: implementation, Variable: variable, Value: json.RawMessage(text)})
	})
	return nil, err
}
