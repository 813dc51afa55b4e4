package hostile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// This file is MessagePack as far as a satellite needs it to lie. It is written apart from package rpc, so that a mistake
// there is not repeated here.

var nilValue = []byte{0xc0}

func boolean(b bool) []byte {
	if b {
		return []byte{0xc3}
	}
	return []byte{0xc2}
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0xcf}, n) }

func text(s string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0xdb}, uint32(len(s))), s...)
}

func binary32(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0xc6}, uint32(len(b))), b...)
}

// array is an array of values that are encoded already.
func array(values ...[]byte) []byte {
	encoded := arrayHead(len(values))
	for _, value := range values {
		encoded = append(encoded, value...)
	}
	return encoded
}

func arrayHead[N int | int64](count N) []byte {
	return binary.BigEndian.AppendUint32([]byte{0xdd}, uint32(count))
}

func mapHead(count int) []byte { return binary.BigEndian.AppendUint32([]byte{0xdf}, uint32(count)) }

// request is a call of the controller without its arguments.
type request struct {
	id     uint64
	method string
	// notification is set where no reply is expected.
	notification bool
}

var errNoRequest = errors.New("hostile: not a request")

func readRequest(r *bufio.Reader) (request, error) {
	head, err := r.ReadByte()
	if err != nil {
		return request{}, err
	}
	kind, err := r.ReadByte()
	switch {
	case err != nil:
		return request{}, err
	case head == 0x93 && kind == 2:
	case head == 0x94 && kind == 0:
	default:
		return request{}, errNoRequest
	}
	called := request{notification: kind == 2}
	if !called.notification {
		if called.id, err = readHead(r); err != nil {
			return request{}, err
		}
	}
	length, err := readHead(r)
	if err != nil || length > 1<<10 {
		return request{}, errors.Join(errNoRequest, err)
	}
	name := make([]byte, length)
	if _, err := io.ReadFull(r, name); err != nil {
		return request{}, err
	}
	called.method = string(name)
	return called, skip(r)
}

// readHead reads the head of an integer that is not negative, a text or a container, and returns its number.
func readHead(r *bufio.Reader) (uint64, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	switch {
	case kind < 0x80:
		return uint64(kind), nil
	case kind < 0xa0:
		return uint64(kind & 0x0f), nil
	case kind < 0xc0:
		return uint64(kind & 0x1f), nil
	}
	width := map[byte]int{
		0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xc4: 1, 0xc5: 2, 0xc6: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4,
	}[kind]
	if width == 0 {
		return 0, errNoRequest
	}
	var value uint64
	for range width {
		next, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		value = value<<8 | uint64(next)
	}
	return value, nil
}

// skip reads one value of a call's arguments.
func skip(r *bufio.Reader) error {
	next, err := r.Peek(1)
	if err != nil {
		return err
	}
	kind := next[0]
	discard := func(bytes uint64) error {
		_, err := io.CopyN(io.Discard, r, int64(bytes))
		return err
	}
	values := func(count uint64) error {
		for range count {
			if err := skip(r); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case kind < 0x80, kind >= 0xe0, kind == 0xc0, kind == 0xc2, kind == 0xc3: // a value of one byte
		return discard(1)
	case kind == 0xca, kind == 0xd2, kind == 0xce: // a float or an integer of 4 bytes
		return discard(5)
	case kind == 0xcb, kind == 0xd3, kind == 0xcf:
		return discard(9)
	case kind == 0xcc, kind == 0xd0:
		return discard(2)
	case kind == 0xcd, kind == 0xd1:
		return discard(3)
	}
	count, err := readHead(r)
	switch {
	case err != nil:
		return err
	case kind < 0x90, kind == 0xde, kind == 0xdf:
		return values(2 * count)
	case kind < 0xa0, kind == 0xdc, kind == 0xdd:
		return values(count)
	}
	return discard(count)
}
