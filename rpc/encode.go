package rpc

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// maxDepth is how deep a value may be nested that no connection's Limits bound. Decoding and encoding recurse: without
// a bound a peer's bytes, or a pointer to itself, could overflow the stack, which ends the process.
const maxDepth = 1000

// onlyDepth returns limits of the depth alone.
func onlyDepth(depth int) msgpack.Limits {
	return msgpack.Limits{Size: math.MaxInt32, Depth: depth, Elements: math.MaxInt32}
}

// appendValue appends one Go value. The common types need no reflection and no allocation. Other slices, arrays, maps
// and pointers need reflection, and structs the codec of package rpc/codec. depth is how many levels of nesting are still
// allowed.
func appendValue(b []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return msgpack.AppendNil(b), nil
	case string:
		return msgpack.AppendString(b, v), nil
	case Raw:
		return appendRaw(b, v, depth)
	case bool:
		return msgpack.AppendBool(b, v), nil
	case int:
		return msgpack.AppendInt(b, int64(v)), nil
	case int64:
		return msgpack.AppendInt(b, v), nil
	case uint64:
		return msgpack.AppendUint(b, v), nil
	case float32:
		return msgpack.AppendFloat32(b, v), nil
	case float64:
		return msgpack.AppendFloat64(b, v), nil
	case []byte:
		return msgpack.AppendBinary(b, v), nil
	case Extension:
		return msgpack.AppendExtension(b, v.Type, v.Data), nil
	case []string:
		b = msgpack.AppendArrayHead(b, len(v))
		for _, element := range v {
			b = msgpack.AppendString(b, element)
		}
		return b, nil
	case []any:
		return appendSlice(b, v, depth)
	default:
		return appendReflected(b, reflect.ValueOf(v), depth)
	}
}

func appendRaw(b []byte, raw Raw, depth int) ([]byte, error) {
	if len(raw) == 0 {
		return msgpack.AppendNil(b), nil
	}
	if err := raw.check(depth); err != nil {
		return b, err
	}
	return append(b, raw...), nil
}

// check fails unless r is exactly one value, no deeper than depth: anything else would break the stream of messages.
func (r Raw) check(depth int) error {
	size, err := msgpack.Size(r, onlyDepth(depth))
	if err != nil {
		return fmt.Errorf("raw value: %w", scanError(err))
	}
	if size != len(r) {
		return fmt.Errorf("raw value: %d bytes after its end: %w", len(r)-size, ErrProtocol)
	}
	return nil
}

func appendSlice(b []byte, v []any, depth int) ([]byte, error) {
	if depth <= 0 {
		return b, ErrTooDeep
	}
	b = msgpack.AppendArrayHead(b, len(v))
	var err error
	for _, element := range v {
		if b, err = appendValue(b, element, depth-1); err != nil {
			return b, err
		}
	}
	return b, nil
}

// appendReflected appends a value of a type that appendValue has no case for.
func appendReflected(b []byte, v reflect.Value, depth int) ([]byte, error) {
	switch v.Kind() {
	case reflect.Bool:
		return msgpack.AppendBool(b, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return msgpack.AppendInt(b, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return msgpack.AppendUint(b, v.Uint()), nil
	case reflect.Float32:
		return msgpack.AppendFloat32(b, float32(v.Float())), nil
	case reflect.Float64:
		return msgpack.AppendFloat64(b, v.Float()), nil
	case reflect.String:
		return msgpack.AppendString(b, v.String()), nil
	case reflect.Pointer:
		if v.IsNil() {
			return msgpack.AppendNil(b), nil
		}
		if depth <= 0 {
			return b, ErrTooDeep
		}
		return appendValue(b, v.Elem().Interface(), depth-1)
	case reflect.Slice, reflect.Array:
		return appendElements(b, v, depth)
	case reflect.Map:
		return appendMap(b, v, depth)
	case reflect.Struct:
		return appendStruct(b, v, depth)
	default:
		return b, fmt.Errorf("cannot encode a %s: %w", v.Type(), ErrType)
	}
}

func appendElements(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b = msgpack.AppendBinaryHead(b, v.Len())
		if v.Kind() == reflect.Slice {
			return append(b, v.Bytes()...), nil
		}
		for i := range v.Len() {
			b = append(b, byte(v.Index(i).Uint()))
		}
		return b, nil
	}
	if depth <= 0 {
		return b, ErrTooDeep
	}
	b = msgpack.AppendArrayHead(b, v.Len())
	var err error
	for i := range v.Len() {
		if b, err = appendValue(b, v.Index(i).Interface(), depth-1); err != nil {
			return b, err
		}
	}
	return b, nil
}

// appendMap appends a map in the order of its keys, as rpclib's std::map does: equal maps have equal bytes.
func appendMap(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth <= 0 {
		return b, ErrTooDeep
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, compareKeys)
	b = msgpack.AppendMapHead(b, len(keys))
	var err error
	for _, key := range keys {
		if b, err = appendValue(b, key.Interface(), depth-1); err != nil {
			return b, err
		}
		if b, err = appendValue(b, v.MapIndex(key).Interface(), depth-1); err != nil {
			return b, err
		}
	}
	return b, nil
}

func compareKeys(x, y reflect.Value) int {
	switch {
	case x.Kind() == reflect.String:
		return cmp.Compare(x.String(), y.String())
	case x.CanInt():
		return cmp.Compare(x.Int(), y.Int())
	case x.CanUint():
		return cmp.Compare(x.Uint(), y.Uint())
	case x.CanFloat():
		return cmp.Compare(x.Float(), y.Float())
	default:
		// Keys of several types have no order of their own; the order of their bytes is the same every time.
		one, _ := appendValue(nil, x.Interface(), maxDepth)
		other, _ := appendValue(nil, y.Interface(), maxDepth)
		return bytes.Compare(one, other)
	}
}

// scanError returns this package's error for one of the scanner's.
func scanError(err error) error {
	switch err {
	case msgpack.ErrTooLarge:
		return ErrFrameTooLarge
	case msgpack.ErrTooDeep:
		return ErrTooDeep
	case msgpack.ErrTooMany:
		return ErrTooManyElements
	case nil:
		return nil
	default:
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
}
