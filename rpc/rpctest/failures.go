package rpctest

import (
	"context"
	"errors"
	"strings"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// bindFailures binds functions that throw. What C++ throws that is no std::exception is a panic with no error here.
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

// bindAnswers binds functions that choose their answer.
func (f *functions) bindAnswers(bind binder) {
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

// bindSatellite binds the call shapes of a satellite board, with fixed answers.
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
