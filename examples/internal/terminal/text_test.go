package terminal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTextControlsNoTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                "plain",
		"Ladesäule 7 €":        "Ladesäule 7 €",
		"\x1b[31mred\x1b[0m":   `\u001b[31mred\u001b[0m`,
		"\x1b]0;title\x07":     `\u001b]0;title\u0007`,
		"a\nb\r\tc":            `a\u000ab\u000d\u0009c`,
		"\u009b2J":             `\u009b2J`,
		"user\u202egnp.exe":    `user\u202egnp.exe`,
		"\x7f\xff":             `\u007f\ufffd`,
		"line\u2028paragraph":  `line\u2028paragraph`,
		"music \U0001d173 end": "music \U0001d173 end", // a format character that no terminal acts on
	} {
		if got := Text(text); got != want {
			t.Errorf("%q is written as %q, want %q", text, got, want)
		}
	}
	var output bytes.Buffer
	if n, err := fmt.Fprintf(Escaped(&output), "one\ttwo\n%s\n", "\x1b[2J"); n != 13 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if got := output.String(); got != "one\ttwo\n\\u001b[2J\n" {
		t.Errorf("%q", got)
	}
}

func TestPrintable(t *testing.T) {
	type inner struct {
		Texts []string
		At    time.Time
	}
	type outer struct {
		Text  string
		Count int
		Inner *inner
		None  *inner
	}
	now := time.Now()
	original := &outer{Text: "\x1b[1m", Count: 3, Inner: &inner{Texts: []string{"a\nb", strings.Repeat("é", 400)}, At: now}}
	got := Printable(original)
	if got.Text != `\u001b[1m` || got.Count != 3 || got.None != nil || !got.Inner.At.Equal(now) || got.Inner.Texts[0] != `a\u000ab` {
		t.Errorf("%+v, %+v", got, got.Inner)
	}
	if long := got.Inner.Texts[1]; len(long) != maxText+len("...") || !strings.HasSuffix(long, "é...") {
		t.Errorf("%d bytes are left of a long text: %q", len(long), long)
	}
	if original.Text != "\x1b[1m" || original.Inner.Texts[0] != "a\nb" {
		t.Error("the original was changed")
	}
	if Printable[*outer](nil) != nil {
		t.Error("nil is something")
	}
}
