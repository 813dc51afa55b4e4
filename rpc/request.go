package rpc

import (
	"context"
	"fmt"
	"reflect"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Request is one call or notification as a Handler sees it. It is valid until the Handler returns.
type Request struct {
	// Method is the function that was called.
	Method string
	// Args is the encoded array of arguments. A Handler may return it, whole or in part, as a Raw result. A Handler
	// that keeps Args for longer must copy them.
	Args Raw

	// notification means that the caller waits for no reply.
	notification bool
	// whole is the buffer of Args where nothing else is in it. The server uses it again after the reply, unless
	// adopted: then the function keeps a part of it.
	whole   []byte
	adopted bool
}

// Decode decodes the arguments into the variables that the pointers point to, one argument into each. It fails if the
// number of arguments differs or an argument has another type. A Handler should return that error, so that the caller
// gets rpclib's text for it.
func (r *Request) Decode(dst ...any) error {
	rest, err := r.elements(len(dst))
	if err != nil {
		return err
	}
	for i, target := range dst {
		if rest, err = decode(rest, target); err != nil {
			return fmt.Errorf("rpc: argument %d of %s: %w", i+1, r.Method, err)
		}
	}
	return nil
}

// numArgs returns the number of arguments as rpclib counts it. In the place of an array, a map or text counts by its
// size, an integer by its value.
func (r *Request) numArgs() int {
	head, err := msgpack.ReadHead(r.Args)
	if err != nil {
		return 0
	}
	return countArgs(head)
}

func countArgs(head msgpack.Head) int {
	switch head.Kind {
	case msgpack.Array, msgpack.Map, msgpack.String, msgpack.Binary, msgpack.Extension, msgpack.Unsigned:
		return int(uint32(head.Bits))
	default:
		return 0
	}
}

// elements returns what follows the head of the array of arguments, of which there must be count.
func (r *Request) elements(count int) ([]byte, error) {
	head, err := msgpack.ReadHead(r.Args)
	if err != nil {
		return nil, err
	}
	if given := countArgs(head); given != count {
		return nil, ErrorValue{Value: textArity(r.Method, given, count)}
	}
	if head.Kind != msgpack.Array {
		if count == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("rpc: the arguments of %s are no array: %w", r.Method, ErrType)
	}
	return r.Args[head.Size:], nil
}

// onlyText returns the argument of a call that must have one, a text.
func (r *Request) onlyText() (string, error) {
	rest, err := r.elements(1)
	if err != nil {
		return "", err
	}
	head, err := msgpack.ReadHead(rest)
	if err != nil {
		return "", err
	}
	if !isText(head) {
		return "", fmt.Errorf("rpc: argument 1 of %s: %w", r.Method, mismatch(head, reflect.TypeFor[string]()))
	}
	if r.whole != nil {
		r.adopted = true
		return adopt(rest[head.Size:]), nil
	}
	return string(rest[head.Size:]), nil
}

// request is one call under way at the server. The server uses it again after the reply.
type request struct {
	Request
	session  *Session
	function *function
	// functions is the table in which function was found.
	functions *map[string]*function
	id        uint32
	// size is what the request counts in the session's limit of queued bytes.
	size  int
	reply result
	// buffer holds Args, unless the message came in a buffer of its own.
	buffer []byte
}

// keep copies the arguments out of the buffer they were read into.
func (r *request) keep() {
	if cap(r.buffer) > maxKept {
		r.buffer = nil
	}
	r.buffer = append(r.buffer[:0], r.Args...)
	r.Args = r.buffer
}

// written is called when the reply, which may be a part of the arguments, is written.
func (r *request) written() { r.session.release(r) }

// find looks the function up again if functions were bound or unbound since: a call sees what the calls before it did.
func (r *request) find(method string) {
	functions := r.session.server.functions.Load()
	if r.functions == functions {
		return
	}
	r.functions = functions
	if r.function = (*functions)[method]; r.function == nil {
		r.function = r.session.server.missing
	}
}

func invokeMissing(_ context.Context, request *Request, _ *result) error {
	return ErrorValue{Value: textNotFound(request.Method, request.numArgs())}
}
