package rpc

import (
	"context"
	"fmt"
	"reflect"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Bind binds any Go function under a name: an optional leading context.Context, any arguments, the last of them variadic
// or not, and as what it returns nothing, a result, an error, or a result and an error. Arguments are decoded by the rules
// in the package's documentation; a wrong number or a wrong type of them is answered with rpclib's own text.
//
// It fails when the name is bound already, with rpclib's text, or when what is given is no such function. It may be called
// while the server runs.
//
// The commonest signatures of text and no arguments cost no reflection; see Handle for none at all.
func (s *Server) Bind(name string, fn any, options ...HandlerOption) error {
	if value := reflect.ValueOf(fn); value.Kind() != reflect.Func || value.IsNil() {
		return fmt.Errorf("rpc: binding %s: a %T is no function", name, fn)
	}
	invoke := bindCommon(fn)
	if invoke == nil {
		var err error
		if invoke, err = bindReflected(name, fn); err != nil {
			return err
		}
	}
	return s.bind(name, invoke, options)
}

type invoker = func(ctx context.Context, request *Request, reply *result) error

// bindCommon knows the signatures that need no reflection; nil for others.
func bindCommon(fn any) invoker {
	switch fn := fn.(type) {
	case func():
		return func(_ context.Context, request *Request, reply *result) error {
			if _, err := request.elements(0); err != nil {
				return err
			}
			fn()
			return reply.value(nil)
		}
	case func(context.Context) error:
		return func(ctx context.Context, request *Request, reply *result) error {
			if _, err := request.elements(0); err != nil {
				return err
			}
			if err := fn(ctx); err != nil {
				return err
			}
			return reply.value(nil)
		}
	case func(string) string:
		return func(_ context.Context, request *Request, reply *result) error {
			arg, err := request.onlyText()
			if err != nil {
				return err
			}
			reply.text(fn(arg))
			return nil
		}
	case func(string) (string, error):
		return func(_ context.Context, request *Request, reply *result) error {
			return textCall(request, reply, fn)
		}
	case func(context.Context, string) (string, error):
		return func(ctx context.Context, request *Request, reply *result) error {
			return textCall(request, reply, func(arg string) (string, error) { return fn(ctx, arg) })
		}
	default:
		return nil
	}
}

func textCall(request *Request, reply *result, fn func(string) (string, error)) error {
	arg, err := request.onlyText()
	if err != nil {
		return err
	}
	text, err := fn(arg)
	if err != nil {
		return err
	}
	reply.text(text)
	return nil
}

// onlyText answers the argument of a call that must have one, a text.
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

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// signature is a Go function as Bind sees it.
type signature struct {
	fn reflect.Value
	// first is the index of the first argument that comes from the caller, fixed how many are not variadic.
	first, fixed int
	// rest is the type of the variadic arguments, nil when there are none.
	rest reflect.Type
	// result and failure are the indexes of the result and of the error, -1 for none.
	result, failure int
}

func bindReflected(name string, fn any) (invoker, error) {
	value := reflect.ValueOf(fn)
	kind := value.Type()
	s := &signature{fn: value, result: -1, failure: -1}
	if kind.NumIn() > 0 && kind.In(0) == contextType {
		s.first = 1
	}
	s.fixed = kind.NumIn() - s.first
	if kind.IsVariadic() {
		s.fixed--
		s.rest = kind.In(kind.NumIn() - 1).Elem()
	}
	for i := range kind.NumOut() {
		switch {
		case kind.Out(i) == errorType && s.failure < 0 && i == kind.NumOut()-1:
			s.failure = i
		case s.result < 0 && i == 0:
			s.result = i
		default:
			return nil, fmt.Errorf("rpc: binding %s: a %s must return at most one result and then an error", name, kind)
		}
	}
	return s.invoke, nil
}

func (s *signature) invoke(ctx context.Context, request *Request, reply *result) error {
	given := request.numArgs()
	if given != s.fixed && (s.rest == nil || given < s.fixed) {
		return &arityError{method: request.Method, given: given, declared: s.fixed}
	}
	rest, err := request.elements(given)
	if err != nil {
		return err
	}
	in := make([]reflect.Value, 0, s.first+given)
	if s.first > 0 {
		in = append(in, reflect.ValueOf(ctx))
	}
	for i := range given {
		kind := s.rest
		if i < s.fixed {
			kind = s.fn.Type().In(s.first + i)
		}
		arg := reflect.New(kind)
		if rest, err = decode(rest, arg.Interface()); err != nil {
			return fmt.Errorf("rpc: argument %d of %s: %w", i+1, request.Method, err)
		}
		in = append(in, arg.Elem())
	}
	out := s.fn.Call(in)
	if s.failure >= 0 && !out[s.failure].IsNil() {
		return out[s.failure].Interface().(error)
	}
	if s.result < 0 {
		return reply.value(nil)
	}
	return reply.value(out[s.result].Interface())
}
