// Package msgpack reads and writes the bytes of MessagePack values
// (https://github.com/msgpack/msgpack/blob/master/spec.md) as rpclib does: it writes the shortest form there is and
// reads any form.
//
//	94 00 01 a3 61 64 64 92 02 28      [0, 1, "add", [2, 40]]
//	│  │  │  │           └ ReadHead: Array of 2, one byte long; the values 2 and 40 follow
//	│  │  │  └ String of 3 bytes, which follow
//	└ Array of 4
//
// ReadHead and AppendHead are about one head. Scanner finds the end of a value that arrives in pieces, within Limits;
// Size does so for bytes that are there, and Skip for bytes that need no limits. AppendMinimal writes the shortest form
// of a value.
//
// Nothing recurses, so no nesting overflows the stack. Nothing allocates by a length that a peer only announced. Only
// AppendMinimal and the Append functions allocate, for their result, and a Scanner one number for each level of nesting
// above eight.
package msgpack

import (
	"encoding/binary"
	"errors"
	"io"
)

// Kind is the family of a MessagePack value, whatever width the value was written in.
type Kind uint8

// The kinds. Unsigned is every integer that is not negative, Negative every integer below zero, also where a peer wrote
// a positive integer in a signed form.
const (
	Invalid Kind = iota
	Nil
	Bool
	Unsigned
	Negative
	Float32
	Float64
	String
	Binary
	Array
	Map
	Extension
)

// ErrReserved is the byte 0xc1, which no MessagePack value begins with.
var ErrReserved = errors.New("msgpack: reserved byte 0xc1")

// Head is the beginning of one value, decoded.
type Head struct {
	Kind Kind
	// ExtensionType is the application's type number of an Extension.
	ExtensionType int8
	// Size is the length of the head in bytes. For nil, bool and numbers that is the whole value.
	Size int
	// Bits is the value of a bool (0, 1), the two's complement of an integer, the bits of a float, the length in bytes
	// of a string, binary or extension, the number of an array's elements or of a map's pairs.
	Bits uint64
}

// ReadHead decodes the head of the first value of b. It fails with io.ErrUnexpectedEOF when b ends inside the head, and
// with ErrReserved for the byte 0xc1. It ignores what follows the head.
func ReadHead(b []byte) (Head, error) {
	if len(b) == 0 {
		return Head{}, io.ErrUnexpectedEOF
	}
	c := b[0]
	switch {
	case c <= 0x7f:
		return Head{Kind: Unsigned, Size: 1, Bits: uint64(c)}, nil
	case c <= 0x8f:
		return Head{Kind: Map, Size: 1, Bits: uint64(c & 0x0f)}, nil
	case c <= 0x9f:
		return Head{Kind: Array, Size: 1, Bits: uint64(c & 0x0f)}, nil
	case c <= 0xbf:
		return Head{Kind: String, Size: 1, Bits: uint64(c & 0x1f)}, nil
	case c >= 0xe0:
		return Head{Kind: Negative, Size: 1, Bits: uint64(int64(int8(c)))}, nil
	}
	form := forms[c-0xc0]
	if form.kind == Invalid {
		return Head{}, ErrReserved
	}
	size := 1 + int(form.width)
	if form.kind == Extension {
		size++
	}
	if len(b) < size {
		return Head{}, io.ErrUnexpectedEOF
	}
	head := Head{Kind: form.kind, Size: size, Bits: uint64(form.bits)}
	switch form.width {
	case 1:
		head.Bits = uint64(b[1])
	case 2:
		head.Bits = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		head.Bits = uint64(binary.BigEndian.Uint32(b[1:]))
	case 8:
		head.Bits = binary.BigEndian.Uint64(b[1:])
	}
	switch form.kind {
	case Negative:
		shift := 64 - 8*uint(form.width)
		signed := int64(head.Bits<<shift) >> shift
		head.Bits = uint64(signed)
		if signed >= 0 {
			head.Kind = Unsigned
		}
	case Extension:
		head.ExtensionType = int8(b[size-1])
	}
	return head, nil
}

// form is what one of the bytes 0xc0 to 0xdf begins, and how many bytes of number follow.
type form struct {
	kind  Kind
	width uint8
	bits  uint8
}

var forms = [32]form{
	0x00: {kind: Nil},
	0x01: {kind: Invalid},
	0x02: {kind: Bool, bits: 0},
	0x03: {kind: Bool, bits: 1},
	0x04: {kind: Binary, width: 1},
	0x05: {kind: Binary, width: 2},
	0x06: {kind: Binary, width: 4},
	0x07: {kind: Extension, width: 1},
	0x08: {kind: Extension, width: 2},
	0x09: {kind: Extension, width: 4},
	0x0a: {kind: Float32, width: 4},
	0x0b: {kind: Float64, width: 8},
	0x0c: {kind: Unsigned, width: 1},
	0x0d: {kind: Unsigned, width: 2},
	0x0e: {kind: Unsigned, width: 4},
	0x0f: {kind: Unsigned, width: 8},
	0x10: {kind: Negative, width: 1},
	0x11: {kind: Negative, width: 2},
	0x12: {kind: Negative, width: 4},
	0x13: {kind: Negative, width: 8},
	0x14: {kind: Extension, bits: 1},
	0x15: {kind: Extension, bits: 2},
	0x16: {kind: Extension, bits: 4},
	0x17: {kind: Extension, bits: 8},
	0x18: {kind: Extension, bits: 16},
	0x19: {kind: String, width: 1},
	0x1a: {kind: String, width: 2},
	0x1b: {kind: String, width: 4},
	0x1c: {kind: Array, width: 2},
	0x1d: {kind: Array, width: 4},
	0x1e: {kind: Map, width: 2},
	0x1f: {kind: Map, width: 4},
}
