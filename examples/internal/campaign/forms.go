//go:build linux

package campaign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// forms are the forms of a campaign that together have every kind of fault.
var forms = []struct {
	name      string
	arguments []string
}{
	{"plain", nil},
	{"mutual-tls", []string{"-mutual-tls"}},
	{"isolate", []string{"-isolate"}},
	{"standalone", []string{"-standalone"}},
}

// runAll makes the faults in a campaign of each form, each a process of this program, at once: campaigns wait more than they
// work. Each line of the output begins with the form.
func runAll(ctx context.Context, flags Flags, output io.Writer) error {
	if flags.Programs == "" {
		folder, err := os.MkdirTemp("", "campaign")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		if err := build(ctx, folder, flags.Race); err != nil {
			return err
		}
		flags.Programs = folder
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	var writing sync.Mutex
	failed := make([]error, len(forms))
	for i, form := range forms {
		count := (flags.Faults + len(forms) - 1 - i) / len(forms)
		if count == 0 {
			continue
		}
		arguments := append([]string{
			"-faults", strconv.Itoa(count), "-seed", strconv.FormatUint(flags.Seed+uint64(i), 10), "-programs", flags.Programs,
			"-speed", fmt.Sprint(flags.Speed), "-silence", flags.Silence.String(), "-window", flags.Window.String(),
			fmt.Sprint("-race=", flags.Race), fmt.Sprint("-logs=", flags.Logs),
		}, form.arguments...)
		command := exec.CommandContext(ctx, program, arguments...)
		command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
		command.Stdout = &labelled{form.name, output, &writing}
		command.Stderr = command.Stdout
		running.Go(func() {
			if err := command.Run(); err != nil {
				failed[i] = fmt.Errorf("%s: %w", form.name, err)
			}
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// labelled writes lines, each after a label.
type labelled struct {
	label string
	to    io.Writer
	mu    *sync.Mutex
}

// Write implements io.Writer.
func (l *labelled) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(text) {
		if _, err := fmt.Fprintf(l.to, "%s: %s", l.label, line); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}
