package rpc

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// addRecorded adds the recorded bytes of the real rpclib to a fuzz target's corpus.
func addRecorded(f *testing.F) {
	f.Helper()
	data, err := os.ReadFile("testdata/rpclib.json")
	if err != nil {
		f.Fatal(err)
	}
	var vectors []struct {
		Request  string `json:"request_bytes_hex"`
		Response string `json:"response_bytes_hex"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		f.Fatal(err)
	}
	for _, v := range vectors {
		for _, text := range []string{v.Request, v.Response} {
			if b, err := hex.DecodeString(text); err == nil && len(b) > 0 && len(b) < 2000 {
				f.Add(b)
			}
		}
	}
	// Values that take the most memory for their length.
	for _, element := range []string{"\x80", "\x90", "\xa0", "\x81\xc0\x80", "\x81\x01\x01", "\x81\xa0\x01"} {
		f.Add(append([]byte{0xdc, 0x10, 0x00}, strings.Repeat(element, 0x1000)...))
		f.Add(append([]byte{0xde, 0x08, 0x00}, strings.Repeat(element, 0x1000)...))
	}
	f.Add([]byte("\x94\x00\x01\xa1x\xdc\x10\x00" + strings.Repeat("\x01", 0x1000)))
}

// CheckMemory fails t when f allocates more than 128 KiB, and perByte bytes for each byte of the input. The first are
// the buffers of a connection, which reserves up to 64 KiB for a text whose length is announced.
func CheckMemory(t *testing.T, input []byte, perByte int, f func()) {
	t.Helper()
	const fixed = 128 << 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(fixed+perByte*len(input)) {
		t.Errorf("%d bytes of memory for %d bytes of input %.100x", used, len(input), input)
	}
}

// FuzzMessages has both sides take apart or reject any complete value. What they find must be parts of the value.
func FuzzMessages(f *testing.F) {
	addRecorded(f)
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, b []byte) {
		size, err := msgpack.Size(b, limits.message())
		if err != nil {
			return
		}
		frame := b[:size:size]
		CheckMemory(t, frame, 32, func() { checkMessages(t, frame) })
	})
}

func checkMessages(t *testing.T, frame []byte) {
	if request, ok, err := parseRequest(frame); ok && err == nil {
		if n, err := msgpack.Skip(request.args); err != nil || n != len(request.args) {
			t.Errorf("%x: arguments %x, %v", frame, request.args, err)
		}
		r := Request{Method: string(request.method), Args: request.args}
		arguments := NewReader(request.args)
		if count := arguments.Array(); arguments.Err() == nil && count != r.numArgs() {
			t.Errorf("%x: %d arguments, %d counted", frame, count, r.numArgs())
		}
	}
	if response, err := parseResponse(frame); err == nil {
		if n, err := msgpack.Skip(response.failure); err != nil || n != len(response.failure) {
			t.Errorf("%x: error %x, %v", frame, response.failure, err)
		}
		if n, err := msgpack.Skip(response.result); err != nil || n == 0 {
			t.Errorf("%x: result %x, %v", frame, response.result, err)
		}
	}
}

// FuzzArguments decodes any value into every kind of Go variable: the value fits, or decode fails with ErrType. What an
// any holds must encode to the value's shortest form, unless map keys were lost or reordered.
func FuzzArguments(f *testing.F) {
	addRecorded(f)
	f.Add([]byte{0xca, 0x7f, 0xb7, 0x30, 0x30}) // a signalling NaN, which a conversion would change
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, b []byte) {
		size, err := msgpack.Size(b, limits.message())
		if err != nil {
			return
		}
		value := b[:size:size]
		for _, target := range []any{
			nil, new(string), new([]byte), new(Raw), new(bool), new(int), new(int8), new(int16), new(int32), new(int64), new(uint8), new(uint16),
			new(uint32), new(uint64), new(float32), new(float64), new(any), new([]any), new([]string), new([]int), new([3]byte),
			new(map[string]any), new(map[int]string), new(map[any]any), new(*int), new(Extension),
		} {
			var rest []byte
			var err error
			CheckMemory(t, value, 130, func() { rest, err = decode(value, target) })
			if err == nil && len(rest) > 0 {
				t.Errorf("%x into a %T: %d bytes left", value, target, len(rest))
			}
			if err != nil && !isTypeError(err) {
				t.Errorf("%x into a %T: %v", value, target, err)
			}
		}
		var decoded any
		if _, err := decode(value, &decoded); err != nil || hasMap(value) {
			return
		}
		minimal, _, err := msgpack.AppendMinimal(nil, value)
		if err != nil {
			t.Fatalf("%x: %v", value, err)
		}
		if again, err := Encode(decoded); err != nil || string(again) != string(minimal) {
			t.Errorf("%x became %x, want %x, %v", value, again, minimal, err)
		}
	})
}

func isTypeError(err error) bool {
	for err != nil {
		if err == ErrType {
			return true
		}
		switch wrapped := err.(type) {
		case interface{ Unwrap() error }:
			err = wrapped.Unwrap()
		case interface{ Unwrap() []error }:
			for _, err := range wrapped.Unwrap() {
				if isTypeError(err) {
					return true
				}
			}
			return false
		default:
			return false
		}
	}
	return false
}

func hasMap(value []byte) bool {
	for lacking := uint64(1); lacking > 0; lacking-- {
		head, err := msgpack.ReadHead(value)
		if err != nil || head.Kind == msgpack.Map {
			return true
		}
		value = value[head.Size:]
		switch head.Kind {
		case msgpack.String, msgpack.Binary, msgpack.Extension:
			value = value[head.Bits:]
		case msgpack.Array:
			lacking += head.Bits
		}
	}
	return false
}
