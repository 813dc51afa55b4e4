package rpc

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// bigMessage is from how many bytes on a message is not copied into the outbox but written from where it is.
	bigMessage = 32 << 10
	// keptBuffer is the largest buffer that a call keeps for later calls.
	keptBuffer = 256 << 10
	// gatherCount is how many short messages are gathered before they are written.
	gatherCount = 32
	// gatherSize is how many bytes of short messages are gathered in one buffer; up to smallGather they have one that the
	// connection keeps.
	gatherSize  = 64 << 10
	smallGather = 4 << 10
	// flushRounds is how often one sender goes on writing what others have queued meanwhile.
	flushRounds = 8
)

// outbox queues the messages of one connection and writes them, as many as there are with one system call. Nobody waits
// for the network: a sender writes what the socket takes at once, and leaves the rest to a goroutine that lives as long as
// something is queued. A message of bigMessage bytes or more is written from the sender's memory.
//
// All methods may be used concurrently.
type outbox struct {
	conn net.Conn
	// direct writes without waiting; nil where the connection cannot.
	direct  *directWriter
	timeout time.Duration
	limit   int
	// buffers are of gatherSize bytes, shared with other connections.
	buffers *sync.Pool
	// broken is called once with the first error of a write, on a goroutine that holds no lock.
	broken func(error)

	// queued counts the bytes that the network has not taken.
	queued atomic.Int64

	mu sync.Mutex
	// pieces are to be written before small. small collects short messages, spare is the buffer it takes turns with.
	pieces []piece
	small  []byte
	spare  []byte
	// writing and vector are what flush writes, kept for the next time; whoever flushes uses them.
	writing []piece
	vector  [][]byte
	// messages counts the short ones that small holds.
	messages int
	// flushing says that somebody writes, or is about to; gathering that it lets others run before.
	flushing, gathering bool
	err                 error
	// change is closed when queued has become less or err was set; nil while nobody waits for that.
	change   chan struct{}
	drainers sync.WaitGroup
	// gatherer is writeGathered.
	gatherer func()
}

// piece is a part of the stream. owner, if any, is told when data is no longer needed; gathered is the outbox's own buffer
// that data is in, if it is.
type piece struct {
	data     []byte
	owner    pieceOwner
	gathered []byte
}

type pieceOwner interface{ written() }

var errOutboxClosed = errors.New("closed")

// newBuffers makes the pool that the outboxes of one client or server share.
func newBuffers() *sync.Pool {
	return &sync.Pool{New: func() any { return new([gatherSize]byte) }}
}

func (o *outbox) init(conn net.Conn, buffers *sync.Pool, timeout time.Duration, limit int, broken func(error)) {
	o.conn = conn
	o.buffers = buffers
	o.direct = newDirectWriter(conn)
	o.gatherer = o.writeGathered
	o.timeout = timeout
	o.limit = limit
	o.broken = broken
}

// room waits until no more than the limit is queued. It fails with cause(ctx) when done is closed first. A nil error says
// nothing about the connection: put does.
func (o *outbox) room(ctx context.Context, expired <-chan time.Time) error {
	for o.queued.Load() > int64(o.limit) {
		o.flush(false)
		if err := o.await(ctx, expired, int64(o.limit)); err != nil {
			return err
		}
	}
	return nil
}

// await waits once for queued to become less while it is above limit.
func (o *outbox) await(ctx context.Context, expired <-chan time.Time, limit int64) error {
	o.mu.Lock()
	if o.err != nil || o.queued.Load() <= limit {
		defer o.mu.Unlock()
		if o.err != nil {
			return o.err
		}
		return nil
	}
	if o.change == nil {
		o.change = make(chan struct{})
	}
	change := o.change
	o.mu.Unlock()
	select {
	case <-change:
		return nil
	case <-expired:
		return ErrTimeout
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// put queues one message: head, which is copied unless it is big, and tail, which never is and may be nil. With an owner,
// neither a big head nor the tail may change until the owner is told; head and tail belong to the outbox otherwise.
// gathered says that enough short messages are queued to write them.
func (o *outbox) put(head, tail []byte, owner pieceOwner) (gathered bool, err error) {
	o.mu.Lock()
	if o.err != nil {
		err = o.err
		o.mu.Unlock()
		return false, err
	}
	o.queued.Add(int64(len(head) + len(tail)))
	if len(head) < bigMessage {
		o.grow(len(head))
		o.small = append(o.small, head...)
		o.messages++
	} else {
		o.seal()
		if len(tail) > 0 {
			o.pieces = append(o.pieces, piece{data: head})
		} else {
			o.pieces = append(o.pieces, piece{data: head, owner: owner})
		}
	}
	if len(tail) > 0 {
		o.seal()
		o.pieces = append(o.pieces, piece{data: tail, owner: owner})
	}
	gathered = o.messages >= gatherCount
	o.mu.Unlock()
	return gathered, nil
}

// seal makes what small holds a piece, so that something can follow it.
func (o *outbox) seal() {
	if len(o.small) == 0 {
		return
	}
	o.pieces = append(o.pieces, piece{data: o.small, gathered: o.small})
	o.small, o.spare, o.messages = o.spare[:0], nil, 0
}

// grow sees to it that n more bytes fit into small where appending would not do that well; mu is held.
func (o *outbox) grow(n int) {
	total := len(o.small) + n
	switch {
	case total <= max(cap(o.small), smallGather):
	case total <= gatherSize:
		buffer := o.buffers.Get().(*[gatherSize]byte)
		small := o.small
		o.small = buffer[:copy(buffer[:], small)]
		o.keep(small)
	default:
		o.seal()
		o.keep(o.small)
		o.small = o.buffers.Get().(*[gatherSize]byte)[:0]
	}
}

// keep takes a buffer back; mu is held.
func (o *outbox) keep(buffer []byte) {
	switch {
	case cap(buffer) == gatherSize:
		o.buffers.Put((*[gatherSize]byte)(buffer[:gatherSize]))
	case cap(buffer) > 0 && cap(buffer) <= 2*smallGather:
		o.spare = buffer[:0]
	}
}

// fail ends the outbox: what is queued is dropped and its owners are told.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	if o.err != nil {
		o.mu.Unlock()
		return
	}
	o.err = err
	pieces := o.pieces
	o.pieces, o.small, o.spare = nil, nil, nil
	if o.change != nil {
		close(o.change)
		o.change = nil
	}
	o.mu.Unlock()
	for _, piece := range pieces {
		if piece.owner != nil {
			piece.owner.written()
		}
	}
	if o.broken != nil && err != errOutboxClosed {
		o.broken(err)
	}
}

// failed says whether the outbox has ended.
func (o *outbox) failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err != nil
}

// disown makes the outbox independent of the owner's memory: what it still queues it copies. It answers false when that
// memory is being written this moment; the owner is told when it no longer is.
func (o *outbox) disown(owner pieceOwner) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.pieces {
		if o.pieces[i].owner == owner {
			o.pieces[i] = piece{data: append([]byte(nil), o.pieces[i].data...)}
			return true
		}
	}
	return false
}

// drained waits until everything queued is written or the outbox has failed.
func (o *outbox) drained() {
	o.flush(false)
	for o.queued.Load() > 0 {
		if o.await(context.Background(), nil, 0) != nil {
			return
		}
	}
}

// stop ends the outbox and waits for its goroutine; the connection must be closed already.
func (o *outbox) stop() {
	o.fail(errOutboxClosed)
	o.drainers.Wait()
}
