package everesttest

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// talk publishes a message and receives it again.
func talk(t *testing.T, broker everest.Broker) {
	t.Helper()
	p := dialPeer(t, broker, "talk/x")
	p.send(t, "talk/x", "1")
	if got := string(p.receive(t).Payload); got != "1" {
		t.Errorf("heard %q", got)
	}
}

func TestBrokersOnSockets(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "broker.sock")
		broker, err := StartBroker(BrokerConfig{SocketPath: path})
		if err != nil {
			t.Fatal(err)
		}
		defer broker.Close()
		if broker.Address().String() != "unix://"+path {
			t.Errorf("URL %s", broker.Address().String())
		}
		talk(t, broker.Address())
	})
	t.Run("mosquitto", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "mosquitto.sock")
		broker := NewMosquitto(t, MosquittoConfig{SocketPath: path, Lines: []string{"max_inflight_messages 20"}})
		if broker.SocketPath != path {
			t.Errorf("address %s", broker)
		}
		talk(t, broker)
	})
}

func TestBrokerCloses(t *testing.T) {
	broker, err := StartBroker(BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	// A connection without a CONNECT must not block Close.
	_, address := brokerEndpoint(broker.Address())
	silent, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := dialPeer(t, broker.Address())
	for range 2 {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	}
	<-p.lost
	if _, err := dialBroker(t.Context(), broker.Address(), "late", func(Message) {}); err == nil || !strings.Contains(err.Error(), broker.Address().String()) {
		t.Errorf("error %v does not name the broker", err)
	}
}

func TestBrokerAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := StartBroker(BrokerConfig{Addr: taken.Addr().String()}); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v does not name the address", err)
	}
}

func TestFailingMosquitto(t *testing.T) {
	NewMosquitto(t, MosquittoConfig{}) // skips the test where mosquitto is not installed
	_, err := StartMosquitto(t.Context(), MosquittoConfig{Lines: []string{"no_such_option true"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_option") {
		t.Errorf("error %v lacks the output of mosquitto", err)
	}
	if _, err := StartMosquitto(t.Context(), MosquittoConfig{Program: filepath.Join(t.TempDir(), "mosquitto")}); err == nil {
		t.Error("a missing program starts")
	}
	broker, err := StartMosquitto(t.Context(), MosquittoConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(broker.output.String(), "terminating") || broker.Address().String() != "tcp://127.0.0.1:"+strconv.Itoa(broker.Address().Port) {
		t.Errorf("%s: %s", broker.Address().String(), broker.output.String())
	}
}

// A test that is killed leaves no broker behind.
func TestMosquittoEndsWithItsProgram(t *testing.T) {
	const path = "EVERESTTEST_SOCKET"
	if socket := os.Getenv(path); socket != "" {
		NewMosquitto(t, MosquittoConfig{SocketPath: socket})
		fmt.Println("started")
		select {}
	}
	NewMosquitto(t, MosquittoConfig{}) // skips the test where mosquitto is not installed
	folder := t.TempDir()
	socket := filepath.Join(folder, "mosquitto.sock")
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMosquittoEndsWithItsProgram$")
	program.Env = append(os.Environ(), path+"="+socket, "TMPDIR="+folder)
	output, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if line != "started\n" {
		t.Errorf("output %q, %v", line, err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait() // the error says that the program was killed
	if err := conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the broker lives on: %v", err)
	}
}

func TestURLFlag(t *testing.T) {
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	AddURLFlag(set)
	if err := set.Parse([]string{"-url", "tcp://example.org:1883"}); err != nil {
		t.Error(err)
	}
	// The program does not define the flag.
	if broker, given := givenBroker(t); given {
		t.Errorf("given %s", broker)
	}
}
