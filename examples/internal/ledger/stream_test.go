package ledger

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// feed is a script: "+a" sends a, "-a" receives it.
func feed(stream *Stream, script string) {
	for _, word := range strings.Fields(script) {
		item := Item{Label: word[1:2], Digest: word[1:]}
		if word[0] == '+' {
			stream.Send(item)
		} else {
			stream.Receive(item)
		}
	}
}

func TestStream(t *testing.T) {
	for name, test := range map[string]struct {
		script   string
		balanced bool
		problems string
	}{
		"in order":               {"+a +b -a -b", true, ""},
		"arrivals entryed first": {"-a -b +a +b", true, ""},
		"nothing":                {"", true, ""},
		"the same twice":         {"+a +a -a -a", true, ""},
		"missing at the end":     {"+a +b -a", false, "1 of 2 missing: b"},
		"missing in between":     {"+a +b +c -a -c", false, "1 of 3 missing: b"},
		"out of order":           {"+a +b -b -a", true, "1 out of order: a"},
		"changed":                {"+a +b1 +c -a -b2 -c", false, "1 of 3 missing: b; 1 changed on the way, twice, or never sent: b"},
		"twice":                  {"+a -a -a", false, "1 changed on the way, twice, or never sent: a"},
		"never sent":             {"-a", false, "1 changed on the way, twice, or never sent: a"},
		"many missing":           {"+a +b +c +d +e +f +g", false, "7 of 7 missing: a, b, c, d, e and 2 more"},
	} {
		t.Run(name, func(t *testing.T) {
			var stream Stream
			feed(&stream, test.script)
			if stream.Balanced() != test.balanced {
				t.Errorf("balanced: %v", stream.Balanced())
			}
			stream.Settle()
			if got := strings.Join(stream.Problems(false), "; "); got != test.problems {
				t.Errorf("problems %q, want %q", got, test.problems)
			}
		})
	}
}

func TestStreamOfAKilledBoardOnlyMisses(t *testing.T) {
	var stream Stream
	feed(&stream, "+a +b +c -a")
	stream.Settle()
	if problems := stream.Problems(true); problems != nil || len(stream.Missing()) != 2 {
		t.Errorf("problems %v, missing %v", problems, stream.Missing())
	}
	feed(&stream, "-x")
	stream.Settle()
	if len(stream.Problems(true)) != 1 {
		t.Error("what was never sent cannot be lost")
	}
}

// However the entries of the two sides interleave, the result is the same.
func TestStreamDoesNotCareHowEntrysInterleave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(rapid.StringMatching(`[abc]`), 0, 12).Draw(t, "sent")
		lost := rapid.IntRange(0, len(sent)).Draw(t, "arrives up to")
		var stream Stream
		from, to := sent, sent[:lost]
		for len(from) > 0 || len(to) > 0 {
			if len(to) == 0 || len(from) > 0 && rapid.Bool().Draw(t, "sender entries") {
				feed(&stream, "+"+from[0])
				from = from[1:]
			} else {
				feed(&stream, "-"+to[0])
				to = to[1:]
			}
		}
		stream.Settle()
		if got, want := len(stream.Missing()), len(sent)-lost; got != want {
			t.Fatalf("%d missing, want %d", got, want)
		}
		if len(stream.OutOfOrder) > 0 || len(stream.unexpected) > 0 {
			t.Fatalf("problems %v", stream.Problems(false))
		}
	})
}
