package rawjson

import (
	"bytes"
	"encoding/json"
	"reflect"
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
	f.Fuzz(func(t *testing.T, text []byte) {
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

func TestScanValueBoundsTheDepth(t *testing.T) {
	nested := func(depth int) []byte { return []byte(strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth)) }
	if err := Check(nested(maxDepth)); err != nil {
		t.Error(err)
	}
	if err := Check(nested(maxDepth + 1)); err == nil {
		t.Error("deeper nesting was accepted")
	}
	mixed := strings.Repeat(`{"a":[`, 70) + strings.Repeat(`]}`, 70)
	if err := Check([]byte(mixed)); err != nil {
		t.Error(err)
	}
}
