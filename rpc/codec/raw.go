package codec

import (
	"bytes"
	"crypto/rand"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/ugorji/go/codec"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// The codec has its own type for an encoded value, codec.Raw. A method of rpc.Raw could make it one for the codec, but
// would have to name the codec's types, and package rpc would link the codec again. So a rpc.Raw is written as a marked
// extension, which insertRaws replaces, and read through a type that has a codec.Raw in its place.

// rawTag is the type number of the marked extensions.
const rawTag = 0x7f

// rawMark begins the marked extensions. No other process knows it, so none can send one.
var rawMark = []byte(rand.Text())

// rawExtension writes a rpc.Raw as a marked extension.
type rawExtension struct{}

func (rawExtension) WriteExt(v any) []byte {
	raw, ok := v.(rpc.Raw)
	if pointer, isPointer := v.(*rpc.Raw); isPointer {
		raw, ok = *pointer, true
	}
	if !ok || len(raw) == 0 {
		return nil
	}
	return append(bytes.Clone(rawMark), raw...)
}

// ReadExt panics, which the codec turns into an error. It is called for a Raw that withoutRaws has not seen: in an
// interface, or decoded by a method of a type.
func (rawExtension) ReadExt(any, []byte) {
	panic(errors.New("a rpc.Raw cannot be decoded here; use a codec.Raw of github.com/ugorji/go/codec"))
}

// insertRaws returns encoded with the values themselves in the place of the marked extensions.
func insertRaws(encoded []byte) ([]byte, error) {
	if !bytes.Contains(encoded, rawMark) {
		return encoded, nil
	}
	out := make([]byte, 0, len(encoded))
	for rest := encoded; len(rest) > 0; {
		head, err := msgpack.ReadHead(rest)
		if err != nil {
			return nil, err
		}
		size := head.Size
		switch head.Kind {
		case msgpack.String, msgpack.Binary, msgpack.Extension:
			if head.Bits > uint64(len(rest)-size) {
				return nil, io.ErrUnexpectedEOF
			}
			size += int(head.Bits)
		}
		raw, marked := bytes.CutPrefix(rest[head.Size:size], rawMark)
		if marked && head.Kind == msgpack.Extension {
			if length, err := msgpack.Skip(raw); err != nil {
				return nil, fmt.Errorf("raw value: %w: %w", rpc.ErrProtocol, err)
			} else if length != len(raw) {
				return nil, fmt.Errorf("raw value: %d bytes after its end: %w", len(raw)-length, rpc.ErrProtocol)
			}
			out = append(out, raw...)
		} else {
			out = append(out, rest[:size]...)
		}
		rest = rest[size:]
	}
	return out, nil
}

var (
	rawType = reflect.TypeFor[rpc.Raw]()
	// ownDecoding are the interfaces of types that the codec lets decode themselves.
	ownDecoding = []reflect.Type{reflect.TypeFor[codec.Selfer](), reflect.TypeFor[encoding.BinaryUnmarshaler]()}
)

// readable has the results of withoutRaws by type: a reflect.Type or an error.
var readable sync.Map

// withoutRaws returns a type of the same layout as t that has a codec.Raw for each rpc.Raw, and t if there is none.
func withoutRaws(t reflect.Type) (result reflect.Type, err error) {
	known, found := readable.Load(t)
	if !found {
		if replaced, err := replaceRaws(t); err != nil {
			known = fmt.Errorf("%w; use a codec.Raw of github.com/ugorji/go/codec for its rpc.Raw", err)
		} else {
			known = replaced
		}
		readable.Store(t, known)
	}
	if err, failed := known.(error); failed {
		return nil, err
	}
	return known.(reflect.Type), nil
}

func replaceRaws(t reflect.Type) (result reflect.Type, err error) {
	defer func() {
		// reflect cannot make every type: an embedded field must be exported, and may have methods only as the first.
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%s cannot be decoded: %v", t, reason)
		}
	}()
	return replace(t, nil)
}

// replace is withoutRaws for a type that is a part of the types in within.
func replace(t reflect.Type, within []reflect.Type) (reflect.Type, error) {
	if t == rawType {
		return reflect.TypeFor[codec.Raw](), nil
	}
	if !hasRaw(t, make(map[reflect.Type]bool)) {
		return t, nil
	}
	for _, outer := range within {
		if t == outer {
			return nil, fmt.Errorf("%s, which has itself as a part, cannot be decoded", t)
		}
	}
	within = append(within, t)
	if t.Kind() == reflect.Struct {
		fields := make([]reflect.StructField, t.NumField())
		for i := range fields {
			fields[i] = t.Field(i)
			replaced, err := replace(fields[i].Type, within)
			if err != nil {
				return nil, err
			}
			fields[i].Type = replaced
		}
		return reflect.StructOf(fields), nil
	}
	element, err := replace(t.Elem(), within)
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case reflect.Pointer:
		return reflect.PointerTo(element), nil
	case reflect.Slice:
		return reflect.SliceOf(element), nil
	case reflect.Array:
		return reflect.ArrayOf(t.Len(), element), nil
	default:
		return reflect.MapOf(t.Key(), element), nil
	}
}

// hasRaw reports whether the codec would decode into a rpc.Raw that is a part of t. seen are the types looked at.
func hasRaw(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == rawType {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	for _, own := range ownDecoding {
		if t.Implements(own) || reflect.PointerTo(t).Implements(own) {
			return false
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if hasRaw(t.Field(i).Type, seen) {
				return true
			}
		}
		return false
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return hasRaw(t.Elem(), seen)
	default:
		return false
	}
}
