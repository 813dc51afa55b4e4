// Package codec lets package rpc send and receive structs. A program imports it for its effect:
//
//	import _ "github.com/remotechargeport/remotechargeport/rpc/codec"
//
// Without the import, rpc rejects structs with an error that names it: a program that sends none does not link
// github.com/ugorji/go/codec and what that brings along, net/rpc, encoding/gob and html/template among it.
//
// A struct is encoded as a map of its exported fields. A field's key is its name, or the name in its codec tag. A
// struct with the following field is encoded as an array:
//
//	_struct bool `codec:",toarray"`
//
// Missing fields keep their values, and surplus ones are skipped. A field that is a rpc.Raw holds its value undecoded.
// All other rules are those of github.com/ugorji/go/codec.
package codec

import (
	"reflect"
	"sync"

	"github.com/ugorji/go/codec"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/internal/structs"
)

func init() { structs.Register(structCodec{}) }

// structCodec implements structs.Codec.
type structCodec struct{}

// handle has the options that give msgpack-c's bytes. It is never changed.
var handle = func() *codec.MsgpackHandle {
	handle := &codec.MsgpackHandle{WriteExt: true, PositiveIntUnsigned: true}
	handle.Raw = true
	handle.MaxInitLen = 16
	handle.MaxDepth = 64
	if err := handle.SetBytesExt(reflect.TypeFor[rpc.Raw](), rawTag, rawExtension{}); err != nil {
		panic(err) // only for a type without a name
	}
	return handle
}()

// encoders and decoders are those that wait for the next struct: a new one costs more than a small struct.
var (
	encoders = sync.Pool{New: func() any { return codec.NewEncoderBytes(new([]byte), handle) }}
	decoders = sync.Pool{New: func() any { return codec.NewDecoderBytes(nil, handle) }}
)

func (structCodec) Encode(v any) ([]byte, error) {
	var encoded []byte
	encoder := encoders.Get().(*codec.Encoder)
	encoder.ResetBytes(&encoded)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	encoder.ResetBytes(new([]byte))
	encoders.Put(encoder)
	return insertRaws(encoded)
}

func (structCodec) Decode(b []byte, target reflect.Value) error {
	readable, err := withoutRaws(target.Type())
	if err != nil {
		return err
	}
	// Both types have the same layout.
	same := reflect.NewAt(readable, target.Addr().UnsafePointer())
	decoder := decoders.Get().(*codec.Decoder)
	decoder.ResetBytes(b)
	if err := decoder.Decode(same.Interface()); err != nil {
		return err
	}
	decoder.ResetBytes(nil)
	decoders.Put(decoder)
	return nil
}
