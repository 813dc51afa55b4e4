package rpc

import (
	"fmt"
	"math"
	"reflect"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// decode decodes the first value of b into what dst points to and returns what follows it. dst nil drops the value.
// Nothing of b is kept. b must begin with a complete value; the recursion is as deep as that is nested, which callers
// bound.
//
// The rules are rpclib's. Text goes into bytes and binary into a string. An integer of any width goes where its value
// fits, and into a float. A float never goes into an integer, and nil only into a pointer, an any or a Raw.
func decode(b []byte, dst any) ([]byte, error) {
	if raw, ok := dst.(*Raw); ok {
		return decodeRaw(b, raw)
	}
	head, err := msgpack.ReadHead(b)
	if err != nil {
		return b, err
	}
	rest := b[head.Size:]
	fits := false
	switch dst := dst.(type) {
	case nil:
		return skip(b)
	case *string:
		if fits = isText(head); fits {
			*dst, rest = string(rest[:head.Bits]), rest[head.Bits:]
		}
	case *[]byte:
		if fits = isText(head); fits {
			*dst, rest = append([]byte{}, rest[:head.Bits]...), rest[head.Bits:]
		}
	case *any:
		value, rest, err := decodeAny(b)
		if err == nil {
			*dst = value
		}
		return rest, err
	default:
		target := reflect.ValueOf(dst)
		if target.Kind() != reflect.Pointer || target.IsNil() {
			return b, fmt.Errorf("cannot decode into a %T; use a pointer: %w", dst, ErrType)
		}
		return decodeReflected(b, target.Elem())
	}
	if !fits {
		return b, mismatch(head, reflect.TypeOf(dst).Elem())
	}
	return rest, nil
}

func mismatch(head msgpack.Head, want reflect.Type) error {
	return fmt.Errorf("%s does not fit a Go %s: %w", describe(head), want, ErrType)
}

// describe returns words for a value, for error texts.
func describe(head msgpack.Head) string {
	switch head.Kind {
	case msgpack.Nil:
		return "nil"
	case msgpack.Bool:
		return "a bool"
	case msgpack.Unsigned:
		return fmt.Sprintf("the integer %d", head.Bits)
	case msgpack.Negative:
		return fmt.Sprintf("the integer %d", int64(head.Bits))
	case msgpack.Float32, msgpack.Float64:
		return "a float"
	case msgpack.String:
		return "text"
	case msgpack.Binary:
		return "binary"
	case msgpack.Array:
		return fmt.Sprintf("an array of %d", head.Bits)
	case msgpack.Map:
		return fmt.Sprintf("a map of %d", head.Bits)
	default:
		return "an extension"
	}
}

func isText(head msgpack.Head) bool {
	return head.Kind == msgpack.String || head.Kind == msgpack.Binary
}

func signed(head msgpack.Head, lowest, highest int64) (int64, bool) {
	switch head.Kind {
	case msgpack.Unsigned:
		return int64(head.Bits), head.Bits <= uint64(highest)
	case msgpack.Negative:
		return int64(head.Bits), int64(head.Bits) >= lowest
	default:
		return 0, false
	}
}

func float(head msgpack.Head) (float64, bool) {
	switch head.Kind {
	case msgpack.Float64:
		return math.Float64frombits(head.Bits), true
	case msgpack.Float32:
		return float64(math.Float32frombits(uint32(head.Bits))), true
	case msgpack.Unsigned:
		return float64(head.Bits), true
	case msgpack.Negative:
		return float64(int64(head.Bits)), true
	default:
		return 0, false
	}
}

func skip(b []byte) ([]byte, error) {
	size, err := msgpack.Skip(b)
	return b[size:], err
}

func decodeRaw(b []byte, raw *Raw) ([]byte, error) {
	size, err := msgpack.Skip(b)
	if err != nil {
		return b, err
	}
	*raw = append((*raw)[:0], b[:size]...)
	return b[size:], nil
}

// decodeReflected decodes into a variable of a type that decode has no case for.
func decodeReflected(b []byte, target reflect.Value) ([]byte, error) {
	head, err := msgpack.ReadHead(b)
	if err != nil {
		return b, err
	}
	rest := b[head.Size:]
	fits := false
	switch target.Kind() {
	case reflect.Bool:
		if fits = head.Kind == msgpack.Bool; fits {
			target.SetBool(head.Bits != 0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var value int64
		value, fits = signed(head, math.MinInt64, math.MaxInt64)
		if fits = fits && !target.OverflowInt(value); fits {
			target.SetInt(value)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if fits = head.Kind == msgpack.Unsigned && !target.OverflowUint(head.Bits); fits {
			target.SetUint(head.Bits)
		}
	case reflect.Float32, reflect.Float64:
		var value float64
		if value, fits = float(head); fits {
			target.SetFloat(value)
		}
	case reflect.String:
		if fits = isText(head); fits {
			target.SetString(string(rest[:head.Bits]))
			rest = rest[head.Bits:]
		}
	case reflect.Pointer:
		if head.Kind == msgpack.Nil {
			target.SetZero()
			return rest, nil
		}
		value := reflect.New(target.Type().Elem())
		rest, err := decode(b, value.Interface())
		if err == nil {
			target.Set(value)
		}
		return rest, err
	case reflect.Interface:
		if target.NumMethod() > 0 {
			break
		}
		value, rest, err := decodeAny(b)
		if err == nil && value == nil {
			target.SetZero()
		} else if err == nil {
			target.Set(reflect.ValueOf(value))
		}
		return rest, err
	case reflect.Slice, reflect.Array:
		return decodeElements(b, head, target)
	case reflect.Map:
		return decodeMap(b, head, target)
	case reflect.Struct:
		return decodeStruct(b, head, target)
	}
	if !fits {
		return b, mismatch(head, target.Type())
	}
	return rest, nil
}

func decodeElements(b []byte, head msgpack.Head, target reflect.Value) ([]byte, error) {
	rest := b[head.Size:]
	fixed := target.Kind() == reflect.Array
	if target.Type().Elem().Kind() == reflect.Uint8 {
		if !isText(head) || fixed && head.Bits != uint64(target.Len()) {
			return b, mismatch(head, target.Type())
		}
		data := rest[:head.Bits]
		if fixed {
			reflect.Copy(target, reflect.ValueOf(data))
		} else {
			target.SetBytes(append([]byte{}, data...))
		}
		return rest[head.Bits:], nil
	}
	if head.Kind != msgpack.Array || fixed && head.Bits != uint64(target.Len()) {
		return b, mismatch(head, target.Type())
	}
	if !fixed {
		// The scanner has seen that many elements: each is at least a byte of the message.
		target.Set(reflect.MakeSlice(target.Type(), int(head.Bits), int(head.Bits)))
	}
	var err error
	for i := range int(head.Bits) {
		if rest, err = decode(rest, target.Index(i).Addr().Interface()); err != nil {
			return b, err
		}
	}
	return rest, nil
}

func decodeMap(b []byte, head msgpack.Head, target reflect.Value) ([]byte, error) {
	if head.Kind != msgpack.Map {
		return b, mismatch(head, target.Type())
	}
	rest := b[head.Size:]
	kind := target.Type()
	result := reflect.MakeMap(kind)
	var err error
	for range head.Bits {
		key, value := reflect.New(kind.Key()), reflect.New(kind.Elem())
		if rest, err = decode(rest, key.Interface()); err != nil {
			return b, err
		}
		if rest, err = decode(rest, value.Interface()); err != nil {
			return b, err
		}
		if !key.Elem().Comparable() {
			return b, fmt.Errorf("a map key of a type that Go cannot compare: %w", ErrType)
		}
		result.SetMapIndex(key.Elem(), value.Elem())
	}
	target.Set(result)
	return rest, nil
}

// decodeAny decodes into the Go type that the package's documentation has for an any.
func decodeAny(b []byte) (any, []byte, error) {
	head, err := msgpack.ReadHead(b)
	if err != nil {
		return nil, b, err
	}
	rest := b[head.Size:]
	switch head.Kind {
	case msgpack.Nil:
		return nil, rest, nil
	case msgpack.Bool:
		return head.Bits != 0, rest, nil
	case msgpack.Unsigned:
		if head.Bits > math.MaxInt64 {
			return head.Bits, rest, nil
		}
		return int64(head.Bits), rest, nil
	case msgpack.Negative:
		return int64(head.Bits), rest, nil
	case msgpack.Float32:
		return math.Float32frombits(uint32(head.Bits)), rest, nil
	case msgpack.Float64:
		return math.Float64frombits(head.Bits), rest, nil
	case msgpack.String:
		return string(rest[:head.Bits]), rest[head.Bits:], nil
	case msgpack.Binary:
		return append([]byte{}, rest[:head.Bits]...), rest[head.Bits:], nil
	case msgpack.Extension:
		return Extension{Type: head.ExtensionType, Data: append([]byte{}, rest[:head.Bits]...)}, rest[head.Bits:], nil
	case msgpack.Array:
		values := make([]any, head.Bits)
		for i := range values {
			if values[i], rest, err = decodeAny(rest); err != nil {
				return nil, b, err
			}
		}
		return values, rest, nil
	default:
		return decodeAnyMap(b, head)
	}
}

func decodeAnyMap(b []byte, head msgpack.Head) (any, []byte, error) {
	rest := b[head.Size:]
	var texts map[string]any
	var others map[any]any
	for range head.Bits {
		key, afterKey, err := decodeAny(rest)
		if err != nil {
			return nil, b, err
		}
		var value any
		if value, rest, err = decodeAny(afterKey); err != nil {
			return nil, b, err
		}
		text, isText := key.(string)
		if isText && others == nil {
			if texts == nil {
				texts = make(map[string]any)
			}
			texts[text] = value
			continue
		}
		if others == nil {
			others = make(map[any]any)
			for text, value := range texts {
				others[text] = value
			}
		}
		if binary, ok := key.([]byte); ok {
			key = string(binary)
		}
		if key != nil && !reflect.ValueOf(key).Comparable() {
			return nil, b, fmt.Errorf("a map key of a type that Go cannot compare: %w", ErrType)
		}
		others[key] = value
	}
	if others != nil {
		return others, rest, nil
	}
	if texts == nil {
		texts = make(map[string]any)
	}
	return texts, rest, nil
}
