package discovery

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	insideNamespace = "DISCOVERY_TEST_NAMESPACE"
	boardProcess    = "DISCOVERY_TEST_BOARD"
)

// patience is generous: it only ends a test that would hang.
const patience = 60 * time.Second

// inNamespace runs the test again in a process with a network of its own: the
// main board's. It reports whether this is that process. Such tests wait most of
// the time, so they run beside each other.
func inNamespace(t *testing.T) bool {
	t.Helper()
	t.Parallel()
	if os.Getenv(insideNamespace) != "" {
		run(t, "link set lo up")
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("the program ip, of iproute2, is not installed")
	}
	arguments := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	if deadline, ok := t.Deadline(); ok {
		arguments = append(arguments, "-test.timeout="+time.Until(deadline).String())
	}
	command := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	command.Env = append(os.Environ(), insideNamespace+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	output, err := command.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		if os.Getenv("CI") != "" {
			t.Fatal("no network namespace may be made here, and CI is set: run the tests with CAP_NET_ADMIN and CAP_SYS_ADMIN")
		}
		t.Skip("a network namespace needs CAP_NET_ADMIN and CAP_SYS_ADMIN")
	}
	t.Logf("%s", output)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// run runs the program ip in this namespace.
func run(t *testing.T, arguments string) {
	t.Helper()
	if output, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", arguments, err, output)
	}
}

// board is a process with a network of its own that announces.
type board struct {
	t       *testing.T
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

func startBoard(t *testing.T) *board {
	t.Helper()
	b := &board{t: t, command: exec.Command(os.Args[0])}
	b.command.Env = append(os.Environ(), boardProcess+"=1")
	b.command.Stderr = os.Stderr
	b.command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := b.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	b.in, b.out = in, bufio.NewScanner(out)
	t.Cleanup(func() {
		b.in.Close()
		if err := b.command.Wait(); err != nil && b.out != nil {
			t.Error("board: ", err)
		}
	})
	b.tell("ip link set lo up")
	return b
}

// tell has the board do something and waits until it is done.
func (b *board) tell(format string, arguments ...any) {
	b.t.Helper()
	line := fmt.Sprintf(format, arguments...)
	if _, err := fmt.Fprintln(b.in, line); err != nil {
		b.t.Fatal(err)
	}
	if !b.out.Scan() {
		b.t.Fatalf("%s: the board's process has ended", line)
	}
	if answer := b.out.Text(); answer != "ok" {
		b.t.Fatalf("%s: %s", line, answer)
	}
}

// connect plugs a cable from here to the board; the far end has an address
// unless it is empty, and is up.
func (b *board) connect(near, far, address string) {
	b.t.Helper()
	run(b.t, fmt.Sprintf("link add %s type veth peer name %s netns %d", near, far, b.command.Process.Pid))
	run(b.t, "link set "+near+" up")
	if address != "" {
		b.tell("ip addr add %s dev %s", address, far)
	}
	b.tell("ip link set %s up", far)
}

// kill ends the board's process without a good-bye.
func (b *board) kill() {
	b.t.Helper()
	b.command.Process.Kill()
	b.out = nil
}

// runBoard is the board's process: it does what the lines say.
func runBoard(in io.Reader, out io.Writer) int {
	var stop func()
	foreign := false
	defer func() {
		if stop != nil {
			stop()
		}
	}()
	do := func(line string) error {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "ip":
			if output, err := exec.Command("ip", strings.Fields(rest)...).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, output)
			}
		case "announce": // serial, port, interfaces
			fields := strings.Fields(rest)
			port, err := strconv.Atoi(fields[1])
			if err != nil {
				return err
			}
			a := Announcement{
				Serial: fields[0], ModuleID: "agent", Version: "1.2.3", Dialects: []string{"legacy", "v2"},
				Port: port, Interfaces: strings.Split(fields[2], ","),
			}
			if err := a.Check(); err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- Announce(ctx, a) }()
			stop = func() {
				cancel()
				<-ended
			}
		case "stop":
			stop()
			stop = nil
		case "foreign":
			foreign = true
			return runForeign(rest)
		default:
			return errors.New("unknown")
		}
		return nil
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		answer := "ok"
		if err := do(lines.Text()); err != nil {
			answer = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Fprintln(out, answer)
	}
	if stop != nil {
		stop()
		stop = nil
	}
	if foreign {
		return 0
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "board:", err)
		return 1
	}
	return 0
}
