package rpctest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipeIsAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := Pipe(nil, nil)
		text := strings.Repeat("0123456789", 50_000)
		go func() {
			io.WriteString(near, text)
			near.CloseWrite()
		}()
		got, err := io.ReadAll(far)
		if err != nil || string(got) != text {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing behind the end: %v", err)
		}
		// The other way is still open.
		if _, err := far.Write([]byte("back")); err != nil {
			t.Error(err)
		}
		if n, err := near.Read(make([]byte, 10)); n != 4 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		far.Close()
		if _, err := near.Read(make([]byte, 10)); err != io.EOF {
			t.Errorf("reading behind the end: %v", err)
		}
		if _, err := far.Read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading after Close: %v", err)
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := Pipe(nil, nil)
		start := time.Now()
		near.SetDeadline(start.Add(time.Second))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		near.SetDeadline(time.Time{})
		// Without a reader the pipe fills up. A deadline set later ends the write.
		time.AfterFunc(time.Second, func() { near.SetWriteDeadline(time.Now()) })
		n, err := near.Write(make([]byte, 2*pipeCapacity))
		if n != pipeCapacity || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
		far.Close()
		near.SetWriteDeadline(time.Time{})
		if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("writing to a closed end: %v", err)
		}
	})
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := Pipe(SplitEvery(2, time.Second), nil)
		start := time.Now()
		near.Write([]byte("12345"))
		for i, want := range []string{"12", "34", "5"} {
			b := make([]byte, 10)
			n, err := far.Read(b)
			if took := time.Since(start); string(b[:n]) != want || err != nil || took != time.Duration(i+1)*time.Second {
				t.Errorf("%q, %v after %v, want %q", b[:n], err, took, want)
			}
		}
		near, far = Pipe(CutAfter(3), nil)
		n, err := near.Write([]byte("12345"))
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%d, %v", n, err)
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the other end: %v", err)
		}
	})
}

func TestRandomIsRepeatable(t *testing.T) {
	odds := Odds{Split: 0.5, Delay: 0.5, Stall: 0.1, Cut: 0.05, Duplicate: 0.2, Corrupt: 0.2, LongestDelay: time.Second, StallTime: time.Minute}
	one := Random(rand.New(rand.NewPCG(1, 2)), odds)
	other := Random(rand.New(rand.NewPCG(1, 2)), odds)
	for i := range 100 {
		text := []byte(strings.Repeat("x", 1+i))
		first, second := one(text), other(text)
		if len(first) != len(second) {
			t.Fatalf("%d deliveries, then %d", len(first), len(second))
		}
		for j := range first {
			if string(first[j].Data) != string(second[j].Data) || first[j].Delay != second[j].Delay || first[j].Cut != second[j].Cut {
				t.Fatalf("write %d, delivery %d differs", i, j)
			}
		}
	}
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := Listen("name")
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(conn, conn)
			conn.Close()
		}()
		conn, err := listener.Dial(context.Background(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if conn.RemoteAddr().String() != "name" || conn.RemoteAddr().Network() != "memory" {
			t.Errorf("connected to %v", conn.RemoteAddr())
		}
		io.WriteString(conn, "echo")
		conn.(*Conn).CloseWrite()
		if got, err := io.ReadAll(conn); string(got) != "echo" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := listener.Dial(ctx, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody accepts: %v", err)
		}
		listener.Close()
		listener.Close()
		if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accepting after Close: %v", err)
		}
		if _, err := listener.Dial(context.Background(), nil, nil); err == nil {
			t.Error("a closed listener let a connection in")
		}
	})
}
