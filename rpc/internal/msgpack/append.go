package msgpack

import (
	"encoding/binary"
	"io"
	"math"
	"math/bits"
)

// AppendNil appends nil.
func AppendNil(b []byte) []byte { return append(b, 0xc0) }

// AppendBool appends a bool.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 0xc3)
	}
	return append(b, 0xc2)
}

// AppendUint appends an integer in the shortest unsigned form.
func AppendUint(b []byte, v uint64) []byte {
	switch {
	case v <= 0x7f:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return append(b, 0xcd, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(b, 0xcf), v)
	}
}

// AppendInt appends an integer in the shortest form. As rpclib does, it writes one that is not negative as unsigned.
func AppendInt(b []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(b, uint64(v))
	case v >= -32:
		return append(b, byte(v))
	case v >= math.MinInt8:
		return append(b, 0xd0, byte(v))
	case v >= math.MinInt16:
		return append(b, 0xd1, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v))
	}
}

// AppendFloat32 appends a float of four bytes.
func AppendFloat32(b []byte, v float32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0xca), math.Float32bits(v))
}

// AppendFloat64 appends a float of eight bytes.
func AppendFloat64(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(v))
}

// AppendString appends text.
func AppendString(b []byte, v string) []byte {
	return append(AppendStringHead(b, len(v)), v...)
}

// AppendStringHead appends the head of a text of n bytes, n below 2^32.
func AppendStringHead(b []byte, n int) []byte {
	switch {
	case n < 32:
		return append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xda, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
	}
}

// AppendBinary appends bytes.
func AppendBinary(b, v []byte) []byte {
	return append(AppendBinaryHead(b, len(v)), v...)
}

// AppendBinaryHead appends the head of a binary of n bytes, n below 2^32.
func AppendBinaryHead(b []byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xc5, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
	}
}

// AppendArrayHead appends the head of an array of n elements, n below 2^32.
func AppendArrayHead(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, 0x90|byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xdc, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(b, 0xdd), uint32(n))
	}
}

// AppendMapHead appends the head of a map of n pairs, n below 2^32.
func AppendMapHead(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, 0x80|byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xde, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(b, 0xdf), uint32(n))
	}
}

// AppendExtension appends an extension value.
func AppendExtension(b []byte, kind int8, v []byte) []byte {
	return append(AppendExtensionHead(b, kind, len(v)), v...)
}

// AppendExtensionHead appends the head of an extension of n bytes, n below 2^32.
func AppendExtensionHead(b []byte, kind int8, n int) []byte {
	switch {
	case n == 1, n == 2, n == 4, n == 8, n == 16:
		// The forms 0xd4 to 0xd8 have these lengths, in this order.
		return append(b, 0xd4+byte(bits.TrailingZeros(uint(n))), byte(kind))
	case n <= math.MaxUint8:
		return append(b, 0xc7, byte(n), byte(kind))
	case n <= math.MaxUint16:
		return append(b, 0xc8, byte(n>>8), byte(n), byte(kind))
	default:
		return append(binary.BigEndian.AppendUint32(append(b, 0xc9), uint32(n)), byte(kind))
	}
}

// AppendHead appends h in its shortest form.
func AppendHead(b []byte, h Head) []byte {
	switch h.Kind {
	case Bool:
		return AppendBool(b, h.Bits != 0)
	case Unsigned:
		return AppendUint(b, h.Bits)
	case Negative:
		return AppendInt(b, int64(h.Bits))
	case Float32:
		return binary.BigEndian.AppendUint32(append(b, 0xca), uint32(h.Bits))
	case Float64:
		return binary.BigEndian.AppendUint64(append(b, 0xcb), h.Bits)
	case String:
		return AppendStringHead(b, int(h.Bits))
	case Binary:
		return AppendBinaryHead(b, int(h.Bits))
	case Array:
		return AppendArrayHead(b, int(h.Bits))
	case Map:
		return AppendMapHead(b, int(h.Bits))
	case Extension:
		return AppendExtensionHead(b, h.ExtensionType, int(h.Bits))
	default:
		return AppendNil(b)
	}
}

// AppendMinimal appends the first value of b, of any depth, in its shortest form. It returns what follows the value in
// b. Only the width of integers, lengths and counts changes.
func AppendMinimal(out, b []byte) (extended, rest []byte, err error) {
	start := len(out)
	for lacking := uint64(1); lacking > 0; lacking-- {
		head, err := ReadHead(b)
		if err != nil {
			return out[:start], b, err
		}
		out = AppendHead(out, head)
		b = b[head.Size:]
		switch head.Kind {
		case String, Binary, Extension:
			if uint64(len(b)) < head.Bits {
				return out[:start], b, io.ErrUnexpectedEOF
			}
			out = append(out, b[:head.Bits]...)
			b = b[head.Bits:]
		case Array:
			lacking += head.Bits
		case Map:
			lacking += 2 * head.Bits
		}
	}
	return out, b, nil
}
