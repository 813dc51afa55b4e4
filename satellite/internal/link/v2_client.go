package link

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// maxAnswer bounds the events of one answer of link_events in bytes. One answer can so be published while the next is
// on its way. On a slow network the bound sinks to minAnswer: see answerSize.
const maxAnswer, minAnswer = 256 << 10, 4 << 10

// answerSize is how many bytes of events one answer may hold. An answer that takes longer than the heartbeat's timeout
// ends the connection, and the next connection would only repeat that: after an outage the journal holds megabytes.
type answerSize struct {
	bytes int
	// fast counts the full answers in a row that were fast. At patience the size doubles. The patience grows with each
	// failure, so that a size that fails is not tried over and over.
	fast, patience int
}

// maxPatience is how many fast answers in a row it takes at most until a larger one is tried.
const maxPatience = 256

// crossed follows an answer that took so long on the network.
func (s *answerSize) crossed(bytes int, took, timeout time.Duration) {
	switch {
	case took > timeout/2:
		s.failed()
	case took < timeout/4 && bytes > s.get()/2:
		if s.fast++; s.fast < s.patience {
			return
		}
		if s.fast, s.bytes = 0, min(2*s.get(), maxAnswer); s.bytes == maxAnswer {
			s.patience = 0
		}
	}
}

// failed follows a connection that ended before the answer came.
func (s *answerSize) failed() {
	s.bytes = max(s.get()/2, minAnswer)
	s.fast, s.patience = 0, min(4*max(s.patience, 1), maxPatience)
}

func (s *answerSize) get() int { return cmp.Or(s.bytes, maxAnswer) }

// v2Client is one epoch of a v2 link, which outlives its connections. Each event is published once, and each command is
// executed once.
type v2Client struct {
	reporter
	keeper *keeper
	queue  *queue
	// timeout is how long the agent may not answer before it counts as lost.
	timeout time.Duration
	// alive is called with each answer.
	alive func()
	// evict is called with the agent's count of evicted events.
	evict func(total uint64)
	trips control.RoundTrips

	mu sync.Mutex
	// probed is the first answer of a connection that had to prove itself, nil where there is none.
	probed   *probe
	inbox    handshake.Inbox
	sequence handshake.Sequence
	answers  answerSize
}

func (e *v2Client) name() handshake.Dialect { return handshake.V2 }

func (e *v2Client) resumable() bool { return true }

func (e *v2Client) write(p *pending, limit time.Duration) (rpcCall, error) {
	arguments, err := p.currentArguments()
	if err != nil {
		return rpcCall{}, err
	}
	text, err := route.Marshal(arguments)
	if err != nil {
		return rpcCall{}, err
	}
	if p.number == 0 {
		p.number = e.begin()
	}
	call := numbered{number: p.number, floor: e.floor(), limit: limit}
	return rpcCall{commandFunction(p.route.ID, p.command.Name), &p.text, call.arguments(string(text))}, nil
}

func (e *v2Client) read(p *pending) (json.RawMessage, error) {
	value, err := p.command.ParseResult(p.text)
	if err != nil {
		return nil, fmt.Errorf("result of %s.%s: %w", p.route.Interface, p.command.Name, err)
	}
	return value, nil
}

func (e *v2Client) settled(p *pending) {
	if p.number != 0 {
		e.done(p.number)
	}
}

func (e *v2Client) push(ctx context.Context, push route.Push, value json.RawMessage) error {
	return e.invoke(ctx, FunctionPush, nil, push.ID, push.Variable, string(value))
}

// invoke calls a numbered function. It calls again on the link's next connection when one ends. The context must have a
// deadline.
func (e *v2Client) invoke(ctx context.Context, function string, reply any, arguments ...any) error {
	number := e.begin()
	defer e.done(number)
	deadline, _ := ctx.Deadline()
	for {
		w := e.keeper.way()
		switch {
		case w.isolated || w.dialect != nil && w.dialect != dialect(e):
			return ErrIsolated
		case w.client == nil && w.changed == nil:
			return errNoLink
		case w.client == nil:
			if err := waitFor(ctx, w.changed); err != nil {
				return err
			}
			continue
		}
		call := numbered{number: number, floor: e.floor(), limit: time.Until(deadline)}
		err := w.client.Call(ctx, function, reply, call.arguments(arguments...)...)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			e.cancel(w.client, number)
			return err
		case !closed(w.conn.abandoned) && !errors.Is(err, net.ErrClosed) && refusalOf(err) != notTheLink:
			return err
		}
		// The connection is gone, or about to be: wait until the keeper has abandoned it.
		select {
		case <-w.conn.abandoned:
		case <-ctx.Done():
			return ctx.Err()
		case <-e.ended:
			return errNoLink
		}
	}
}

// cancel cancels a command on the agent, because nobody waits for its result any more.
func (e *v2Client) cancel(conn *rpc.Client, number uint64) {
	ctx, end := context.WithTimeout(context.Background(), time.Second)
	defer end()
	if err := conn.Notify(ctx, FunctionCancel, number); err != nil {
		e.log.Debug("the satellite does not know that a command is cancelled", zap.Error(err))
	}
}

// events keeps one call of link_events open on a connection until it ends.
func (e *v2Client) events(ctx context.Context, id handshake.ConnID, conn *rpc.Client) {
	beat := e.timeout / 3
	var reported time.Time
	for ctx.Err() == nil {
		answered := e.takeProbe(id)
		if answered == nil {
			answered = e.fetch(ctx, conn, e.query(e.queue.waitForRoom(ctx, beat), beat))
		}
		err := answered.err
		if err == nil {
			err = e.receive(answered.query, answered.answer, answered.took)
		}
		switch {
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			e.unanswered()
			return // the connection's goroutine reports that
		case refusalOf(err) == notTheLink:
			// The agent has given the connection up, as one that ends does.
			e.post(handshake.Disconnected{Conn: id})
			return
		case err != nil:
			e.log.Warn("the agent's events cannot be had", zap.Error(err))
			e.post(handshake.CallFailed{Conn: id, Function: handshake.Events})
			return
		}
		e.alive()
		if now := time.Now(); now.Sub(reported) > e.timeout/8 {
			reported = now
			e.post(handshake.Replied{Conn: id, Function: handshake.Events})
		}
	}
}

// probe is one call of link_events and its answer.
type probe struct {
	id     handshake.ConnID
	query  eventsQuery
	answer rpc.Raw
	took   time.Duration
	err    error
}

func (e *v2Client) fetch(ctx context.Context, conn *rpc.Client, query eventsQuery) *probe {
	p := &probe{query: query}
	began := time.Now()
	p.err = conn.Call(ctx, FunctionEvents, &p.answer, query.arguments()...)
	p.took = time.Since(began)
	return p
}

// probe calls link_events on a connection before the link is resumed on it, and keeps the answer. It reports whether
// there is one.
func (e *v2Client) probe(ctx context.Context, id handshake.ConnID, conn *rpc.Client) bool {
	p := e.fetch(ctx, conn, e.query(e.queue.room(), 0))
	switch {
	case errors.Is(p.err, net.ErrClosed), ctx.Err() != nil:
		e.unanswered()
		return false // the connection's goroutine reports that
	case refusalOf(p.err) == notTheLink:
		e.post(handshake.Disconnected{Conn: id})
		return false
	}
	p.id = id
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probed = p
	return true
}

func (e *v2Client) takeProbe(id handshake.ConnID) *probe {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.probed
	e.probed = nil
	if p != nil && p.id == id {
		return p
	}
	return nil
}

// askForLess makes the next answers as small as can be. They grow again with what the network carries.
func (e *v2Client) askForLess() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers.bytes = minAnswer
}

// query returns the next call of link_events, with room for so many bytes of events here.
func (e *v2Client) query(room int, wait time.Duration) eventsQuery {
	e.mu.Lock()
	defer e.mu.Unlock()
	maxBytes := min(room, e.answers.get())
	query := eventsQuery{floor: e.sequence.Floor(), maxBytes: uint64(maxBytes), wait: wait}
	query.after, query.published = e.inbox.Position()
	if maxBytes == 0 {
		query.wait = 0
	}
	return query
}

// receive queues the events of an answer that are new.
func (e *v2Client) receive(query eventsQuery, answer rpc.Raw, took time.Duration) error {
	read, err := readEvents(answer, query)
	if err != nil {
		return err
	}
	if read.held >= 0 {
		e.trips.Add(took - read.held)
	}
	e.evict(read.evicted)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers.crossed(read.events.bytes, took-max(read.held, 0), e.timeout)
	// After a resume a call on the other connection may have brought the same events.
	if received, _ := e.inbox.Position(); received == query.after && e.inbox.Accept(read.events.last) {
		e.queue.add(read.events, e.published)
	}
	return nil
}

// unanswered follows a call of link_events whose connection ended.
func (e *v2Client) unanswered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers.failed()
}

func (e *v2Client) published(number uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inbox.Published(number)
}

func (e *v2Client) begin() (number uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sequence.Next()
}

func (e *v2Client) done(number uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sequence.Done(number)
}

func (e *v2Client) floor() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sequence.Floor()
}

func (e *v2Client) ping(ctx context.Context, conn *rpc.Client, size int) (time.Duration, error) {
	if size > 0 {
		return e.echo(ctx, conn, size)
	}
	began := time.Now()
	if err := conn.Call(ctx, FunctionPing, nil); err != nil {
		return 0, err
	}
	took := time.Since(began)
	e.trips.Add(took)
	return took, nil
}

// echo makes a round trip with so many bytes in both directions. They are random, so that no modem compresses them.
func (e *v2Client) echo(ctx context.Context, conn *rpc.Client, size int) (time.Duration, error) {
	payload, answer := make([]byte, size), []byte(nil)
	rand.Read(payload) // it never fails
	began := time.Now()
	if err := conn.Call(ctx, FunctionEcho, &answer, payload); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if !bytes.Equal(answer, payload) {
		return 0, fmt.Errorf("%s answered %d other bytes than the %d that were sent", FunctionEcho, len(answer), size)
	}
	return took, nil
}

func (e *v2Client) pingFunction(size int) string {
	if size > 0 {
		return FunctionEcho
	}
	return FunctionPing
}

func (e *v2Client) roundTrips() *control.RoundTrips { return &e.trips }

// waitFor waits for a channel to be closed.
func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
