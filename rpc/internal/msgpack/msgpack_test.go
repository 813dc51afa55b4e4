package msgpack

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

var generous = Limits{Size: 1 << 30, Depth: 100, Elements: 1 << 30}

// TestShortestForm has each family at each of its boundaries, with the bytes that the specification and msgpack-c give.
func TestShortestForm(t *testing.T) {
	unsigned := func(v uint64) []byte { return AppendUint(nil, v) }
	signed := func(v int64) []byte { return AppendInt(nil, v) }
	for _, test := range []struct {
		got  []byte
		want string
	}{
		{AppendNil(nil), "c0"}, {AppendBool(nil, false), "c2"}, {AppendBool(nil, true), "c3"},
		{unsigned(0), "00"}, {unsigned(127), "7f"}, {unsigned(128), "cc80"}, {unsigned(255), "ccff"}, {unsigned(256), "cd0100"},
		{unsigned(65535), "cdffff"}, {unsigned(65536), "ce00010000"}, {unsigned(math.MaxUint32), "ceffffffff"},
		{unsigned(1 << 32), "cf0000000100000000"}, {unsigned(math.MaxUint64), "cfffffffffffffffff"},
		{signed(200), "ccc8"}, {signed(-1), "ff"}, {signed(-32), "e0"}, {signed(-33), "d0df"}, {signed(-128), "d080"},
		{signed(-129), "d1ff7f"}, {signed(-32768), "d18000"}, {signed(-32769), "d2ffff7fff"},
		{signed(math.MinInt32), "d280000000"}, {signed(math.MinInt32 - 1), "d3ffffffff7fffffff"}, {signed(math.MinInt64), "d38000000000000000"},
		{AppendFloat32(nil, 1.5), "ca3fc00000"}, {AppendFloat64(nil, 3), "cb4008000000000000"},
		{AppendString(nil, ""), "a0"}, {AppendStringHead(nil, 31), "bf"}, {AppendStringHead(nil, 32), "d920"}, {AppendStringHead(nil, 255), "d9ff"},
		{AppendStringHead(nil, 256), "da0100"}, {AppendStringHead(nil, 65535), "daffff"}, {AppendStringHead(nil, 65536), "db00010000"},
		{AppendBinary(nil, nil), "c400"}, {AppendBinaryHead(nil, 255), "c4ff"}, {AppendBinaryHead(nil, 256), "c50100"}, {AppendBinaryHead(nil, 65536), "c600010000"},
		{AppendArrayHead(nil, 15), "9f"}, {AppendArrayHead(nil, 16), "dc0010"}, {AppendArrayHead(nil, 65536), "dd00010000"},
		{AppendMapHead(nil, 15), "8f"}, {AppendMapHead(nil, 16), "de0010"}, {AppendMapHead(nil, 65536), "df00010000"},
		{AppendExtension(nil, 1, []byte{2}), "d40102"}, {AppendExtensionHead(nil, -1, 2), "d5ff"}, {AppendExtensionHead(nil, 1, 4), "d601"},
		{AppendExtensionHead(nil, 1, 8), "d701"}, {AppendExtensionHead(nil, 1, 16), "d801"}, {AppendExtensionHead(nil, 5, 0), "c70005"},
		{AppendExtensionHead(nil, 5, 17), "c71105"}, {AppendExtensionHead(nil, 5, 256), "c8010005"}, {AppendExtensionHead(nil, 5, 65536), "c90001000005"},
	} {
		if got := hex.EncodeToString(test.got); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// TestHeadsReadBack reads every first byte with random numbers behind it. AppendHead must write the same head in its
// shortest form.
func TestHeadsReadBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for first := range 256 {
		for range 200 {
			b := binary.BigEndian.AppendUint64([]byte{byte(first)}, random.Uint64()>>random.IntN(64))
			b = append(b, byte(random.Uint32()))
			head, err := ReadHead(b)
			if first == 0xc1 {
				if err != ErrReserved {
					t.Fatalf("c1: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%x: %v", b, err)
			}
			again, err := ReadHead(append(AppendHead(nil, head), make([]byte, 4)...))
			size := again.Size
			again.Size = head.Size
			if err != nil || again != head || size > head.Size {
				t.Fatalf("%x: %+v, then %+v of %d bytes, %v", b, head, again, size, err)
			}
			for cut := range head.Size {
				if _, err := ReadHead(b[:cut]); err != io.ErrUnexpectedEOF {
					t.Fatalf("%x cut to %d: %v", b, cut, err)
				}
			}
		}
	}
}

func TestScannerLimits(t *testing.T) {
	limits := Limits{Size: 20, Depth: 3, Elements: 8}
	for _, test := range []struct {
		name, value string
		want        error
	}{
		{"largest text", "b13131313131313131313131313131313131", nil},
		{"depth 3", "919190", nil},
		{"depth 4", "91919190", ErrTooDeep},
		{"depth 4 by a map", "91918180", ErrTooDeep},
		{"8 elements", "9700000000000000", nil},
		{"9 elements", "980000000000000000", ErrTooMany},
		{"9 elements in a map", "840000000000000000", ErrTooMany},
		{"8 elements in two", "9295", nil},
		{"9 elements in two", "9296", ErrTooMany},
		{"text of 20 bytes", "d912", nil},
		{"text of 21 bytes", "d913", ErrTooLarge},
		{"array of 4 billion", "ddffffffff", ErrTooLarge},
		{"map of 4 billion", "dfffffffff", ErrTooLarge},
		{"reserved", "92c1", ErrReserved},
		{"reserved within", "9200c1", ErrReserved},
	} {
		b, err := hex.DecodeString(test.value)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Size(b, limits); err != test.want && !(test.want == nil && err == io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// randomValue appends a value with all kinds in it.
func randomValue(random *rand.Rand, b []byte, depth int) []byte {
	switch kind := random.IntN(12); {
	case kind < 2 && depth > 0:
		n := random.IntN(20)
		b = AppendArrayHead(b, n)
		for range n {
			b = randomValue(random, b, depth-1)
		}
		return b
	case kind < 4 && depth > 0:
		n := random.IntN(20)
		b = AppendMapHead(b, n)
		for range 2 * n {
			b = randomValue(random, b, depth-1)
		}
		return b
	case kind < 6:
		return AppendString(b, string(make([]byte, random.IntN(300))))
	case kind < 7:
		return AppendBinary(b, make([]byte, random.IntN(300)))
	case kind < 8:
		return AppendExtension(b, int8(random.Uint32()), make([]byte, random.IntN(20)))
	case kind < 9:
		return AppendFloat64(b, random.NormFloat64())
	case kind < 10:
		return AppendBool(b, random.IntN(2) == 0)
	default:
		return AppendInt(b, int64(random.Uint64())>>random.IntN(64))
	}
}

// TestScannerInPieces gives values to a scanner in random pieces. It must find the same end as in one piece, never ask
// for more than there is, and never report a value complete that is not.
func TestScannerInPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		value := randomValue(random, nil, 4)
		whole, err := Size(append(bytes.Clone(value), 0x91), generous)
		if err != nil || whole != len(value) {
			t.Fatalf("%x: size %d, %v, want %d", value, whole, err, len(value))
		}
		var scanner Scanner
		scanner.Init(generous)
		for have := 0; ; {
			size, need, err := scanner.Scan(value[:have])
			if err != nil {
				t.Fatal(err)
			}
			if size > 0 {
				if size != len(value) || have != len(value) {
					t.Fatalf("%x: complete at %d with %d of %d", value, size, have, len(value))
				}
				break
			}
			if need <= have || need > len(value) {
				t.Fatalf("%x: has %d, needs %d, of %d", value, have, need, len(value))
			}
			if scanner.Ends() && need != len(value) {
				t.Fatalf("%x: the end is said to be %d, of %d", value, need, len(value))
			}
			have += 1 + random.IntN(len(value)-have)
		}
	}
}

func TestMinimalIsTheSameValue(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		value := randomValue(random, nil, 4)
		minimal, rest, err := AppendMinimal(nil, append(bytes.Clone(value), 0xc0))
		if err != nil || !bytes.Equal(minimal, value) || len(rest) != 1 {
			t.Fatalf("%x became %x, %d left, %v", value, minimal, len(rest), err)
		}
		if cut := random.IntN(len(value)); cut > 0 {
			if _, _, err := AppendMinimal(nil, value[:cut]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("cut to %d: %v", cut, err)
			}
		}
	}
}

// TestNothingIsAllocated wants the scanner and the Append functions to need no memory of their own.
func TestNothingIsAllocated(t *testing.T) {
	value := randomValue(rand.New(rand.NewPCG(7, 8)), AppendArrayHead(nil, 1), 5)
	var scanner Scanner
	scanner.Init(generous)
	if n := testing.AllocsPerRun(100, func() {
		scanner.Reset()
		if size, _, err := scanner.Scan(value); size != len(value) || err != nil {
			t.Error(size, err)
		}
	}); n != 0 {
		t.Errorf("the scanner allocates %v times", n)
	}
	buffer := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		b := AppendArrayHead(buffer, 4)
		b = AppendUint(b, 1<<40)
		b = AppendInt(b, -5)
		b = AppendString(b, "text")
		AppendFloat64(b, 1.5)
	}); n != 0 {
		t.Errorf("the encoder allocates %v times", n)
	}
}

// FuzzScanner wants no input to make the scanner panic, hang, allocate, or find another end than a simple recursive
// reader.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("\x94\x00\x01\xa4echo\x91\xa5hello"))
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Add(bytes.Repeat([]byte{0x91}, 100))
	f.Add([]byte("\xc6\x7f\xff\xff\xff"))
	limits := Limits{Size: 1000, Depth: 8, Elements: 100}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkMemory(t, b)
		want, complete := recursiveSize(b, limits.Depth)
		var scanner Scanner
		scanner.Init(limits)
		for have := 0; have <= len(b); have++ {
			size, need, err := scanner.Scan(b[:have])
			if err != nil {
				return
			}
			if size > 0 {
				if !complete || size != want {
					t.Fatalf("%x: size %d, want %d, %v", b, size, want, complete)
				}
				if skipped, err := Skip(b); err != nil || skipped != size {
					t.Fatalf("%x: skips %d, %v, want %d", b, skipped, err, size)
				}
				minimal, rest, err := AppendMinimal(nil, b)
				if err != nil || len(rest) != len(b)-size || len(minimal) > size {
					t.Fatalf("%x: minimal %x, %d left, %v", b, minimal, len(rest), err)
				}
				return
			}
			if need <= have {
				t.Fatalf("%x: has %d, needs %d", b, have, need)
			}
		}
		if complete && want <= limits.Size {
			t.Fatalf("%x: not complete, want %d", b, want)
		}
	})
}

// checkMemory fails t when finding the end of b and writing its shortest form allocate more than 8 KiB and five times
// b.
func checkMemory(t *testing.T, b []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _ = Size(b, generous)
	_, _ = Skip(b)
	_, _, _ = AppendMinimal(nil, b)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(8<<10+5*len(b)) {
		t.Errorf("%d bytes of memory for %d bytes of input %.100x", used, len(b), b)
	}
}

// recursiveSize finds the end of a value the plain way, for values that are not deep.
func recursiveSize(b []byte, depth int) (int, bool) {
	head, err := ReadHead(b)
	if err != nil {
		return 0, false
	}
	size, count := head.Size, uint64(0)
	switch head.Kind {
	case String, Binary, Extension:
		if uint64(len(b)-size) < head.Bits {
			return 0, false
		}
		return size + int(head.Bits), true
	case Array:
		count = head.Bits
	case Map:
		count = 2 * head.Bits
	default:
		return size, true
	}
	if depth == 0 {
		return 0, false
	}
	for range count {
		n, ok := recursiveSize(b[size:], depth-1)
		if !ok {
			return 0, false
		}
		size += n
	}
	return size, true
}
