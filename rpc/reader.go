package rpc

import (
	"fmt"
	"io"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Reader reads encoded values one by one. It costs less than decoding them into Go variables. A Reader copies nothing
// and allocates nothing. It accepts a number or a length in the shortest encoding and in any longer one.
//
// A method fails with ErrType for a value of another type, and with ErrProtocol for an incomplete value. After a
// failure every method returns its zero value, so a caller can read a whole message and check Err once.
//
// No count and no length that a Reader returns exceeds the number of bytes left. But an element may be a single byte,
// so a caller that allocates memory for each element must check the count against a limit of its own.
//
// A Reader is for one goroutine at a time. The slices that it returns share the memory of the bytes given to NewReader.
type Reader struct {
	rest []byte
	err  error
}

// NewReader returns a Reader of the values in b.
func NewReader(b []byte) Reader { return Reader{rest: b} }

// Err returns the first failure, or nil if there was none.
func (r *Reader) Err() error { return r.err }

// Rest returns the bytes after the values read, nil after a failure.
func (r *Reader) Rest() []byte { return r.rest }

// Array reads the head of an array and returns how many elements follow.
func (r *Reader) Array() int {
	head := r.head()
	if head.Kind != msgpack.Array {
		r.mismatch(head, "an array")
		return 0
	}
	if head.Bits > uint64(len(r.rest)) {
		r.fail(fmt.Errorf("rpc: %s in %d bytes: %w", describe(head), len(r.rest), ErrProtocol))
		return 0
	}
	return int(head.Bits)
}

// Uint reads an integer that is not negative.
func (r *Reader) Uint() uint64 {
	head := r.head()
	if head.Kind != msgpack.Unsigned {
		r.mismatch(head, "an unsigned integer")
		return 0
	}
	return head.Bits
}

// Bytes reads text or binary. The result is a part of the Reader's bytes, with no room to append to.
func (r *Reader) Bytes() []byte {
	head := r.head()
	if !isText(head) {
		r.mismatch(head, "text or binary")
		return nil
	}
	if head.Bits > uint64(len(r.rest)) {
		r.fail(fmt.Errorf("rpc: %d bytes of text or binary in %d: %w", head.Bits, len(r.rest), ErrProtocol))
		return nil
	}
	bytes := r.rest[:head.Bits:head.Bits]
	r.rest = r.rest[head.Bits:]
	return bytes
}

// Skip reads one value of any type, with everything in it, and returns it undecoded.
func (r *Reader) Skip() Raw {
	if r.err != nil {
		return nil
	}
	size, err := msgpack.Skip(r.rest)
	if err != nil {
		r.fail(malformed(err))
		return nil
	}
	value := r.rest[:size:size]
	r.rest = r.rest[size:]
	return value
}

// head reads the head of the next value. After a failure it returns the zero Head, which is of no kind.
func (r *Reader) head() msgpack.Head {
	if r.err != nil {
		return msgpack.Head{}
	}
	head, err := msgpack.ReadHead(r.rest)
	if err != nil {
		r.fail(malformed(err))
		return msgpack.Head{}
	}
	r.rest = r.rest[head.Size:]
	return head
}

func (r *Reader) mismatch(head msgpack.Head, want string) {
	if r.err == nil {
		r.fail(fmt.Errorf("rpc: found %s instead of %s: %w", describe(head), want, ErrType))
	}
}

func (r *Reader) fail(err error) { r.rest, r.err = nil, err }

// malformed returns the error for bytes that do not begin with a complete value.
func malformed(err error) error {
	if err == io.ErrUnexpectedEOF {
		return fmt.Errorf("rpc: the value is not complete: %w", ErrProtocol)
	}
	return fmt.Errorf("%w: %w", ErrProtocol, err)
}
