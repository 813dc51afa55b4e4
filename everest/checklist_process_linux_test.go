package everest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// moduleProcess is the test program running as the module tower.
type moduleProcess struct {
	command *exec.Cmd
	lines   chan string
}

// startProcess starts it as a manager does: it gets SIGTERM when this process dies, and inherits the files.
func startProcess(t testing.TB, manager *everesttest.Manager, files []*os.File, more ...string) *moduleProcess {
	t.Helper()
	return startProcessAs(t, "tower", append(manager.Arguments("tower"), more...), files)
}

func startProcessAs(t testing.TB, kind string, arguments []string, files []*os.File) *moduleProcess {
	t.Helper()
	// The kernel counts the thread that has started the process as its parent.
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], arguments...)
	command.Env = append(os.Environ(), processVariable+"="+kind)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	command.ExtraFiles = files
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &moduleProcess{command: command, lines: make(chan string, 100)}
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		if command.ProcessState == nil {
			command.Process.Kill()
			p.wait()
		}
	})
	return p
}

// until returns the lines up to the one that starts with the text.
func (p *moduleProcess) until(t testing.TB, text string) []string {
	t.Helper()
	var lines []string
	for {
		line := receive(t, p.lines)
		lines = append(lines, line)
		if strings.HasPrefix(line, text) {
			return lines
		}
		if line == "" {
			t.Fatalf("the process ended before it wrote %q: %q", text, lines)
		}
	}
}

func (p *moduleProcess) wait() (exitCode int) {
	for range p.lines {
	}
	if err := p.command.Wait(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode()
		}
		return -1
	}
	return 0
}

func towerOnly(t *testing.T, broker everest.Broker) everesttest.ManagerConfig {
	config := bellConfig(t, broker)
	delete(config.Modules, "ringer")
	return config
}

func TestChecklist30_SIGTERMEndsAModule(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		process := startProcess(t, everesttest.NewManager(t, towerOnly(t, broker)), nil)
		process.until(t, "spawned true")
		process.until(t, "ready")
		if err := process.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if line := process.until(t, "ended:"); !strings.Contains(line[len(line)-1], "terminated") {
			t.Errorf("%q", line)
		}
		if code := process.wait(); code != 1 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestChecklist30_LostBrokerEndsASpawnedModule(t *testing.T) {
	brokers := map[string]func(*testing.T) (everest.Broker, func() error){
		"embedded": func(t *testing.T) (everest.Broker, func() error) {
			broker, err := everesttest.StartBroker(everesttest.BrokerConfig{})
			if err != nil {
				t.Fatal(err)
			}
			return broker.Address(), broker.Close
		},
		"mosquitto": func(t *testing.T) (everest.Broker, func() error) {
			broker, err := everesttest.StartMosquitto(t.Context(), everesttest.MosquittoConfig{})
			if errors.Is(err, everesttest.ErrNoMosquitto) && os.Getenv("CI") == "" {
				t.Skip("this half needs mosquitto: ", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			return broker.Address(), broker.Close
		},
	}
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) {
			address, stop := start(t)
			t.Cleanup(func() { stop() })
			manager, err := everesttest.StartManager(patient(t), towerOnly(t, address))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { manager.Close() })
			process := startProcess(t, manager, nil)
			process.until(t, "ready")
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			lines := process.until(t, "ended:")
			if !strings.Contains(lines[len(lines)-1], everest.ErrBrokerLost.Error()) {
				t.Errorf("%q", lines)
			}
			if code := process.wait(); code == 0 {
				t.Error("exit code 0, which no module of EVerest may have")
			}
		})
	}
}

func TestChecklist31_InheritedDescriptors(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		defer writer.Close()
		info, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", writer.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		// As from a manager, the process has descriptor 3 open; its own child must not.
		process := startProcess(t, everesttest.NewManager(t, towerOnly(t, broker)), []*os.File{writer})
		lines := process.until(t, "ready")
		for _, line := range lines {
			if strings.Contains(line, info) {
				t.Errorf("a child of the module holds %s: %s", info, line)
			}
		}
		if len(lines) < 4 {
			t.Errorf("the child did not list its descriptors: %q", lines)
		}
		inherited, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", process.command.Process.Pid))
		if err != nil || inherited != info {
			t.Errorf("descriptor 3 of the module is %s, not %s: %v", inherited, info, err)
		}
	})
}

// A command line of one EVerest and the library of another: the process ends without looking for a broker.
func TestContradictionEndsTheProcess(t *testing.T) {
	prefix := t.TempDir()
	everest.InstallLibrary(t, prefix, "C")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(patient(t), program, "--prefix", prefix, "--conf", "/etc/everest/config.yaml", "--module", "tower")
	command.Env = append(os.Environ(), processVariable+"=tower")
	output, err := command.Output()
	exit, ended := errors.AsType[*exec.ExitError](err)
	if !ended || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	text := strings.TrimSpace(string(output))
	if strings.Contains(text, "\n") || !strings.Contains(text, "config.yaml") || !strings.Contains(text, "libframework.so is of EVerest 2025.12") {
		t.Errorf("wrote %q", text)
	}
}
