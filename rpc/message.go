package rpc

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// headRoom is the space, in bytes, in front of a message's body for the parts written last: the array head, the type,
// the id.
const headRoom = 8

// encoder builds one message. reset must be called before each message; it keeps the buffer.
type encoder struct {
	// buffer holds headRoom bytes and the body so far.
	buffer []byte
	// tail is the rest of the body where that is one big value, which is not copied.
	tail []byte
	// borrowed means that tail is memory that its owner may change after the call.
	borrowed bool
}

func (e *encoder) reset() {
	if cap(e.buffer) > maxKept || cap(e.buffer) < headRoom {
		e.buffer = make([]byte, headRoom, 256)
	}
	e.buffer = e.buffer[:headRoom]
	e.tail, e.borrowed = nil, false
}

// arguments appends a method and its array of arguments.
func (e *encoder) arguments(method string, args []any, depth int) error {
	if uint64(len(method)) > math.MaxUint32 {
		return ErrFrameTooLarge
	}
	e.buffer = msgpack.AppendString(e.buffer, method)
	e.buffer = msgpack.AppendArrayHead(e.buffer, len(args))
	for i, arg := range args {
		var err error
		if i == len(args)-1 {
			err = e.last(arg, depth)
		} else {
			e.buffer, err = appendValue(e.buffer, arg, depth)
		}
		if err != nil {
			return fmt.Errorf("rpc: argument %d of %s: %w", i+1, method, err)
		}
	}
	return nil
}

// last appends the last value of a message; a big one becomes the tail.
func (e *encoder) last(v any, depth int) error {
	switch v := v.(type) {
	case string:
		if len(v) >= bigMessage {
			e.lastText(v)
			return nil
		}
	case []byte:
		if len(v) >= bigMessage {
			e.buffer = msgpack.AppendBinaryHead(e.buffer, len(v))
			e.tail, e.borrowed = v, true
			return nil
		}
	case Raw:
		if len(v) >= bigMessage {
			if err := v.check(depth); err != nil {
				return err
			}
			e.tail, e.borrowed = v, true
			return nil
		}
	}
	var err error
	e.buffer, err = appendValue(e.buffer, v, depth)
	return err
}

func (e *encoder) lastText(v string) {
	e.buffer = msgpack.AppendStringHead(e.buffer, len(v))
	if len(v) >= bigMessage {
		// A string never changes and lives as long as something points to it: nothing may write to tail.
		e.tail = unsafe.Slice(unsafe.StringData(v), len(v))
		return
	}
	e.buffer = append(e.buffer, v...)
}

// size returns the length of the message, at most: the room for the head counts whole.
func (e *encoder) size() int { return len(e.buffer) + len(e.tail) }

// notification writes [2, in front and returns the message without its tail.
func (e *encoder) notification() []byte {
	e.buffer[headRoom-2], e.buffer[headRoom-1] = 0x93, 0x02
	return e.buffer[headRoom-2:]
}

// request writes [0, id, in front and returns the message without its tail.
func (e *encoder) request(id uint32) []byte { return e.front(0x00, id) }

// response writes [1, id, in front and returns the message without its tail.
func (e *encoder) response(id uint32) []byte { return e.front(0x01, id) }

func (e *encoder) front(kind byte, id uint32) []byte {
	var room [headRoom]byte
	head := msgpack.AppendUint(append(room[:0], 0x94, kind), uint64(id))
	start := headRoom - len(head)
	copy(e.buffer[start:], head)
	return e.buffer[start:]
}

// requestMessage is [type, id, method, arguments] or [type, method, arguments], taken apart.
type requestMessage struct {
	notification bool
	id           uint32
	method       []byte
	args         Raw
}

// parseRequest takes apart a message that a client sent. ok is false for a harmless value that is not a message; rpclib
// ignores those. An error is a message that would end the process of an rpclib server.
func parseRequest(frame []byte) (message requestMessage, ok bool, err error) {
	head, err := msgpack.ReadHead(frame)
	if err != nil {
		return message, false, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if head.Bits != 3 && head.Bits != 4 {
		return message, false, nil
	}
	switch head.Kind {
	case msgpack.Array:
	case msgpack.Unsigned, msgpack.String, msgpack.Binary, msgpack.Map, msgpack.Extension:
		return message, false, fmt.Errorf("%w: a message must be an array, not %s", ErrProtocol, describe(head))
	default:
		return message, false, nil
	}
	rest := frame[head.Size:]
	kind, rest, err := parseInteger(rest)
	if err != nil || kind < math.MinInt8 || kind > math.MaxInt8 {
		return message, false, fmt.Errorf("%w: the type of a message must be a small integer", ErrProtocol)
	}
	message.notification = head.Bits == 3
	if !message.notification {
		var id int64
		id, rest, err = parseInteger(rest)
		if err != nil || id < 0 || id > math.MaxUint32 {
			return message, false, fmt.Errorf("%w: a message id must be an integer from 0 to 2^32-1", ErrProtocol)
		}
		message.id = uint32(id)
	}
	name, err := msgpack.ReadHead(rest)
	if err != nil || !isText(name) {
		return message, false, fmt.Errorf("%w: the name of a function must be text", ErrProtocol)
	}
	rest = rest[name.Size:]
	message.method = rest[:name.Bits]
	message.args = Raw(rest[name.Bits:])
	return message, true, nil
}

// responseMessage is [type, id, error, result], taken apart; failure and result are one encoded value each.
type responseMessage struct {
	id      uint32
	failed  bool
	failure []byte
	result  []byte
}

var encodedNil = []byte{0xc0}

// parseResponse takes apart a message that a server sent. Like rpclib's client it takes missing elements for nil. It
// ignores surplus elements, and the type as long as that is an unsigned integer.
func parseResponse(frame []byte) (responseMessage, error) {
	message := responseMessage{failure: encodedNil, result: encodedNil}
	head, err := msgpack.ReadHead(frame)
	if err != nil || head.Kind != msgpack.Array || head.Bits < 2 {
		return message, fmt.Errorf("%w: a reply must be an array of four", ErrProtocol)
	}
	kind, rest, err := parseInteger(frame[head.Size:])
	if err != nil || kind < 0 {
		return message, fmt.Errorf("%w: the type of a reply must be an unsigned integer", ErrProtocol)
	}
	id, rest, err := parseInteger(rest)
	if err != nil || id < 0 || id > math.MaxUint32 {
		return message, fmt.Errorf("%w: the message id of a reply must be an integer from 0 to 2^32-1", ErrProtocol)
	}
	message.id = uint32(id)
	if head.Bits > 2 {
		after := rest
		if rest[0] == 0xc0 {
			after = rest[1:]
		} else {
			message.failed = true
			if after, err = skip(rest); err != nil {
				return message, fmt.Errorf("%w: %w", ErrProtocol, err)
			}
		}
		message.failure = rest[:len(rest)-len(after)]
		rest = after
	}
	if head.Bits > 3 {
		message.result = rest
	}
	return message, nil
}

func parseInteger(b []byte) (int64, []byte, error) {
	if len(b) > 0 && b[0] <= 0x7f {
		return int64(b[0]), b[1:], nil
	}
	head, err := msgpack.ReadHead(b)
	if err != nil {
		return 0, b, err
	}
	value, ok := signed(head, math.MinInt64, math.MaxInt64)
	if !ok {
		return 0, b, ErrType
	}
	return value, b[head.Size:], nil
}
