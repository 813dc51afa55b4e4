package everest

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/internal/rawjson"
)

func TestVariableValueKeepsBytes(t *testing.T) {
	for payload, want := range map[string]string{
		`{"data":{"data":12},"msg_type":"Var"}`:                                         `12`,
		`{"msg_type":"Var","data":{"data":{"b":1.50,"a":[1e2, -0]}}}`:                   `{"b":1.50,"a":[1e2, -0]}`,
		` { "msg_type" : "Var" , "more" : 1 , "data" : { "data" : "\u00e9" , "x":2} } `: `"\u00e9"`,
		`{"data":{"data":null},"msg_type":"Var"}`:                                       `null`,
	} {
		value, err := variableValue([]byte(payload))
		if err != nil || string(value) != want {
			t.Errorf("%s: %s, %v, want %s", payload, value, err, want)
		}
	}
	for _, payload := range []string{
		``, `x`, `[]`, `12`, `{}`, `{"data":{"data":1}}`, `{"msg_type":"Var"}`, `{"msg_type":"Var","data":{}}`, `{"msg_type":"Var","data":1}`,
		`{"msg_type":"Unknown","data":{"data":1}}`, `{"msg_type":1,"data":{"data":1}}`, `{"msg_type":null,"data":{"data":1}}`,
		`{"msg_type":"Cmd","data":{"data":1}}`, `{"msg_type":"Var","data":{"data":1}`, `{"msg_type":"Var","data":{"data":1}}x`, "\xff\xfe",
	} {
		if value, err := variableValue([]byte(payload)); err == nil {
			t.Errorf("%q was read as %s", payload, value)
		}
	}
}

func TestReadResult(t *testing.T) {
	tests := map[string]struct {
		value   string
		failure string
	}{
		`{"data":{"data":{"id":"1","origin":"p","retval":{"b":1.0}},"type":"result"},"msg_type":"CmdResult"}`:                                                    {`{"b":1.0}`, ""},
		`{"data":{"data":{"id":"1","origin":"p"},"type":"result"},"msg_type":"CmdResult"}`:                                                                       {`null`, ""},
		`{"data":{"data":{"id":"1","error":null,"retval":2},"type":"result"},"msg_type":"CmdResult"}`:                                                            {`2`, ""},
		`{"data":{"data":{"id":"1","retval":2,"error":{"__everest__error_msg":"m","__everest__error_type":"NotReady"}},"type":"result"},"msg_type":"CmdResult"}`: {`2`, "NotReady: m"},
		`{"data":{"data":{"id":"1","error":{"event":"Timeout","msg":"old form"}},"type":"result"},"msg_type":"CmdResult"}`:                                       {`null`, `HandlerException: unreadable error: {"event":"Timeout","msg":"old form"}`},
		`{"data":{"data":{"id":"1","error":"text"},"type":"result"},"msg_type":"CmdResult"}`:                                                                     {`null`, `HandlerException: unreadable error: "text"`},
	}
	for payload, want := range tests {
		result, err := readResult([]byte(payload))
		failure := ""
		if result.failure != nil {
			failure = result.failure.Error()
		}
		if err != nil || result.id != "1" || string(result.value) != want.value || failure != want.failure {
			t.Errorf("%s: %+v, %v", payload, result, err)
		}
	}
	for _, payload := range []string{
		`{"data":{"data":{"origin":"p","retval":1},"type":"result"},"msg_type":"CmdResult"}`, `{"data":{"type":"result"},"msg_type":"CmdResult"}`,
		`{"data":{"data":{"id":5}},"msg_type":"CmdResult"}`, `{"data":null,"msg_type":"CmdResult"}`,
	} {
		if result, err := readResult([]byte(payload)); err == nil {
			t.Errorf("%s was read as %+v", payload, result)
		}
	}
}

func TestEncodeValue(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{nil, `null`}, {5, `5`}, {5.0, `5`}, {-1.5, `-1.5`}, {uint64(math.MaxUint64), `18446744073709551615`}, {"<a&b>", `"<a&b>"`},
		{"bad \xff end", `"bad \ufffd end"`}, {json.RawMessage(` {"b":1.0, "a":2} `), ` {"b":1.0, "a":2} `}, {json.RawMessage(nil), `null`},
		{struct {
			Value json.RawMessage `json:"value"`
		}{json.RawMessage(`1.50`)}, `{"value":1.50}`},
	} {
		encoded, err := encodeValue(test.value)
		if err != nil || string(encoded) != test.want {
			t.Errorf("%v: %s, %v, want %s", test.value, encoded, err, test.want)
		}
	}
	for _, value := range []any{math.NaN(), json.RawMessage(`{`), json.RawMessage("\"\xff\""), make(chan int)} {
		if encoded, err := encodeValue(value); err == nil {
			t.Errorf("%v was encoded as %s", value, encoded)
		}
	}
}

func TestMessagesAsEVerestWritesThem(t *testing.T) {
	for want, got := range map[string][]byte{
		`{"data":{"data":12},"msg_type":"Var"}`:                                                                   variableMessage(json.RawMessage(`12`)),
		`{"data":true,"msg_type":"ModuleReady"}`:                                                                  envelope(typeModuleReady, []byte("true")),
		`{"data":{"args":null,"id":"i","origin":"peer_1"},"msg_type":"Cmd"}`:                                      commandMessage("i", "peer_1", json.RawMessage("null")),
		`{"data":{"data":{"id":"a\"b","origin":"gomod","retval":"pong"},"type":"result"},"msg_type":"CmdResult"}`: resultMessage(`a"b`, "gomod", json.RawMessage(`"pong"`), nil),
		`{"data":{"data":{"error":{"__everest__error_msg":"boom\n","__everest__error_type":"HandlerException"},"id":"2f80","origin":"peer_1"},"type":"result"},"msg_type":"CmdResult"}`: resultMessage("2f80", "peer_1", json.RawMessage("1"), &CommandError{HandlerException, "boom\n"}),
	} {
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if err := rawjson.Check(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestTopicMatches(t *testing.T) {
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/+", "a/b", true}, {"a/+", "a", false}, {"a/+", "a/b/c", false}, {"a/#", "a/b/c", true},
		{"a/#", "a", true}, {"#", "a/b", true}, {"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true}, {"+", "", true},
		{"a/+/c", "a//c", true}, {"/+", "/a", true}, {"+/+", "/a", true}, {"a", "a/b", false},
	} {
		if got := topicMatches(test.filter, test.topic); got != test.want {
			t.Errorf("%q and %q: %v", test.filter, test.topic, got)
		}
	}
	for filter, want := range map[string]bool{"a": true, "a/#": true, "#": true, "a/+/b": true, "": false, "a#": false, "#/a": false, "a/b+": false, "a\x00": false} {
		if got := validFilter(filter); got != want {
			t.Errorf("filter %q: %v", filter, got)
		}
	}
}

func TestPacketSize(t *testing.T) {
	for _, test := range []struct {
		payload  int
		delivery Delivery
		want     int
	}{
		{0, AtMostOnce, 2 + 2 + 1}, {0, ExactlyOnce, 2 + 2 + 1 + 2}, {122, ExactlyOnce, 2 + 127}, {123, ExactlyOnce, 3 + 128},
		{511_991, ExactlyOnce, MaxPacketSize}, {511_992, ExactlyOnce, MaxPacketSize + 1},
	} {
		if got := packetSize("t", make([]byte, test.payload), test.delivery); got != test.want {
			t.Errorf("%d bytes: %d, want %d", test.payload, got, test.want)
		}
	}
}

func TestUUIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newUUID()
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || strings.Count(id, "-") != 4 || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}

func TestTopicsAreSplitByTheirLevels(t *testing.T) {
	topics := topics{"p/"}
	for topic, want := range map[string][2]string{
		"p/modules/m/impl/i/var/v":                     {"p/modules/m/impl/i", "var"},
		"p/modules/error/impl/error/error/a/B":         {"p/modules/error/impl/error", "error"},
		"p/modules/error/impl/i/cmd/c/response/caller": {"p/modules/error/impl/i", "cmd"},
		"p/modules/m/impl/i/var":                       {},
		"p/modules/m/impl/i/var/":                      {},
		"p/modules/m/impl/i":                           {},
		"p/modules/m/ready":                            {},
		"p/ready":                                      {},
		"p/":                                           {},
	} {
		implementation, kind := topics.split(topic, strings.TrimPrefix(topic, "p/"))
		if implementation != want[0] || kind != want[1] {
			t.Errorf("%s: %q, %q", topic, implementation, kind)
		}
	}
}
