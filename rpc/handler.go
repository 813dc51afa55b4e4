package rpc

import (
	"context"
	"sync/atomic"
)

// Handler serves the calls of one function without reflection. Different connections call it concurrently.
// ServerConfig.Order decides whether calls of the same connection also run concurrently.
//
// The value that a Handler returns is encoded as the result. An error has the same form on the wire as an exception of
// rpclib with that text. For an ErrorValue, its value is sent. For NoReply, nothing is sent. A panic is sent like an
// error and does not affect other calls.
//
// ctx ends when the client is gone or the server is closed. SessionFrom(ctx) is the client's session.
type Handler func(ctx context.Context, request *Request) (any, error)

// HandlerOption changes how one function is served.
type HandlerOption func(*function)

// NonBlocking declares that the function never waits and takes microseconds. It then runs on the goroutine that reads
// the connection, which saves a switch of goroutines for each call. If the function waits nevertheless, it delays its
// whole connection. Until the function returns, the server does not even notice the end of the connection.
func NonBlocking() HandlerOption { return func(f *function) { f.nonBlocking = true } }

// function is a bound function.
type function struct {
	name        string
	nonBlocking bool
	invoke      invoker
	// slow means that the last call took longer than slowCall: gathered replies are then written before the next call.
	slow atomic.Bool
}

// invoker runs a function and encodes its result into reply.
type invoker = func(ctx context.Context, request *Request, reply *result) error

func (h Handler) invoke(ctx context.Context, request *Request, reply *result) error {
	value, err := h(ctx, request)
	if err != nil {
		return err
	}
	return reply.value(value)
}

// result is the reply being made.
type result struct {
	encoder
	depth int
}

func (r *result) value(v any) error { return r.last(v, r.depth) }

// failure makes the reply an error: the error value, and nil in the place of the result.
func (r *result) failure(method string, count int, err error) {
	value := errorValue(method, count, err)
	start := len(r.buffer)
	encoded, failed := appendValue(r.buffer, value, r.depth)
	if failed != nil {
		encoded, _ = appendValue(r.buffer[:start], textException(method, count, failed.Error()), r.depth)
	}
	r.buffer = append(encoded, 0xc0)
}
