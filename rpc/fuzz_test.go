package rpc_test

import (
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// FuzzServer sends any bytes to a server with the test functions: it lives on, and what it answers is responses.
func FuzzServer(f *testing.F) {
	for _, v := range loadVectors(f, "raw client > C++ server") {
		if v.Request != nil && len(*v.Request) < 2000 {
			f.Add(unhex(f, *v.Request))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		server := rpc.NewServer(rpc.ServerConfig{Limits: rpc.Limits{FrameSize: 100_000, Elements: 10_000}})
		must(t, rpctest.BindFunctions(server))
		// These take as long, or answer as much, as they are told.
		for _, name := range []string{"sleep", "r_str", "r_bin", "r_ubin", "r_arr", "r_map", "s_exit_big"} {
			server.Unbind(name)
		}
		listener := rpctest.Listen("fuzz")
		served := make(chan error, 1)
		go func() { served <- server.Serve(context.Background(), listener) }()
		conn, err := listener.Dial(t.Context(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		go func() {
			conn.Write(input)
			conn.(*rpctest.Conn).CloseWrite()
		}()
		answers, err := io.ReadAll(conn)
		if err != nil {
			t.Fatalf("%x: answered %x, then %v", input, answers, err)
		}
		for rest := rpc.Raw(answers); len(rest) > 0; {
			var response []rpc.Raw
			first, left, err := rest.Split()
			if err == nil {
				err = first.Decode(&response)
			}
			if err != nil || len(response) != 4 || string(response[0]) != "\x01" {
				t.Fatalf("%x: answered %x: %v", input, answers, err)
			}
			rest = left
		}
		must(t, conn.Close())
		must(t, server.Close())
		must(t, <-served)
	})
}

// allocated returns how many bytes of memory f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
