package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// TestStructsNeedTheirImport wants whoever sends structs without package rpc/codec to be told of it: these tests do not
// import it.
func TestStructsNeedTheirImport(t *testing.T) {
	type point struct{ X, Y int }
	type list []list
	named := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, rpc.ErrType) || !strings.Contains(err.Error(), `import _ "github.com/remotechargeport/remotechargeport/rpc/codec"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, value := range []any{point{}, &point{}, []point{{}}, map[string]any{"p": point{}}, []any{1, point{}}} {
		_, err := rpc.Encode(value)
		named("encoding", err)
	}
	for _, target := range []any{new(point), new(*point)} {
		named("decoding", rpc.Raw("\x80").Decode(target))
	}
	named("decoding", rpc.Raw("\x91\x80").Decode(new([]point)))
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	for _, fn := range []any{
		func(point) {}, func(int, *point) {}, func(...point) {}, func() []point { return nil },
		func(context.Context, map[string][2]point) error { return nil }, func() (point, error) { return point{}, nil },
	} {
		err := server.Bind("f", fn)
		named("binding", err)
		if err != nil && !strings.Contains(err.Error(), "binding f: ") {
			t.Errorf("binding: %v", err)
		}
	}
	for _, fn := range []any{
		func(context.Context, rpc.Extension, []*rpc.Extension) (any, error) { return nil, nil }, func(list, rpc.Raw) map[string]list { return nil },
	} {
		if err := server.Bind("g", fn); err != nil {
			t.Errorf("binding a %T: %v", fn, err)
		}
		server.Unbind("g")
	}
	client := connect(t, rpc.ServerConfig{}, nil, rpc.Config{})
	named("calling", client.Call(t.Context(), "echo_obj", nil, point{}))
	named("receiving", client.Call(t.Context(), "echo_obj", new(point), map[string]int{"X": 1}))
	var text string
	if err := client.Call(t.Context(), "echo", &text, "still there"); err != nil || text != "still there" {
		t.Errorf("the connection: %q, %v", text, err)
	}
}
