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

// Decode decodes the value into what dst points to, by the rules of Client.Call for its reply.
func (r Raw) Decode(dst any) error {
	if _, err := msgpack.Size(r, onlyDepth(maxDepth)); err != nil {
		return fmt.Errorf("rpc: raw value: %w", scanError(err))
	}
	if _, err := decode(r, dst); err != nil {
		return fmt.Errorf("rpc: %w", err)
	}
	return nil
}

// Encode encodes a value as an argument or result is encoded.
func Encode(v any) (Raw, error) {
	b, err := appendValue(nil, v, maxDepth)
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
