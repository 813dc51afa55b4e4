package wire

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

var w = FamilyC{Prefix: "everest/"}

func TestVariableValueKeepsBytes(t *testing.T) {
	for payload, want := range map[string]string{
		`{"data":{"data":12},"msg_type":"Var"}`:                                         `12`,
		`{"msg_type":"Var","data":{"data":{"b":1.50,"a":[1e2, -0]}}}`:                   `{"b":1.50,"a":[1e2, -0]}`,
		` { "msg_type" : "Var" , "more" : 1 , "data" : { "data" : "\u00e9" , "x":2} } `: `"\u00e9"`,
		`{"data":{"data":null},"msg_type":"Var"}`:                                       `null`,
	} {
		value, err := w.ReadVariable([]byte(payload))
		if err != nil || string(value) != want {
			t.Errorf("%s: %s, %v, want %s", payload, value, err, want)
		}
	}
	for _, payload := range []string{
		``, `x`, `[]`, `12`, `{}`, `{"data":{"data":1}}`, `{"msg_type":"Var"}`, `{"msg_type":"Var","data":{}}`, `{"msg_type":"Var","data":1}`,
		`{"msg_type":"Unknown","data":{"data":1}}`, `{"msg_type":1,"data":{"data":1}}`, `{"msg_type":null,"data":{"data":1}}`,
		`{"msg_type":"Cmd","data":{"data":1}}`, `{"msg_type":"Var","data":{"data":1}`, `{"msg_type":"Var","data":{"data":1}}x`, "\xff\xfe",
	} {
		if value, err := w.ReadVariable([]byte(payload)); err == nil {
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
		`{"data":{"data":{"id":"1","error":{"event":"Timeout","msg":"old form"}},"type":"result"},"msg_type":"CmdResult"}`:                                       {`null`, "CmdTimeout: old form"},
		`{"data":{"data":{"id":"1","error":"text"},"type":"result"},"msg_type":"CmdResult"}`:                                                                     {`null`, `HandlerException: unreadable error: "text"`},
	}
	for payload, want := range tests {
		result, err := w.ReadResult([]byte(payload))
		failure := ""
		if result.Failure != nil {
			failure = result.Failure.Type + ": " + result.Failure.Message
		}
		if err != nil || result.ID != "1" || string(result.Value) != want.value || failure != want.failure {
			t.Errorf("%s: %+v, %v", payload, result, err)
		}
	}
	for _, payload := range []string{
		`{"data":{"data":{"origin":"p","retval":1},"type":"result"},"msg_type":"CmdResult"}`, `{"data":{"type":"result"},"msg_type":"CmdResult"}`,
		`{"data":{"data":{"id":5}},"msg_type":"CmdResult"}`, `{"data":null,"msg_type":"CmdResult"}`,
	} {
		if result, err := w.ReadResult([]byte(payload)); err == nil {
			t.Errorf("%s was read as %+v", payload, result)
		}
	}
}

func TestMessagesAsEVerestWritesThem(t *testing.T) {
	for want, got := range map[string][]byte{
		`{"data":{"data":12},"msg_type":"Var"}`:                                                                   w.Variable("", json.RawMessage(`12`)),
		`{"data":true,"msg_type":"ModuleReady"}`:                                                                  w.ModuleReady(),
		`{"data":{"args":null,"id":"i","origin":"peer_1"},"msg_type":"Cmd"}`:                                      w.Command(Command{ID: "i", Origin: "peer_1", Arguments: json.RawMessage("null")}),
		`{"data":{"data":{"id":"a\"b","origin":"gomod","retval":"pong"},"type":"result"},"msg_type":"CmdResult"}`: w.Result(Result{ID: `a"b`, Origin: "gomod", Value: json.RawMessage(`"pong"`)}),
		`{"data":{"data":{"error":{"__everest__error_msg":"boom\n","__everest__error_type":"HandlerException"},"id":"2f80","origin":"peer_1"},"type":"result"},"msg_type":"CmdResult"}`: w.Result(Result{ID: "2f80", Origin: "peer_1", Value: json.RawMessage("1"), Failure: &Failure{"HandlerException", "boom\n"}}),
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
		if got := Matches(test.filter, test.topic); got != test.want {
			t.Errorf("%q and %q: %v", test.filter, test.topic, got)
		}
	}
	for filter, want := range map[string]bool{"a": true, "a/#": true, "#": true, "a/+/b": true, "": false, "a#": false, "#/a": false, "a/b+": false, "a\x00": false} {
		if got := ValidFilter(filter); got != want {
			t.Errorf("filter %q: %v", filter, got)
		}
	}
}

func TestTopicsAreSplitByTheirLevels(t *testing.T) {
	topics := FamilyC{Prefix: "p/"}
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
		implementation, kind := topics.Split(topic)
		if implementation != want[0] || kind != want[1] {
			t.Errorf("%s: %q, %q", topic, implementation, kind)
		}
	}
}

// addLong adds messages that take most memory for their length.
func addLong(f *testing.F) {
	for _, element := range []string{"0,", "{},", "[],", `{"":0},`} {
		list := "[" + strings.Repeat(element, 1_000) + "0]"
		f.Add([]byte(`{"data":{"data":` + list + `},"msg_type":"Var"}`))
		f.Add([]byte(`{"data":{"args":{"x":` + list + `},"id":"60d1","origin":` + list + `},"msg_type":"Cmd"}`))
		f.Add([]byte(`{"data":` + list + `,"name":"tick"}`))
	}
	f.Add([]byte("{" + strings.Repeat(`"a":0,`, 1_000) + `"msg_type":"Var"}`))
}

// checkMemory reads a message of a module in every way, and fails t where that takes memory out of proportion.
func checkMemory(t *testing.T, w Family, payload []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _ = w.ReadVariable(payload)
	_, _ = w.ReadCommand(payload)
	_, _ = w.ReadResult(payload)
	_, _, _ = w.ReadError("", payload)
	_, _ = w.Key("p/modules/m/impl/i/var", payload)
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(16<<10+4*len(payload)); used > most {
		t.Errorf("%d bytes of %.100q take %d bytes of memory, want at most %d", len(payload), payload, used, most)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte(`{"data":{"data":12},"msg_type":"Var"}`))
	f.Add([]byte(`{"data":{"args":{"x":"hello"},"id":"60d1","origin":"peer_1"},"msg_type":"Cmd"}`))
	f.Add([]byte(`{"data":{"data":{"id":"60d1","origin":"gomod","retval":"pong"},"type":"result"},"msg_type":"CmdResult"}`))
	f.Add([]byte(`{"data":{"type":"a/B","state":"Active","origin":{}},"msg_type":"RaiseError"}`))
	addLong(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		checkMemory(t, w, payload)
		if value, err := w.ReadVariable(payload); err == nil {
			if again, err := w.ReadVariable(w.Variable("", value)); err != nil || !bytes.Equal(value, again) {
				t.Fatalf("variable %s came back as %s: %v", value, again, err)
			}
		}
		if request, err := w.ReadCommand(payload); err == nil && request.Arguments != nil {
			again, err := w.ReadCommand(w.Command(request))
			if err != nil || !bytes.Equal(again.Arguments, request.Arguments) || utf8.ValidString(request.ID) && again.ID != request.ID {
				t.Fatalf("command %+v came back as %+v: %v", request, again, err)
			}
		}
		if result, err := w.ReadResult(payload); err == nil {
			again, err := w.ReadResult(w.Result(result))
			if err != nil || (again.Failure == nil) != (result.Failure == nil) || result.Failure == nil && !bytes.Equal(again.Value, result.Value) {
				t.Fatalf("result %+v came back as %+v: %v", result, again, err)
			}
		}
		if object, raise, err := w.ReadError("", payload); err == nil {
			if again, raiseAgain, err := w.ReadError("", w.Error("", raise, object)); err != nil || raiseAgain != raise || !bytes.Equal(again, object) {
				t.Fatalf("error %s came back as %s: %v", object, again, err)
			}
		}
	})
}
