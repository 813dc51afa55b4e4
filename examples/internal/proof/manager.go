//go:build linux

package proof

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/remotechargeport/remotechargeport/everest"
)

// manager is a process of EVerest's manager, with its modules.
type manager struct {
	command *exec.Cmd
	logPath string
	log     *os.File
	// status is a named pipe, on which the manager says how far it is.
	status *os.File
	ended  chan struct{}
}

// startManager starts the manager of the installation at prefix, with more environment. The process and its modules end with this program.
func startManager(prefix, folder string, broker everest.Broker, modules []module, environment ...string) (*manager, error) {
	config, err := yaml.Marshal(configurationOf(broker, modules))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(file, config, 0o644); err != nil {
		return nil, err
	}
	m := &manager{logPath: filepath.Join(folder, "manager.log"), ended: make(chan struct{})}
	if m.log, err = os.Create(m.logPath); err != nil {
		return nil, err
	}
	status := filepath.Join(folder, "status")
	if m.status, err = openPipe(status); err != nil {
		return nil, errors.Join(err, m.log.Close())
	}
	m.command = exec.Command(filepath.Join(prefix, "bin", "manager"), "--prefix", prefix, "--config", file, "--status-fifo", status)
	m.command.Dir = folder
	m.command.Stdout, m.command.Stderr = m.log, m.log
	m.command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(prefix, "lib")+":"+os.Getenv("LD_LIBRARY_PATH"))
	m.command.Env = append(m.command.Env, environment...)
	m.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		defer close(m.ended)
		// The process gets its signal when the thread that started it ends.
		runtime.LockOSThread()
		err := m.command.Start()
		started <- err
		if err == nil {
			_ = m.command.Wait() // its end is what counts, not its status
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(err, m.status.Close(), m.log.Close())
	}
	return m, nil
}

// openPipe makes a named pipe and opens it for both sides, so that neither waits for the other.
func openPipe(path string) (*os.File, error) {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
}

// spawned waits until all modules that the manager starts are ready. A standalone module that asks for its configuration
// earlier can hold the only thread of the manager of 2026.02.0 for longer than other modules wait for theirs.
func (m *manager) spawned(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = m.status.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	lines := bufio.NewScanner(m.status)
	for lines.Scan() {
		if lines.Text() == "WAITING_FOR_STANDALONE_MODULES" {
			return nil
		}
	}
	return errors.Join(context.Cause(ctx), lines.Err())
}

// endPatience is how long the modules of a board may take to end.
const endPatience = 5 * time.Second

// stop ends the manager and its modules.
func (m *manager) stop() error {
	group := -m.command.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	limit := time.NewTimer(endPatience)
	defer limit.Stop()
	select {
	case <-m.ended:
	case <-limit.C:
	}
	// A module that is still there has not followed its manager.
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-m.ended
	return errors.Join(m.status.Close(), m.log.Close())
}

// complaint returns the last line of the log that says why the board ended.
func (m *manager) complaint() string {
	text, err := readTail(m.logPath)
	if err != nil {
		return err.Error()
	}
	last := "no line of its log says why"
	for line := range bytes.Lines(text) {
		for _, mark := range []string{"terminate called", "what():", "[CRIT", "exited with status"} {
			if bytes.Contains(line, []byte(mark)) && !bytes.Contains(line, []byte("Exiting manager")) {
				last = strings.TrimSpace(string(colour.ReplaceAll(line, nil)))
			}
		}
	}
	return last
}

// colour matches what the framework writes to make a word coloured.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// tailSize is how much of a log is searched.
const tailSize = 64 << 10

func readTail(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(max(0, size-tailSize), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

// configurationOf returns the content of a configuration file.
func configurationOf(broker everest.Broker, modules []module) map[string]any {
	active := map[string]any{}
	for _, m := range modules {
		entry := map[string]any{"module": m.name}
		if m.standalone {
			entry["standalone"] = true
		}
		if len(m.config) > 0 {
			entry["config_module"] = m.config
		}
		if len(m.implementations) > 0 {
			entry["config_implementation"] = m.implementations
		}
		if mapping := mappingOf(m); len(mapping) > 0 {
			entry["mapping"] = mapping
		}
		connections := map[string]any{}
		for requirement, all := range m.connections {
			var list []any
			for _, connection := range all {
				id, implementation := split(connection)
				list = append(list, map[string]any{"module_id": id, "implementation_id": implementation})
			}
			connections[requirement] = list
		}
		if len(connections) > 0 {
			entry["connections"] = connections
		}
		active[m.id] = entry
	}
	settings := map[string]any{"mqtt_broker_host": broker.Host, "mqtt_broker_port": broker.Port}
	return map[string]any{"settings": settings, "active_modules": active}
}

func mappingOf(m module) map[string]any {
	mapping := map[string]any{}
	if m.evse > 0 {
		mapping["module"] = map[string]any{"evse": m.evse}
	}
	if len(m.evses) > 0 {
		implementations := map[string]any{}
		for implementation, evse := range m.evses {
			implementations[implementation] = map[string]any{"evse": evse}
		}
		mapping["implementations"] = implementations
	}
	return mapping
}
