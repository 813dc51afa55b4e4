package rpc

import (
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"time"
)

// flush writes what is queued. gather means that other senders are likely to queue something within microseconds. They
// may run first, so that one system call serves them all, up to gatherCount: the peer needs something to do meanwhile.
func (w *messageWriter) flush(gather bool) {
	batch, wait := w.beginFlush(gather)
	if wait {
		runtime.Gosched()
		w.writeGathered()
		return
	}
	w.writeBatches(batch)
}

// beginFlush returns what the caller must write, nil for nothing. wait reports whether the caller must let others queue
// messages and then call writeGathered instead.
func (w *messageWriter) beginFlush(gather bool) (batch []piece, wait bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.emptyLocked() {
		return nil, false
	}
	if w.flushing {
		if !w.gathering || w.messages < gatherCount {
			return nil, false
		}
		// Enough is gathered: this sender writes in place of the one that waits.
		w.gathering = false
	}
	w.flushing = true
	if gather && w.messages < gatherCount && len(w.pieces) == 0 {
		w.gathering = true
		return nil, true
	}
	return w.takeBatchLocked(), false
}

// flushSoon has another goroutine write what is queued, so that a sender can queue more messages meanwhile. If enough
// is queued it writes itself.
func (w *messageWriter) flushSoon() { w.writeBatches(w.beginFlushSoon()) }

func (w *messageWriter) beginFlushSoon() (batch []piece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil || w.emptyLocked(), w.flushing && !w.gathering:
	case w.messages >= gatherCount || len(w.pieces) > 0:
		w.flushing, w.gathering = true, false
		return w.takeBatchLocked()
	case !w.gathering:
		w.flushing, w.gathering = true, true
		w.writers.Go(w.gatherer)
	}
	return nil
}

// writeGathered writes unless another sender has begun to.
func (w *messageWriter) writeGathered() { w.writeBatches(w.endGathering()) }

func (w *messageWriter) endGathering() (batch []piece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.gathering {
		return nil
	}
	w.gathering = false
	if w.err != nil || w.emptyLocked() {
		w.flushing = false
		return nil
	}
	return w.takeBatchLocked()
}

func (w *messageWriter) emptyLocked() bool { return len(w.small) == 0 && len(w.pieces) == 0 }

// takeBatchLocked takes the first pieces from the queue, which must not be empty. Where the connection has no direct
// writer it returns nil and leaves the writing to writeAll.
func (w *messageWriter) takeBatchLocked() []piece {
	if w.direct == nil {
		w.writers.Go(w.writeAll)
		return nil
	}
	w.sealLocked()
	batch := append(w.writing[:0], w.pieces[:min(maxDirectBuffers, len(w.pieces))]...)
	w.writing = batch
	rest := copy(w.pieces, w.pieces[len(batch):])
	clear(w.pieces[rest:])
	w.pieces = w.pieces[:rest]
	return batch
}

// writeBatches writes the batch, and what is queued meanwhile, as far as the socket takes it.
func (w *messageWriter) writeBatches(batch []piece) {
	for round := 1; len(batch) > 0; round++ {
		w.vector = w.vector[:0]
		for _, piece := range batch {
			w.vector = append(w.vector, piece.data)
		}
		n, err := w.direct.write(w.vector)
		clear(w.vector)
		whole := w.putBack(batch, n)
		if err != nil {
			w.endFlush()
			w.fail(err)
			return
		}
		batch = w.nextBatch(whole, round)
	}
}

// putBack ends the writing of a batch of which n bytes were taken: what is left goes back to the front of the queue. It
// reports whether all was taken.
func (w *messageWriter) putBack(batch []piece, n int) (whole bool) {
	done := w.putBackRest(batch, n)
	noteWritten(batch[:done])
	whole = done == len(batch)
	clear(batch)
	return whole
}

// putBackRest returns how many pieces of the batch are no longer needed.
func (w *messageWriter) putBackRest(batch []piece, n int) (done int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takenLocked(n)
	for ; done < len(batch) && n >= len(batch[done].data); done++ {
		n -= len(batch[done].data)
		w.keepLocked(batch[done].gathered)
	}
	switch {
	case done == len(batch):
	case w.err != nil:
		// The writer has ended and dropped its queue; the batch is dropped, too.
		done = len(batch)
	default:
		batch[done].data = batch[done].data[n:]
		w.pieces = slices.Insert(w.pieces, 0, batch[done:]...)
	}
	return done
}

// nextBatch returns what the sender must write next. It returns nil, and leaves what is queued to writeAll, when the
// socket takes nothing at this moment or the sender has written for others often enough.
func (w *messageWriter) nextBatch(whole bool, round int) []piece {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil || w.emptyLocked():
		w.flushing = false
		return nil
	case !whole || round == maxFlushRounds:
		w.writers.Go(w.writeAll)
		return nil
	default:
		return w.takeBatchLocked()
	}
}

func (w *messageWriter) endFlush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushing = false
}

// takenLocked counts n bytes as written.
func (w *messageWriter) takenLocked(n int) {
	w.queued.Add(int64(-n))
	if w.change != nil && n > 0 {
		close(w.change)
		w.change = nil
	}
}

// writeAll writes until nothing is queued, and waits for the network where it must.
func (w *messageWriter) writeAll() {
	var pieces []piece
	var buffers net.Buffers
	for {
		if pieces = w.takeAll(pieces); len(pieces) == 0 {
			return
		}
		buffers = buffers[:0]
		for _, piece := range pieces {
			buffers = append(buffers, piece.data)
		}
		err := w.write(buffers)
		w.keepAll(pieces)
		noteWritten(pieces)
		clear(pieces)
		if err != nil {
			w.endFlush()
			w.fail(err)
			return
		}
	}
}

// takeAll takes everything from the queue and gives it the memory of spare. With nothing to take it ends the flush.
func (w *messageWriter) takeAll(spare []piece) []piece {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sealLocked()
	if w.err != nil || len(w.pieces) == 0 {
		w.flushing = false
		if w.err == nil {
			// A deadline that stays behind would fail a later direct write.
			w.conn.SetWriteDeadline(time.Time{})
		}
		return nil
	}
	taken := w.pieces
	w.pieces = spare[:0]
	return taken
}

func (w *messageWriter) keepAll(pieces []piece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, piece := range pieces {
		w.keepLocked(piece.gathered)
	}
}

// write writes the buffers. It fails when the peer takes nothing for the time-out.
func (w *messageWriter) write(buffers net.Buffers) error {
	for len(buffers) > 0 {
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
			return err
		}
		n, err := w.writeSome(&buffers)
		w.taken(n)
		if errors.Is(err, os.ErrDeadlineExceeded) && n > 0 && w.direct != nil {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *messageWriter) taken(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takenLocked(n)
}

// writeSome writes from the front of buffers. A socket takes all pieces with one system call. Other connections, such
// as TLS, cannot continue after a write that timed out half-way: they get portions that show whether the peer takes
// something.
func (w *messageWriter) writeSome(buffers *net.Buffers) (int, error) {
	if w.direct != nil {
		n, err := buffers.WriteTo(w.conn)
		return int(n), err
	}
	const maxPortion = 64 << 10
	first := (*buffers)[0]
	portion := first[:min(len(first), maxPortion)]
	n, err := w.conn.Write(portion)
	if (*buffers)[0] = first[n:]; n == len(first) {
		*buffers = (*buffers)[1:]
	}
	return n, err
}
