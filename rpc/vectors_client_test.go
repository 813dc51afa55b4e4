package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// recorder is a connection that remembers what was written.
type recorder struct {
	net.Conn
	mu      sync.Mutex
	written bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.written.Write(b)
	r.mu.Unlock()
	return r.Conn.Write(b)
}

func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.written.Bytes())
}

type step struct {
	method string
	args   []any
	notify bool
}

func calls(method string, args ...any) []step { return []step{{method: method, args: args}} }

func repeat(n int, make func(i int) step) []step {
	var steps []step
	for i := range n {
		steps = append(steps, make(i))
	}
	return steps
}

func object(value any) []step { return calls("echo_obj", value) }

// clientCalls are the recorded calls of the C++ client, made with the Go values that correspond to the C++ ones.
var clientCalls = map[string][]step{
	"cpp_nop":             calls("nop"),
	"cpp_f0":              calls("f0"),
	"cpp_add":             calls("add", 2, 3),
	"cpp_echo":            calls("echo", "hello"),
	"cpp_echo_cstr":       calls("echo", "hello"),
	"cpp_echo_empty":      calls("echo", ""),
	"cpp_echo_utf8":       calls("echo", "grüße €😀"),
	"cpp_a_bool_true":     calls("e_bool", true),
	"cpp_a_bool_false":    calls("e_bool", false),
	"cpp_a_int8":          object(int8(-5)),
	"cpp_a_int8_pos":      object(int8(100)),
	"cpp_a_uint8":         object(uint8(200)),
	"cpp_a_char":          object(int8('A')),
	"cpp_a_char_neg":      object(int8(-3)),
	"cpp_a_int16":         object(int16(-300)),
	"cpp_a_uint16":        object(uint16(60000)),
	"cpp_a_int32":         object(int32(-70000)),
	"cpp_a_uint32":        object(uint32(4000000000)),
	"cpp_a_int64":         object(int64(-5000000000)),
	"cpp_a_uint64":        object(uint64(18446744073709551615)),
	"cpp_a_int64_small":   object(int64(5)),
	"cpp_a_int64_min":     object(int64(-9223372036854775808)),
	"cpp_a_float":         object(float32(1.5)),
	"cpp_a_double":        object(1.5),
	"cpp_a_double_int":    object(3.0),
	"cpp_a_nil":           object(nil),
	"cpp_a_vecint":        object([]int32{1, 2, 300}),
	"cpp_a_vecint_empty":  object([]int32{}),
	"cpp_a_vecchar":       object([]byte("ab")),
	"cpp_a_vecuchar":      object([]byte{1, 2, 255}),
	"cpp_a_map":           object(map[string]int{"b": 1, "a": 2}),
	"cpp_a_mapint":        object(map[int]string{2: "x", 1: "y"}),
	"cpp_a_pair":          object([]any{1, "a"}),
	"cpp_a_tuple":         object([]any{1, "a", 2.5}),
	"cpp_a_struct_arr":    object([]any{3, "q"}),
	"cpp_a_struct_map":    object(rpc.Raw("\x82\xa1x\x03\xa1s\xa1q")),
	"cpp_a_nested":        object(map[string][]map[string]int{"k": {{"x": 1}, {}}}),
	"cpp_a_str31":         object(strings.Repeat("s", 31)),
	"cpp_a_str32":         object(strings.Repeat("s", 32)),
	"cpp_a_str255":        object(strings.Repeat("s", 255)),
	"cpp_a_str256":        object(strings.Repeat("s", 256)),
	"cpp_a_str65535":      calls("len", strings.Repeat("s", 65535)),
	"cpp_a_str65536":      calls("len", strings.Repeat("s", 65536)),
	"cpp_a_str1M":         calls("len", strings.Repeat("s", 1<<20)),
	"cpp_a_str16M":        calls("len", strings.Repeat("s", 16<<20)),
	"cpp_r_str65536":      calls("r_str", 65536),
	"cpp_f6":              calls("f6", 1, "b", true, 1.5, []int{1, 2}, map[string]int{"k": 1}),
	"cpp_void":            calls("v0"),
	"cpp_longname":        calls(strings.Repeat("m", 40)),
	"cpp_getlen_1048576":  calls("r_str", 1<<20),
	"cpp_getlen_16777216": calls("r_str", 16<<20),
	"cpp_unknown":         calls("nosuch", 1),
	"cpp_arity":           calls("add", 1),
	"cpp_err_str":         calls("h_error_str"),
	"cpp_err_int":         calls("h_error_int"),
	"cpp_err_tuple":       calls("h_error_tuple"),
	"cpp_err_map":         calls("h_error_map"),
	"cpp_ids":             repeat(4, func(int) step { return step{method: "nop"} }),
	"cpp_ids200":          repeat(200, func(int) step { return step{method: "nop"} }),
	"cpp_ids70000":        repeat(66000, func(int) step { return step{method: "nop"} }),
	"cpp_send": {{method: "nop"}, {method: "note", args: []any{1}, notify: true},
		{method: "note", args: []any{2}, notify: true}, {method: "nop"}},
	"cpp_send_first": {{method: "note", args: []any{1}, notify: true}},
	"cpp_pipeline":   repeat(10, func(i int) step { return step{method: "f1", args: []any{i}} }),
	"cpp_local":      calls("nop"),
}

// clientElsewhere are recorded cases without bytes of their own, with the tests that cover them.
var clientElsewhere = map[string]string{
	"cpp_state":           "TestClientState",
	"cpp_timeout_300":     "TestCallTimesOutAndItsLateReplyIsDropped",
	"cpp_two_threads":     "TestManyGoroutinesOnOneClient",
	"cpp_destroy_pending": "TestCloseFailsCallsUnderWay",
	"cpp_destroy_send":    "rpclib loses what it had not sent; so may Close",
	"cpp_wait_all":        "rpclib's wait_all_responses does not work; a Go caller waits for its calls",
}

// TestClientVectors makes the recorded calls of the real rpclib client. This package's client and server must send the
// same bytes.
func TestClientVectors(t *testing.T) {
	for _, v := range loadVectors(t, "C++ client > C++ server") {
		if clientElsewhere[v.Name] != "" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			steps := clientCalls[v.Name]
			if steps == nil {
				t.Fatal("no Go calls for this case")
			}
			limits := rpc.Limits{FrameSize: 64 << 20}
			_, addr := startTestServer(t, rpc.ServerConfig{InsecurePlaintext: true, Limits: limits})
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			recording := &recorder{Conn: conn}
			client := rpc.NewClient(recording, rpc.Config{Limits: limits})
			defer client.Close()
			var results []*rpc.Call
			for _, step := range steps {
				if step.notify {
					if err := client.Notify(t.Context(), step.method, step.args...); err != nil {
						t.Fatal(err)
					}
					continue
				}
				results = append(results, client.Go(context.Background(), step.method, new(rpc.Raw), step.args...))
			}
			var answers bytes.Buffer
			for i, call := range results {
				<-call.Done
				answers.Write(replyBytes(t, uint32(i+1), call))
			}
			if len(results) == 0 {
				// A notification has no reply to wait for; a call behind it has.
				if err := client.Call(t.Context(), "nop", nil); err != nil {
					t.Fatal(err)
				}
			}
			sent := recording.bytes()
			if v.RequestBig != nil {
				v.RequestBig.matches(t, "request", sent)
			} else if want := unhex(t, *v.Request); !bytes.HasPrefix(sent, want) || len(results) > 0 && len(sent) != len(want) {
				t.Errorf("sent %.200x\nwant %.200x", sent, want)
			}
			if v.ResponseBig != nil {
				v.ResponseBig.matches(t, "response", answers.Bytes())
			} else if v.Response != "no answer" && !bytes.Equal(answers.Bytes(), unhex(t, v.Response)) {
				t.Errorf("answered %.200x\nwant     %.200s", answers.Bytes(), v.Response)
			}
			if local := client.LocalAddr().(*net.TCPAddr); !local.IP.Equal(net.IPv4(127, 0, 0, 1)) {
				t.Errorf("local address is %v", local)
			}
		})
	}
}

// replyBytes returns the bytes of the reply that the call got.
func replyBytes(t *testing.T, id uint32, call *rpc.Call) []byte {
	t.Helper()
	message := []any{1, id, nil, *call.Reply.(*rpc.Raw)}
	var failure *rpc.RemoteError
	if errors.As(call.Error, &failure) {
		message = []any{1, id, failure.Value, nil}
	} else if call.Error != nil {
		t.Fatal(call.Error)
	}
	frame, err := rpc.Encode(message)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// scriptedElsewhere are recorded cases without bytes of their own, or that are about time.
var scriptedElsewhere = map[string]string{
	"fake_no_accept":    "TestCallTimesOutAndItsLateReplyIsDropped",
	"fake_timeout_zero": "a time-out of zero means none in Go",
}

// endsDeliberately are the cases in which the C++ client hangs, or waits for its time-out, because the server closed.
// The Go client fails the call at once with net.ErrClosed.
var endsDeliberately = map[string]bool{
	"fake_close_no_reply": true, "fake_close_no_reply_notimeout": true, "fake_close_after_reply": true,
	"fake_rst_after_reply": true, "fake_rst_no_reply": true, "fake_half_close_after_reply": true,
}

// TestScriptedServerVectors sends to a client what was sent to the real rpclib client. The results must be the same.
func TestScriptedServerVectors(t *testing.T) {
	for _, v := range loadVectors(t, "C++ client > scripted server") {
		if scriptedElsewhere[v.Name] != "" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			near, far := net.Pipe()
			client := rpc.NewClient(near, rpc.Config{})
			defer client.Close()
			methods := []string{"f0"}
			switch {
			case v.Name == "fake_out_of_order":
				methods = []string{"x", "y"}
			case strings.HasPrefix(v.Name, "fake_as_bool"):
				methods = []string{"i_am_here"}
			case strings.HasPrefix(v.Name, "fake_id_dup"):
				methods = []string{"nop"}
			case v.Name == "fake_timeout_text":
				methods = []string{strings.Repeat("m", 40)}
			case strings.HasPrefix(*v.Request, "940001a178"):
				methods = []string{"x"}
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() {
				request := make([]byte, len(unhex(t, *v.Request)))
				if _, err := io.ReadFull(far, request); err != nil || !bytes.Equal(request, unhex(t, *v.Request)) {
					t.Errorf("sent %x, %v; want %s", request, err, *v.Request)
				}
				if v.Response != "no answer" {
					response := unhex(t, v.Response)
					half := len(response) / 2
					far.Write(response[:half])
					far.Write(response[half:])
				}
				switch {
				case endsDeliberately[v.Name]:
					far.Close()
				case v.Response == "no answer":
					cancel()
				}
			}()
			var pending []*rpc.Call
			for _, method := range methods {
				var reply any = new(any)
				switch {
				case strings.HasPrefix(v.Name, "fake_as_bool"):
					reply = new(bool)
				case strings.HasPrefix(v.Name, "fake_as_string"):
					reply = new(string)
				}
				pending = append(pending, client.Go(ctx, method, reply))
			}
			for _, call := range pending {
				<-call.Done
				v.check(t, call)
			}
			if endsDeliberately[v.Name] {
				<-client.Done()
				if err := client.Call(context.Background(), "y", nil); !errors.Is(err, net.ErrClosed) {
					t.Errorf("a call after the end: %v, want net.ErrClosed", err)
				}
			}
		})
	}
}

// check compares the result of a call with the C++ client's.
func (v *vector) check(t *testing.T, call *rpc.Call) {
	t.Helper()
	var saw string
	for _, line := range v.ClientSaw {
		if strings.HasPrefix(line, "call t=") || strings.HasPrefix(line, call.Method+" t=") {
			saw = line
			break
		}
	}
	var remote *rpc.RemoteError
	switch {
	case strings.HasPrefix(v.Name, "fake_id_dup"):
		// The first reply counts. The second ends the process of the C++ client.
		if call.Error != nil {
			t.Errorf("got %v, want the first reply", call.Error)
		}
	case v.KillsCPP != "" && saw == "":
		if !errors.Is(call.Error, rpc.ErrProtocol) || !errors.Is(call.Error, net.ErrClosed) {
			t.Errorf("got %v, want ErrProtocol and net.ErrClosed", call.Error)
		}
	case strings.Contains(saw, "rpc::rpc_error"):
		if !errors.As(call.Error, &remote) {
			t.Fatalf("got %v, want a RemoteError", call.Error)
		}
	case strings.Contains(saw, "std::bad_cast"):
		if !errors.Is(call.Error, rpc.ErrType) {
			t.Errorf("got %v, want ErrType", call.Error)
		}
	case v.Name == "fake_timeout_text":
		if !errors.Is(call.Error, context.Canceled) {
			t.Errorf("got %v, want the context's error", call.Error)
		}
	case v.Response == "no answer":
		if !errors.Is(call.Error, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", call.Error)
		}
	default:
		if call.Error != nil || !strings.Contains(saw, " OK ") {
			t.Errorf("got %v; rpclib: %s", call.Error, saw)
		}
		if value, ok := call.Reply.(*any); ok && !strings.Contains(saw, "OK "+shown(*value)) {
			t.Errorf("got %v; rpclib: %s", *value, saw)
		}
	}
	if remote != nil {
		if value := shown(remote.Value); !strings.Contains(saw, "error=["+value) {
			t.Errorf("got the error %s; rpclib: %s", value, saw)
		}
	}
}

// shown returns a value as the recording program printed it.
func shown(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case string:
		return `"` + value + `"`
	case []byte:
		return `"` + string(value) + `"`
	case map[string]any:
		return `{"code":` + shown(value["code"])
	default:
		return fmt.Sprint(value)
	}
}
