package rpc

import (
	"net"
	"sync"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

const (
	smallestRead = 4 << 10
	largestRead  = 512 << 10
	// trustedLength is up to which announced length a buffer is made before the bytes are there.
	trustedLength = 1<<20 + 4<<10
	// calmReads is after how many reads in a row that used little of the buffer it is made smaller.
	calmReads = 64
)

// inbox reads the messages of one connection. Its buffer grows with what one read brings and with the announced length of
// a message, and shrinks again. It is for one goroutine at a time.
type inbox struct {
	conn    net.Conn
	scanner msgpack.Scanner
	buffer  []byte
	// spare is the buffer that was in use before a big message needed one of its own.
	spare []byte
	// start and end enclose what was read and not yet taken; need is the length that the message at start has at least.
	start, end, need int
	// pool has the buffers of big messages that are used again; nil where none are.
	pool *sync.Pool
	// read is the size of buffer that reading wants; calm counts reads in a row that used little of it.
	read, calm int
}

func (in *inbox) init(conn net.Conn, limits Limits) {
	in.conn = conn
	in.scanner.Init(limits.frame())
	in.read = smallestRead
	in.need = 1
}

// next answers the next message, valid until the next call of fill, or nil when none is complete. It does not read.
func (in *inbox) next() ([]byte, error) {
	if in.end-in.start < in.need {
		return nil, nil
	}
	size, need, err := in.scanner.Scan(in.buffer[in.start:in.end])
	if err != nil {
		return nil, scanError(err)
	}
	if size == 0 {
		in.need = need
		return nil, nil
	}
	in.scanner.Reset()
	in.need = 1
	frame := in.buffer[in.start : in.start+size : in.start+size]
	in.start += size
	return frame, nil
}

// partial says whether a message has begun and is not complete.
func (in *inbox) partial() bool { return in.end > in.start }

// fill reads once. It must only be called after next has answered nil.
func (in *inbox) fill() error {
	in.makeRoom()
	window := in.buffer[in.end:]
	if in.big() {
		// A big message ends its buffer, so that the buffer can be handed on with it.
		window = window[:min(len(window), in.start+in.need-in.end)]
	}
	n, err := in.conn.Read(window)
	in.end += n
	if n > 0 {
		// An error that came with it comes again with the next read.
		in.adapt(n)
		return nil
	}
	return err
}

// big says whether the message at start is a big one whose end is known.
func (in *inbox) big() bool { return in.need >= bigMessage && in.scanner.Ends() }

// makeRoom sees to it that something can be read behind end.
func (in *inbox) makeRoom() {
	have := in.end - in.start
	want := in.read
	if in.need > want {
		// Beyond what may be taken on trust the buffer grows only as fast as the bytes come.
		want = min(in.need, max(trustedLength, 2*have))
	}
	oversized := len(in.buffer) > 2*want && in.calm >= calmReads
	if len(in.buffer) >= want && !oversized {
		if have == 0 {
			in.start, in.end = 0, 0
		} else if len(in.buffer)-in.start < min(in.need, want) || in.end == len(in.buffer) {
			copy(in.buffer, in.buffer[in.start:in.end])
			in.start, in.end = 0, have
		}
		if in.end < len(in.buffer) {
			return
		}
	}
	// The length of an array is not announced, only the number of its elements: the buffer grows with what has come.
	want = max(want, have+max(smallestRead, have/2))
	if in.big() && in.need > have {
		want = min(in.need, want)
		if len(in.buffer) <= largestRead {
			in.spare = in.buffer
		}
	}
	buffer := in.newBuffer(want)
	copy(buffer, in.buffer[in.start:in.end])
	in.buffer, in.start, in.end = buffer, 0, have
}

// adapt doubles the buffer when a read filled it, and halves it when many reads in a row have left most of it empty.
func (in *inbox) adapt(n int) {
	switch {
	case in.end == len(in.buffer) && !in.big():
		in.read = min(2*in.read, largestRead)
		in.calm = 0
	case n > in.read/4 && in.read > smallestRead, n >= bigMessage:
		in.calm = 0
	default:
		if in.calm++; in.calm%calmReads == 0 {
			in.read = max(in.read/2, smallestRead)
		}
	}
}

// newBuffer answers a buffer of a size, whatever is in it.
func (in *inbox) newBuffer(size int) []byte {
	if in.pool != nil && size >= bigMessage {
		if used, _ := in.pool.Get().(*[]byte); used != nil && cap(*used) >= size && cap(*used) <= 2*size {
			return (*used)[:size]
		}
	}
	return make([]byte, size)
}

// handOver gives the buffer away with the message that next just answered, which must be the last one in it. It answers
// nil, and gives nothing away, when something follows the message, or when the message, of size bytes, is the smaller part
// of it.
func (in *inbox) handOver(size int) []byte {
	if in.start != in.end || 2*size < len(in.buffer) {
		return nil
	}
	given := in.buffer
	in.buffer, in.spare, in.start, in.end = in.spare, nil, 0, 0
	return given
}
