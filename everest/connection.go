package everest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/internal/family"
)

// link is one connection to the broker.
type link struct {
	transport Transport
	opened    time.Time
	// ready is set when the replies to commands are subscribed.
	ready atomic.Bool
	// next is closed when another link has taken this one's place.
	next chan struct{}
	// settled is closed when it is known whether the next link goes on as if this one had not ended; goesOn is the answer.
	settled chan struct{}
	goesOn  bool
}

func newLink(transport Transport) *link {
	return &link{transport: transport, opened: time.Now(), next: make(chan struct{}), settled: make(chan struct{})}
}

// settle answers whether the next link goes on. Only the first answer counts. Only Run's goroutine calls it.
func (l *link) settle(goesOn bool) {
	select {
	case <-l.settled:
	default:
		l.goesOn = goesOn
		close(l.settled)
	}
}

// gate holds back variables and errors while nobody may hear them.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // nil while the gate is open; closed when it opens
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		close(g.closed)
		g.closed = nil
	}
}

// opening returns nil while the gate is open, or a channel that is closed when it opens.
func (g *gate) opening() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// send publishes one message. It fails when there is no connection.
func (m *Module) send(ctx context.Context, topic string, payload []byte, delivery Delivery) error {
	if size, most := packetSize(topic, payload, delivery), m.maxPacketSize(); size > most {
		return &tooLargeError{Topic: topic, Size: size, Limit: most}
	}
	link := m.link.Load()
	if link == nil {
		return fmt.Errorf("%w: %s", ErrNotConnected, topic)
	}
	if err := link.transport.Publish(ctx, topic, payload, delivery); err != nil {
		return err
	}
	m.counters.published.Add(1)
	return nil
}

// sendLasting is send, but a standalone module that has lost its broker waits for the next connection. A message that is
// news for all modules also waits until they are ready.
func (m *Module) sendLasting(ctx context.Context, topic string, payload []byte, news bool) error {
	for {
		link := m.link.Load()
		if opening := m.gate.opening(); news && opening != nil {
			select {
			case <-opening:
			case <-m.ending.over:
				return m.ending.reason()
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			continue
		}
		err := m.send(ctx, topic, payload, ExactlyOnce)
		if err == nil || link == nil || m.spawned {
			return err
		}
		select {
		case <-link.transport.Done():
		default:
			return err
		}
		select {
		case <-link.next:
		case <-m.ending.over:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Acknowledged calls done once the broker has acknowledged every message that was published so far: at once, or later in
// another goroutine. It survives connections of a standalone module. done must not block, and is not called when the
// module ends before.
func (m *Module) Acknowledged(done func()) {
	link := m.link.Load()
	if link == nil || m.ending.isOver() {
		return
	}
	select {
	case <-link.transport.Done():
		if m.spawned {
			return
		}
	default:
	}
	link.transport.Acknowledged(done)
}

// clientIdentity is how the module is known to the broker.
type clientIdentity struct {
	id string
	// durable is set where the broker may keep the session.
	durable bool
	release func()
}

// maxInstances is how many processes on one board may be modules of one id, each with a session.
const maxInstances = 16

// identify chooses the module's client id. A standalone module has the same one in each of its processes, and so finds the
// session that an earlier one has left: sessions of random ids would fill the broker. A process that runs beside another
// one of the same id gets an id of its own.
func (m *Module) identify() clientIdentity {
	unknown := clientIdentity{id: m.options.ModuleID + "-" + newUUID()[:8], release: func() {}}
	if m.spawned {
		return unknown
	}
	hash := fnv.New64a()
	fmt.Fprint(hash, m.options.Broker, " ", m.options.EverestPrefix, " ", m.options.ModuleID)
	for instance := range maxInstances {
		id := fmt.Sprintf("%s-%016x-%d", m.options.ModuleID, hash.Sum64(), instance)
		if release, ok := claim("everest-mqtt-" + id[len(m.options.ModuleID)+1:]); ok {
			return clientIdentity{id, true, release}
		}
	}
	return unknown
}

// openTransport connects to the broker. It takes over the session of the connection before.
func (m *Module) openTransport(ctx, handling context.Context) (Transport, error) {
	config := TransportConfig{
		Broker: m.options.Broker, ClientID: m.identity.id, Durable: m.identity.durable, Logger: m.log,
		Receive: func(message Message) { m.receive(handling, message) },
	}
	if before := m.link.Load(); before != nil {
		config.Previous = before.transport
	}
	return m.options.OpenTransport(ctx, config)
}

// Two modules of one client id end each other's connections. After maxBrief connections in a row that were brief there is
// a pause before the next one.
const (
	brief      = time.Second
	maxBrief   = 5
	briefPause = 2 * time.Second
)

// reconnect makes a new connection. Where the broker answers at once and has kept the session, nothing else happened, and
// the module goes on. Otherwise the broker, and with it the manager and all its modules, may have started again. The
// module then repeats the handshake, and its news waits for the next global ready.
func (m *Module) reconnect(ctx context.Context, reached *progress) error {
	lost := m.link.Load()
	if err := lost.transport.Close(); err != nil {
		m.log.Debug("closing the lost connection", zap.Error(err))
	}
	delay := m.options.ReconnectDelay
	if time.Since(lost.opened) >= brief {
		reached.brief = 0
	} else if reached.brief++; reached.brief > maxBrief {
		lost.settle(false)
		if err := m.pause(ctx, briefPause); err != nil {
			return err
		}
	}
	for {
		err := m.connectAgain(ctx, lost, reached)
		if err == nil {
			return nil
		}
		lost.settle(false)
		if errors.Is(err, ErrConfigChanged) || errors.Is(err, ErrReleaseChanged) || errors.Is(err, family.ErrNotSpoken) || ctx.Err() != nil {
			return err
		}
		m.log.Warn("not connected to the broker", zap.Error(err), zap.Duration("next_attempt_in", delay))
		if pausing := m.pause(ctx, delay); pausing != nil {
			return err
		}
		delay = min(2*delay, 30*time.Second)
	}
}

// pause waits, while the watchdog is fed.
func (m *Module) pause(ctx context.Context, delay time.Duration) error {
	for pause := time.After(delay); ; {
		select {
		case <-pause:
			return nil
		case <-m.watchdog.due():
			m.watchdog.turn()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// connectAgain makes one attempt. The link lost is not settled before the first one has failed.
func (m *Module) connectAgain(ctx context.Context, lost *link, reached *progress) error {
	if m.lost() {
		m.reportPhase("connecting to the broker " + m.options.Broker.String())
		transport, err := m.openTransport(ctx, ctx)
		if err != nil {
			return err
		}
		next := newLink(transport)
		before := m.link.Load()
		if m.isFirst(lost) && transport.Resumed() && before.ready.Load() && !reached.again {
			next.ready.Store(true)
			transport.Carry(m.carry(false, false))
			m.replace(before, next)
			lost.settle(true)
			m.log.Info("connected to the broker again, which has kept everything")
			return m.subscribePending(ctx)
		}
		lost.settle(false)
		reached.again = true
		if reached.ready {
			m.gate.shut()
		}
		m.forgetOthers(ctx)
		m.router.wantAllAgain()
		transport.Carry(m.carry(reached.ready, true))
		m.replace(before, next)
		// What a session delivers is no evidence of a family, but has to be handled.
		find := m.lookForFamily
		if transport.Resumed() && m.search.found.Load() {
			find = func() error { return m.sameFamily() }
		}
		if err := find(); err != nil {
			return err
		}
	}
	config, err := m.introduce(ctx)
	if err != nil {
		return err
	}
	if !config.sameFor(m.config) {
		return ErrConfigChanged
	}
	m.link.Load().ready.Store(true)
	m.publishMetadata(ctx)
	if reached.ready {
		if err := m.sayReady(ctx); err != nil {
			return err
		}
	}
	m.log.Info("connected to the broker again")
	return nil
}

// isFirst reports whether no attempt to replace the link has failed.
func (m *Module) isFirst(lost *link) bool {
	select {
	case <-lost.settled:
		return false
	default:
		return true
	}
}

func (m *Module) replace(before, next *link) {
	m.link.Store(next)
	close(before.next)
}

// carry decides on what an earlier connection has left over. News waits for its hearers where hold is set. A command
// whose caller has an error by now is forgotten: forget is set then.
func (m *Module) carry(hold, forget bool) func(topic string) CarryDecision {
	return func(topic string) CarryDecision {
		for _, p := range m.provided {
			if kind, own := strings.CutPrefix(topic, p.base+"/"); own {
				if hold && !strings.HasPrefix(kind, "cmd") {
					return CarryHold
				}
				return CarrySend
			}
		}
		if forget {
			return CarryDrop
		}
		return CarrySend
	}
}

// letNewsOut follows a global ready: everybody hears from here on.
func (m *Module) letNewsOut(ctx context.Context) error {
	link := m.link.Load()
	link.transport.Carry(m.carry(false, false))
	m.gate.open()
	// The errors must not wait for a connection, because this goroutine would have to make it.
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		select {
		case <-link.transport.Done():
			cancel(link.transport.Err())
		case <-ctx.Done():
		}
	})
	return m.raiseAgain(ctx)
}
