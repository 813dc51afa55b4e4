package program

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

const patience = 60 * time.Second

// child makes the test binary the process that systemd has started, named by the variable.
const child = "REMOTECHARGEPORT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "listener" {
		printListener()
		return
	}
	goleak.VerifyTestMain(m)
}

// notifySocket is what systemd listens on.
func notifySocket(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return socket
}

func next(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 4096)
	n, err := socket.Read(message)
	if err != nil {
		t.Fatal(err)
	}
	return string(message[:n])
}

func TestNotifier(t *testing.T) {
	socket := notifySocket(t)
	t.Setenv("WATCHDOG_USEC", "60000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	n, err := newNotifier(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n.Interval() != 30*time.Second {
		t.Errorf("interval %v, want half of the watchdog's minute", n.Interval())
	}
	var got []string
	for _, tell := range []func(){n.Alive, func() { n.Status("two\nlines") }, n.Ready, n.Alive, n.Stopping} {
		tell()
		got = append(got, next(t, socket))
	}
	want := []string{"WATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000", "STATUS=two lines", "READY=1", "WATCHDOG=1", "STOPPING=1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A systemd that does not read must not hold up the loop that feeds the watchdog.
func TestNotifierDoesNotWait(t *testing.T) {
	socket := notifySocket(t)
	n, err := newNotifier(nil)
	if err != nil {
		t.Fatal(err)
	}
	length, err := os.ReadFile("/proc/sys/net/unix/max_dgram_qlen")
	if err != nil {
		t.Skip("the length of the socket's queue is not known here:", err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(length)))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		for range most + 3 {
			n.Alive()
		}
	}()
	select {
	case <-told:
	case <-time.After(patience):
		t.Error("telling systemd waits for systemd")
	}
	socket.Close() // which ends what waits
	<-told
}

func TestNotifierOfAnotherProcess(t *testing.T) {
	notifySocket(t)
	t.Setenv("WATCHDOG_USEC", "60000000")
	t.Setenv("WATCHDOG_PID", "1")
	if n, err := newNotifier(nil); err != nil || n.Interval() != 0 {
		t.Errorf("another process's watchdog: %v, %v, want no interval", n, err)
	}
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := newNotifier(nil); err == nil {
		t.Error("no error for a time that is no number")
	}
}

func TestNothingWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("LISTEN_FDS", "")
	if n, err := newNotifier(nil); n != nil || err != nil {
		t.Errorf("%v, %v, want nothing", n, err)
	}
	if listener, err := Listener(); listener != nil || err != nil {
		t.Errorf("%v, %v, want nothing", listener, err)
	}
}

// printListener says what a process finds that systemd has started with sockets.
func printListener() {
	listener, err := Listener()
	switch {
	case errors.Is(err, errListeners):
		os.Stdout.WriteString("refused: " + err.Error())
	case err != nil:
		os.Stdout.WriteString("error: " + err.Error())
	case listener == nil:
		os.Stdout.WriteString("none")
	default:
		os.Stdout.WriteString(listener.Addr().String())
		listener.Close()
	}
}

func TestListener(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	file, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, test := range []struct {
		name   string
		files  []*os.File
		pid    string
		prefix string
	}{
		{"one", []*os.File{file}, "$$", tcp.Addr().String()},
		{"none", nil, "$$", "none"},
		{"of another process", []*os.File{file}, "1", "none"},
		{"two", []*os.File{file, file}, "$$", "refused: "},
		{"no socket", []*os.File{null}, "$$", "refused: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Only the process itself knows its number in advance.
			command := exec.CommandContext(t.Context(), "sh", "-c", `LISTEN_PID=`+test.pid+` exec "$0"`, os.Args[0])
			command.ExtraFiles = test.files
			command.Env = append(os.Environ(), child+"=listener", "LISTEN_FDS="+strconv.Itoa(len(test.files)))
			output, err := command.CombinedOutput()
			if err != nil || !strings.HasPrefix(string(output), test.prefix) {
				t.Errorf("%v, %q, want %q", err, output, test.prefix)
			}
		})
	}
}
