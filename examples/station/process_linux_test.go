package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

// stationProcess is the program as a user starts it.
func stationProcess(ctx context.Context, arguments ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, program, append([]string{runAsStation}, arguments...)...), nil
}

func TestBoardsEndWithTheStation(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		signal syscall.Signal
		status int
	}{
		"killed":        {syscall.SIGKILL, -1},
		"told to stop":  {syscall.SIGTERM, 0},
		"by the Ctrl-C": {syscall.SIGINT, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), wholeStation)
			defer cancel()
			command, err := stationProcess(ctx, "-plain")
			if err != nil {
				t.Fatal(err)
			}
			lines, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			output := bufio.NewScanner(lines)
			for output.Scan() && !strings.HasPrefix(output.Text(), "the first variable") {
			}
			boards := children(t, command.Process.Pid)
			if len(boards) != 2 {
				t.Errorf("the station has the processes %v, want those of two boards", boards)
			}
			if err := command.Process.Signal(end.signal); err != nil {
				t.Fatal(err)
			}
			for output.Scan() {
			}
			// The status says what the error would.
			_ = command.Wait()
			if status := command.ProcessState.ExitCode(); status != end.status {
				t.Errorf("exit status %d, want %d", status, end.status)
			}
			for _, board := range boards {
				for running(board) {
					if err := recording.Sleep(ctx, 10*time.Millisecond); err != nil {
						t.Fatalf("process %s outlives the station", board)
					}
				}
			}
		})
	}
}

// children are the processes that any thread of a process has started.
func children(t *testing.T, parent int) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil || len(files) == 0 {
		t.Fatalf("the threads of process %d: %v, error %v", parent, files, err)
	}
	var all []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(content))...)
	}
	return all
}

// running tells whether a process does more than wait to be collected.
func running(process string) bool {
	content, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(content, []byte(") "))
	return !bytes.HasPrefix(state, []byte("Z"))
}

func TestExitStatus(t *testing.T) {
	for arguments, want := range map[string]string{
		"-satellites 0":                 "station: -satellites 0",
		"-kill main@1h":                 "station: -kill main@1h",
		"-once -broker-main tcp://x:0":  "station: everest: broker URL",
		"-board main":                   "station: a board gets its configuration",
		"-no-such-option":               "station: flag provided but not defined",
		"-once -kill satellite1@5years": "5years",
	} {
		command, err := stationProcess(t.Context(), strings.Fields(arguments)...)
		if err != nil {
			t.Fatal(err)
		}
		output, err := command.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(string(output), want) || bytes.Count(output, []byte("\n")) != 1 {
			t.Errorf("station %s: error %v, output %q, want status 1 and one line with %q", arguments, err, output, want)
		}
	}
	command, err := stationProcess(t.Context(), "-help")
	if err != nil {
		t.Fatal(err)
	}
	if output, err := command.CombinedOutput(); err != nil || !bytes.Contains(output, []byte("-satellites")) {
		t.Errorf("station -help: error %v, output %q", err, output)
	}
}
