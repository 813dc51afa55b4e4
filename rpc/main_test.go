package rpc_test

import (
	"context"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inMemory serves the test functions, and those that bind adds, in memory until stop is called.
func inMemory(t testing.TB, config rpc.ServerConfig, bind func(*rpc.Server)) (server *rpc.Server, listener *rpctest.Listener, stop func()) {
	t.Helper()
	server = rpc.NewServer(config)
	if err := rpctest.BindFunctions(server); err != nil {
		t.Fatal(err)
	}
	if bind != nil {
		bind(server)
	}
	listener = rpctest.Listen("test")
	// A context that can end keeps what descends from it alive.
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	return server, listener, func() {
		t.Helper()
		defer cancel()
		server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// connect returns a client of a server as inMemory makes it. Both end with the test.
func connect(t testing.TB, server rpc.ServerConfig, bind func(*rpc.Server), config rpc.Config) *rpc.Client {
	t.Helper()
	_, listener, stop := inMemory(t, server, bind)
	t.Cleanup(stop)
	client, _ := dial(t, listener, config)
	t.Cleanup(func() { client.Close() })
	return client
}

// dial connects a client to an in-memory listener; conn is the client's end.
func dial(t testing.TB, listener *rpctest.Listener, config rpc.Config) (*rpc.Client, net.Conn) {
	t.Helper()
	conn, err := listener.Dial(context.Background(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rpc.NewClient(conn, config), conn
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
