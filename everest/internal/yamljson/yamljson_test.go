package yamljson

import (
	"strings"
	"testing"
)

func TestYAMLToJSON(t *testing.T) {
	for _, test := range []struct{ yaml, want string }{
		{"", `{}`},
		{"b: 1\na: 2", `{"b":1,"a":2}`},
		{"a: [1, 2.50, 1e3, 0x10, true, null, ~, text]", `{"a":[1,2.50,1e3,16,true,null,null,"text"]}`},
		{"a: 2026-01-01", `{"a":"2026-01-01"}`},
		{"a: [yes, no, on, off]", `{"a":["yes","no","on","off"]}`},
		{"a: '1'\nb: \"<&>\"", `{"a":"1","b":"\u003c\u0026\u003e"}`},
		{"a: |\n  two\n  lines", `{"a":"two\nlines"}`},
		{"a: &x {b: 1}\nc: *x", `{"a":{"b":1},"c":{"b":1}}`},
		{"a: .5", `{"a":0.5}`},
		{"{1: 2}", `{"1":2}`},
	} {
		got, err := Convert([]byte(test.yaml))
		if err != nil || string(got) != test.want {
			t.Errorf("%q: %s, %v, want %s", test.yaml, got, err, test.want)
		}
	}
}

func TestYAMLToJSONErrors(t *testing.T) {
	for _, test := range []struct{ yaml, want string }{
		{"a: [", "line"},
		{"a: 1\na: 2", "twice"},
		{"? [a]\n: b", "a key is a plain word"},
		{"a: &a {b: 1}\nc: {<<: *a}", "a key is a plain word"},
		{"a: .inf", "JSON has no .inf"},
		{strings.Repeat("[", 100), "line"},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested deeper"},
		{"a: &a [" + strings.Repeat("x,", 1000) + "]\nb: &b [" + strings.Repeat("*a,", 1000) + "]\nc: [" + strings.Repeat("*b,", 1000) + "]", "unfolds"},
		{"a: &a [*a]", ""},
	} {
		_, err := Convert([]byte(test.yaml))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40q: error %v, want %q", test.yaml, err, test.want)
		}
	}
}
