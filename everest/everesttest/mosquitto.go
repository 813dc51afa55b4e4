package everesttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// MosquittoConfig configures a mosquitto process.
type MosquittoConfig struct {
	// SocketPath is a UNIX socket to listen on. The default is a free TCP port of the loopback interface.
	SocketPath string
	// Lines are added to the configuration, for example "set_tcp_nodelay true". The default is none.
	Lines []string
	// Program is the executable. The default is the one that FindMosquitto returns.
	Program string
}

// Mosquitto is a mosquitto process.
type Mosquitto struct {
	address everest.Broker
	folder  string
	program string
	output  *lockedBuffer
	process *os.Process
	exited  chan struct{}
	stop    sync.Once
}

// ErrNoMosquitto is returned where no mosquitto is installed.
var ErrNoMosquitto = errors.New("everesttest: no mosquitto in PATH, /usr/sbin or /usr/local/sbin")

// FindMosquitto returns the path of the mosquitto program, or ErrNoMosquitto. It also searches folders that the PATH of
// an ordinary user lacks.
func FindMosquitto() (string, error) {
	for _, candidate := range []string{"mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", ErrNoMosquitto
}

// StartMosquitto starts a mosquitto and waits until it accepts connections. ctx bounds the start only. The caller must
// close it.
func StartMosquitto(ctx context.Context, config MosquittoConfig) (*Mosquitto, error) {
	if config.Program == "" {
		program, err := FindMosquitto()
		if err != nil {
			return nil, err
		}
		config.Program = program
	}
	var err error
	// Another process may take the port between its choice and the start of mosquitto.
	for range 5 {
		var broker *Mosquitto
		broker, err = startMosquitto(ctx, config)
		if err == nil {
			return broker, nil
		}
		if !strings.Contains(err.Error(), "in use") {
			break
		}
	}
	return nil, err
}

func startMosquitto(ctx context.Context, config MosquittoConfig) (*Mosquitto, error) {
	folder, err := os.MkdirTemp("", "mosquitto")
	if err != nil {
		return nil, fmt.Errorf("everesttest: mosquitto: %w", err)
	}
	broker := &Mosquitto{folder: folder, program: config.Program, output: new(lockedBuffer)}
	lines := []string{"allow_anonymous true", "persistence false"}
	if config.SocketPath != "" {
		broker.address = everest.Broker{SocketPath: config.SocketPath}
		lines = append(lines, "listener 0 "+config.SocketPath)
	} else {
		port, err := freePort()
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(folder))
		}
		broker.address = everest.Broker{Host: "127.0.0.1", Port: port}
		lines = append(lines, "listener "+strconv.Itoa(port)+" 127.0.0.1")
	}
	if account, err := user.Current(); err == nil && os.Geteuid() == 0 {
		// As root, mosquitto changes to an account that may not write to the folder of the socket.
		lines = append(lines, "user "+account.Username)
	}
	lines = append(lines, config.Lines...)
	if err := os.WriteFile(broker.file(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := broker.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("everesttest: mosquitto: %w", err), os.RemoveAll(folder))
	}
	if err := broker.waitAccepting(ctx); err != nil {
		broker.Close()
		return nil, err
	}
	return broker, nil
}

func (m *Mosquitto) file() string { return filepath.Join(m.folder, "mosquitto.conf") }

// Signal sends a signal to the process. SIGSTOP stalls the broker until SIGCONT.
func (m *Mosquitto) Signal(signal os.Signal) error { return m.process.Signal(signal) }

// End sends a signal that ends the process, and waits for its end. Start starts the broker again. Neither may be called
// while another method is.
func (m *Mosquitto) End(signal os.Signal) error {
	if err := m.process.Signal(signal); err != nil {
		return fmt.Errorf("everesttest: mosquitto: %w", err)
	}
	<-m.exited
	return nil
}

// Start starts a broker that End has ended, at the same address and with the same configuration, and waits until it
// accepts connections.
func (m *Mosquitto) Start(ctx context.Context) error {
	if m.address.SocketPath != "" {
		// A killed process leaves its socket.
		if err := os.Remove(m.address.SocketPath); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("everesttest: mosquitto: %w", err)
		}
	}
	if err := m.start(); err != nil {
		return fmt.Errorf("everesttest: mosquitto: %w", err)
	}
	return m.waitAccepting(ctx)
}

// untilInputEnds is a shell script that becomes its arguments, a command. A process beside it waits for the end of the
// standard input, which the kernel closes with this process, and ends the command then.
const untilInputEnds = `exec 3<&0
{ read -r line; kill $$; } <&3 >/dev/null 2>&1 &
exec "$@" 3<&-`

func (m *Mosquitto) start() error {
	command := exec.Command("sh", "-c", untilInputEnds, "sh", m.program, "-c", m.file())
	command.Stdout, command.Stderr = m.output, m.output
	if _, err := command.StdinPipe(); err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	m.process, m.exited = command.Process, exited
	go func() {
		defer close(exited)
		// waitAccepting and Close do not need the exit status.
		_ = command.Wait()
	}()
	return nil
}

// waitAccepting waits until the broker accepts a connection.
func (m *Mosquitto) waitAccepting(ctx context.Context) error {
	network, address := "tcp", net.JoinHostPort(m.address.Host, strconv.Itoa(m.address.Port))
	if m.address.SocketPath != "" {
		network, address = "unix", m.address.SocketPath
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-retry.C:
		case <-m.exited:
			return fmt.Errorf("everesttest: mosquitto ended at its start: %s", m.output.String())
		case <-ctx.Done():
			return fmt.Errorf("everesttest: mosquitto does not accept connections at %s: %w", m.address, ctx.Err())
		}
	}
}

// Address returns the address at which the broker listens.
func (m *Mosquitto) Address() everest.Broker { return m.address }

// Close ends the process and waits for its end. It may be called more than once.
func (m *Mosquitto) Close() error {
	m.stop.Do(func() {
		// Fails only for a process that has ended.
		_ = m.process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { _ = m.process.Kill() })
		<-m.exited
		kill.Stop()
		_ = os.RemoveAll(m.folder)
	})
	return nil
}

func freePort() (int, error) {
	var err error
	for range 1000 {
		port := 10_000 + rand.IntN(20_000)
		var listener net.Listener
		if listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("everesttest: no free port: %w", err)
}

// lockedBuffer is a bytes.Buffer that one goroutine may read while another writes.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(data)
}

// String returns the text so far, without space around it.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.buffer.String())
}
