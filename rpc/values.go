package rpc

import (
	"fmt"

	"github.com/ugorji/go/codec"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Raw is one encoded MessagePack value that passes through untouched: as an argument or result its bytes are sent as they
// are, and a value received into it is kept as it came, in the memory that the Raw had if it fits there, as json.RawMessage
// does. An empty Raw is sent as nil. What is not exactly one value within
// the limits is refused with an error before anything is sent.
type Raw []byte

// Minimal answers the same value in the shortest encoding, which is how rpclib would pack it again: map order, duplicate
// keys, the kind of each value and the width of floats stay. It fails when r is not exactly one value.
func (r Raw) Minimal() (Raw, error) {
	minimal, rest, err := msgpack.AppendMinimal(nil, r)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("rpc: %d bytes after the value: %w", len(rest), ErrProtocol)
	}
	if err != nil {
		return nil, err
	}
	return minimal, nil
}

// Decode decodes the value into what dst points to, by the rules of Client.Call for its reply.
func (r Raw) Decode(dst any) error {
	if _, err := msgpack.Skip(r); err != nil {
		return malformed(err)
	}
	if _, err := decode(r, dst); err != nil {
		return fmt.Errorf("rpc: %w", err)
	}
	return nil
}

// Split answers the first value of r and what follows it. It fails with ErrProtocol when r does not begin with a complete
// value.
func (r Raw) Split() (first, rest Raw, err error) {
	size, err := msgpack.Skip(r)
	if err != nil {
		return nil, r, malformed(err)
	}
	return r[:size:size], r[size:], nil
}

// Encode encodes a value as an argument or result is encoded.
func Encode(v any) (Raw, error) {
	b, err := appendValue(nil, v, unlimited.Depth)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return b, nil
}

// CodecEncodeSelf lets a Raw inside a struct pass through; the codec package calls it.
func (r Raw) CodecEncodeSelf(e *codec.Encoder) {
	if len(r) == 0 {
		e.MustEncode(nil)
		return
	}
	e.MustEncode(codec.Raw(r))
}

// CodecDecodeSelf lets a Raw inside a struct take any value; the codec package calls it.
func (r *Raw) CodecDecodeSelf(d *codec.Decoder) {
	var raw codec.Raw
	d.MustDecode(&raw)
	*r = append((*r)[:0], raw...)
}

// Extension is a MessagePack extension value: application-defined bytes with a type number.
type Extension struct {
	Type int8
	Data []byte
}

// structs is how structs are encoded and decoded: the options that give msgpack-c's bytes. It is never changed.
var structs = func() *codec.MsgpackHandle {
	handle := &codec.MsgpackHandle{WriteExt: true, PositiveIntUnsigned: true}
	handle.Raw = true
	handle.MaxInitLen = 16
	handle.MaxDepth = 64
	return handle
}()
