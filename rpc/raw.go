package rpc

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Raw is one encoded MessagePack value. The bytes of a Raw argument or result are sent unchanged. An empty Raw is sent
// as nil. A Raw that is not exactly one value within the limits is rejected before anything is sent.
//
// Receiving into a Raw copies the value's encoded bytes. Like a json.RawMessage, the Raw reuses its memory if that is
// large enough, so its old bytes are overwritten. The result of a call that is a large message is not copied: the Raw
// gets the memory of the message.
type Raw []byte

// Decode decodes the value into what dst points to, by the rules in the package's documentation. Nesting of more than
// 1000 levels is ErrTooDeep.
func (r Raw) Decode(dst any) error {
	if _, err := msgpack.Size(r, onlyDepth(maxDepth)); err != nil {
		return fmt.Errorf("rpc: raw value: %w", scanError(err))
	}
	if _, err := decode(r, dst); err != nil {
		return fmt.Errorf("rpc: %w", err)
	}
	return nil
}

// Encode returns the same encoding that v would have as an argument or result. Nesting of more than 1000 levels is
// ErrTooDeep.
func Encode(v any) (Raw, error) {
	b, err := appendValue(nil, v, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return b, nil
}

// Extension is a MessagePack extension value: application-defined bytes with a type number.
type Extension struct {
	Type int8
	Data []byte
}
