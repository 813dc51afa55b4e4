package codec_test

import (
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// FuzzStructs decodes any value into structs: it fits, or decoding fails with ErrType, and costs memory in proportion.
// What fits must be encoded again.
func FuzzStructs(f *testing.F) {
	for _, exchange := range recordings(f) {
		for _, text := range []string{exchange.Request, exchange.Response} {
			if b, err := hex.DecodeString(text); err == nil && len(b) > 0 && len(b) < 2000 {
				f.Add(b)
			}
		}
	}
	for _, element := range []string{"\x80", "\x90", "\xa0", "\x81\xa1R\x80", "\x81\x01\x01", "\x81\xa1A\x01"} {
		f.Add(append([]byte{0xdc, 0x10, 0x00}, strings.Repeat(element, 0x1000)...))
		f.Add(append([]byte{0xde, 0x08, 0x00}, strings.Repeat(element, 0x1000)...))
	}
	f.Add([]byte("\x82\xa1B\x92\xa1x\xa1y\xa1C\x92\x01\x02"))
	type inner struct {
		A int
		B []string
		C rpc.Raw
	}
	limits := msgpack.Limits{Size: 16 << 20, Depth: 64, Elements: 1 << 20}
	f.Fuzz(func(t *testing.T, b []byte) {
		size, err := msgpack.Size(b, limits)
		if err != nil {
			return
		}
		value := rpc.Raw(b[:size:size])
		for _, target := range []any{new(inner), new(*inner), new(tuple), new(pointArray), new(pointMap), new(payloads)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := value.Decode(target)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > uint64(128<<10+130*len(value)) {
				t.Errorf("%d bytes of memory for %d bytes of input %.100x into a %T", used, len(value), []byte(value), target)
			}
			if err != nil {
				if !errors.Is(err, rpc.ErrType) {
					t.Errorf("%x into a %T: %v", []byte(value), target, err)
				}
				continue
			}
			if _, err := rpc.Encode(target); err != nil {
				t.Errorf("%x into a %T: cannot encode it again: %v", []byte(value), target, err)
			}
		}
	})
}
