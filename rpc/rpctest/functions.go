package rpctest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// functions is the state of one set of test functions.
type functions struct {
	server *rpc.Server
	notes  atomic.Int64
	here   atomic.Bool
}

// BindFunctions binds a set of test functions to a server. A server of the real rpclib had the same functions when the
// exchanges in the testdata of package rpc were recorded. Any MessagePack-RPC client can be tried on them.
func BindFunctions(server *rpc.Server) error {
	f := &functions{server: server}
	var failed error
	bind := func(name string, fn any, options ...rpc.HandlerOption) {
		failed = errors.Join(failed, server.Bind(name, fn, options...))
	}
	f.bindPlain(bind)
	f.bindTyped(bind)
	f.bindResults(bind)
	f.bindFailures(bind)
	f.bindReplies(bind)
	f.bindSessions(bind)
	f.bindSatellite(bind)
	return failed
}

type binder = func(name string, fn any, options ...rpc.HandlerOption)

func (f *functions) bindPlain(bind binder) {
	quick := rpc.NonBlocking()
	bind("nop", func() {}, quick)
	bind("v0", func() {}, quick)
	bind("v1", func(string) {}, quick)
	bind("echo", func(text string) string { return text }, quick)
	bind("echo_obj", func(value rpc.Raw) (rpc.Raw, error) {
		minimal, _, err := msgpack.AppendMinimal(nil, value)
		return minimal, err
	}, quick)
	bind("add", func(a, b int32) int32 { return a + b }, quick)
	bind("len", func(text string) uint64 { return uint64(len(text)) }, quick)
	bind("f0", func() string { return "f0" }, quick)
	bind("f1", func(a int32) int32 { return a }, quick)
	bind("f2", func(a, b int32) int32 { return a*10 + b }, quick)
	bind("f3", func(a int32, b string, c bool) string {
		return fmt.Sprint(a, b, map[bool]string{false: "F", true: "T"}[c])
	})
	bind("f4", func(a int32, b string, c bool, d float64) string { return stream(a, b, c, d) })
	bind("f5", func(a int32, b string, c bool, d float64, e []int32) string { return stream(a, b, c, d, len(e)) })
	bind("f6", func(a int32, b string, c bool, d float64, e []int32, m map[string]int32) string {
		return stream(a, b, c, d, len(e), len(m))
	})
	bind("refargs", func(a int32, b string) string { return stream(a, b) })
	bind("", func() string { return "empty name" })
	bind("ünï", func() string { return "utf8 name" })
	bind("obj_args", func(a, b rpc.Raw) (int, error) {
		first, err := typeNumber(a)
		if err != nil {
			return 0, err
		}
		second, err := typeNumber(b)
		return 100*first + second, err
	})
	bind("sleep", func(ctx context.Context, milliseconds int64) (int64, error) {
		timer := time.NewTimer(time.Duration(milliseconds) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
			return milliseconds, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	})
	bind("note", func(int32) { f.notes.Add(1) })
	bind("note_throw", func() error { return errors.New("note") })
	bind("note_error", func() error { return rpc.ErrorValue{Value: "note"} })
	bind("notes", func() int64 { return f.notes.Load() })
	bind("b_unbind", func(name string) bool { f.server.Unbind(name); return true })
	bind("b_bind", func(name string) (bool, error) {
		return true, f.server.Bind(name, func() string { return name })
	})
	bind("b_names", func() uint64 { return uint64(f.server.FunctionCount()) })
}

// stream returns the values as a C++ stream prints them.
func stream(values ...any) string {
	var text strings.Builder
	for _, value := range values {
		switch value := value.(type) {
		case bool:
			if value {
				text.WriteByte('1')
			} else {
				text.WriteByte('0')
			}
		case float64:
			fmt.Fprintf(&text, "%.6g", value)
		default:
			fmt.Fprint(&text, value)
		}
	}
	return text.String()
}

// typeNumber returns the number of a value's type in msgpack-c.
func typeNumber(value rpc.Raw) (int, error) {
	head, err := msgpack.ReadHead(value)
	if err != nil {
		return 0, err
	}
	return map[msgpack.Kind]int{
		msgpack.Nil: 0, msgpack.Bool: 1, msgpack.Unsigned: 2, msgpack.Negative: 3, msgpack.Float64: 4, msgpack.String: 5,
		msgpack.Array: 6, msgpack.Map: 7, msgpack.Binary: 8, msgpack.Extension: 9, msgpack.Float32: 10,
	}[head.Kind], nil
}

func identity[T any](value T) T { return value }

// decodeFirst decodes as many values as there are targets. Like msgpack-c it ignores surplus values, and leaves targets
// without a value as they are.
func decodeFirst(values []rpc.Raw, targets ...any) error {
	for i, value := range values[:min(len(values), len(targets))] {
		if err := value.Decode(targets[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *functions) bindTyped(bind binder) {
	bind("e_bool", identity[bool])
	bind("e_i8", identity[int8])
	bind("e_i16", identity[int16])
	bind("e_i32", identity[int32])
	bind("e_i64", identity[int64])
	bind("e_u8", identity[uint8])
	bind("e_u16", identity[uint16])
	bind("e_u32", identity[uint32])
	bind("e_u64", identity[uint64])
	bind("e_char", identity[int8])
	bind("e_float", identity[float32])
	bind("e_double", identity[float64])
	bind("e_string", identity[string])
	bind("e_vecint", identity[[]int32])
	bind("e_vecchar", identity[[]byte])
	bind("e_vecuchar", identity[[]byte])
	bind("e_vecu16", identity[[]uint16])
	bind("e_vecbool", identity[[]bool])
	bind("e_mapsi", identity[map[string]int32])
	bind("e_mapis", identity[map[int32]string])
	bind("e_pair", func(pair []rpc.Raw) ([]any, error) {
		var number int32
		var text string
		if len(pair) != 2 {
			return nil, rpc.ErrType
		}
		err := errors.Join(pair[0].Decode(&number), pair[1].Decode(&text))
		return []any{number, text}, err
	})
	bind("e_tuple", func(values []rpc.Raw) ([]any, error) {
		var number int32
		var text string
		var float float64
		err := decodeFirst(values, &number, &text, &float)
		return []any{number, text, float}, err
	})
	bind("e_nested", identity[map[string][]map[string]int32])
	bind("e_parr", func(values []rpc.Raw) ([]any, error) {
		var x int32
		var s string
		err := decodeFirst(values, &x, &s)
		return []any{x, s}, err
	})
	bind("e_pmap", func(values map[string]rpc.Raw) (rpc.Raw, error) {
		var x int32
		var s string
		for key, target := range map[string]any{"x": &x, "s": &s} {
			if value, given := values[key]; given {
				if err := value.Decode(target); err != nil {
					return nil, err
				}
			}
		}
		b := msgpack.AppendString(msgpack.AppendMapHead(nil, 2), "x")
		b = msgpack.AppendString(msgpack.AppendInt(b, int64(x)), "s")
		return msgpack.AppendString(b, s), nil
	})
	bind("e_nil", func(value rpc.Raw) (any, error) {
		if string(value) != "\xc0" {
			return nil, rpc.ErrType
		}
		return nil, nil
	})
}

func (f *functions) bindResults(bind binder) {
	bind("r_nil", func() {})
	bind("r_true", func() bool { return true })
	bind("r_cstr", func() string { return "cstr" })
	bind("r_i", identity[int64])
	bind("r_u", identity[uint64])
	bind("r_str", func(n uint32) string { return strings.Repeat("x", int(n)) })
	bind("r_bin", func(n uint32) []byte { return []byte(strings.Repeat("y", int(n))) })
	bind("r_ubin", func(n uint32) []byte { return []byte(strings.Repeat("z", int(n))) })
	bind("r_arr", func(n uint32) []uint32 {
		values := make([]uint32, n)
		for i := range values {
			values[i] = uint32(i)
		}
		return values
	})
	bind("r_map", func(n uint32) map[uint32]uint32 {
		values := make(map[uint32]uint32, n)
		for i := range n {
			values[i] = i
		}
		return values
	})
}

// bindFailures binds functions that throw in C++. A panic with a text or integer stands for what is not a
// std::exception.
func (f *functions) bindFailures(bind binder) {
	bind("t_std", func(text string) error { return errors.New(text) })
	bind("t_logic", func() error { return errors.New("logic") })
	bind("t_my", func(text string) error { return errors.New(text) })
	bind("t_out", func() error {
		return errors.New("vector::_M_range_check: __n (which is 10) >= this->size() (which is 3)")
	})
	bind("t_string", func() { panic("a text") })
	bind("t_int", func() { panic(42) })
	bind("t_bad_cast", func() error { return rpc.ErrType })
	bind("t_after_respond", func() error { return errors.New("after respond") })
}

// bindReplies binds functions that choose their reply.
func (f *functions) bindReplies(bind binder) {
	failing := func(value any) func() error {
		return func() error { return rpc.ErrorValue{Value: value} }
	}
	bind("h_error_str", failing("an error"))
	bind("h_error_int", failing(-5))
	bind("h_error_tuple", failing([]any{404, "nf"}))
	bind("h_error_map", failing(map[string]int{"code": 3}))
	bind("h_error_nil", failing(nil))
	bind("h_error_void", failing("void error"))
	bind("h_error_caught", failing("caught"))
	bind("h_respond", func() string { return "special" })
	bind("h_respond_void", func() []any { return []any{1, "t"} })
	bind("h_respond_nil", func() int { return 7 })
	bind("h_respond_false", func() bool { return false })
	bind("h_respond_then_error", failing("both"))
	bind("h_disable", func() error { return rpc.NoReply })
	bind("h_disable_enable", func() int { return 2 })
	bind("h_respond_clear", func() int { return 3 })
	bind("h_disable_clear", func() int { return 4 })
	bind("h_disable_throw", func() error { return rpc.NoReply })
}

// bindSessions binds functions that end their session or the server.
func (f *functions) bindSessions(bind binder) {
	exit := func(ctx context.Context) { rpc.SessionFrom(ctx).CloseAfterReply() }
	bind("s_exit", func(ctx context.Context) int { exit(ctx); return 1 })
	bind("s_exit_void", func(ctx context.Context) { exit(ctx) })
	bind("s_exit_big", func(ctx context.Context, n uint32) string { exit(ctx); return strings.Repeat("b", int(n)) })
	bind("s_exit_disable", func(ctx context.Context) error { exit(ctx); return rpc.NoReply })
	bind("s_exit_error", func(ctx context.Context) error { exit(ctx); return rpc.ErrorValue{Value: "bye"} })
	bind("s_id", func(ctx context.Context) bool { return rpc.SessionFrom(ctx) != nil })
	bind("srv_stop", func(ctx context.Context) (int, error) { return 1, f.server.Shutdown(ctx) })
	bind("srv_stop_exit", func(ctx context.Context) (int, error) { exit(ctx); return 1, f.server.Shutdown(ctx) })
	bind("srv_stop_exit_void", func(ctx context.Context) error { exit(ctx); return f.server.Shutdown(ctx) })
	bind("srv_close_sessions", func() { f.server.CloseSessions() })
}

// bindSatellite binds functions with the signatures of a satellite board's, with fixed results.
func (f *functions) bindSatellite(bind binder) {
	bind("i_am_here", func() bool { return f.here.Swap(true) })
	bind("i_am_ready", func() {})
	bind("retrieve_vars_and_errors", func() string { return `{"errors":[],"vars":[]}` })
	bind("push_var", func(string) {})
	bind("evse_manager_enable_disable", func(int32, string) bool { return true })
	bind("uk_random_delay_set_duration_s", func(int32) {})
	bind("exit", func() {})
	bind("sytem_reset", func(string, bool) {})
}
