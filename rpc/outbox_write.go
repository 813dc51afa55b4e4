package rpc

import (
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"time"
)

// flush sees to it that what is queued gets written. gather says that other senders are likely to queue something within
// microseconds: they are let run first, so that one system call serves all, up to gatherCount of them: the peer shall have
// something to do while more is being gathered.
func (o *outbox) flush(gather bool) {
	o.mu.Lock()
	if o.err != nil || len(o.small) == 0 && len(o.pieces) == 0 {
		o.mu.Unlock()
		return
	}
	if o.flushing {
		if !o.gathering || o.messages < gatherCount {
			o.mu.Unlock()
			return
		}
		// Whoever gathers has enough: this sender writes in its place.
		o.gathering = false
	}
	o.flushing = true
	if gather && o.messages < gatherCount && len(o.pieces) == 0 {
		o.gathering = true
		o.mu.Unlock()
		runtime.Gosched()
		o.writeGathered()
		return
	}
	o.writeQueued()
}

// flushSoon sees to it that what is queued gets written, by another goroutine, or by this one if enough of it is queued: a
// sender that queues many messages in a row goes on meanwhile.
func (o *outbox) flushSoon() {
	o.mu.Lock()
	switch {
	case o.err != nil || len(o.small) == 0 && len(o.pieces) == 0, o.flushing && !o.gathering:
		o.mu.Unlock()
	case o.messages >= gatherCount || len(o.pieces) > 0:
		o.flushing, o.gathering = true, false
		o.writeQueued()
	case o.gathering:
		o.mu.Unlock()
	default:
		o.flushing, o.gathering = true, true
		o.drainers.Go(o.gatherer)
		o.mu.Unlock()
	}
}

// writeGathered writes unless somebody else has begun to.
func (o *outbox) writeGathered() {
	o.mu.Lock()
	if !o.gathering {
		o.mu.Unlock()
		return
	}
	o.gathering = false
	o.writeQueued()
}

// writeQueued writes what the socket takes and leaves the rest to drain. mu is held, and no longer when it returns;
// flushing is set.
func (o *outbox) writeQueued() {
	for range flushRounds {
		if o.err != nil || o.direct == nil {
			break
		}
		o.seal()
		batch := o.batch(directBuffers)
		o.mu.Unlock()
		o.vector = o.vector[:0]
		for _, piece := range batch {
			o.vector = append(o.vector, piece.data)
		}
		n, err := o.direct.write(o.vector)
		clear(o.vector)
		if err != nil {
			o.putBack(batch, 0)
			o.mu.Lock()
			o.flushing = false
			o.mu.Unlock()
			o.fail(err)
			return
		}
		whole := o.putBack(batch, n)
		o.mu.Lock()
		if !whole {
			break
		}
		if len(o.small) == 0 && len(o.pieces) == 0 {
			o.flushing = false
			o.mu.Unlock()
			return
		}
	}
	if o.err == nil {
		o.drainers.Go(o.drain)
	} else {
		o.flushing = false
	}
	o.mu.Unlock()
}

// batch takes the first pieces, at most some; mu is held.
func (o *outbox) batch(most int) []piece {
	batch := append(o.writing[:0], o.pieces[:min(most, len(o.pieces))]...)
	o.writing = batch
	rest := copy(o.pieces, o.pieces[len(batch):])
	clear(o.pieces[rest:])
	o.pieces = o.pieces[:rest]
	return batch
}

// putBack ends the writing of a batch of which n bytes were taken: what is left goes back to the front. It answers whether
// all of it was taken.
func (o *outbox) putBack(batch []piece, n int) (whole bool) {
	o.mu.Lock()
	o.taken(n)
	done := 0
	for ; done < len(batch) && n >= len(batch[done].data); done++ {
		n -= len(batch[done].data)
		o.keep(batch[done].gathered)
	}
	whole = done == len(batch)
	switch {
	case whole:
	case o.err != nil:
		// The outbox has ended meanwhile: nothing of it is needed any more.
		done = len(batch)
	default:
		batch[done].data = batch[done].data[n:]
		o.pieces = slices.Insert(o.pieces, 0, batch[done:]...)
	}
	o.mu.Unlock()
	for _, piece := range batch[:done] {
		if piece.owner != nil {
			piece.owner.written()
		}
	}
	clear(batch)
	return whole
}

// taken counts n bytes as written; mu is held.
func (o *outbox) taken(n int) {
	o.queued.Add(int64(-n))
	if o.change != nil && n > 0 {
		close(o.change)
		o.change = nil
	}
}

// drain writes until nothing is queued.
func (o *outbox) drain() {
	var pieces []piece
	var buffers net.Buffers
	for {
		o.mu.Lock()
		o.seal()
		if o.err != nil || len(o.pieces) == 0 {
			o.flushing = false
			if o.err == nil {
				// A deadline that stays behind would fail a later direct write.
				o.conn.SetWriteDeadline(time.Time{})
			}
			o.mu.Unlock()
			return
		}
		pieces, o.pieces = o.pieces, pieces[:0]
		o.mu.Unlock()
		buffers = buffers[:0]
		for _, piece := range pieces {
			buffers = append(buffers, piece.data)
		}
		err := o.write(buffers)
		o.mu.Lock()
		for _, piece := range pieces {
			o.keep(piece.gathered)
		}
		o.mu.Unlock()
		for _, piece := range pieces {
			if piece.owner != nil {
				piece.owner.written()
			}
		}
		clear(pieces)
		if err != nil {
			o.mu.Lock()
			o.flushing = false
			o.mu.Unlock()
			o.fail(err)
			return
		}
	}
}

// write writes the buffers. It gives up when the peer takes nothing for the time-out.
func (o *outbox) write(buffers net.Buffers) error {
	for len(buffers) > 0 {
		if err := o.conn.SetWriteDeadline(time.Now().Add(o.timeout)); err != nil {
			return err
		}
		n, err := o.writeSome(&buffers)
		o.mu.Lock()
		o.taken(n)
		o.mu.Unlock()
		if errors.Is(err, os.ErrDeadlineExceeded) && n > 0 && o.direct != nil {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeSome writes from the front of buffers. Sockets take all pieces with one system call; others, such as TLS, which
// cannot go on after a write that timed out half-way, get portions small enough to say that the peer takes something.
func (o *outbox) writeSome(buffers *net.Buffers) (int, error) {
	if o.direct != nil {
		n, err := buffers.WriteTo(o.conn)
		return int(n), err
	}
	first := (*buffers)[0]
	portion := first[:min(len(first), 64<<10)]
	n, err := o.conn.Write(portion)
	if (*buffers)[0] = first[n:]; n == len(first) {
		*buffers = (*buffers)[1:]
	}
	return n, err
}
