package rpc_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// FuzzServer sends any bytes to a server with the test functions. The server must survive, send nothing but responses,
// and allocate in proportion to the bytes.
func FuzzServer(f *testing.F) {
	for _, v := range loadVectors(f, "raw client > C++ server") {
		if v.Request != nil && len(*v.Request) < 2000 {
			f.Add(unhex(f, *v.Request))
		}
	}
	// Calls whose error replies are much longer than themselves, and what is ignored.
	for _, call := range []string{"\x94\x00\x01\xa1x\x90", "\x94\x00\x01\xa3add\x90", "\x93\x00\xa3add\x90", "\x94\x00\x01\xa3add\x92\x80\x80", "\x05"} {
		f.Add(bytes.Repeat([]byte(call), 2000))
	}
	f.Add([]byte("\x94\x00\x01\xa8echo_obj\x91\xdd\x00\x00\x20\x00"))
	f.Add([]byte("\xc5\xff\x30")) // announces 65 328 bytes
	f.Fuzz(func(t *testing.T, input []byte) {
		server := rpc.NewServer(rpc.ServerConfig{Limits: rpc.Limits{FrameSize: 100_000, Elements: 10_000}})
		must(t, rpctest.BindFunctions(server))
		// The caller determines how long these take or how much they return; the last two copy the table of functions.
		for _, name := range []string{"sleep", "r_str", "r_bin", "r_ubin", "r_arr", "r_map", "s_exit_big", "b_bind", "b_unbind"} {
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
		var answers []byte
		rpc.CheckMemory(t, input, 250, func() {
			go func() {
				conn.Write(input)
				conn.(*rpctest.Conn).CloseWrite()
			}()
			answers, err = io.ReadAll(conn)
		})
		if err != nil {
			t.Fatalf("%x: answered %x, then %v", input, answers, err)
		}
		for rest := answers; len(rest) > 0; {
			var response []rpc.Raw
			reader := rpc.NewReader(rest)
			first, err := reader.Skip(), reader.Err()
			if err == nil {
				err = first.Decode(&response)
			}
			if err != nil || len(response) != 4 || string(response[0]) != "\x01" {
				t.Fatalf("%x: answered %x: %v", input, answers, err)
			}
			rest = reader.Rest()
		}
		must(t, conn.Close())
		must(t, server.Close())
		must(t, <-served)
	})
}
