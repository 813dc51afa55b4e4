package quickack

import (
	"io"
	"net"
	"testing"
)

func TestDialedConnectionCarriesBytes(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.Copy(conn, conn)
			conn.Close()
		}
		served <- err
	}()
	conn, err := Dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	echoed := make([]byte, 5)
	if _, err := io.ReadFull(conn, echoed); err != nil || string(echoed) != "hello" {
		t.Fatalf("read %q, %v", echoed, err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

func TestDialNamesWhatIsNotThere(t *testing.T) {
	if _, err := Dial(t.Context(), "unix", t.TempDir()+"/none.sock"); err == nil {
		t.Fatal("dialed a socket that does not exist")
	}
}
