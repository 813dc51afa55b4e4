package rpc_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc"
)

func TestReader(t *testing.T) {
	array := func(r *rpc.Reader) any { return r.Array() }
	integer := func(r *rpc.Reader) any { return r.Uint() }
	text := func(r *rpc.Reader) any { return string(r.Bytes()) }
	skipped := func(r *rpc.Reader) any { return string(r.Skip()) }
	for _, test := range []struct {
		name, bytes string
		read        func(*rpc.Reader) any
		want        any
		rest        string
		err         error
	}{
		{"fixarray", "\x92\x01\x02", array, 2, "\x01\x02", nil},
		{"array16", "\xdc\x00\x02\x01\x02", array, 2, "\x01\x02", nil},
		{"array32", "\xdd\x00\x00\x00\x01\x01", array, 1, "\x01", nil},
		{"empty array", "\x90", array, 0, "", nil},
		{"array of more than is left", "\x92\x01", array, 0, "", rpc.ErrProtocol},
		{"array of 4 billion", "\xdd\xff\xff\xff\xff\x00", array, 0, "", rpc.ErrProtocol},
		{"array cut in its head", "\xdd\x00\x00", array, 0, "", rpc.ErrProtocol},
		{"map as array", "\x81\x01\x02", array, 0, "", rpc.ErrType},

		{"fixint", "\x7f\x01", integer, uint64(127), "\x01", nil},
		{"uint8", "\xcc\x80", integer, uint64(128), "", nil},
		{"uint16", "\xcd\x01\x00", integer, uint64(256), "", nil},
		{"uint32", "\xce\x00\x01\x00\x00", integer, uint64(1 << 16), "", nil},
		{"uint64", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", integer, uint64(1<<64 - 1), "", nil},
		{"wider than needed", "\xcf\x00\x00\x00\x00\x00\x00\x00\x05", integer, uint64(5), "", nil},
		{"int8 that is not negative", "\xd0\x05", integer, uint64(5), "", nil},
		{"negative", "\xff", integer, uint64(0), "", rpc.ErrType},
		{"float as integer", "\xca\x3f\x80\x00\x00", integer, uint64(0), "", rpc.ErrType},
		{"nil as integer", "\xc0", integer, uint64(0), "", rpc.ErrType},
		{"integer cut", "\xcf\x00", integer, uint64(0), "", rpc.ErrProtocol},

		{"fixstr", "\xa2hi\x00", text, "hi", "\x00", nil},
		{"str8", "\xd9\x02hi", text, "hi", "", nil},
		{"str32", "\xdb\x00\x00\x00\x02hi", text, "hi", "", nil},
		{"bin8", "\xc4\x02hi", text, "hi", "", nil},
		{"bin32", "\xc6\x00\x00\x00\x02hi", text, "hi", "", nil},
		{"empty text", "\xa0", text, "", "", nil},
		{"text of more than is left", "\xa3hi", text, "", "", rpc.ErrProtocol},
		{"text of 4 GiB", "\xdb\xff\xff\xff\xffhi", text, "", "", rpc.ErrProtocol},
		{"extension as text", "\xd4\x01\x02", text, "", "", rpc.ErrType},

		{"skip an integer", "\x05\x06", skipped, "\x05", "\x06", nil},
		{"skip a map of arrays", "\x81\xa1k\x92\x01\x90\x06", skipped, "\x81\xa1k\x92\x01\x90", "\x06", nil},
		{"skip an extension", "\xc7\x02\x01ab", skipped, "\xc7\x02\x01ab", "", nil},
		{"skip an array that is cut", "\x92\x01", skipped, "", "", rpc.ErrProtocol},
		{"skip a map of 4 billion", "\xdf\xff\xff\xff\xff\x00", skipped, "", "", rpc.ErrProtocol},
		{"skip the reserved byte", "\x91\xc1", skipped, "", "", rpc.ErrProtocol},
		{"skip nothing", "", skipped, "", "", rpc.ErrProtocol},
	} {
		r := rpc.NewReader([]byte(test.bytes))
		got := test.read(&r)
		if got != test.want || string(r.Rest()) != test.rest || !errors.Is(r.Err(), test.err) {
			t.Errorf("%s: %v, then %q, %v, want %v, then %q, %v", test.name, got, r.Rest(), r.Err(), test.want, test.rest, test.err)
		}
	}
}

// The first failure is the one that Err returns, and nothing is read after it.
func TestReaderFailsOnce(t *testing.T) {
	r := rpc.NewReader([]byte("\x93\xc0\x01\xa1x"))
	r.Array()
	r.Uint()
	first := r.Err()
	if !errors.Is(first, rpc.ErrType) {
		t.Fatalf("nil read as an integer: %v", first)
	}
	if r.Uint() != 0 || r.Bytes() != nil || r.Array() != 0 || r.Skip() != nil || r.Rest() != nil || r.Err() != first {
		t.Errorf("the Reader goes on after %v: %v", first, r.Err())
	}
}

// What a Reader returns is a part of its bytes, and appending to that does not overwrite what follows.
func TestReaderDoesNotCopy(t *testing.T) {
	message := []byte("\x93\xa1a\x91\x01\xa1b")
	r := rpc.NewReader(message)
	r.Array()
	text, value := r.Bytes(), r.Skip()
	if &text[0] != &message[2] || &value[0] != &message[3] {
		t.Error("the Reader has copied")
	}
	_, _ = append(text, "xx"...), append(value, "xx"...)
	if string(message) != "\x93\xa1a\x91\x01\xa1b" {
		t.Errorf("appending has changed the message to %q", message)
	}
}

func TestReaderDoesNotAllocate(t *testing.T) {
	message := []byte("\x94\xcd\x01\x00\xa5hello" + strings.Repeat("\x91", 100) + "\x90\xc4\x01x")
	if n := testing.AllocsPerRun(100, func() {
		r := rpc.NewReader(message)
		if r.Array() != 4 || r.Uint() != 256 || len(r.Bytes()) != 5 || len(r.Skip()) != 101 || len(r.Bytes()) != 1 || r.Err() != nil {
			t.Error(r.Err())
		}
	}); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}
}

// FuzzReader reads any bytes by the steps of a script. No count and no length may exceed the bytes left, and no step
// may allocate.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x93\x01\xc4\x01x\xa1y"), []byte{0, 1, 2, 2})
	f.Add([]byte("\xdd\xff\xff\xff\xff\x00"), []byte{0, 1, 3})
	f.Add(bytes.Repeat([]byte{0x91}, 1000), []byte{3})
	f.Fuzz(func(t *testing.T, message, script []byte) {
		// Only an error and its text may be allocated.
		rpc.CheckMemory(t, nil, 0, func() {
			r := rpc.NewReader(message)
			for _, step := range script {
				before := len(r.Rest())
				read := 0
				switch step % 4 {
				case 0:
					read = r.Array()
				case 1:
					r.Uint()
				case 2:
					read = len(r.Bytes())
				case 3:
					read = len(r.Skip())
				}
				if read > before || len(r.Rest()) > before || r.Err() != nil && len(r.Rest()) > 0 {
					t.Fatalf("step %d of %x: %d of %d bytes, %v", step, message, read, before, r.Err())
				}
			}
		})
	})
}
