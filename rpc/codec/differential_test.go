package codec_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// boundaryValues returns values of all MessagePack types at all boundaries of their forms, as an any gets them.
func boundaryValues() []any {
	values := []any{nil, true, false, float32(0), float32(1.5), float32(math.MaxFloat32), float32(math.SmallestNonzeroFloat32),
		float32(math.Inf(-1)), 0.0, 3.0, -1.5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Copysign(0, -1)}
	for bits := range 64 {
		for delta := int64(-2); delta <= 2; delta++ {
			values = append(values, int64(1)<<bits+delta, -(int64(1)<<bits)+delta)
		}
	}
	values = append(values, uint64(math.MaxInt64)+1, uint64(math.MaxUint64), uint64(math.MaxUint64)-1)
	for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 254, 255, 256, 257, 65534, 65535, 65536, 65537} {
		values = append(values, strings.Repeat("x", n), bytes.Repeat([]byte{0xff}, n))
		array, mapping := make([]any, n), make(map[string]any, n)
		for i := range n {
			array[i] = int64(i)
			mapping[fmt.Sprint(i)] = int64(i)
		}
		values = append(values, array, mapping)
	}
	return append(values, []any{[]any{}, map[string]any{"a": []any{nil, "b", []byte{1}}}})
}

func independent() *codec.MsgpackHandle {
	handle := &codec.MsgpackHandle{WriteExt: true, PositiveIntUnsigned: true}
	handle.Canonical = true
	return handle
}

// normal returns a value that the other codec decoded, with integers and maps of the types that package rpc uses.
func normal(value any) any {
	switch value := value.(type) {
	case int64:
		return value
	case uint64:
		if value <= math.MaxInt64 {
			return int64(value)
		}
		return value
	case []any:
		all := make([]any, len(value))
		for i := range value {
			all[i] = normal(value[i])
		}
		return all
	case map[any]any:
		all := make(map[string]any, len(value))
		for key, element := range value {
			all[fmt.Sprint(key)] = normal(element)
		}
		return all
	default:
		return value
	}
}

// TestAgainstAnotherCodec encodes every value with package rpc and decodes it with the codec of the structs, and the
// other way round. Both must make the same bytes and the same value: a value is the same in a struct and outside.
func TestAgainstAnotherCodec(t *testing.T) {
	for _, value := range boundaryValues() {
		ours, err := rpc.Encode(value)
		must(t, err)
		var theirs []byte
		must(t, codec.NewEncoderBytes(&theirs, independent()).Encode(value))
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%T %.40v: encoded as %.40x, by the other as %.40x", value, value, ours, theirs)
		}
		var decoded any
		if err := codec.NewDecoderBytes(ours, independent()).Decode(&decoded); err != nil {
			t.Errorf("%T %.40v: the other cannot decode %.40x: %v", value, value, ours, err)
		}
		if theirs := normal(decoded); !reflect.DeepEqual(value, theirs) && !isFloat32(value) {
			t.Errorf("%T %.40v: the other decodes %.200s", value, value, cmp.Diff(value, theirs))
		}
		var back any
		if err := rpc.Raw(theirs).Decode(&back); err != nil {
			t.Errorf("%T %.40v: cannot decode %.40x: %v", value, value, theirs, err)
		}
		if !reflect.DeepEqual(value, back) {
			t.Errorf("%T %.40v: decoded as %.200s", value, value, cmp.Diff(value, back))
		}
	}
}

// isFloat32 reports whether the codec package decodes the value into a float64.
func isFloat32(value any) bool {
	_, ok := value.(float32)
	return ok
}

// TestEveryIntegerIntoEveryType wants an integer to go into each Go type that can hold it and into no other.
func TestEveryIntegerIntoEveryType(t *testing.T) {
	for _, value := range boundaryValues() {
		number, ok := value.(int64)
		if !ok {
			continue
		}
		raw, err := rpc.Encode(number)
		must(t, err)
		tryInteger[int8](t, raw, number, math.MinInt8, math.MaxInt8)
		tryInteger[int16](t, raw, number, math.MinInt16, math.MaxInt16)
		tryInteger[int32](t, raw, number, math.MinInt32, math.MaxInt32)
		tryInteger[int64](t, raw, number, math.MinInt64, math.MaxInt64)
		tryInteger[int](t, raw, number, math.MinInt, math.MaxInt)
		tryInteger[uint8](t, raw, number, 0, math.MaxUint8)
		tryInteger[uint16](t, raw, number, 0, math.MaxUint16)
		tryInteger[uint32](t, raw, number, 0, math.MaxUint32)
		tryInteger[uint64](t, raw, number, 0, math.MaxInt64)
		var float float64
		if err := raw.Decode(&float); err != nil || float != float64(number) {
			t.Errorf("%d into a float64: %v, %v", number, float, err)
		}
	}
}

func tryInteger[T int8 | int16 | int32 | int64 | int | uint8 | uint16 | uint32 | uint64](t *testing.T, raw rpc.Raw, number, lowest, highest int64) {
	t.Helper()
	var got T
	err := raw.Decode(&got)
	if fits := number >= lowest && number <= highest; fits != (err == nil) || fits && int64(got) != number {
		t.Errorf("%d into a %T: %d, %v", number, got, got, err)
	}
}
