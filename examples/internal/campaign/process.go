//go:build linux

package campaign

import (
	"bufio"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is a program that runs in a board's network namespace. It ends with this program, whatever ends it.
type process struct {
	name    string
	command *exec.Cmd
	// ended is closed when the process has ended; err is how.
	ended chan struct{}
	err   error
}

// startProcess starts a program, and calls line with each line of its standard error, from one goroutine at a time. It asks
// the kernel for a SIGTERM at the death of this program, as a manager does: the modules look for that.
func startProcess(ns namespace, name string, line func(string), program string, arguments ...string) (*process, error) {
	return startProcessWith(syscall.SIGTERM, ns, name, line, program, arguments...)
}

// startProcessWith asks the kernel for another signal: a module that does not get SIGTERM is none of a manager.
func startProcessWith(death syscall.Signal, ns namespace, name string, line func(string), program string, arguments ...string) (*process, error) {
	p := &process{name: name, command: exec.Command(program, arguments...), ended: make(chan struct{})}
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death}
	output, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		// The child is in the namespace of the thread that starts it, and gets its signal when that thread ends.
		runtime.LockOSThread()
		err := ns.enter()
		if err == nil {
			err = p.command.Start()
		}
		started <- err
		if err != nil {
			return
		}
		var reading sync.WaitGroup
		reading.Go(func() {
			lines := bufio.NewScanner(output)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				line(lines.Text())
			}
		})
		reading.Wait()
		if p.err = p.command.Wait(); p.err == nil {
			p.err = fmt.Errorf("exit status 0")
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) signal(signal syscall.Signal) {
	// A process that has ended needs no signal.
	_ = p.command.Process.Signal(signal)
}

// stop ends the process by SIGTERM. It reports false if that took more than a minute.
func (p *process) stop() bool {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return true
	case <-time.After(time.Minute):
		p.signal(syscall.SIGQUIT) // which prints its goroutines
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
			p.signal(syscall.SIGKILL)
			<-p.ended
		}
		return false
	}
}
