package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	stdrpc "net/rpc"

	"github.com/neovim/go-client/msgpack/rpc"
	"github.com/ugorji/go/codec"

	ours "github.com/remotechargeport/remotechargeport/rpc"
)

// library is one way to call a function that returns its argument, a text.
type library struct {
	name string
	// serve serves until the process ends.
	serve func(net.Listener) error
	// dial connects. The function returned makes one call; many goroutines may use it at once.
	dial func(addr string) (echo func(text string) (int, error), err error)
	// pump keeps a number of echoes in flight and calls done for each; nil where dial is enough.
	pump func(addr string, inFlight int, text string, done func() bool) error
}

var libraries = []library{
	{name: "rpc", serve: serveOurs(ours.NonBlocking()), dial: dialOurs},
	{name: "rpc, any handler", serve: serveOurs(), dial: dialOurs},
	{name: "rpc, Start", serve: serveOurs(ours.NonBlocking()), pump: pumpOurs},
	{name: "rpc, Start, Raw", serve: serveRawValues, pump: pumpRawValues},
	{name: "raw TCP", serve: serveRaw, pump: pumpRaw},
	{name: "net/rpc gob", serve: serveGob, dial: dialStandard(stdrpc.Dial)},
	{name: "net/rpc ugorji", serve: serveUgorji, dial: dialStandard(dialUgorji)},
	{name: "neovim", serve: serveNeovim, dial: dialNeovim},
	{name: "grpc", serve: serveGRPC, dial: dialGRPC},
}

func serveOurs(options ...ours.HandlerOption) func(net.Listener) error {
	return func(listener net.Listener) error {
		server := ours.NewServer(ours.ServerConfig{InsecurePlaintext: true})
		if err := server.Bind("echo", func(text string) string { return text }, options...); err != nil {
			return err
		}
		return server.Serve(context.Background(), listener)
	}
}

func dialOurs(addr string) (func(string) (int, error), error) {
	client, err := ours.Dial(context.Background(), addr, ours.Config{InsecurePlaintext: true})
	if err != nil {
		return nil, err
	}
	return func(text string) (int, error) {
		var reply string
		err := client.Call(context.Background(), "echo", &reply, text)
		return len(reply), err
	}, nil
}

// serveRawValues returns its argument without decoding it.
func serveRawValues(listener net.Listener) error {
	server := ours.NewServer(ours.ServerConfig{InsecurePlaintext: true})
	echo := func(_ context.Context, request *ours.Request) (any, error) {
		arguments := ours.NewReader(request.Args)
		if count := arguments.Array(); count != 1 {
			return nil, fmt.Errorf("echo takes one argument, not %d: %w", count, arguments.Err())
		}
		return arguments.Skip(), nil
	}
	if err := server.Handle("echo", echo, ours.NonBlocking()); err != nil {
		return err
	}
	return server.Serve(context.Background(), listener)
}

// pumpOurs keeps calls in flight by beginning the next when one has ended.
func pumpOurs(addr string, inFlight int, text string, done func() bool) error {
	return pumpStart(addr, inFlight, done, func() (any, any, func() int) {
		var reply string
		return text, &reply, func() int { return len(reply) - len(text) }
	})
}

func pumpRawValues(addr string, inFlight int, text string, done func() bool) error {
	encoded, err := ours.Encode(text)
	if err != nil {
		return err
	}
	return pumpStart(addr, inFlight, done, func() (any, any, func() int) {
		var reply ours.Raw
		return encoded, &reply, func() int { return len(reply) - len(encoded) }
	})
}

// pumpStart keeps calls in flight. For each, prepare returns the argument, where the reply goes, and by how many bytes
// the reply is too long.
func pumpStart(addr string, inFlight int, done func() bool, prepare func() (argument, reply any, differs func() int)) error {
	client, err := ours.Dial(context.Background(), addr, ours.Config{InsecurePlaintext: true})
	if err != nil {
		return err
	}
	defer client.Close()
	ended := make(chan error, inFlight)
	// Calls that the limit of queued bytes holds back begin when others have ended.
	waiting := make(chan func(), inFlight)
	for range inFlight {
		argument, reply, differs := prepare()
		var start func()
		next := func(err error) {
			if n := differs(); err == nil && n != 0 {
				err = fmt.Errorf("the reply is %d bytes too long", n)
			}
			if err == nil && !done() {
				start()
			} else {
				ended <- err
			}
			select {
			case start := <-waiting:
				start()
			default:
			}
		}
		start = func() {
			switch err := client.Start(context.Background(), "echo", reply, next, argument); {
			case errors.Is(err, ours.ErrBusy):
				waiting <- start
			case err != nil:
				ended <- err
			}
		}
		start()
	}
	for range inFlight {
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

// serveRaw echoes frames of four bytes of length and as many of text, with the buffers that bufio has.
func serveRaw(listener net.Listener) error {
	return acceptEach(listener, func(conn net.Conn) {
		in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriterSize(conn, 64<<10)
		var frame []byte
		for {
			var err error
			if frame, err = readRaw(in, frame); err != nil {
				return
			}
			if writeRaw(out, frame) != nil || in.Buffered() == 0 && out.Flush() != nil {
				return
			}
		}
	})
}

func pumpRaw(addr string, inFlight int, text string, done func() bool) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriterSize(conn, 64<<10)
	// A goroutine of its own writes, so that neither end waits for the other to read.
	slots := make(chan struct{}, inFlight)
	failed := make(chan error, 1)
	go func() {
		for range slots {
			if err := writeRaw(out, []byte(text)); err != nil {
				failed <- err
				return
			}
			if len(slots) == 0 {
				if err := out.Flush(); err != nil {
					failed <- err
					return
				}
			}
		}
		failed <- nil
	}()
	for range inFlight {
		slots <- struct{}{}
	}
	var frame []byte
	for {
		if frame, err = readRaw(in, frame); err != nil || done() {
			close(slots)
			conn.Close()
			<-failed
			return err
		}
		slots <- struct{}{}
	}
}

func readRaw(in *bufio.Reader, frame []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return frame, err
	}
	size := int(binary.BigEndian.Uint32(head[:]))
	if cap(frame) < size {
		frame = make([]byte, size)
	}
	frame = frame[:size]
	_, err := io.ReadFull(in, frame)
	return frame, err
}

func writeRaw(out *bufio.Writer, frame []byte) error {
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(frame)))
	if _, err := out.Write(head[:]); err != nil {
		return err
	}
	_, err := out.Write(frame)
	return err
}

func acceptEach(listener net.Listener, serve func(net.Conn)) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			serve(conn)
		}()
	}
}

// Service is what net/rpc serves.
type Service struct{}

// Echo returns the text.
func (Service) Echo(text string, reply *string) error {
	*reply = text
	return nil
}

func serveGob(listener net.Listener) error {
	server := stdrpc.NewServer()
	if err := server.Register(Service{}); err != nil {
		return err
	}
	server.Accept(listener)
	return nil
}

func msgpackHandle() *codec.MsgpackHandle {
	return &codec.MsgpackHandle{WriteExt: true}
}

// buffered gives a connection the buffers that the codec's documentation advises.
type buffered struct {
	*bufio.Reader
	*bufio.Writer
	net.Conn
}

func newBuffered(conn net.Conn) *buffered {
	return &buffered{Reader: bufio.NewReaderSize(conn, 64<<10), Writer: bufio.NewWriterSize(conn, 64<<10), Conn: conn}
}

func (b *buffered) Read(p []byte) (int, error) { return b.Reader.Read(p) }

func (b *buffered) Write(p []byte) (int, error) { return b.Writer.Write(p) }

func serveUgorji(listener net.Listener) error {
	server := stdrpc.NewServer()
	if err := server.Register(Service{}); err != nil {
		return err
	}
	return acceptEach(listener, func(conn net.Conn) {
		server.ServeCodec(codec.MsgpackSpecRpc.ServerCodec(newBuffered(conn), msgpackHandle()))
	})
}

func dialUgorji(network, addr string) (*stdrpc.Client, error) {
	conn, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return stdrpc.NewClientWithCodec(codec.MsgpackSpecRpc.ClientCodec(newBuffered(conn), msgpackHandle())), nil
}

func dialStandard(dial func(network, addr string) (*stdrpc.Client, error)) func(string) (func(string) (int, error), error) {
	return func(addr string) (func(string) (int, error), error) {
		client, err := dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		return func(text string) (int, error) {
			var reply string
			err := client.Call("Service.Echo", text, &reply)
			return len(reply), err
		}, nil
	}
}

func serveNeovim(listener net.Listener) error {
	return acceptEach(listener, func(conn net.Conn) {
		endpoint, err := rpc.NewEndpoint(conn, conn, conn)
		if err != nil {
			return
		}
		if endpoint.Register("echo", func(text string) (string, error) { return text, nil }) != nil {
			return
		}
		// The only error is the end of the connection.
		_ = endpoint.Serve()
	})
}

func dialNeovim(addr string) (func(string) (int, error), error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	endpoint, err := rpc.NewEndpoint(conn, conn, conn)
	if err != nil {
		return nil, err
	}
	go endpoint.Serve()
	return func(text string) (int, error) {
		var reply string
		err := endpoint.Call("echo", &reply, text)
		return len(reply), err
	}, nil
}
