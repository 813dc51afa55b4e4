package rpctest_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// A server without a network. The connection delivers every byte on its own and breaks in the second reply.
func Example() {
	server := rpc.NewServer(rpc.ServerConfig{})
	if err := server.Bind("echo", func(text string) string { return text }); err != nil {
		fmt.Println(err)
		return
	}
	listener := rpctest.Listen("server")
	served := make(chan error)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { served <- server.Serve(ctx, listener) }()

	const firstAnswer = len("\x94\x01\x01\xc0\xa5hello")
	connection, err := listener.Dial(ctx, rpctest.SplitEvery(1, 0), rpctest.CutAfter(firstAnswer+2))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := rpc.NewClient(connection, rpc.Config{})
	var answer string
	fmt.Println(client.Call(ctx, "echo", &answer, "hello"), answer)
	fmt.Println(errors.Is(client.Call(ctx, "echo", &answer, "again"), net.ErrClosed))

	client.Close()
	cancel()
	<-served
	// Output:
	// <nil> hello
	// true
}
