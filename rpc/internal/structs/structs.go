// Package structs is where package rpc finds the codec of structs that package rpc/codec registers.
//
// The codec is a large part of a program that links it, and most programs send no structs. Package rpc therefore does
// not import it. A program that sends structs imports rpc/codec for its effect, as programs do with database drivers
// and image formats.
//
// The codec is the program's and not a connection's: a struct decodes in the same way from a reply, from an argument,
// and from a Raw that was kept, which belongs to no connection.
package structs

import "reflect"

// Package is the import that a program with structs needs.
const Package = "github.com/remotechargeport/remotechargeport/rpc/codec"

// Codec encodes and decodes structs. Its methods may be called from several goroutines.
type Codec interface {
	// Encode returns the encoding of a struct. The caller checks that the result is one value, and how deep it is.
	Encode(v any) ([]byte, error)

	// Decode decodes b, which is one complete value, into an addressable struct. It keeps nothing of b. It recurses as
	// deep as b is nested, which callers bound.
	Decode(b []byte, target reflect.Value) error
}

// registered is set before main begins and only read from then on.
var registered Codec

// Register makes c the program's codec of structs. Only an init function may call it: nothing guards registered against
// a reader at the same time.
func Register(c Codec) { registered = c }

// Registered returns the program's codec of structs, or nil if the program does not link one.
func Registered() Codec { return registered }

// In reports whether values of type t have structs in them, apart from the type own. It does not look into interfaces.
func In(t, own reflect.Type) bool { return in(t, own, make(map[reflect.Type]bool)) }

// in is In. seen are the types that it has looked at, for those that refer to themselves.
func in(t, own reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Struct:
		return t != own
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return in(t.Elem(), own, seen)
	case reflect.Map:
		return in(t.Key(), own, seen) || in(t.Elem(), own, seen)
	default:
		return false
	}
}
