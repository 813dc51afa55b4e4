package rpc

import (
	"context"
	"fmt"
	"reflect"
)

// Bind binds a Go function under a name, also while the server runs. The function may take a context.Context first,
// then any arguments, and may be variadic. It returns nothing, a result, an error, or a result and an error.
//
// Arguments are decoded by the rules in the package's documentation. If the number or the type of the arguments is
// wrong, the caller gets rpclib's error text. Bind calls functions by reflection, except the most common ones, such as
// func(string) string. A Handler needs no reflection: see Handle.
//
// Bind fails if fn is not a function with such parameters and results, or has structs in them that need the import of
// package rpc/codec. It fails with rpclib's text if the name is bound
// already.
func (s *Server) Bind(name string, fn any, options ...HandlerOption) error {
	if value := reflect.ValueOf(fn); value.Kind() != reflect.Func || value.IsNil() {
		return fmt.Errorf("rpc: binding %s: a %T is not a function", name, fn)
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

// bindCommon returns nil for a function that needs reflection.
func bindCommon(fn any) invoker {
	switch fn := fn.(type) {
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
		return bindText(func(_ context.Context, arg string) (string, error) { return fn(arg), nil })
	case func(string) (string, error):
		return bindText(func(_ context.Context, arg string) (string, error) { return fn(arg) })
	case func(context.Context, string) (string, error):
		return bindText(fn)
	default:
		return nil
	}
}

func bindText(fn func(context.Context, string) (string, error)) invoker {
	return func(ctx context.Context, request *Request, reply *result) error {
		arg, err := request.onlyText()
		if err != nil {
			return err
		}
		text, err := fn(ctx, arg)
		if err == nil {
			reply.lastText(text)
		}
		return err
	}
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// signature is a Go function as Bind sees it.
type signature struct {
	fn reflect.Value
	// first is the index of the first argument that the caller sends. fixed counts those that are not variadic.
	first, fixed int
	// rest is the type of the variadic arguments, nil for none.
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
	if err := checkStructs(kind); err != nil {
		return nil, fmt.Errorf("rpc: binding %s: %w", name, err)
	}
	return s.invoke, nil
}

func (s *signature) invoke(ctx context.Context, request *Request, reply *result) error {
	given := request.numArgs()
	if given != s.fixed && (s.rest == nil || given < s.fixed) {
		return ErrorValue{Value: textArity(request.Method, given, s.fixed)}
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
