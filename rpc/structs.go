package rpc

import (
	"fmt"
	"reflect"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
	"github.com/remotechargeport/remotechargeport/rpc/internal/structs"
)

// appendStruct appends a struct, which the codec of package rpc/codec encodes.
func appendStruct(b []byte, v reflect.Value, depth int) ([]byte, error) {
	codec := structs.Registered()
	if codec == nil {
		return b, fmt.Errorf("cannot encode a %s: %w", v.Type(), errNoCodec)
	}
	encoded, err := codec.Encode(v.Interface())
	if err != nil {
		return b, fmt.Errorf("cannot encode a %s: %w: %w", v.Type(), ErrType, err)
	}
	// The nesting of what the struct holds is only known now.
	return appendRaw(b, encoded, depth)
}

// decodeStruct decodes the first value of b, whose head is head, into an Extension or another struct.
func decodeStruct(b []byte, head msgpack.Head, target reflect.Value) ([]byte, error) {
	if extension, ok := target.Addr().Interface().(*Extension); ok {
		if head.Kind != msgpack.Extension {
			return b, mismatch(head, target.Type())
		}
		rest := b[head.Size:]
		*extension = Extension{Type: head.ExtensionType, Data: append([]byte{}, rest[:head.Bits]...)}
		return rest[head.Bits:], nil
	}
	codec := structs.Registered()
	if codec == nil {
		return b, fmt.Errorf("cannot decode into a Go %s: %w", target.Type(), errNoCodec)
	}
	if head.Kind != msgpack.Array && head.Kind != msgpack.Map && head.Kind != msgpack.Extension {
		return b, mismatch(head, target.Type())
	}
	size, err := msgpack.Skip(b)
	if err != nil {
		return b, err
	}
	if err := codec.Decode(b[:size], target); err != nil {
		return b, fmt.Errorf("%s does not fit a Go %s: %w: %w", describe(head), target.Type(), ErrType, err)
	}
	return b[size:], nil
}

// errNoCodec is a struct in a program that does not import package rpc/codec.
var errNoCodec = fmt.Errorf("structs need the import _ %q: %w", structs.Package, ErrType)

// checkStructs fails for a function whose arguments or result have structs in them that the program cannot decode or
// encode.
func checkStructs(function reflect.Type) error {
	if structs.Registered() != nil {
		return nil
	}
	own := reflect.TypeFor[Extension]()
	for i := range function.NumIn() {
		if structs.In(function.In(i), own) {
			return fmt.Errorf("argument %d: %w", i+1, errNoCodec)
		}
	}
	for i := range function.NumOut() {
		if structs.In(function.Out(i), own) {
			return fmt.Errorf("result: %w", errNoCodec)
		}
	}
	return nil
}
