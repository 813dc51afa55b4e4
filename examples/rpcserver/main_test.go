package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc"
)

func TestServesUntilStopped(t *testing.T) {
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(t.Context(), []string{"-listen", "127.0.0.1:0"}, out, io.Discard) }()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscanf(line, "READY %d\n", &port); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	client, err := rpc.Dial(t.Context(), fmt.Sprintf("127.0.0.1:%d", port), rpc.Config{InsecurePlaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var sum int
	if err := client.Call(t.Context(), "add", &sum, 2, 40); err != nil || sum != 42 {
		t.Errorf("add: %d, %v", sum, err)
	}
	if err := client.Call(t.Context(), "srv_stop", nil); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestErrorsAreOneClearLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"port in use", []string{"-listen", taken.Addr().String()}, taken.Addr().String() + " is in use"},
		{"no address", []string{"-listen", "nonsense"}, "cannot listen on nonsense"},
		{"unknown order", []string{"-order", "reverse"}, "-order reverse"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := run(context.Background(), test.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, test.want)
			}
		})
	}
}
