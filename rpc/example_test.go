package rpc_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// exampleServer serves on a free port of this machine until stop is called.
func exampleServer(server *rpc.Server) (addr string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	return listener.Addr().String(), func() {
		server.Close()
		if err := <-served; err != nil {
			log.Fatal(err)
		}
	}
}

// exampleClient is a client of a server that is being served.
func exampleClient(server *rpc.Server) (client *rpc.Client, stop func()) {
	addr, stopServer := exampleServer(server)
	client, err := rpc.Dial(context.Background(), addr, rpc.Config{InsecurePlaintext: true})
	if err != nil {
		log.Fatal(err)
	}
	return client, func() {
		client.Close()
		stopServer()
	}
}

func Example() {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	if err := server.Bind("add", func(a, b int) int { return a + b }); err != nil {
		log.Fatal(err)
	}
	addr, stop := exampleServer(server)
	defer stop()

	ctx := context.Background()
	client, err := rpc.Dial(ctx, addr, rpc.Config{InsecurePlaintext: true})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var sum int
	if err := client.Call(ctx, "add", &sum, 2, 40); err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum)
	// Output: 42
}

// Any function can be bound: with a context before its arguments, with an error behind its result, variadic.
func ExampleServer_Bind() {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	for name, function := range map[string]any{
		"divide": func(a, b float64) (float64, error) {
			if b == 0 {
				return 0, errors.New("division by zero")
			}
			return a / b, nil
		},
		"peer": func(ctx context.Context) string { return rpc.SessionFrom(ctx).RemoteAddr().Network() },
		"join": func(separator string, parts ...string) string { return strings.Join(parts, separator) },
	} {
		if err := server.Bind(name, function); err != nil {
			log.Fatal(err)
		}
	}
	client, stop := exampleClient(server)
	defer stop()

	ctx := context.Background()
	var quotient float64
	fmt.Println(client.Call(ctx, "divide", &quotient, 1, 4), quotient)
	fmt.Println(client.Call(ctx, "divide", &quotient, 1, 0))
	fmt.Println(client.Call(ctx, "divide", &quotient, "one", 4))
	var text string
	fmt.Println(client.Call(ctx, "peer", &text), text)
	fmt.Println(client.Call(ctx, "join", &text, "-", "a", "b", "c"), text)
	// Output:
	// <nil> 0.25
	// rpc: divide replied with the error: rpclib: function 'divide' (called with 2 arg(s)) threw an exception. The exception contained this information: division by zero.
	// rpc: divide replied with the error: rpclib: function 'divide' (called with 2 arg(s)) threw an exception. The exception contained this information: std::bad_cast.
	// <nil> tcp
	// <nil> a-b-c
}

// A Handler gets the encoded arguments and needs no reflection. A Raw passes through untouched.
func ExampleServer_Handle() {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	err := server.Handle("swap", func(_ context.Context, request *rpc.Request) (any, error) {
		var first, second rpc.Raw
		if err := request.Decode(&first, &second); err != nil {
			return nil, err
		}
		return []rpc.Raw{second, first}, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	client, stop := exampleClient(server)
	defer stop()

	var swapped []any
	err = client.Call(context.Background(), "swap", &swapped, "left", map[string]int{"right": 1})
	fmt.Println(swapped, err)
	fmt.Println(client.Call(context.Background(), "swap", &swapped, "left"))
	// Output:
	// [map[right:1] left] <nil>
	// rpc: swap replied with the error: rpclib: client error C0002: Function 'swap' was called with an invalid number of arguments. Expected: 1, got: 2
}

// A Reader takes a message apart without a Go value for each part. Here it reads readings of [number, name] that follow
// a version, and skips what a later version has added.
func ExampleReader() {
	message, err := rpc.Encode([]any{2, []any{[]any{7, "voltage"}, []any{8, "current"}}, "added later"})
	if err != nil {
		log.Fatal(err)
	}
	const maxReadings = 100
	r := rpc.NewReader(message)
	members := r.Array()
	version := r.Uint()
	readings := r.Array()
	if version != 2 || readings > maxReadings {
		log.Fatal("unexpected answer")
	}
	for range readings {
		r.Array()
		fmt.Printf("%d %s\n", r.Uint(), r.Bytes())
	}
	for range members - 2 {
		r.Skip()
	}
	fmt.Println(len(r.Rest()), r.Err())
	// Output:
	// 7 voltage
	// 8 current
	// 0 <nil>
}

// A function that never waits may run on the goroutine that reads the connection.
func ExampleNonBlocking() {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	if err := server.Bind("upper", strings.ToUpper, rpc.NonBlocking()); err != nil {
		log.Fatal(err)
	}
	client, stop := exampleClient(server)
	defer stop()

	var text string
	fmt.Println(client.Call(context.Background(), "upper", &text, "text"), text)
	// Output: <nil> TEXT
}

func ExampleClient_Go() {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	if err := server.Bind("double", func(n int) int { return 2 * n }); err != nil {
		log.Fatal(err)
	}
	client, stop := exampleClient(server)
	defer stop()

	var calls []*rpc.Call
	for i := range 3 {
		calls = append(calls, client.Go(context.Background(), "double", new(int), i))
	}
	for _, call := range calls {
		<-call.Done
		fmt.Println(*call.Reply.(*int), call.Error)
	}
	// Output:
	// 0 <nil>
	// 2 <nil>
	// 4 <nil>
}

// Three calls are under way at a time: the function that is called at the end of one begins the next.
func ExampleClient_Start() {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	if err := server.Bind("double", func(n int) int { return 2 * n }); err != nil {
		log.Fatal(err)
	}
	client, stop := exampleClient(server)
	defer stop()

	const calls = 9
	var mu sync.Mutex
	begun, ended, sum := 0, 0, 0
	done := make(chan struct{})
	var begin func()
	begin = func() {
		n, reply := begun, 0
		begun++
		err := client.Start(context.Background(), "double", &reply, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				log.Fatal(err)
			}
			sum += reply
			if ended++; ended == calls {
				close(done)
			}
			if begun < calls {
				begin()
			}
		}, n)
		if err != nil {
			log.Fatal(err)
		}
	}
	mu.Lock()
	for range 3 {
		begin()
	}
	mu.Unlock()
	<-done
	fmt.Println(sum)
	// Output: 72
}

func ExampleClient_Notify() {
	heard := make(chan string)
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	if err := server.Bind("say", func(text string) { heard <- text }); err != nil {
		log.Fatal(err)
	}
	client, stop := exampleClient(server)
	defer stop()

	if err := client.Notify(context.Background(), "say", "hello"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-heard)
	// Output: hello
}

// A function can send any value as its error.
func ExampleErrorValue() {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	err := server.Bind("find", func(name string) error {
		return rpc.ErrorValue{Value: map[string]any{"code": 404, "name": name}}
	})
	if err != nil {
		log.Fatal(err)
	}
	client, stop := exampleClient(server)
	defer stop()

	err = client.Call(context.Background(), "find", nil, "socket")
	var remote *rpc.RemoteError
	if errors.As(err, &remote) {
		fmt.Println(remote.Method, remote.Value)
	}
	fmt.Println(errors.Is(client.Call(context.Background(), "lose", nil), rpc.ErrMethodNotFound))
	// Output:
	// find map[code:404 name:socket]
	// true
}

// A function can end its client's session, or stop the server; its reply is still sent.
func ExampleSession_CloseAfterReply() {
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	err := server.Bind("exit", func(ctx context.Context) (string, error) {
		rpc.SessionFrom(ctx).CloseAfterReply()
		return "good bye", server.Shutdown(ctx)
	})
	if err != nil {
		log.Fatal(err)
	}
	client, stop := exampleClient(server)
	defer stop()

	var text string
	fmt.Println(client.Call(context.Background(), "exit", &text), text)
	<-client.Done()
	fmt.Println(errors.Is(client.Err(), net.ErrClosed))
	// Output:
	// <nil> good bye
	// true
}

// Two boards that know each other's keys need no certificate authority: each compares the key of its peer itself.
// Package satellite/identity has this ready, with keys in files, withdrawal and serial numbers.
func ExampleServerConfig_pinnedKey() {
	var own tls.Certificate
	var keyOfThePeer [sha256.Size]byte
	verify := func(state tls.ConnectionState) error {
		key := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
		if key != keyOfThePeer {
			return fmt.Errorf("the peer's key is %x", key)
		}
		return nil
	}
	server := rpc.ServerConfig{TLS: &tls.Config{
		Certificates:     []tls.Certificate{own},
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: verify,
	}}
	client := rpc.Config{TLS: &tls.Config{
		Certificates:       []tls.Certificate{own},
		InsecureSkipVerify: true, // the host name does not matter; VerifyConnection checks the key
		VerifyConnection:   verify,
	}}
	fmt.Println(server.TLS.ClientAuth, client.TLS.VerifyConnection != nil)
	// Output: RequireAnyClientCert true
}
