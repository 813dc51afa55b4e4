package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// linkSession is one agreement in v2: it lives on while connections come and go.
type linkSession struct {
	lock    sync.Mutex
	inbox   handshake.Inbox
	numbers handshake.Sequence
}

func (s *linkSession) published(number uint64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.inbox.Published(number)
}

// progress is what travels with each call of link_events.
func (s *linkSession) progress() (received, published, floor uint64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	received, published = s.inbox.Position()
	return received, published, s.numbers.Floor()
}

// accept keeps the events that are new.
func (s *linkSession) accept(events []Event) []delivered {
	s.lock.Lock()
	defer s.lock.Unlock()
	items := make([]delivered, 0, len(events))
	for _, event := range events {
		if s.inbox.Accept(event.Number) {
			items = append(items, delivered{session: s, event: event})
		}
	}
	return items
}

// protocol adds the configuration keys to what the program has set.
func (p controllerParameters) protocol(config handshake.ControllerConfig) (handshake.ControllerConfig, error) {
	var err, err2 error
	config.Dialects, err = dialectsOf(p.Dialect)
	config.LossPolicy, err2 = onLossOf(p.OnLoss)
	if config.LossPolicy == handshake.IsolateOnLoss && config.Dialects == handshake.OnlyLegacy {
		err2 = errors.New("satellite: on_loss isolate needs link v2: set dialect to auto or v2")
	}
	if p.LinkTimeout > 0 && config.HeartbeatTimeout == 0 {
		config.HeartbeatTimeout = time.Duration(p.LinkTimeout) * time.Millisecond
	}
	if p.ResumeWindow > 0 && config.ResumeWindow == 0 {
		config.ResumeWindow = time.Duration(p.ResumeWindow) * time.Second
	}
	if config.HeartbeatTimeout <= 0 {
		config.HeartbeatTimeout = 1500 * time.Millisecond
	}
	if config.ResumeWindow <= 0 {
		config.ResumeWindow = 30 * time.Second
	}
	return config, errors.Join(err, err2)
}

// greet calls link_hello.
func (c *Controller) greet(link *link) {
	var answer []any
	session := c.session.Load()
	err := c.clientOf(link).Call(link.ctx, FunctionLinkHello, &answer, []any{linkVersion},
		c.identity, session, c.protocol.HeartbeatTimeout.Milliseconds(), c.protocol.ResumeWindow.Milliseconds())
	switch {
	case errors.Is(err, net.ErrClosed), link.ctx.Err() != nil:
		// The watch of the connection says so.
	case errors.Is(err, rpc.ErrMethodNotFound):
		c.log.Debug("the agent speaks the legacy dialect", zap.String("satellite", c.address()))
		c.loop.post(handshake.CallFailed{Conn: link.number, Function: handshake.Hello})
	case err != nil:
		c.log.Warn("the agent answered an error", zap.String("function", FunctionLinkHello), zap.Error(err))
		c.loop.post(handshake.Disconnected{Conn: link.number})
	default:
		welcome, err := readWelcome(answer)
		if err != nil {
			c.log.Warn("the agent's answer cannot be read", zap.String("function", FunctionLinkHello), zap.Error(err))
			c.loop.post(handshake.Disconnected{Conn: link.number})
			return
		}
		welcome.Conn = link.number
		c.loop.post(welcome)
	}
}

func readWelcome(answer []any) (handshake.HelloReplied, error) {
	if len(answer) < 3 {
		return handshake.HelloReplied{}, fmt.Errorf("%d members, want 3", len(answer))
	}
	version, ok := unsigned(answer[0])
	if !ok || version != linkVersion {
		return handshake.HelloReplied{}, fmt.Errorf("version %v, want %d", answer[0], linkVersion)
	}
	agent, ok := unsigned(answer[1])
	known, ok2 := answer[2].(bool)
	if !ok || !ok2 || agent == 0 {
		return handshake.HelloReplied{}, fmt.Errorf("identity %v and known %v", answer[1], answer[2])
	}
	return handshake.HelloReplied{InstanceID: agent, Known: known}, nil
}

func unsigned(value any) (uint64, bool) {
	switch value := value.(type) {
	case uint64:
		return value, true
	case int64:
		return uint64(value), value >= 0
	}
	return 0, false
}

func (c *Controller) clientOf(link *link) *rpc.Client {
	c.links.lock.Lock()
	defer c.links.lock.Unlock()
	return link.client
}

// join puts the port in service.
func (c *Controller) join(action handshake.Establish) {
	var session *linkSession
	if action.Dialect == handshake.V2 {
		session = &linkSession{}
	}
	c.refusal.Store(nil)
	link := c.links.agree(session)
	if c.status.isolations.Load() > 0 {
		c.delivery.add(delivered{do: func(ctx context.Context) {
			if err := c.module.Provides(route.Satellite).Clear(ctx, communicationFault, ""); err != nil {
				c.log.Error("cannot clear the communication fault", zap.Error(err))
			}
		}})
	}
	if session != nil && link != nil {
		c.background.Go(func() { c.pump(link, session) })
	}
}

// resume goes on with a link on another connection.
func (c *Controller) resume(handshake.Resume) {
	c.status.resumes.Add(1)
	session := c.links.passage().session
	c.refusal.Store(nil)
	if link := c.links.agree(session); link != nil && session != nil {
		c.background.Go(func() { c.pump(link, session) })
	}
}

// communicationFault is raised on `satellite` while the port is out of service.
const communicationFault = "generic/CommunicationFault"

// isolate takes the port out of service.
func (c *Controller) isolate(action handshake.Isolate) {
	c.status.isolations.Add(1)
	c.links.isolate()
	c.delivery.add(delivered{do: func(ctx context.Context) {
		err := c.module.Provides(route.Satellite).Raise(ctx, everest.Error{
			Type: communicationFault, Severity: everest.SeverityHigh,
			Message: "no link to the satellite at " + c.address() + ": " + action.Reason.String(),
		})
		if err != nil {
			c.log.Error("cannot raise the communication fault", zap.Error(err))
		}
	}})
}

// pump keeps one call of link_events open on a connection, to its end.
func (c *Controller) pump(link *link, session *linkSession) {
	client := c.clientOf(link)
	beat := c.protocol.HeartbeatTimeout / 3
	var told time.Time
	for link.ctx.Err() == nil {
		most, wait := c.delivery.waitForRoom(link.ctx, beat), beat
		if most == 0 {
			wait = 0
		}
		most = min(most, mostPerBatch)
		received, published, floor := session.progress()
		var answer rpc.Raw
		began := time.Now()
		err := client.Call(link.ctx, FunctionLinkEvents, &answer, received, published, floor, most, wait.Milliseconds())
		if err == nil {
			if held, told := heldOf(answer); told {
				c.roundTrips.Add(time.Since(began) - held)
			}
			err = c.takeEvents(session, answer)
		}
		switch {
		case errors.Is(err, net.ErrClosed), link.ctx.Err() != nil:
			return // the watch of the connection says so
		case err != nil:
			c.log.Warn("the agent's events cannot be had", zap.Error(err))
			c.loop.post(handshake.CallFailed{Conn: link.number, Function: handshake.Events})
			return
		}
		if now := time.Now(); now.Sub(told) > c.protocol.HeartbeatTimeout/8 {
			told = now
			c.loop.post(handshake.Replied{Conn: link.number, Function: handshake.Events})
		}
	}
}

func (c *Controller) takeEvents(session *linkSession, answer rpc.Raw) error {
	givenUp, events, err := readEvents(answer)
	if err != nil {
		return err
	}
	if c.status.givenUp.Swap(givenUp) < givenUp {
		c.log.Warn("the satellite's journal was full: values were given up", zap.Uint64("given_up", givenUp))
	}
	c.delivery.add(session.accept(events)...)
	return nil
}

// passOnV2 has a command executed once, whatever becomes of the connection: it is
// called again under its number on the connection that resumes the link.
func (c *Controller) passOnV2(ctx context.Context, way passage, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	text, err := route.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	if command.Effect == route.Resets {
		c.loop.postAndWait(handshake.ResetForwarded{})
	}
	var result string
	function := c.once
	if command.Effect == route.Resets || command.Repeated {
		function = c.onceHere
	}
	err = function(ctx, way.session, linkCommand(r, command), &result, string(text))
	switch {
	case command.Derived && errors.Is(err, rpc.ErrMethodNotFound):
		return nil, c.notThere(r, command)
	case errors.Is(err, net.ErrClosed):
		return c.withoutLink(r, command, err)
	case errors.Is(err, errIsolated):
		return c.negative(r, command)
	case err != nil:
		return nil, fmt.Errorf("%s.%s: %w", r.ID, command.Name, err)
	}
	value, err := command.ParseResult(result)
	if err != nil {
		return nil, fmt.Errorf("result of %s.%s: %w", r.Interface, command.Name, err)
	}
	if command.AcceptsUpdate(value) {
		c.loop.postAndWait(handshake.FirmwareAccepted{})
	}
	if command.Remembered {
		c.evse.Store(&value)
	}
	return value, nil
}

// errNoLink is a command for which no link will stand any more, or that does not
// wait for one.
var errNoLink = fmt.Errorf("%w: %w", ErrNotConnected, net.ErrClosed)

var errIsolated = errors.New("satellite: the port is out of service")

// once calls a numbered function until it is answered, on whatever connection
// the link stands. The arguments follow number, floor and time.
func (c *Controller) once(ctx context.Context, session *linkSession, function string, reply any, arguments ...any) error {
	return c.numbered(ctx, session, true, function, reply, arguments)
}

// onceHere does not repeat the call when its connection ends: it fails with an
// error that is net.ErrClosed.
func (c *Controller) onceHere(ctx context.Context, session *linkSession, function string, reply any, arguments ...any) error {
	return c.numbered(ctx, session, false, function, reply, arguments)
}

func (c *Controller) numbered(ctx context.Context, session *linkSession, repeat bool, function string, reply any, arguments []any) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.CommandTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	session.lock.Lock()
	number := session.numbers.Next()
	session.lock.Unlock()
	defer func() {
		session.lock.Lock()
		defer session.lock.Unlock()
		session.numbers.Done(number)
	}()
	for {
		way := c.links.passage()
		switch {
		case way.isolated || way.session != nil && way.session != session:
			return errIsolated
		case way.client == nil && (way.changed == nil || !repeat):
			return errNoLink
		case way.client == nil:
			if err := waitFor(ctx, way.changed); err != nil {
				return err
			}
			continue
		}
		_, _, floor := session.progress()
		limit := max(0, time.Until(deadline).Milliseconds())
		err := way.client.Call(ctx, function, reply, append([]any{number, floor, limit}, arguments...)...)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			c.cancel(way.client, number)
			return err
		case way.link.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) && !refusedByLink(err):
			return err
		}
		if !repeat {
			return fmt.Errorf("%s: %w", function, net.ErrClosed)
		}
		// The connection is gone, or about to be: wait until that is known here.
		if err := c.waitForOther(ctx, way.link); err != nil {
			return err
		}
	}
}

// refusedByLink tells whether the agent answered that the connection is not the
// link any more.
func refusedByLink(err error) bool {
	remote, ok := errors.AsType[*rpc.RemoteError](err)
	if !ok {
		return false
	}
	text, ok := remote.Value.(string)
	return ok && strings.Contains(text, errNotTheLink.Error())
}

// waitForOther waits until a connection is not the newest one any more.
func (c *Controller) waitForOther(ctx context.Context, old *link) error {
	select {
	case <-old.ctx.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.loop.ended:
		return errNoLink
	}
}

// cancel tells the agent that nobody waits for a command any more.
func (c *Controller) cancel(client *rpc.Client, number uint64) {
	ctx, end := context.WithTimeout(context.Background(), time.Second)
	defer end()
	if err := client.Notify(ctx, FunctionLinkCancel, number); err != nil {
		c.log.Debug("the satellite does not know that a command is cancelled", zap.Error(err))
	}
}

func (c *Controller) pushOneV2(ctx context.Context, way passage, push route.Push, value json.RawMessage) error {
	if err := c.once(ctx, way.session, FunctionLinkPush, nil, push.ID, push.Variable, string(value)); err != nil {
		return err
	}
	c.status.pushed.Add(1)
	return nil
}

func (c *Controller) notConnected() *everest.CommandError {
	return &everest.CommandError{Type: everest.NotReady, Message: ErrNotConnected.Error() + " at " + c.address()}
}

// negative answers for a port that is out of service.
func (c *Controller) negative(r route.Route, command route.Command) (json.RawMessage, error) {
	if answer := command.UnavailableResult(); answer != nil {
		return answer, nil
	}
	if command.Remembered {
		if last := c.evse.Load(); last != nil {
			return *last, nil
		}
		if mapping := c.module.MappingOf(r.ID); mapping != nil {
			connector := 1
			if mapping.Connector != nil {
				connector = *mapping.Connector
			}
			return json.RawMessage(`{"connectors":[{"id":` + strconv.Itoa(connector) + `}],"id":` + strconv.Itoa(mapping.EVSE) + `}`), nil
		}
	}
	return nil, c.notConnected()
}
