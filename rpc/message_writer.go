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
	// bigMessage is from how many bytes on a message is written from the sender's memory instead of being copied.
	bigMessage = 32 << 10
	// maxKept is the largest buffer, in bytes, that a call keeps for later calls.
	maxKept = 256 << 10
	// gatherCount is how many short messages are gathered before they are written.
	gatherCount = 32
	// gatherSize is how many bytes of short messages are gathered in one buffer. Up to smallGather bytes they use a
	// buffer that the connection keeps.
	gatherSize  = 64 << 10
	smallGather = 4 << 10
	// maxFlushRounds is how often one sender also writes what others have queued meanwhile.
	maxFlushRounds = 8
)

// messageWriter queues the messages of one connection and writes them, as many as there are with one system call.
//
//	put -> small, pieces -> flush -> what the socket takes at once
//	                              -> writeAll, a goroutine, for the rest
//
// Nobody waits for the network: a sender writes what the socket takes at once. The rest is written by a goroutine that
// lives as long as something is queued. A message of bigMessage bytes or more is written from the sender's memory.
//
// All methods may be used concurrently.
type messageWriter struct {
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
	// pieces are written before small. small collects short messages; spare is the buffer used in turns with small.
	pieces []piece
	small  []byte
	spare  []byte
	// writing and vector are what a flush writes, kept for the next one. Only the sender that flushes uses them.
	writing []piece
	vector  [][]byte
	// messages counts the short messages in small.
	messages int
	// flushing means that a goroutine writes or is about to. gathering means that it lets others queue messages first.
	flushing, gathering bool
	err                 error
	// change is closed when queued has become less or err was set; nil while nobody waits for that.
	change  chan struct{}
	writers sync.WaitGroup
	// gatherer is the method writeGathered, kept because making a method value allocates.
	gatherer func()
}

// piece is a part of the stream.
type piece struct {
	data []byte
	// owner gets a call of written when data is no longer needed; nil without one.
	owner pieceOwner
	// gathered is the writer's own buffer that holds data; nil for memory of a sender.
	gathered []byte
}

type pieceOwner interface{ written() }

var errWriterStopped = errors.New("closed")

// newBuffers returns the pool of buffers that the connections of one client or server share.
func newBuffers() *sync.Pool {
	return &sync.Pool{New: func() any { return new([gatherSize]byte) }}
}

func (w *messageWriter) init(conn net.Conn, buffers *sync.Pool, timeout time.Duration, limit int, broken func(error)) {
	w.conn = conn
	w.buffers = buffers
	w.direct = newDirectWriter(conn)
	w.gatherer = w.writeGathered
	w.timeout = timeout
	w.limit = limit
	w.broken = broken
}

// room waits until no more than the limit is queued. It fails with ErrTimeout when expired delivers first, and with the
// cause of ctx when that ends first. A broken connection is reported by put, not by room.
func (w *messageWriter) room(ctx context.Context, expired <-chan time.Time) error {
	for w.queued.Load() > int64(w.limit) {
		w.flush(false)
		if err := w.await(ctx, expired, int64(w.limit)); err != nil {
			return err
		}
	}
	return nil
}

// await waits once for queued to become less while it is above limit.
func (w *messageWriter) await(ctx context.Context, expired <-chan time.Time, limit int64) error {
	change, err := w.changeAbove(limit)
	if change == nil {
		return err
	}
	select {
	case <-change:
		return nil
	case <-expired:
		return ErrTimeout
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// changeAbove returns a channel that is closed at the next change, nil when no more than limit is queued.
func (w *messageWriter) changeAbove(limit int64) (<-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.queued.Load() <= limit {
		return nil, w.err
	}
	if w.change == nil {
		w.change = make(chan struct{})
	}
	return w.change, nil
}

// put queues one message: head, which is copied unless it is big, and tail, which is never copied and may be nil. With
// an owner, a big head and the tail must not change until written is called; without one they belong to the writer.
// gathered reports whether enough short messages are queued to write them.
func (w *messageWriter) put(head, tail []byte, owner pieceOwner) (gathered bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return false, w.err
	}
	w.queued.Add(int64(len(head) + len(tail)))
	if len(head) < bigMessage {
		w.growLocked(len(head))
		w.small = append(w.small, head...)
		w.messages++
	} else {
		w.sealLocked()
		if len(tail) > 0 {
			w.pieces = append(w.pieces, piece{data: head})
		} else {
			w.pieces = append(w.pieces, piece{data: head, owner: owner})
		}
	}
	if len(tail) > 0 {
		w.sealLocked()
		w.pieces = append(w.pieces, piece{data: tail, owner: owner})
	}
	return w.messages >= gatherCount, nil
}

// sealLocked makes a piece of what small holds, so that another piece can follow.
func (w *messageWriter) sealLocked() {
	if len(w.small) == 0 {
		return
	}
	w.pieces = append(w.pieces, piece{data: w.small, gathered: w.small})
	w.small, w.spare, w.messages = w.spare[:0], nil, 0
}

// growLocked makes room for n more bytes in small, in a buffer of the pool where small itself should not grow that far.
func (w *messageWriter) growLocked(n int) {
	total := len(w.small) + n
	switch {
	case total <= max(cap(w.small), smallGather):
	case total <= gatherSize:
		buffer := w.buffers.Get().(*[gatherSize]byte)
		small := w.small
		w.small = buffer[:copy(buffer[:], small)]
		w.keepLocked(small)
	default:
		w.sealLocked()
		w.keepLocked(w.small)
		w.small = w.buffers.Get().(*[gatherSize]byte)[:0]
	}
}

// keepLocked takes a buffer back for later messages.
func (w *messageWriter) keepLocked(buffer []byte) {
	switch {
	case cap(buffer) == gatherSize:
		w.buffers.Put((*[gatherSize]byte)(buffer[:gatherSize]))
	case cap(buffer) > 0 && cap(buffer) <= 2*smallGather:
		w.spare = buffer[:0]
	}
}

// fail ends the writer: it drops what is queued and calls the owners of that.
func (w *messageWriter) fail(err error) {
	pieces, first := w.setError(err)
	noteWritten(pieces)
	if first && w.broken != nil && err != errWriterStopped {
		w.broken(err)
	}
}

// noteWritten calls the owners of pieces that the writer needs no more.
func noteWritten(pieces []piece) {
	for _, piece := range pieces {
		if piece.owner != nil {
			piece.owner.written()
		}
	}
}

// setError returns the pieces that were queued, and reports whether err is the first error.
func (w *messageWriter) setError(err error) (dropped []piece, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, false
	}
	w.err = err
	dropped = w.pieces
	w.pieces, w.small, w.spare = nil, nil, nil
	if w.change != nil {
		close(w.change)
		w.change = nil
	}
	return dropped, true
}

// failed reports whether the writer has ended.
func (w *messageWriter) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil
}

// disown copies what is queued of the owner's memory, so that the owner may use it again. It returns false when that
// memory is being written at this moment; written is called when it no longer is.
func (w *messageWriter) disown(owner pieceOwner) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.pieces {
		if w.pieces[i].owner == owner {
			w.pieces[i] = piece{data: append([]byte(nil), w.pieces[i].data...)}
			return true
		}
	}
	return false
}

// drained waits until everything queued is written or the writer has failed.
func (w *messageWriter) drained() {
	w.flush(false)
	for w.queued.Load() > 0 {
		if w.await(context.Background(), nil, 0) != nil {
			return
		}
	}
}

// stop ends the writer and waits for its goroutines. The connection must be closed already.
func (w *messageWriter) stop() {
	w.fail(errWriterStopped)
	w.writers.Wait()
}
