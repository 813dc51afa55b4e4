package rawjson

import (
	"bytes"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

var jsonSamples = []string{
	`null`, `true`, `false`, `0`, `-0`, `-1.5e+10`, `1E5`, `12345678901234567890`, `""`, `"a\"\\\/\b\f\n\r\t\u00e9"`, `"é€𝄞"`,
	`[]`, `[1]`, `[1,2 , [ ] ]`, `{}`, `{"a":1}`, ` { "a" : [ { "b" : null } , "c" ] , "" : {} } `,
	``, ` `, `nul`, `tru`, `+1`, `01`, `1.`, `.5`, `1e`, `-`, `"`, `"\x"`, `"\u12g4"`, `"\u12`, "\"\n\"", "\"\xff\"", `[`, `[1`, `[1,]`, `[,1]`, `{`,
	`{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, `[1}`, `{"a":1]`, `1 2`, `[]]`, `{,}`,
}

// checkMemory fails t when a function allocates more than 16 KiB, and perByte bytes for each byte of the text.
func checkMemory(t *testing.T, text []byte, perByte int, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(16<<10+perByte*len(text)); used > most {
		t.Errorf("%d bytes of %.100q take %d bytes of memory, want at most %d", len(text), text, used, most)
	}
}

// The scanner and encoding/json must agree, except for texts that are no UTF-8, or deeper than the bound.
func FuzzScanValue(f *testing.F) {
	for _, sample := range jsonSamples {
		f.Add([]byte(sample))
	}
	for at := range 20 { // what stands out, at each place of eight bytes and across two of them
		for _, special := range []string{"\"", "\\n", "\x1f", "\x7f", "\x80", "é", "\x00", " ", "!", "#", "[", "]"} {
			f.Add([]byte(`"` + strings.Repeat("a", at) + special + strings.Repeat("z", 20-at) + `"`))
		}
	}
	f.Add(bytes.Repeat([]byte("["), maxDepth+1))
	for _, element := range []string{"0,", "{},", "[],", `"",`, `{"":0},`} { // what takes most memory for its length
		f.Add([]byte("[" + strings.Repeat(element, 1_000) + "0]"))
	}
	f.Add([]byte("{" + strings.Repeat(`"":0,`, 1_000) + `"":0}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		checkMemory(t, text, 0, func() { _ = Check(text) })
		checkMemory(t, text, 100, func() { _, _ = Decode(text) })
		err := Check(text)
		want := json.Valid(text) && utf8.Valid(text)
		if got := err == nil; got != want && (err == nil || !strings.Contains(err.Error(), "levels deep")) {
			t.Fatalf("%q: %v, encoding/json says %v", text, err, want)
		}
		value, decodeErr := Decode(text)
		if (decodeErr == nil) != (err == nil) {
			t.Fatalf("%q: decoded with %v, scanned with %v", text, decodeErr, err)
		}
		if err == nil {
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.UseNumber()
			var want any
			if err := decoder.Decode(&want); err != nil || !reflect.DeepEqual(value, want) {
				t.Fatalf("%q: decoded %#v, want %#v (%v)", text, value, want, err)
			}
		}
		walker := NewReader(text)
		walked := walk(&walker)
		if closed := walker.Close(); (closed == nil) != (err == nil) || err == nil && !reflect.DeepEqual(walked, value) {
			t.Fatalf("%q: walked %#v with %v, decoded %#v", text, walked, closed, value)
		}
		r := NewReader(text)
		read := map[string]json.RawMessage{}
		for r.Object(); ; {
			name, ok := r.Next()
			if !ok {
				break
			}
			read[string(name)] = r.Value()
		}
		objectErr := r.Close()
		r = NewReader(text)
		if whole, members := r.Members(); (r.Close() == nil) != (err == nil) || err == nil && !bytes.Equal(whole, bytes.Trim(text, " \n\t\r")) || objectErr == nil && len(members) != len(read) {
			t.Fatalf("%q: value %q with %d members, %v", text, whole, len(members), r.Close())
		}
		if err != nil {
			if objectErr == nil {
				t.Fatalf("%q was read as an object", text)
			}
			return
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(text, &members) != nil || members == nil {
			return
		}
		if objectErr != nil {
			t.Fatalf("%q: %v", text, objectErr)
		}
		for name, value := range members {
			if !bytes.Equal(value, read[name]) {
				t.Fatalf("%q: member %q is %s, not %s", text, name, read[name], value)
			}
		}
		if len(read) != len(members) {
			t.Fatalf("%q: %d members, not %d", text, len(read), len(members))
		}
	})
}

// walk reads a value by entering every object and array.
func walk(r *Reader) any {
	switch r.Kind() {
	case '{':
		object := map[string]any{}
		for r.Object(); ; {
			name, more := r.Next()
			if !more {
				return object
			}
			object[string(name)] = walk(r)
		}
	case '[':
		array := []any{}
		for r.Array(); r.More(); {
			array = append(array, walk(r))
		}
		return array
	}
	value, _ := Decode(r.Value())
	return value
}

func TestScanValueBoundsTheDepth(t *testing.T) {
	nested := func(depth int) []byte { return []byte(strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth)) }
	if err := Check(nested(maxDepth)); err != nil {
		t.Error(err)
	}
	if err := Check(nested(maxDepth + 1)); err == nil {
		t.Error("deeper nesting was accepted")
	}
	for _, depth := range []int{maxDepth, maxDepth + 1} {
		r := NewReader(nested(depth))
		walk(&r)
		if err := r.Close(); (err == nil) != (depth == maxDepth) {
			t.Errorf("a Reader %d levels deep: %v", depth, err)
		}
	}
	mixed := strings.Repeat(`{"a":[`, 70) + strings.Repeat(`]}`, 70)
	if err := Check([]byte(mixed)); err != nil {
		t.Error(err)
	}
}
