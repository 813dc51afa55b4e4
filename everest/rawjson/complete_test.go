package rawjson

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestComplete(t *testing.T) {
	defaults := []Member{{"a", json.RawMessage(`1`)}, {"b\"", json.RawMessage(`{"x":[]}`)}}
	none := func(Member) json.RawMessage { return nil }
	for _, test := range []struct {
		object, want string
		replace      func(Member) json.RawMessage
	}{
		{`{}`, `{"a":1,"b\"":{"x":[]}}`, none},
		{` { } `, `{"a":1,"b\"":{"x":[]} } `, none},
		{`{"c":1.50 }`, `{"a":1,"b\"":{"x":[]},"c":1.50 }`, none},
		{`{"a": null, "b\u0022" : 2}`, `{"a": 1, "b\u0022" : 2}`, none},
		{`{"a":null,"c":null}`, `{"b\"":{"x":[]},"a":1,"c":null}`, none},
		{` {"b\"":2 , "a":3}`, ` {"b\"":2 , "a":3}`, none},
		{` {"b\"":2 , "a":3,"c":4}`, `{"b\"":2 , "a":"new","c":4}`, func(m Member) json.RawMessage {
			if m.Name == "a" {
				return json.RawMessage(`"new"`)
			}
			return nil
		}},
	} {
		got, err := Complete(json.RawMessage(test.object), defaults, test.replace)
		if err != nil || string(got) != test.want {
			t.Errorf("%s became %s, %v, want %s", test.object, got, err, test.want)
		}
	}
	for _, bad := range []string{``, `null`, `[]`, `{"a":1`, `{"a":}`, `{"a":1}x`} {
		if got, err := Complete(json.RawMessage(bad), defaults, none); err == nil {
			t.Errorf("%s became %s", bad, got)
		}
	}
}

func FuzzComplete(f *testing.F) {
	for _, sample := range jsonSamples {
		f.Add([]byte(sample))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defaults := []Member{{"a", json.RawMessage(`"default"`)}}
		before := bytes.Clone(text)
		var got json.RawMessage
		var err error
		checkMemory(t, text, 2, func() { got, err = Complete(text, defaults, func(Member) json.RawMessage { return nil }) })
		if !bytes.Equal(text, before) {
			t.Fatalf("%q was changed into %q", before, text)
		}
		if err != nil {
			return
		}
		var was, is map[string]json.RawMessage
		if json.Unmarshal(text, &was) != nil || json.Unmarshal(got, &is) != nil {
			t.Fatalf("%q became %q", text, got)
		}
		for name, value := range was {
			if name != "a" && !bytes.Equal(value, is[name]) {
				t.Fatalf("%q became %q: member %q", text, got, name)
			}
		}
		if IsNull(is["a"]) && bytes.Count(text, []byte(`"a"`)) < 2 {
			t.Fatalf("%q became %q: a is missing", text, got)
		}
	})
}
