package rpc

import (
	"net"
	"sync"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

const (
	// minRead and maxRead bound, in bytes, how much of the connection one read asks for.
	minRead = 4 << 10
	maxRead = 512 << 10
	// maxTrusted is the announced length, in bytes, up to which a server makes a buffer before the bytes are there. A client
	// has one connection, so that a buffer of the longest message costs less than one that grows.
	maxTrusted = 1<<20 + 4<<10
	// calmReads is after how many reads in a row that used little of the buffer it is made smaller.
	calmReads = 64
)

// messageReader reads the messages of one connection. Its buffer grows with what one read brings and with the announced
// length of a message, and shrinks again. It is for one goroutine at a time.
type messageReader struct {
	conn    net.Conn
	scanner msgpack.Scanner
	buffer  []byte
	// spare is the buffer that was in use before a big message needed one of its own.
	spare []byte
	// buffer[start:end] was read and not yet returned. The message at start has at least need bytes.
	start, end, need int
	// pool keeps the buffers of big messages; nil where they are not used again.
	pool *sync.Pool
	// read is how many bytes a read asks for. calm counts the reads in a row that brought little of that.
	read, calm int
	// unfinished is the server's budget, nil for a client. charge is what the message at start costs of it, and cost is
	// what the reader has charged last.
	unfinished *unfinished
	charge     charge
	cost       int
}

func (r *messageReader) init(conn net.Conn, limits Limits) {
	r.conn = conn
	r.scanner.Init(limits.message())
	r.read = minRead
	r.need = 1
}

// next returns the next message, valid until the next call of fill, or nil when none is complete. It does not read.
func (r *messageReader) next() ([]byte, error) {
	if r.end-r.start < r.need {
		return nil, nil
	}
	size, need, err := r.scanner.Scan(r.buffer[r.start:r.end])
	if err != nil {
		return nil, scanError(err)
	}
	if size == 0 {
		r.need = need
		return nil, nil
	}
	r.scanner.Reset()
	r.need = 1
	r.uncharge()
	message := r.buffer[r.start : r.start+size : r.start+size]
	r.start += size
	return message, nil
}

// partial reports whether a message has begun and is not complete.
func (r *messageReader) partial() bool { return r.end > r.start }

// fill reads once. It must only be called after next has returned nil.
func (r *messageReader) fill() error {
	if err := r.makeRoom(); err != nil {
		return err
	}
	window := r.buffer[r.end:]
	if r.big() {
		// A big message ends its buffer, so that handOver can give the buffer away with the message.
		window = window[:min(len(window), r.start+r.need-r.end)]
	}
	n, err := r.conn.Read(window)
	r.end += n
	if n > 0 {
		// The next read returns the same error again.
		r.adapt(n)
		return nil
	}
	return err
}

// big reports whether the message at start is a big one whose end is known.
func (r *messageReader) big() bool { return r.need >= bigMessage && r.scanner.Ends() }

// makeRoom makes room for a read behind end. It fails with errOverBudget.
func (r *messageReader) makeRoom() error {
	have := r.end - r.start
	want := r.read
	if r.need > want {
		// Beyond what a peer's announcement may cost, the buffer of a server grows only as fast as the bytes come.
		want = r.need
		if r.unfinished != nil {
			want = min(r.need, max(maxTrusted, 2*have))
		}
	}
	oversized := len(r.buffer) > 2*want && r.calm >= calmReads
	if len(r.buffer) >= want && !oversized {
		if have == 0 {
			r.start, r.end = 0, 0
		} else if len(r.buffer)-r.start < min(r.need, want) || r.end == len(r.buffer) {
			copy(r.buffer, r.buffer[r.start:r.end])
			r.start, r.end = 0, have
		}
		if r.end < len(r.buffer) {
			return r.charged(len(r.buffer))
		}
	}
	// An array announces the number of its elements, not its length: the buffer grows with what has come.
	want = max(want, have+max(minRead, have/2))
	if r.big() && r.need > have {
		want = min(r.need, want)
		if len(r.buffer) <= maxRead {
			r.spare = r.buffer
		}
	}
	if err := r.charged(want); err != nil {
		return err
	}
	buffer := r.newBuffer(want)
	copy(buffer, r.buffer[r.start:r.end])
	r.buffer, r.start, r.end = buffer, 0, have
	return nil
}

// charged charges a buffer of size bytes to the budget, where an unfinished message is in it.
func (r *messageReader) charged(size int) error {
	if r.unfinished == nil || size <= freeBuffer || !r.partial() || size == r.cost {
		return nil
	}
	r.cost = size
	return r.unfinished.set(&r.charge, size)
}

// uncharge ends the charge of the message at start.
func (r *messageReader) uncharge() {
	if r.cost > 0 {
		r.cost = 0
		r.unfinished.end(&r.charge)
	}
}

// adapt doubles the size of the reads when one filled the buffer. It halves the size when many reads in a row brought
// little.
func (r *messageReader) adapt(n int) {
	switch {
	case r.end == len(r.buffer) && !r.big():
		r.read = min(2*r.read, maxRead)
		r.calm = 0
	case n > r.read/4 && r.read > minRead, n >= bigMessage:
		r.calm = 0
	default:
		if r.calm++; r.calm%calmReads == 0 {
			r.read = max(r.read/2, minRead)
		}
	}
}

// newBuffer returns a buffer of a size, with any content.
func (r *messageReader) newBuffer(size int) []byte {
	if r.pool != nil && size >= bigMessage {
		if used, _ := r.pool.Get().(*[]byte); used != nil && cap(*used) >= size && cap(*used) <= 2*size {
			return (*used)[:size]
		}
	}
	return make([]byte, size)
}

// handOver gives the buffer away with the message of size bytes that next has just returned. It returns nil and keeps
// the buffer when something follows the message, or when the message is the smaller part of the buffer.
func (r *messageReader) handOver(size int) []byte {
	if r.start != r.end || 2*size < len(r.buffer) {
		return nil
	}
	given := r.buffer
	r.buffer, r.spare, r.start, r.end = r.spare, nil, 0, 0
	return given
}
