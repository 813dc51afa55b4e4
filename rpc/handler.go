package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Handler answers the calls of one function without reflection. What it returns is encoded as the result; an error is
// answered as rpclib answers an exception with that text, see ErrorValue and NoReply for other answers. ctx ends when the
// client goes away or the server is closed; SessionFrom(ctx) is the client's session. A panic is answered like an error
// and harms no other call.
type Handler func(ctx context.Context, request *Request) (any, error)

// Request is one call or notification as a Handler sees it. It is valid until the Handler returns.
type Request struct {
	// Method is the function that was called.
	Method string
	// Args is the encoded array of arguments. It may be returned, whole or in part, as a Raw result; to keep it beyond
	// that, copy it.
	Args Raw

	// notification says that nobody waits for a reply.
	notification bool
	// whole is the buffer that Args are in where it is theirs alone. It is used again when the reply is sent, unless adopted
	// says that a part of it was given to the function for good.
	whole   []byte
	adopted bool
}

// numArgs is how many arguments came. Peers may send something else than an array; the number is then rpclib's: the size
// of a map or text, or the value of an integer.
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

// Decode decodes the arguments into what the pointers point to, one each. When there are not as many, or one does not fit,
// it answers an error that a Handler best returns: the caller then gets rpclib's text for it.
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

// elements answers what follows the head of the array of exactly count arguments.
func (r *Request) elements(count int) ([]byte, error) {
	head, err := msgpack.ReadHead(r.Args)
	if err != nil {
		return nil, err
	}
	if given := countArgs(head); given != count {
		return nil, &arityError{method: r.Method, given: given, declared: count}
	}
	if head.Kind != msgpack.Array {
		if count == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("rpc: the arguments of %s are no array: %w", r.Method, ErrType)
	}
	return r.Args[head.Size:], nil
}

// arityError is a call with a wrong number of arguments.
type arityError struct {
	method          string
	given, declared int
}

func (e *arityError) Error() string { return textArity(e.method, e.given, e.declared) }

// HandlerOption changes how one function is served.
type HandlerOption func(*function)

// NonBlocking declares that the function never waits and takes microseconds: it runs on the goroutine that reads the
// connection, which saves a switch of goroutines for each call. A function that waits all the same holds up its whole
// connection, until it returns not even the client's going away is noticed.
func NonBlocking() HandlerOption { return func(f *function) { f.nonBlocking = true } }

// function is a bound function.
type function struct {
	name        string
	nonBlocking bool
	// invoke runs the function and encodes its result.
	invoke func(ctx context.Context, request *Request, reply *result) error
	// slow says that the function took long lately: replies that wait for company are then sent before it runs.
	slow atomic.Bool
}

// result is the reply being made.
type result struct {
	encoder
	depth int
}

func (r *result) value(v any) error { return r.last(v, r.depth) }

func (r *result) text(v string) { r.lastText(v) }

// failure makes the reply an error: the value and, where a result would be, nil.
func (r *result) failure(method string, count int, err error) {
	answer := errorAnswer(method, count, err)
	start := len(r.buffer)
	encoded, failed := appendValue(r.buffer, answer, r.depth)
	if failed != nil {
		encoded, _ = appendValue(r.buffer[:start], textException(method, count, failed.Error()), r.depth)
	}
	r.buffer = append(encoded, 0xc0)
}

func (h Handler) invoke(ctx context.Context, request *Request, reply *result) error {
	value, err := h(ctx, request)
	if err != nil {
		return err
	}
	return reply.value(value)
}

// panicked is what a handler panicked with.
type panicked struct{ value any }

func (p *panicked) Error() string { return fmt.Sprint(p.value) }

// errorAnswer answers the error value that rpclib would send for what a function returned.
func errorAnswer(method string, count int, err error) any {
	var value ErrorValue
	var arity *arityError
	var panicked *panicked
	var missing *missingError
	switch {
	case errors.As(err, &missing):
		return textNotFound(method, count)
	case errors.As(err, &value):
		if value.Value == nil {
			return textNotFound(method, count)
		}
		return value.Value
	case errors.As(err, &arity):
		return arity.Error()
	case errors.As(err, &panicked):
		if cause, ok := panicked.value.(error); ok {
			return textException(method, count, cause.Error())
		}
		return textUnknownException(method, count)
	case errors.Is(err, ErrType):
		return textException(method, count, badCast)
	default:
		return textException(method, count, err.Error())
	}
}
