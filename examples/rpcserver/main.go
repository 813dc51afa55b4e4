// Command rpcserver serves functions over MessagePack-RPC to test any client with: echo, add, nop, functions that fail,
// that end their session, and the call shapes of a satellite board. Package rpctest has the list.
//
// It prints "READY <port>" when it listens. It speaks plain TCP, so it is for a machine or a network without other users.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "rpcserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends or a client calls srv_stop.
func run(ctx context.Context, args []string, out, usage io.Writer) error {
	flags := flag.NewFlagSet("rpcserver", flag.ContinueOnError)
	flags.SetOutput(usage)
	address := flags.String("listen", "127.0.0.1:0", "`address` to listen on: host:port, port 0 for any, or unix:/path")
	order := flags.String("order", "connection", "which calls of a connection run one after the other: connection (all), method (those of one method) or none")
	if commandline.Version(flags, args, out) {
		return nil
	}
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	config := rpc.ServerConfig{InsecurePlaintext: true}
	switch *order {
	case "connection":
	case "method":
		config.Order = rpc.OrderPerMethod
	case "none":
		config.Order = rpc.OrderNone
	default:
		return fmt.Errorf("-order %s: give connection, method or none", *order)
	}
	server := rpc.NewServer(config)
	if err := rpctest.BindFunctions(server); err != nil {
		return err
	}
	listener, err := listen(*address)
	if err != nil {
		return err
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
		fmt.Fprintln(out, "READY", tcp.Port)
	} else {
		fmt.Fprintln(out, "READY", listener.Addr())
	}
	return server.Serve(ctx, listener)
}

func listen(address string) (net.Listener, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	listener, err := net.Listen(network, address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop that one or give another -listen", address)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return listener, nil
}
